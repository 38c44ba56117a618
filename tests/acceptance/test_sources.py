"""`dogwatch watch --once` and `dogwatch doctor` over a real cluster, as the shipped account."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.acceptance.dogwatch import COMMAND
from tests.testbeds.identities import token
from tests.testbeds.manifests import a_deployment
from tests.testbeds.process import reserve_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: mine, owner: sre}
spec:
  rules:
    - name: ending
      on: [{type: k8s.object, kinds: [Namespace]}]
      when: signal.data.phase == "Terminating"
    - name: latency
      on: [{type: metric, metrics: [shop_latency_seconds]}]
      when: signal.value > 1.0
      by: [cluster]
"""


def a_config(folder: Path, *clusters: dict[str, Any]) -> Path:
    (folder / "rules.yaml").write_text(RULES)
    file = folder / "dogwatch.yaml"
    file.write_text(json.dumps({"clusters": clusters, "rules": "rules.yaml"}))
    return file


def as_reader(kube: Kube, folder: Path, **more: Any) -> dict[str, Any]:
    """Return the cluster as the account of deploy/reader-rbac.yaml reaches it."""
    config = yaml.safe_load(kube.kubeconfig.read_text())
    (context,) = [one for one in config["contexts"] if one["name"] == kube.name]
    config["users"] = [{"name": "reader", "user": {"token": token(kube, "reader")}}]
    context["context"]["user"] = "reader"
    file = folder / "reader"
    file.write_text(yaml.safe_dump(config))
    return {"name": "west", "kubeconfig": str(file), "context": kube.name, **more}


def dogwatch(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    called = [str(COMMAND), *arguments, "--config", str(config)]
    return subprocess.run(called, capture_output=True, text=True, timeout=120, check=False)


def test_a_watcher_prints_what_it_would_publish_and_ends(identities: Kube, tmp_path: Path) -> None:
    kube, namespace = identities, identities.namespace()
    kube.create(a_deployment("web", namespace, replicas=2))
    kube.until(lambda: len(kube.list("Pod", namespace)) == 2 or None, "two pods")
    config = a_config(tmp_path, as_reader(kube, tmp_path))
    ran = dogwatch(config, "watch", "objects", "--once", "--output", "json")
    assert ran.returncode == 0, ran.stderr
    signals = [json.loads(line) for line in ran.stdout.splitlines()]
    here = [one for one in signals if one["data"].get("namespace") == namespace]
    pods = [one for one in here if one["data"]["kind"] == "Pod"]
    assert [one["data"]["workload"] for one in pods] == ["web", "web"]
    assert {(one["type"], one["source"]) for one in here} == {
        ("k8s.object", "watchers/objects/west")
    }
    shown = dogwatch(config, "watch", "objects", "--once")
    assert f"pods/{namespace}/web-" in shown.stdout


def test_all_that_runs_by_itself_can_be_read_with_the_shipped_rights(
    identities: Kube, tmp_path: Path
) -> None:
    config = a_config(tmp_path, as_reader(identities, tmp_path))
    ran = dogwatch(config, "doctor", "--output", "json")
    (found,) = json.loads(ran.stdout)
    faults = {
        (s["watcher"], s["source"]): s["why"] for s in found["sources"] if s["state"] == "fault"
    }
    assert faults == {}
    assert ran.returncode == 0, ran.stderr
    assert found["version"].startswith("v1.")
    assert found["deaf"] == {"latency": "metric shop_latency_seconds"}


def test_what_is_missing_is_told_with_the_right_that_would_give_it(
    kube: Kube, tmp_path: Path
) -> None:
    there = {"kubeconfig": str(kube.kubeconfig), "context": f"{kube.name}-pods-only"}
    config = a_config(tmp_path, {"name": "west", **there})
    ran = dogwatch(config, "doctor")
    assert ran.returncode == 1
    assert "cluster west: v1." in ran.stdout
    assert 'nodes: {apiGroups: [""], resources: [nodes], verbs: [get, list, watch]}' in ran.stdout
    assert "nothing here for 1 of the rules to judge:" in ran.stdout


def test_a_cluster_that_is_away_is_told_of_and_the_others_are_examined(
    kube: Kube, tmp_path: Path
) -> None:
    with ExitStack() as held:
        away = yaml.safe_load(kube.kubeconfig.read_text())
        for cluster in away["clusters"]:
            cluster["cluster"]["server"] = f"https://127.0.0.1:{reserve_port(held)}"
        file = tmp_path / "away"
        file.write_text(yaml.safe_dump(away))
        config = a_config(
            tmp_path,
            {"name": "down", "kubeconfig": str(file), "context": kube.name},
            {"name": "west", "kubeconfig": str(kube.kubeconfig), "context": kube.name},
        )
        ran = dogwatch(config, "doctor", "--output", "json")
    down, west = json.loads(ran.stdout)
    assert ran.returncode == 1
    assert down["fault"].startswith("unreachable: ")
    assert west["fault"] == ""


def test_a_name_that_is_none_is_refused_with_the_nearest(kube: Kube, tmp_path: Path) -> None:
    there = {"kubeconfig": str(kube.kubeconfig), "context": kube.name}
    config = a_config(tmp_path, {"name": "west", **there})
    ran = dogwatch(config, "watch", "objets", "--once")
    assert ran.returncode == 2
    assert "no watcher 'objets'" in ran.stderr
    assert "did you mean 'objects'?" in ran.stderr
    ran = dogwatch(config, "doctor", "--cluster", "wset")
    assert "no cluster 'wset'; known: west; did you mean 'west'?" in ran.stderr


def test_clusters_that_are_found_are_examined_and_files_that_are_none_are_told(
    kube: Kube, tmp_path: Path
) -> None:
    folder = tmp_path / "clusters"
    folder.mkdir()
    config = yaml.safe_load(kube.kubeconfig.read_text())
    config["current-context"] = kube.name
    (folder / "east.yaml").write_text(yaml.safe_dump(config))
    (folder / "broken.yaml").write_text("clusters: [")
    file = a_config(tmp_path)
    settings = json.loads(file.read_text())
    settings["discover"] = [{"type": "kubeconfig-folder", "folder_path": "clusters"}]
    file.write_text(json.dumps(settings))
    ran = dogwatch(file, "doctor", "--output", "json")
    found = {one["cluster"]: one["fault"] for one in json.loads(ran.stdout)}
    assert found.pop("east") == ""
    (broken,) = found
    assert "broken" in broken
    assert ran.returncode == 1
