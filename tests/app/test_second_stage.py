"""The engine tells the second stage what only it knows: the time, and missions that ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from engine.app.second_stage import Chronicler, mission_signal
from engine.bus.codec import decode
from engine.bus.embedded import EmbeddedBus
from engine.model.mission import MissionRow, MissionState
from engine.model.report import AppliedChange, Coverage, NextMission, ObjectRef, Outcome, Report
from engine.store.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.model.signal import Signal

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Watch:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


class Stage:
    """A store with missions, and a bus."""

    def __init__(self, folder: Path) -> None:
        self.clock = Watch()
        self.store = Store.open(folder / "store.db", clock=self.clock)
        self.bus = EmbeddedBus(folder / "bus.db", clock=self.clock)

    def end(self, name: str, outcome: Outcome = Outcome.OK) -> None:
        """Let a mission run and end now."""
        self.store.add_mission(MissionRow(name, "incident-response", {}, self.clock.at, depth=1))
        row = self.store.claim_mission("w", self.clock.at)
        assert row is not None
        report = Report(
            kind="incident-response",
            started=self.clock.at,
            finished=self.clock.at,
            outcome=outcome,
            summary="done",
            coverage=Coverage(answered=1, possible=1),
        )
        self.store.finish(name, report, [], self.clock.at, epoch=row.epoch)

    def chronicler(self, since_us: int | None = None) -> Chronicler:
        return Chronicler(self.store, self.bus.append, self.clock, since_us)

    async def told(self, count: int) -> list[Signal]:
        """Return the first signals on the bus, once there are `count`."""
        found: list[Signal] = []
        async with asyncio.timeout(5):
            async for _, record in self.bus.read(0):
                found += decode(record).signals
                if len(found) >= count:
                    break
        return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    await stage.bus.aclose()
    stage.store.close()


async def test_time_is_told_and_each_mission_once(stage: Stage) -> None:
    chronicler = stage.chronicler()
    stage.end("m-1")
    await chronicler.tell()
    stage.clock.at += timedelta(seconds=5)
    stage.end("m-2", Outcome.FINDINGS)
    await chronicler.tell()
    await chronicler.tell()
    told = await stage.told(5)
    assert [one.type for one in told] == ["mission", "clock", "mission", "clock", "clock"]
    assert [one.data["mission"] for one in told if one.type == "mission"] == ["m-1", "m-2"]
    assert {one.cluster for one in told} == {""}


async def test_a_mission_that_ended_before_a_crash_is_told_after_it(stage: Stage) -> None:
    last_us = round(NOON.timestamp() * 1_000_000)
    stage.clock.at += timedelta(seconds=3)
    stage.end("m-1")
    stage.clock.at += timedelta(hours=3)
    await stage.chronicler(last_us).tell()
    told, _ = await stage.told(2)
    assert told.id == "mission/m-1/1"


async def test_one_that_ended_long_before_is_not_told_again(stage: Stage) -> None:
    stage.end("m-1")
    stage.clock.at += timedelta(hours=1)
    await stage.chronicler(round(stage.clock.at.timestamp() * 1_000_000)).tell()
    assert [one.type for one in await stage.told(1)] == ["clock"]


async def test_an_end_is_told_at_once(stage: Stage) -> None:
    chronicler = stage.chronicler()
    running = asyncio.create_task(chronicler.run())
    await stage.told(1)
    stage.end("m-1")
    chronicler.call()
    told = await stage.told(3)
    running.cancel()
    assert [one.type for one in told] == ["clock", "mission", "clock"]


@pytest.mark.parametrize(
    ("row", "about"),
    [
        (MissionRow("m", "k", {}, NOON, key={"cluster": "eu", "workload": "web"}), ("eu", "web")),
        (MissionRow("m", "k", {}, NOON, clusters=("eu",)), ("eu", None)),
        (MissionRow("m", "k", {}, NOON, clusters=("eu", "us")), (None, None)),
    ],
)
def test_a_mission_says_what_it_was_about(
    row: MissionRow, about: tuple[str | None, str | None]
) -> None:
    data = mission_signal(row).data
    assert (data.get("cluster"), data.get("workload")) == about


@pytest.mark.parametrize(
    ("outcome", "verified"),
    [(Outcome.OK, True), (Outcome.FINDINGS, False), (Outcome.FAILED, False)],
)
def test_an_end_is_verified_where_nothing_wrong_is_left(
    outcome: Outcome, *, verified: bool
) -> None:
    state = MissionState.DONE
    row = MissionRow("m", "k", {}, NOON, state=state, outcome=outcome.value)
    assert mission_signal(row).data["verified"] is verified


def a_report(outcome: Outcome, *states: str, clusters: tuple[str, ...] = ("eu",)) -> Report:
    web = ObjectRef(cluster="eu", kind="Deployment", namespace="shop", name="web")
    applied = [
        AppliedChange(id=f"c-{state}", title="restart web", state=state, reason="", target=web)
        for state in states
    ]
    return Report(
        kind="incident-response",
        clusters=dict.fromkeys(clusters, ""),
        started=NOON,
        finished=NOON,
        outcome=outcome,
        summary="done",
        coverage=Coverage(answered=1, possible=1),
        applied=applied,
        next=[NextMission(kind="post-mortem", reason="it is over", params={"mission": "m"})],
    )


@pytest.mark.parametrize(
    ("report", "verified"),
    [
        (a_report(Outcome.FINDINGS, "verified"), True),
        (a_report(Outcome.FINDINGS, "rejected", "verified"), True),
        (a_report(Outcome.FINDINGS, "rejected"), False),
        (a_report(Outcome.UNVERIFIED, "verified", "rolled-back"), False),
        (a_report(Outcome.FAILED, "verified"), False),
    ],
)
def test_an_end_is_verified_where_all_that_was_changed_is(
    report: Report, *, verified: bool
) -> None:
    row = MissionRow("m", "k", {}, NOON, outcome=report.outcome.value, report=report)
    assert mission_signal(row).data["verified"] is verified


def test_a_mission_says_what_it_offers_next_and_the_one_cluster_that_it_looked_at() -> None:
    row = MissionRow("m", "k", {}, NOON, outcome="ok", report=a_report(Outcome.OK))
    data = mission_signal(row).data
    assert data["cluster"] == "eu"
    assert data["next"] == [
        {"kind": "post-mortem", "reason": "it is over", "params": {"mission": "m"}}
    ]
    wide = replace(row, report=a_report(Outcome.OK, clusters=("eu", "us")))
    assert "cluster" not in mission_signal(wide).data


def test_the_end_of_a_mission_that_was_resumed_is_another_one() -> None:
    row = MissionRow("m", "k", {}, NOON, epoch=1)
    assert mission_signal(row).id != mission_signal(replace(row, epoch=2)).id


def test_a_mission_that_was_cancelled_says_so() -> None:
    row = MissionRow("m", "k", {}, NOON, state=MissionState.CANCELLED)
    assert mission_signal(row).data["outcome"] == "cancelled"
