"""Clusters that come, go and are renamed, whole: files in a folder, a real cluster behind them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from engine.app.fleet_list import listed
from tests.acceptance.dogwatch import Dogwatch
from tests.acceptance.lab import SECRET, a_hook
from tests.testbeds.kube import kubeconfig
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: fleet, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s}
  rules:
    - name: node
      on: [{type: k8s.object, kinds: [Node]}]
      when: signal.data.ready
      by: [cluster, node]
    - name: joined
      on: [{type: cluster}]
      when: signal.data.change == "joined"
      by: [cluster]
      mission: {kind: incident-response, params: {cluster: "{{ key.cluster }}", symptom: new}}
    - name: left
      on: [{type: cluster}]
      when: signal.data.change == "left"
      by: [cluster]
    - name: renamed
      on: [{type: cluster}]
      when: signal.data.change == "renamed"
      by: [cluster, signal.data.before]
"""
WATCHERS = {"events": False, "objects": {"resources": ["nodes"]}}


@dataclass
class Stage:
    """A dogwatch that finds clusters in a folder, and who is told."""

    dogwatch: Dogwatch
    folder: Path
    hook: Receiver
    source: Path

    def appears(self, name: str) -> None:
        shutil.copy(self.source, self.folder / ".copy")
        (self.folder / ".copy").rename(self.folder / f"{name}.yaml")

    def told(self, change: str, rule: str) -> list[dict[str, Any]]:
        """Return the groups of what the webhook took, each delivery once."""
        found = {}
        for request in self.hook.requests:
            body = request.json()["data"]
            if (body["change"], body["rule"]) == (change, rule):
                found[body["key"]] = body["group"]
        return list(found.values())

    def await_told(self, change: str, rule: str, **group: str) -> None:
        def heard() -> bool | None:
            return any(group.items() <= one.items() for one in self.told(change, rule)) or None

        assert eventually(heard, 40), (change, rule, self.hook.requests, self.dogwatch.log()[-30:])

    def logged(self) -> str:
        return (self.dogwatch.folder / "dogwatch.log").read_text()

    def watched(self) -> str:
        """Return the clusters that the metrics name, with whether they answer."""
        lines = self.dogwatch.get("/metrics").splitlines()
        return "".join(one for one in lines if one.startswith("dogwatch_cluster_reachable{"))

    def await_watched(self, name: str) -> None:
        line = f'dogwatch_cluster_reachable{{cluster="{name}"}} 1.0'
        assert eventually(lambda: self.watched() == line or None, 30), self.watched()

    def restart(self) -> None:
        self.dogwatch.process.stop()
        self.dogwatch.start()


@contextmanager
def a_stage(folder: Path, kube: Kube, receiver: Receiver, *fixed: str) -> Iterator[Stage]:
    """Give a dogwatch that finds clusters in a folder, beside those of the configuration."""
    source = kubeconfig(folder / "source.yaml", {"main": (kube, "reader")})
    (folder / "kubeconfigs").mkdir(exist_ok=True)
    (folder / "secret").write_text(SECRET)
    found = {"type": "kubeconfig-folder", "folder_path": "kubeconfigs", "every_s": 0.5}
    settings = {
        "clusters": [
            {"name": name, "kubeconfig": "source.yaml", "watchers": deepcopy(WATCHERS)}
            for name in fixed
        ],
        "discover": [{**found, "watchers": WATCHERS, "labels": {"env": "test"}}],
        "sinks": {"hook": a_hook(receiver)},
        "routes": [{"sinks": ["hook"]}],
        "stream": {"lateness_s": 0.01},
    }
    with Dogwatch(folder, settings, RULES) as dogwatch:
        yield Stage(dogwatch, folder / "kubeconfigs", receiver, source)


@pytest.fixture
def stage(tmp_path: Path, kube: Kube, receiver: Receiver) -> Iterator[Stage]:
    with a_stage(tmp_path, kube, receiver) as stage:
        yield stage


def test_a_cluster_joins_with_its_file_is_renamed_with_it_and_leaves_with_it(
    stage: Stage,
) -> None:
    stage.appears("east")
    stage.await_told("fire", "joined", cluster="east")
    stage.await_told("fire", "node", cluster="east")
    stage.await_watched("east")
    stage.restart()
    stage.await_watched("east")

    (stage.folder / "east.yaml").rename(stage.folder / "west.yaml")
    stage.await_told("fire", "renamed", cluster="west")
    stage.await_told("fire", "node", cluster="west")
    stage.await_told("resolve", "node", cluster="east")
    stage.await_watched("west")
    stage.restart()
    stage.await_watched("west")

    (stage.folder / "west.yaml").unlink()
    stage.await_told("fire", "left", cluster="west")
    stage.await_told("resolve", "node", cluster="west")
    assert stage.watched() == ""
    assert "cluster west" not in stage.dogwatch.get("/readyz?verbose")
    assert stage.told("fire", "joined") == [{"cluster": "east"}]
    assert [one["cluster"] for one in stage.told("fire", "left")] == ["west"]


def test_a_cluster_that_goes_while_nothing_runs_is_told_as_left_after_the_start(
    stage: Stage,
) -> None:
    stage.appears("east")
    stage.await_told("fire", "node", cluster="east")
    stage.dogwatch.process.stop()
    (stage.folder / "east.yaml").unlink()
    stage.dogwatch.start()
    stage.await_told("fire", "left", cluster="east")
    stage.await_told("resolve", "node", cluster="east")


def test_one_cluster_in_two_files_is_watched_once_until_the_other_file_is_all_there_is(
    stage: Stage,
) -> None:
    stage.appears("east")
    stage.await_told("fire", "node", cluster="east")
    stage.appears("twin")
    assert eventually(lambda: "the same cluster twice" in stage.logged() or None, 30)
    stage.await_watched("east")
    rows = {one["name"]: one for one in listed(str(stage.dogwatch.config)) if one["name"]}
    assert (rows["east"]["state"], rows["twin"]["state"]) == ("watched", "twin")
    assert rows["east"]["uid"] == rows["twin"]["uid"] != ""
    (stage.folder / "east.yaml").unlink()
    stage.await_told("fire", "renamed", cluster="twin")
    stage.await_watched("twin")
    assert stage.told("fire", "joined") == [{"cluster": "east"}]
    assert stage.told("fire", "left") == []


def test_a_cluster_of_the_configuration_comes_before_its_twin_in_a_folder(
    tmp_path: Path, kube: Kube, receiver: Receiver
) -> None:
    (tmp_path / "kubeconfigs").mkdir()
    kubeconfig(tmp_path / "kubeconfigs" / "second.yaml", {"main": (kube, "reader")})
    with a_stage(tmp_path, kube, receiver, "west") as stage:
        for _ in range(2):
            assert eventually(lambda: "the same cluster twice" in stage.logged() or None, 30)
            stage.await_watched("west")
            rows = {one["name"]: one for one in listed(str(stage.dogwatch.config)) if one["name"]}
            assert (rows["west"]["state"], rows["second"]["state"]) == ("watched", "twin")
            stage.restart()
        stage.await_watched("west")
        assert stage.told("fire", "joined") == [{"cluster": "west"}]
        assert stage.told("fire", "renamed") == stage.told("fire", "left") == []


def test_a_broken_file_hinders_no_other_and_a_folder_that_is_gone_takes_no_cluster_away(
    stage: Stage,
) -> None:
    (stage.folder / "broken.yaml").write_text("clusters: [")
    stage.appears("east")
    stage.await_told("fire", "node", cluster="east")
    told = [line["fault"] for line in stage.dogwatch.log() if line["event"] == "clusters not found"]
    assert told == ["broken.yaml: no login: it is no YAML"]

    stage.folder.rename(stage.folder.with_name("away"))
    assert eventually(lambda: "No such file" in stage.logged() or None, 20)
    stage.restart()
    stage.folder.with_name("away").rename(stage.folder)
    stage.await_watched("east")
    assert stage.told("fire", "left") == []
    assert len(stage.told("fire", "joined")) == 1
