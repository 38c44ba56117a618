"""`discover:` of the configuration: faults with their place, paths, and what policies may name."""

import re
from pathlib import Path

import pytest

from engine.app.configured import load_config
from engine.app.discovery.settings import TYPES, OcmConfig, source
from engine.app.policy_file import faults_of, read_policy
from engine.model.errors import ConfigError

POLICY = """\
users: {ada: {email: ada@example.com}}
groups: {sre: [ada]}
approvers: [{clusters: [eu], risks: [safe], groups: [sre]}]
"""


PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"


def write(folder: Path, text: str) -> str:
    path = folder / "dogwatch.yaml"
    path.write_text(text)
    return str(path)


def faults(path: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load_config(path, {})
    return [line.removeprefix(f"{path}:") for line in str(refused.value).splitlines()]


def test_a_policy_may_name_clusters_that_are_found_later(tmp_path: Path) -> None:
    found = "discover: [{type: kubeconfig-folder, folder_path: k}]\n"
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    config = tmp_path / "dogwatch.yaml"
    config.write_text("changes: {policy_file: policy.yaml}\n")
    assert "unknown cluster 'eu'" in str(faults_of(str(policy), str(config))[1])
    config.write_text(found + config.read_text())
    assert faults_of(str(policy), str(config))[1] == []
    settings = load_config(str(config), {})
    assert read_policy(str(policy), settings).clusters == {}


def test_what_finds_clusters_is_checked_as_the_rest(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
clusters: [{name: hub}]
discover:
  - {type: argocd, cluster: hubb, nmespace: x}
  - {type: kubeconfig-folder, folder_path: kc, contexts: al, name: "{nam}"}
  - {type: nope}
  - {type: ocm, cluster: hub, watchers: {evnts: true}, prometheus: {url: "http://x", ca_file: no}}
  - {type: kubeconfig-folder, folder_path: kd, name: "{name.__class__}"}
  - {cluster: hub}
  - {type: argocd, cluster: hubb}
""",
    )
    names = "known: {context}, {file}, {name}, {namespace}"
    fields = "cluster, every_s, exec_commands, groups, labels, most, name, namespace, prometheus"
    strange = "{name.__class__}"
    hint = "did you mean"
    told = faults(path)
    assert [one for one in told if "evnts" not in one] == [
        f"3:20 unknown cluster 'hubb'; known: hub; {hint} 'hub'?",
        f"3:35 unknown field 'nmespace'; known: {fields}, select, watchers; {hint} 'namespace'?",
        f"4:48 discover.1.contexts: unknown value 'al'; known: all, current; {hint} 'all'?",
        f"4:62 discover.1.name: '{{nam}}' is no template of a name; {names}",
        "5:6 unknown source type 'nope'; known: argocd, cluster-api, kubeconfig-folder, ocm",
        "6:86 discover.3.prometheus.ca_file: there is no file 'no'",
        f"7:48 discover.4.name: '{strange}' is no template of a name; {names}",
        "8:5 discover.5.type: it is missing",
        f"9:20 unknown cluster 'hubb'; known: hub; {hint} 'hub'?",
    ]
    assert [one for one in told if one.startswith("6:42 unknown watcher 'evnts'")]


@pytest.mark.parametrize("url", ["http://m:{name}", "http://m:port", "http://[::1"])
def test_a_prometheus_that_no_client_could_ask_is_refused(tmp_path: Path, url: str) -> None:
    block = f"{{type: kubeconfig-folder, folder_path: k, prometheus: {{url: '{url}'}}}}"
    (told,) = faults(write(tmp_path, f"discover: [{block}]\n"))
    assert "prometheus.url: no address of a server: Invalid port" in told


def test_a_prometheus_of_each_cluster_is_named_by_it(tmp_path: Path) -> None:
    block = "{type: kubeconfig-folder, folder_path: k, prometheus: {url: 'http://{name}.m:9090/x'}}"
    assert load_config(write(tmp_path, f"discover: [{block}]\n"), {}).discover


@pytest.mark.parametrize(
    ("one", "two", "label"),
    [
        (
            "type: argocd, cluster: hub",
            "namespace: argocd, type: argocd, cluster: hub",
            "argocd hub",
        ),
        ("type: ocm, cluster: hub, kubeconfig: a", "type: ocm, cluster: hub", "ocm hub"),
        ("type: cluster-api, cluster: hub", "type: cluster-api, cluster: hub, most: 5", "cluster-"),
        *(
            (f"type: kubeconfig-folder, folder_path: {one}", second, "kubeconfig-folder /")
            for one in ("kc/", "./kc")
            for second in ("type: kubeconfig-folder, folder_path: kc, every_s: 5",)
        ),
    ],
)
def test_a_source_that_is_another_by_defaults_or_its_path_is_named_twice(
    tmp_path: Path, one: str, two: str, label: str
) -> None:
    hub = "clusters: [{name: hub}]\ndiscover:\n"
    other = "  - {type: argocd, cluster: hub, namespace: other}\n"
    path = write(
        tmp_path, f"{hub}{other}  - {{{one}}}\n{other.replace('other', 'more')}  - {{{two}}}\n"
    )
    (told,) = faults(path)
    assert told.startswith(f"6:5 the source '{label}")
    assert told.endswith("is named twice: discover.1 is it too")


def test_paths_of_what_finds_clusters_are_relative_to_the_file(tmp_path: Path) -> None:
    text = "clusters: [{name: hub}]\ndiscover:\n"
    text += "  - {type: kubeconfig-folder, folder_path: kc}\n"
    text += "  - {type: ocm, cluster: hub, kubeconfig_path: 'kc/{name}.yaml', kubeconfig: all}\n"
    settings = load_config(write(tmp_path, text), {})
    folder, hub = (source(one.type, one.model_extra or {}) for one in settings.discover)
    assert folder.label == f"kubeconfig-folder {tmp_path}/kc"
    assert isinstance(hub, OcmConfig)
    assert hub.kubeconfig_path == f"{tmp_path}/kc/{{name}}.yaml"
    assert hub.kubeconfig == f"{tmp_path}/all"


def test_the_example_of_the_docs_loads(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    settings = load_config(write(tmp_path, example), {})
    sources = [source(one.type, one.model_extra or {}) for one in settings.discover]
    assert {one.type for one in settings.discover} == set(TYPES)
    assert len({one.label for one in sources}) == len(TYPES)
