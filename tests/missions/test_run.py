"""A mission goes on where it was cut off, and what goes wrong is a failed report."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.missions import registry
from engine.missions.registry import kinds
from engine.missions.run import Means, Order, run
from engine.model.errors import SnapshotError
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

    def journal(self, mission: str) -> dict[str, Any]:
        return self.steps.get(mission, {})

    def record(self, mission: str, step: str, result: Any, *, epoch: int) -> None:
        self.steps.setdefault(mission, {})[step] = result

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


def an_order(kind: str = "incident-response", **params: Any) -> Order:
    return Order("m-1", kind, params, ("prod",), rule="node-not-ready", firing="f-1")


async def ran(order: Order, cluster: OneNode, notebook: Notebook) -> Report:
    means = Means({cluster.name: cluster}, notebook, notebook, Ticking())
    return await run(order, means)


async def test_the_report_says_whose_it_is_and_what_it_stands_on() -> None:
    notebook = Notebook()
    report = await ran(an_order(), OneNode(), notebook)
    assert (report.run_id, report.rule, report.cause) == ("m-1", "node-not-ready", "f-1")
    assert report.clusters == {"prod": notebook.snapshots["m-1"].clusters["prod"].digest()}
    assert report.outcome is Outcome.FINDINGS


async def test_a_run_that_was_cut_off_goes_on_without_reading_again() -> None:
    notebook, cluster = Notebook(), OneNode()
    first = await ran(an_order(), cluster, notebook)
    second = await ran(an_order(), cluster, notebook)
    assert cluster.reads == 1
    assert second.findings == first.findings
    assert second.incidents == first.incidents


async def test_a_run_whose_snapshot_is_gone_reads_again() -> None:
    notebook, cluster = Notebook(), OneNode()
    await ran(an_order(), cluster, notebook)
    notebook.snapshots.clear()
    await ran(an_order(), cluster, notebook)
    assert cluster.reads == 2


async def test_an_unknown_kind_is_a_failed_report_with_the_nearest_name() -> None:
    report = await ran(an_order("incident-respons"), OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "did you mean 'incident-response'?" in report.summary
    assert report.coverage.answered == 0


async def test_wrong_params_are_a_failed_report_that_names_them() -> None:
    report = await ran(an_order(nmespace="shop"), OneNode(), Notebook())
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
    report = await ran(an_order("broken"), OneNode(), Notebook())
    assert report.outcome is Outcome.FAILED
    assert "a fault of its own: TypeError: no such thing" in report.summary


async def test_a_cluster_that_is_not_configured_is_an_unknown_not_a_pass() -> None:
    order = Order("m-1", "incident-response", {}, ("elsewhere",))
    report = await ran(order, OneNode(), Notebook())
    assert report.outcome is not Outcome.OK
    assert any("not configured" in unknown.reason for unknown in report.coverage.unknowns)
