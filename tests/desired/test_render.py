"""What a repository desires, by plain files, kustomize and helm; and what is refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.desired import helm
from engine.desired.git import Checkout
from engine.desired.manifests import Manifests
from engine.desired.render import Folder, Programs, render
from engine.model.errors import DesiredError
from tests.desired.repositories import Origin

WEB = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: b}\n"


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


async def rendered(origin: Origin, folder: Folder, programs: Programs | None = None) -> Manifests:
    checkout = Checkout(origin.repository, origin.folder.parent / "cache")
    return await render(checkout, await checkout.fetch(), folder, programs)


def names(made: Manifests) -> list[str]:
    return [obj["metadata"]["name"] for obj in made.objects]


async def test_plain_files_are_read_at_any_depth_and_a_broken_one_hinders_no_other(
    origin: Origin,
) -> None:
    origin.put(
        {
            "apps/a.yaml": f"{WEB}---\n{WEB.replace('web', 'two')}",
            "apps/deep/b.json": '{"apiVersion": "v1", "kind": "List", "items": ['
            '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "three"}}]}',
            "apps/broken.yaml": "a: 1\nb: [\n",
            "apps/values.yaml": "replicas: 3\n",
            "apps/job.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: j-}\n",
            "apps/bomb.yaml": "a: &a [x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{c}: &{c} [{','.join([f'*{p}'] * 8)}]\n"
                for p, c in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "apps/python.yaml": "a: !!python/object/apply:os.system ['true']\n",
            "apps/.hidden/c.yaml": "not: [",
            "apps/notes.txt": "not: [",
            "other/d.yaml": WEB.replace("web", "other"),
        }
    )
    made = await rendered(origin, Folder("apps", exclude=("values*.yaml",)))
    assert names(made) == ["web", "two", "three"]
    told = {fault.partition(":")[0]: fault for fault in made.faults}
    assert set(told) == {"apps/broken.yaml", "apps/bomb.yaml", "apps/python.yaml"}
    assert "not YAML at 3:1" in told["apps/broken.yaml"]


async def test_a_file_that_is_too_large_is_told_and_the_others_are_read(origin: Origin) -> None:
    origin.put({"a.yaml": WEB, "big.yaml": "#" * (5 << 20)})
    (origin.folder / "link.yaml").symlink_to("a.yaml")
    origin.git("add", "--all")
    origin.commit()
    made = await rendered(origin, Folder())
    assert names(made) == ["web"]
    assert made.faults == ["big.yaml: it is too large to be read", "link.yaml: it is a link"]


async def test_kustomize_builds_bases_components_patches_and_generators(
    origin: Origin, kustomize: Path
) -> None:
    origin.put(
        {
            "base/kustomization.yaml": "resources: [web.yaml]\n",
            "base/web.yaml": WEB,
            "part/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
            "kind: Component\npatches: [{path: patch.yaml, target: {kind: ConfigMap}}]\n",
            "part/patch.yaml": "- {op: add, path: /data/c, value: d}\n",
            "west/kustomization.yaml": "namePrefix: west-\nnamespace: shop\nresources: [../base]\n"
            "components: [../part]\nsecretGenerator:\n- {name: s, files: [k=deep/key], options: "
            "{disableNameSuffixHash: true}}\n",
            "west/deep/key": "value",
            "unrelated/broken.yaml": "[",
        }
    )
    made = await rendered(origin, Folder("west"), Programs(kustomize=str(kustomize)))
    by_name = {obj["metadata"]["name"]: obj for obj in made.objects}
    assert set(by_name) == {"west-web", "west-s"}
    assert by_name["west-web"]["data"] == {"a": "b", "c": "d"}
    assert by_name["west-web"]["metadata"]["namespace"] == "shop"
    assert made.faults == []


LINE = "\u2028"
"""What readers of YAML take for the end of a line, and servers for a part of an address."""
LINED = LINE.join(("apiVersion: v1", "kind: ConfigMap", "metadata: {name: web}"))
HOSTILE: dict[str, tuple[str, str]] = {
    "a remote base": ("resources: ['https://example.test/repo//base?ref=main']", "not in the"),
    "a base of GitHub": ("resources: [github.com/owner/repo//base]", "not in the repository"),
    "a base by ssh": ("bases: ['git@example.test:owner/repo']", "not in the repository"),
    "a remote file": ("configMapGenerator: [{name: a, files: ['k=https://x.test/y']}]", "not in"),
    "a remote patch": ("patches: [{path: 'https://x.test/y'}]", "not in the repository"),
    "a remote schema": ("openapi: {path: 'https://x.test/y'}", "not in the repository"),
    "an absolute file": ("configMapGenerator: [{name: a, files: [/etc/passwd]}]", "not in"),
    "a file further up": ("configMapGenerator: [{name: a, files: [../../../etc/passwd]}]", "not"),
    "a link": ("resources: [link.yaml]", "it is a link"),
    "a folder by link": ("resources: [folder]", "it is a link"),
    "a chart": ("helmCharts: [{name: a, repo: 'https://x.test'}]", "charts are not fetched"),
    "a plugin": ("generators: [plugin.yaml]", "plugins are not run"),
    "a transformer": ("transformers: [plugin.yaml]", "plugins are not run"),
    "a validator": ("validators: [plugin.yaml]", "plugins are not run"),
    "broken": ("resources: [", "not YAML at"),
    "a list": ("- a", "does not hold one mapping"),
    "another shape": ("patches: 3", "patches: not a list"),
    "an entry of another shape": ("secretGenerator: [3]", r"secretGenerator\[0\]: not a mapping"),
    "a name of another shape": ("resources: [3]", r"resources\[0\]: not text"),
    "a field in another case": ("Resources: ['http://x.test/y']", "write 'resources' so"),
    "a field in capitals": ("CRDS: ['http://x.test/y']", "write 'crds' so"),
    "a field in other letters": ("re\u017fources: ['http://x.test/y']", "write 'resources' so"),
    "a path in another case": ("patches: [{Path: 'http://x.test/y'}]", "write 'path' so"),
    "a replacement in another case": ("replacements: [{PATH: x}]", "write 'path' so"),
    "a schema in another case": ("openapi: {Path: x}", "write 'path' so"),
    "files in another case": ("secretGenerator: [{Files: [x]}]", "write 'files' so"),
    "a chart in another case": ("HelmCharts: [{name: a}]", "write 'helmCharts' so"),
    "a field that nobody knows": ("nonsense: 1", "a field that is not known; known: apiVersion"),
    "a remote file of variables": ("configMapGenerator: [{env: 'https://x.test/y'}]", "not in"),
    "a remote replacement": ("replacements: [{path: 'https://x.test/y'}]", "not in"),
    "a remote configuration": ("configurations: ['https://x.test/y']", "not in"),
    "a remote patch by text": (
        f"patchesStrategicMerge: [{json.dumps(f'http://x.test/y: 1{LINE}{LINED}')}]",
        "not in",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_kustomization_that_would_fetch_or_run_something_is_refused(
    origin: Origin, kustomize: Path, case: str
) -> None:
    text, why = HOSTILE[case]
    origin.put({"a/kustomization.yaml": f"{text}\n", "a/plugin.yaml": WEB})
    (origin.folder / "a/link.yaml").symlink_to("/etc/passwd")
    (origin.folder / "a/folder").symlink_to("/etc")
    origin.git("add", "--all")
    origin.commit()
    with pytest.raises(DesiredError, match=why) as raised:
        await rendered(origin, Folder("a"), Programs(kustomize=str(kustomize)))
    assert raised.value.reason in {"refused", "malformed"}
    assert str(raised.value).startswith("a/kustomization.yaml: ")


@pytest.mark.parametrize(
    "reference",
    ["https://x.test/y", "github.com/owner/repo//y", "GitHub.com/owner/y", "git@h.test/owner/y"],
)
async def test_a_folder_that_is_called_as_a_remote_one_is_refused(
    origin: Origin, kustomize: Path, reference: str
) -> None:
    local = "/".join(part for part in reference.split("/") if part)
    origin.put(
        {
            "a/kustomization.yaml": f"resources: ['{reference}']\n",
            f"a/{local}/kustomization.yaml": "resources: []\n",
        }
    )
    with pytest.raises(DesiredError, match="not in the repository") as raised:
        await rendered(origin, Folder("a"), Programs(kustomize=str(kustomize)))
    assert raised.value.reason == "refused"


OUTSIDE = "a file is not in or below the folder of the kustomization that names it"


async def test_kustomizations_in_a_circle_and_those_that_are_wrong_end_with_a_sentence(
    origin: Origin, kustomize: Path
) -> None:
    origin.put(
        {
            "a/kustomization.yaml": "resources: [../b]\n",
            "b/kustomization.yaml": "resources: [../a]\n",
            "c/kustomization.yaml": "resources: [web.yaml, broken.yaml]\n",
            "c/web.yaml": WEB,
            "c/broken.yaml": "a: [\n",
            "d/kustomization.yaml": "resources: [web.yaml]\nimages: [{canary: 1}]\n",
            "d/web.yaml": WEB,
            "e/kustomization.yaml": "resources: [../c/web.yaml]\n",
        }
    )
    for path, why in (
        ("a", "malformed: kustomizations refer to each other in a circle"),
        ("c", r"malformed: a file is no YAML, or no object of Kubernetes (c/broken.yaml)"),
        ("d", "malformed: a kustomization has a field that is not known"),
        ("e", f"refused: {OUTSIDE} (c/web.yaml)"),
    ):
        with pytest.raises(DesiredError) as raised:
            await rendered(origin, Folder(path), Programs(kustomize=str(kustomize)))
        reason, _, sentence = why.partition(": ")
        assert (raised.value.reason, str(raised.value)) == (reason, f"kustomize build: {sentence}")


@pytest.mark.parametrize(
    "text",
    [
        "resources: [web.yaml]\n<<: {resources: ['http://127.0.0.1:1/canary']}\n",
        "resources: ['http://127.0.0.1:1/canary']\nresources: [web.yaml]\n",
        '{"resources": ["web.yaml"], "commonAnnotations": {"a": "\\u2028 \U0001f600"}}',
        f"patchesStrategicMerge: [{json.dumps(WEB)}]\nresources: [web.yaml]\n",
    ],
)
async def test_kustomize_reads_in_a_kustomization_what_was_looked_at(
    origin: Origin, kustomize: Path, text: str
) -> None:
    origin.put({"kustomization.yaml": text, "web.yaml": WEB})
    made = await rendered(origin, Folder(), Programs(kustomize=str(kustomize)))
    assert names(made) == ["web"]
    annotations = made.objects[0]["metadata"].get("annotations", {})
    assert annotations in ({}, {"a": "\u2028 \U0001f600"})


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: "
TAKEN = (
    "resources: [s.yaml]\nreplacements: [{source: {kind: Secret, fieldPath: stringData.p}, "
    "targets: [{select: {kind: Secret}, fieldPaths: [metadata.name]}]}]\n"
)
TESTING = (
    "patches: [{target: {kind: Secret}, patch: "
    "'[{op: test, path: /stringData/p, value: canary-two}]'}]\n"
)
SPOKEN: dict[str, tuple[str, str]] = {
    "a literal without its name": ("secretGenerator: [{name: s, literals: [canary]}]", ""),
    "a variable with a number for a name": ("secretGenerator: [{name: s, envs: [e]}]", "1=canary"),
    "values that are text": (TAKEN, f"{SECRET}canary\n"),
    "a value where a file is wanted": ("secretGenerator: [{name: s, files: [p=canary]}]", ""),
    "a value where a field is wanted": ("secretGenerator: [{name: s, canary: x}]", ""),
    "a kustomization with a value that is no text": ("namePrefix: !canary x", ""),
    "a patch that tests a value": (f"resources: [s.yaml]\n{TESTING}", f"{SECRET}{{p: canary}}\n"),
}


@pytest.mark.parametrize("case", SPOKEN)
async def test_no_value_of_a_secret_is_in_a_fault_whatever_a_program_says(
    origin: Origin, kustomize: Path, case: str
) -> None:
    text, secret = SPOKEN[case]
    origin.put({"kustomization.yaml": f"{text}\n", "s.yaml": secret, "e": secret})
    with pytest.raises(DesiredError) as raised:
        await rendered(origin, Folder(), Programs(kustomize=str(kustomize)))
    assert "canary" not in str(raised.value).lower()
    assert "Y2FuYXJ5" not in str(raised.value)


async def test_a_kustomization_that_is_the_content_of_another_object_too_is_refused(
    origin: Origin, kustomize: Path
) -> None:
    text = "configMapGenerator: [{name: a, files: [kustomization.yaml]}]\n"
    origin.put({"kustomization.yaml": text})
    with pytest.raises(DesiredError, match="it is a kustomization and a file of another"):
        await rendered(origin, Folder(), Programs(kustomize=str(kustomize)))


async def test_a_program_that_is_not_there_is_named_with_what_to_install(
    origin: Origin, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin.put({"a/kustomization.yaml": "resources: []\n", "b/Chart.yaml": "name: b\n"})
    only = origin.folder.parent / "only"
    only.mkdir()
    (only / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(only))
    for path, name in (("a", "kustomize"), ("b", "helm")):
        with pytest.raises(DesiredError, match=f"{name} is not installed; install") as raised:
            await rendered(origin, Folder(path))
        assert raised.value.reason == "unavailable"


def a_program(folder: Path, body: str) -> str:
    program = folder / "program"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


async def test_helm_is_given_only_files_of_the_tree_and_no_environment(
    origin: Origin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HELM_SECRET", "canary")
    origin.put(
        {
            "charts/web/Chart.yaml": "name: web\nversion: 1.0.0\napiVersion: v2\n",
            "charts/web/templates/a.yaml": WEB,
            "charts/web/values.schema.json": '{"$ref": "https://x.test/schema"}',
            "values/west.yaml": "a: 1\n",
        }
    )
    shows = (
        "/usr/bin/env > env; /usr/bin/find . -type f > found\n"
        f'/bin/cp env found {tmp_path}; echo "$@" > {tmp_path}/said\n'
        "/bin/cat chart/templates/a.yaml"
    )
    release = helm.Release("shop", "shop-ns", ("values/west.yaml",))
    program = a_program(tmp_path, shows)
    made = await rendered(origin, Folder("charts/web", release=release), Programs(helm=program))
    assert names(made) == ["web"]
    given = (tmp_path / "found").read_text().split()
    assert sorted(given) == sorted(
        ["./chart/Chart.yaml", "./chart/templates/a.yaml", "./env", "./found", "./values/0.yaml"]
    )
    assert "canary" not in (tmp_path / "env").read_text()
    assert (tmp_path / "said").read_text() == (
        "template --namespace shop-ns --no-hooks --skip-tests --include-crds"
        " --skip-schema-validation --values values/0.yaml -- shop ./chart\n"
    )


@pytest.mark.parametrize("values", ["../outside.yaml", "/etc/passwd", "values/no.yaml", "link"])
async def test_values_that_are_not_in_the_repository_are_refused(
    origin: Origin, tmp_path: Path, values: str
) -> None:
    origin.put({"web/Chart.yaml": "name: web\n"})
    (origin.folder / "link").symlink_to("/etc/passwd")
    origin.git("add", "--all")
    origin.commit()
    folder = Folder("web", release=helm.Release("web", "", (values,)))
    with pytest.raises(DesiredError, match="values '") as raised:
        await rendered(origin, folder, Programs(helm=a_program(tmp_path, "exit 1")))
    assert raised.value.reason == "refused"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
            "too-large",
        ),
        ("echo 'Error: canary failed' >&2; exit 1", "malformed"),
        ("echo 'Error: YAML parse error on canary/Chart.yaml' >&2; exit 1", "malformed"),
        ("kill -9 $$", "malformed"),
    ],
)
async def test_a_program_that_misbehaves_is_ended_and_told(
    origin: Origin, tmp_path: Path, body: str, reason: str
) -> None:
    origin.put({"web/Chart.yaml": "name: web\n"})
    with pytest.raises(DesiredError) as raised:
        await rendered(origin, Folder("web"), Programs(helm=a_program(tmp_path, body)))
    assert raised.value.reason == reason
    assert "canary" not in str(raised.value)


def real_helm() -> str:
    found = os.environ.get("HELM") or shutil.which("helm")
    if found is None:
        # Never a failure: `make testbeds` does not build it, which takes three minutes.
        pytest.skip("TESTBED_MISSING:helm:install helm 3.16 or newer, or say HELM=/path/to/it")
    return found


CHART: dict[str, Any] = {
    "web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "web/values.yaml": "colour: red\n",
    "web/templates/a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n"
    "  name: {{ .Release.Name }}\n  namespace: {{ .Release.Namespace }}\n"
    "data: {colour: {{ .Values.colour }}, env: '{{ env }}'}\n",
    "web/templates/hook.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: hook\n"
    "  annotations: {helm.sh/hook: test}\n",
    "west.yaml": "colour: blue\n",
}


async def test_the_real_helm_renders_a_chart_with_its_values(origin: Origin) -> None:
    chart = {
        **CHART,
        "web/templates/a.yaml": CHART["web/templates/a.yaml"].replace(", env: '{{ env }}'", ""),
    }
    origin.put(chart)
    folder = Folder("web", release=helm.Release("shop", "shop-ns", ("west.yaml",)))
    made = await rendered(origin, folder, Programs(helm=real_helm()))
    (only,) = made.objects
    assert only["metadata"] == {"name": "shop", "namespace": "shop-ns"}
    assert only["data"] == {"colour": "blue"}


async def test_the_real_helm_fetches_no_chart_that_another_depends_on(origin: Origin) -> None:
    depending = (
        CHART["web/Chart.yaml"]
        + "dependencies: [{name: other, version: 1.0.0, repository: 'https://127.0.0.1:1'}]\n"
    )
    origin.put({**CHART, "web/Chart.yaml": depending})
    with pytest.raises(DesiredError, match="is not in its folder charts/") as raised:
        await rendered(origin, Folder("web"), Programs(helm=real_helm()))
    assert raised.value.reason == "malformed"
