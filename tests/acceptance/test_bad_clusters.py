"""A cluster that is down and one that forbids lists: unknown with the reason, the rest goes on."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.dogwatch import COMMAND
from tests.acceptance.lab import a_lab
from tests.testbeds.manifests import a_deployment, chaos
from tests.testbeds.process import reserve_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: clusters, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 1h, keep_firing_for: 1h}
  rules:
    - name: crash-loop
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: '"CrashLoopBackOff" in signal.data.waiting'
      by: [cluster, namespace, workload]
      mission:
        kind: incident-response
        params: {namespace: "{{ key.namespace }}", workload: "{{ key.workload }}"}
"""


@pytest.fixture(scope="module")
def contexts(
    kube: Kube, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[dict[str, Any]]]:
    """A healthy cluster, one where only pods may be read, and one that is not there."""
    with ExitStack() as held:
        down = yaml.safe_load(kube.kubeconfig.read_text())
        for cluster in down["clusters"]:
            cluster["cluster"]["server"] = f"https://127.0.0.1:{reserve_port(held)}"
        away = tmp_path_factory.mktemp("clusters") / "down"
        away.write_text(yaml.safe_dump(down))
        yield [
            {"name": "down", "kubeconfig": str(away), "context": "alpha"},
            {
                "name": "forbidding",
                "kubeconfig": str(kube.kubeconfig),
                "context": "alpha-pods-only",
            },
            {"name": "good", "kubeconfig": str(kube.kubeconfig), "context": "alpha"},
            {"name": "misspelt", "kubeconfig": str(kube.kubeconfig), "context": "alhpa"},
        ]


@pytest.fixture
def folder(contexts: list[dict[str, Any]], tmp_path: Path) -> Path:
    settings = {"clusters": contexts, "missions": {"collect_s": 20}}
    (tmp_path / "dogwatch.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def called(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def crash(kube: Kube) -> str:
    """Let a workload of a new namespace crash; return the namespace."""
    namespace = kube.namespace("bad")
    trouble = chaos("crashloop", exit_code="137")
    kube.create(a_deployment("web", namespace, replicas=1, trouble=trouble))

    def crashing() -> bool:
        pods = kube.list("Pod", namespace)
        return any("CrashLoopBackOff" in json.dumps(pod.get("status", {})) for pod in pods)

    kube.until(crashing, "a crash loop")
    return namespace


def test_a_mission_says_of_each_cluster_what_it_could_not_read_and_judges_the_rest(
    kube: Kube, folder: Path
) -> None:
    namespace = crash(kube)
    every = [w for name in ("down", "forbidding", "good", "misspelt") for w in ("--cluster", name)]
    done = called(
        folder,
        *("mission", "run", "incident-response", *every),
        *("-p", f"namespace={namespace}", "--output", "json"),
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    unknowns = [(u["cluster"], u["reason"]) for u in report["coverage"]["unknowns"]]
    for cluster, word in (
        ("down", "unreachable"),
        ("forbidding", "forbidden"),
        ("misspelt", "alhpa"),
    ):
        own = [reason for name, reason in unknowns if name == cluster]
        assert any(word in text for text in own), (cluster, unknowns)
    roots = [(i["root"]["cluster"], i["root"]["name"]) for i in report["incidents"]]
    assert ("good", "web") in roots
    assert "Traceback" not in done.stderr


def test_saving_a_snapshot_says_what_was_not_read_and_the_saved_one_keeps_saying_it(
    folder: Path,
) -> None:
    done = called(folder, "snapshot", "save", "saved")
    assert done.returncode == 0, done.stderr
    lines = {line.partition(":")[0]: line for line in done.stdout.splitlines()}
    assert "unreachable" in lines["down"]
    assert "forbidden" in lines["forbidding"]
    assert "not read" not in lines["good"]
    assert "alhpa" in lines["misspelt"]
    again = called(
        folder, "mission", "run", "incident-response", "--snapshot", "saved", "--output", "json"
    )
    assert "unreachable" in again.stdout
    assert "forbidden" in again.stdout


def test_a_cluster_that_is_down_keeps_no_other_from_being_watched(
    kube: Kube, contexts: list[dict[str, Any]], tmp_path: Path
) -> None:
    namespace = crash(kube)
    rules = RULES.replace("NAMESPACE", namespace)
    with a_lab(tmp_path, rules, clusters=contexts) as lab:
        seen = kube.until(
            lambda: (
                {told["group"]["cluster"]: told for told in lab.told("result")}
                if len(lab.told("result")) >= 2
                else None
            ),
            "two reports",
        )
        assert set(seen) == {"good", "forbidding"}
        assert lab.readiness()[0] == 200
        unknowns = json.dumps(seen["forbidding"]["report"]["coverage"]["unknowns"])
        assert "forbidden" in unknowns
        assert lab.metric("watch_staleness_seconds", cluster="good") < 60
