"""A mission goes on where it was cut off, and what goes wrong is a failed report."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.changes.policy import Place
from engine.missions import registry
from engine.missions.registry import kinds
from engine.missions.run import Means, run
from engine.model.advice import Advised
from engine.model.change_row import ChangeRow
from engine.model.errors import SnapshotError
from engine.model.mission import MissionRow
from engine.model.moved import Tell
from engine.model.report import Outcome, Report
from engine.model.snapshot import Snapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Ticking:
    """A clock that is a second later at each look."""

    at: datetime = NOON

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@dataclass
class Notebook:
    """The ports Journal and Shelf in memory."""

    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    rows: list[ChangeRow] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)

    def journal(self, mission: str) -> dict[str, Any]:
        return self.steps.get(mission, {})

    def record(self, mission: str, step: str, result: Any, *, epoch: int) -> None:
        self.steps.setdefault(mission, {})[step] = result

    def changes(self, *, mission: str) -> list[ChangeRow]:
        return self.rows

    def withdraw(self, mission: str, who: str, now: datetime, deliveries: Tell) -> int:
        self.withdrawn.append(who)
        return 0

    def keep(self, mission: str, snapshot: Snapshot) -> None:
        self.snapshots[mission] = snapshot

    def take(self, mission: str) -> Snapshot:
        if mission not in self.snapshots:
            raise SnapshotError("gone")
        return self.snapshots[mission]


@dataclass
class OneNode:
    """A cluster with one node that is not ready; counts how often it is read."""

    name: str = "prod"
    reads: int = 0

    async def identity(self) -> str:
        self.reads += 1
        return "uid-1"

    async def version(self) -> str:
        return "v1.36.3"

    async def list(self, resource: str) -> list[dict[str, Any]]:
        if resource != "nodes":
            return []
        ready = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "x"}
        meta = {"name": "n1", "uid": "u"}
        status = {"conditions": [ready]}
        return [{"apiVersion": "v1", "kind": "Node", "metadata": meta, "status": status}]

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        return ""


def a_mission(kind: str = "incident-response", **params: Any) -> MissionRow:
    row = MissionRow("m-1", kind, params, NOON, clusters=("prod",))
    return replace(row, rule="node-not-ready", firing="f-1")


async def ran(mission: MissionRow, cluster: OneNode, notebook: Notebook) -> Report:
    means = Means({cluster.name: cluster}, notebook, notebook, Ticking())
    return await run(mission, means)


async def test_the_report_says_whose_it_is_and_what_it_stands_on() -> None:
    notebook = Notebook()
    report = await ran(a_mission(), OneNode(), notebook)
    assert (report.run_id, report.rule, report.cause) == ("m-1", "node-not-ready", "f-1")
    assert report.clusters == {"prod": notebook.snapshots["m-1"].clusters["prod"].digest()}
    assert report.outcome is Outcome.FINDINGS


async def test_a_run_that_was_cut_off_goes_on_without_reading_again() -> None:
    notebook, cluster = Notebook(), OneNode()
    first = await ran(a_mission(), cluster, notebook)
    second = await ran(a_mission(), cluster, notebook)
    assert cluster.reads == 1
    assert second.findings == first.findings
    assert second.incidents == first.incidents


async def test_a_run_whose_snapshot_is_gone_reads_again() -> None:
    notebook, cluster = Notebook(), OneNode()
    await ran(a_mission(), cluster, notebook)
    notebook.snapshots.clear()
    del notebook.steps["m-1"]["run"]
    await ran(a_mission(), cluster, notebook)
    assert cluster.reads == 2


async def test_an_unknown_kind_is_a_failed_report_with_the_nearest_name() -> None:
    report = await ran(a_mission("incident-respons"), OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "did you mean 'incident-response'?" in report.summary
    assert report.coverage.answered == 0


async def test_wrong_params_are_a_failed_report_that_names_them() -> None:
    report = await ran(a_mission(nmespace="shop"), OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "unknown param 'nmespace'" in report.summary
    assert "did you mean 'namespace'?" in report.summary


async def test_a_fault_of_the_kind_is_a_failed_report_and_not_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> Report:
        raise TypeError("no such thing")

    kind = replace(kinds()["incident-response"], name="broken", run=broken)
    monkeypatch.setitem(registry._registered, "broken", kind)
    report = await ran(a_mission("broken"), OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "a fault of its own: TypeError: no such thing" in report.summary


async def test_a_cluster_that_is_not_configured_is_an_unknown_not_a_pass() -> None:
    mission = replace(a_mission(), clusters=("elsewhere",))
    report = await ran(mission, OneNode(), Notebook())
    assert report.outcome is not Outcome.OK
    assert any("not configured" in unknown.reason for unknown in report.coverage.unknowns)
    assert report.per_cluster == {"elsewhere": "unreachable"}


async def test_a_run_cut_off_behind_its_report_gives_that_very_report() -> None:
    notebook, cluster = Notebook(), OneNode()
    first = await ran(a_mission(), cluster, notebook)
    notebook.snapshots.clear()
    assert await ran(a_mission(), cluster, notebook) == first
    assert cluster.reads == 1


async def test_a_snapshot_of_hours_ago_is_no_evidence_of_now() -> None:
    notebook, cluster = Notebook(), OneNode()
    await ran(a_mission(), cluster, notebook)
    del notebook.steps["m-1"]["run"]
    means = Means({"prod": cluster}, notebook, notebook, Ticking(NOON + timedelta(hours=2)))
    await run(a_mission(), means)
    assert cluster.reads == 2


async def test_each_phase_looks_anew() -> None:
    notebook, cluster = Notebook(), OneNode()
    await ran(a_mission(), cluster, notebook)
    second = await ran(replace(a_mission(), phase=2), cluster, notebook)
    assert cluster.reads == 2
    assert second.phase == 2
    assert sorted(notebook.snapshots) == ["m-1", "m-1.2"]
    assert {"collect", "run", "collect/2", "run/2"} <= set(notebook.steps["m-1"])


async def test_clusters_are_chosen_once_and_stay_the_same() -> None:
    notebook = Notebook()
    clusters = {name: OneNode(name) for name in ("eu", "us")}
    mission = replace(a_mission(), clusters=(), targets={"groups": ["prod"]})
    places = {"eu": Place(groups=("prod",)), "us": Place(groups=("lab",))}
    means = Means(clusters, notebook, notebook, Ticking(), places=places)
    assert set((await run(mission, means)).clusters) == {"eu"}
    moved = replace(means, places={"us": Place(groups=("prod",))})
    assert set((await run(replace(mission, phase=2), moved)).clusters) == {"eu"}


async def test_targets_that_choose_nothing_are_a_failed_report_that_says_what_there_is() -> None:
    mission = replace(a_mission(), clusters=(), targets={"clusters": ["us-*"]})
    report = await ran(mission, OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "targets clusters: us-* choose no cluster; known: prod" in report.summary


async def test_the_model_is_asked_once_and_only_where_it_is_wanted() -> None:
    asked: list[str] = []

    async def advise(report: Report, how: str) -> Advised:
        asked.append(how)
        return Advised(report.model_copy(update={"narrative": "So it was."}), {"tokens": 9})

    notebook = Notebook()
    means = Means({"prod": OneNode()}, notebook, notebook, Ticking(), advise=advise)
    mission = replace(a_mission(), advise="explain")
    first = await run(mission, means)
    again = await run(mission, means)
    assert (first.narrative, again) == ("So it was.", first)
    assert asked == ["explain"]
    assert notebook.steps["m-1"]["advise"]["record"] == {"tokens": 9}
    other = Notebook()
    assert (await ran(a_mission(), OneNode(), other)).narrative is None
