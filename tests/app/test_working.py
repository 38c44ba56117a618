"""Workers let go at a stop, wake what waits too long, and write nothing of the cancelled."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from engine.app.config import MissionsConfig
from engine.app.shelf import SnapshotShelf
from engine.app.working import Workers
from engine.missions.notices import Route
from engine.model.mission import MissionRow, MissionState
from engine.model.ports import SystemClock
from engine.model.report import NextMission
from engine.rules.rule import Rule
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.store.changes_of import a_row
from tests.store.rows import Hand, a_launch, a_report, a_transition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

T = TypeVar("T")


class Endless:
    """A cluster whose lists never end; `asked` says that one was begun."""

    name = "prod"

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def identity(self) -> str:
        return "uid"

    async def version(self) -> str:
        return "v1.36.3"

    async def list(self, resource: str) -> list[dict[str, Any]]:
        self.asked.set()
        await asyncio.sleep(60)
        return []

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        return ""


async def test_a_mission_under_way_at_a_stop_is_queued_again_without_a_crash(
    tmp_path: Path,
) -> None:
    clock, cluster = SystemClock(), Endless()
    store = Store.open(tmp_path / "store.db", clock=clock)
    shelf = SnapshotShelf(tmp_path / "shelf", 10)
    store.add_mission(MissionRow("m-1", "incident-response", {}, datetime.now(UTC)))
    workers = Workers(store, {"prod": cluster}, shelf, MissionsConfig(), clock)
    running = asyncio.create_task(workers.run())
    async with asyncio.timeout(10):
        await cluster.asked.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    row = store.mission("m-1")
    store.close()
    assert row is not None
    assert (row.state, row.crashes) == (MissionState.QUEUED, 0)


class Empty(Endless):
    """A cluster that has nothing; with `gate` its first list waits for it."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        super().__init__()
        self.gate = gate

    async def list(self, resource: str) -> list[dict[str, Any]]:
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        return []


@asynccontextmanager
async def working(
    folder: Path,
    cluster: Endless,
    clock: Hand | SystemClock,
    begin: Callable[[Store], None] = lambda _: None,
) -> AsyncIterator[tuple[Store, Workers]]:
    """Give a store as `begin` left it, and workers that run what is queued there."""
    store = Store.open(folder / "store.db", clock=clock)
    begin(store)
    shelf = SnapshotShelf(folder / "shelf", 10)
    workers = Workers(store, {"prod": cluster}, shelf, MissionsConfig(), clock)
    running = asyncio.create_task(workers.run())
    try:
        yield store, workers
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        store.close()


async def until(store: Store, state: MissionState, mission: str = "m-1") -> MissionRow:
    """Return the mission once it is in `state`."""
    return await found(lambda: reached(store, state, mission))


def reached(store: Store, state: MissionState, mission: str) -> MissionRow | None:
    row = store.mission(mission)
    return row if row is not None and row.state is state else None


async def found(look: Callable[[], T | None]) -> T:
    """Return what `look` finds, as soon as it does."""
    async with asyncio.timeout(20):
        while (seen := await asyncio.to_thread(look)) is None:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
    return seen


def waiting(store: Store, now: datetime) -> None:
    """Let m-1 wait at a gate for c-1, until an hour after `now`."""
    store.add_mission(replace(MissionRow("m-1", "incident-response", {}, now), mode="apply"))
    row = store.claim_mission("local/worker-9", now, "m-1")
    assert row is not None
    report = a_report("m-1")
    gate = now + timedelta(hours=1)
    store.wait("m-1", report, [a_row("c-1")], [], now, gate, epoch=row.epoch)


async def test_a_mission_at_a_gate_is_woken_at_its_deadline_and_told_what_became_of_it(
    tmp_path: Path,
) -> None:
    clock = Hand()
    begin = partial(waiting, now=clock.now())
    async with working(tmp_path, Empty(), clock, begin) as (store, _):
        assert store.wake_due(clock.now() + timedelta(minutes=59)) == []
        clock.at += timedelta(hours=1)
        row = await until(store, MissionState.DONE)
    assert (row.phase, row.outcome) == (2, "ok")
    assert row.report is not None
    assert [(one.id, one.state) for one in row.report.applied] == [("c-1", "expired")]


async def test_a_mission_that_was_cancelled_while_it_ran_writes_nothing_more(
    tmp_path: Path,
) -> None:
    gate = asyncio.Event()
    cluster = Empty(gate)
    async with working(tmp_path, cluster, SystemClock()) as (store, workers):
        now = datetime.now(UTC)
        store.add_mission(MissionRow("m-1", "incident-response", {}, now))
        store.add_mission(MissionRow("m-2", "incident-response", {}, now))
        workers.call()
        async with asyncio.timeout(20):
            await cluster.asked.wait()
        await asyncio.to_thread(store.cancel_mission, "m-1", "ann", datetime.now(UTC))
        before = store.journal("m-1")
        gate.set()
        await until(store, MissionState.DONE, "m-2")
        row = await until(store, MissionState.CANCELLED)
        assert store.journal("m-1") == before
    assert (row.report, row.outcome, row.reason) == (None, "", "cancelled by ann")


async def test_a_failed_mission_that_is_resumed_looks_anew_and_is_told_again(
    tmp_path: Path,
) -> None:
    clock = Hand()
    async with working(tmp_path, Empty(), clock) as (store, workers):
        workers.rule_of = lambda _name, _firing: Rule("storm", (), (), "h")
        workers.routes = (Route(("out",), {}),)
        row = MissionRow("m-1", "no-such-kind", {}, clock.now(), rule="storm", firing="f-1")
        await asyncio.to_thread(store.add_mission, row)
        await until(store, MissionState.FAILED)
        clock.at += timedelta(hours=2)
        await asyncio.to_thread(store.resume_mission, "m-1", "ann", clock.now())
        workers.call()
        await until(store, MissionState.FAILED)
        both = await found(lambda: keys if len(keys := told(store)) > 1 else None)
    assert len(set(both)) == 2


def told(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.exec_driver_sql("SELECT key FROM deliveries").scalars())


async def test_a_mission_that_follows_another_one_takes_over_what_that_offered(
    tmp_path: Path,
) -> None:
    clock = Hand()
    offer = NextMission(kind="incident-response", reason="r", params={"namespace": "bank"})

    def begin(store: Store) -> None:
        store.add_mission(MissionRow("m-1", "app-correlate", {}, clock.now()))
        row = store.claim_mission("local/worker-9", clock.now(), "m-1")
        assert row is not None
        report = a_report("m-1").model_copy(update={"next": [offer]})
        store.finish("m-1", report, [], clock.now(), epoch=row.epoch)
        launch = replace(a_launch("m-2", "f-2"), params={"symptom": "x"}, depth=2, parent="m-1")
        opened = a_transition("f-2", cause=f"mission/m-1/{row.epoch}")
        store.commit(0, store.claim(0), Commit(1, transitions=[opened], launches=[launch]))

    async with working(tmp_path, Empty(), clock, begin) as (store, workers):
        workers.call()
        done = await until(store, MissionState.DONE, "m-2")
    assert done.report is not None
    assert "Nothing was found where you pointed (namespace bank)" in done.report.summary
