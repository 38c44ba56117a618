"""Run missions: a few workers take queued ones from the store, and write what came of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import structlog

from engine import meters
from engine.app.calling import called
from engine.app.config import MissionsConfig
from engine.app.shelf import SnapshotShelf
from engine.failpoint import Point, around
from engine.missions.chain import prefilled
from engine.missions.leg import LegEnd, leg
from engine.missions.notices import Route, tell_result
from engine.missions.propose import asked, change_rows
from engine.missions.run import Advise, Means
from engine.model.errors import Fenced, StoreError
from engine.model.mission import MissionRow
from engine.model.moved import Tell, nobody
from engine.model.ports import Clock, Cluster
from engine.rules.rule import Rule
from engine.store.firings import FiringRow
from engine.store.store import Store
from engine.stream.orders import parent_of

if TYPE_CHECKING:
    from engine.changes.policy import Place

LOG = structlog.get_logger()
LOOK_S = 1.0
RETRY_S = 5.0
WAKE_S = 1.0


class Workers:
    """Runs queued missions, `settings.workers` at once, until cancelled.

    A leg cut off by a crash goes on behind its last journaled step when the next process
    calls `recover`; one that ended at a gate is queued again when what it waits for is there, or
    its deadline. `process` is the id whose lease says that this one lives.
    """

    def __init__(
        self,
        store: Store,
        clusters: Mapping[str, Cluster],
        shelf: SnapshotShelf,
        settings: MissionsConfig,
        clock: Clock,
    ) -> None:
        self._store = store
        self._clusters = clusters
        self._shelf = shelf
        self._settings = settings
        self._clock = clock
        self._called = asyncio.Event()
        self.process = "local"
        self.rule_of: Callable[[str, str], Rule | None] = lambda _name, _firing: None
        self.routes: Sequence[Route] = ()
        self.places: Mapping[str, Place] = {}
        self.changeable: frozenset[str] | None = None
        self.advise: Advise | None = None
        self.tell: Tell = nobody
        self.told: Callable[[], None] = lambda: None

    def call(self) -> None:
        """Say that a mission is queued."""
        self._called.set()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._settings.workers):
                group.create_task(self._work(f"{self.process}/worker-{number}"))
            group.create_task(self._wake())

    async def _work(self, owner: str) -> None:
        row: MissionRow | None = None
        try:
            while True:
                try:
                    row = row or await asyncio.to_thread(
                        self._store.claim_mission, owner, self._clock.now()
                    )
                    if row is not None:
                        await self._run(row)
                        row = None
                        continue
                except Fenced as error:
                    LOG.warning("mission lost", mission=row.id if row else "", error=str(error))
                    row = None
                    continue
                except StoreError as error:
                    # What was claimed stays ours: it goes on behind its last journaled step.
                    LOG.warning("store refuses", of="missions", error=str(error))
                    await asyncio.sleep(RETRY_S)
                await called(self._called, LOOK_S)
        finally:
            if row is not None:
                # Where the store refuses, it counts as a crash, and goes on all the same.
                with suppress(StoreError):
                    await asyncio.to_thread(self._store.release, row.id, epoch=row.epoch)

    async def _wake(self) -> None:
        """Let missions go on whose gate has passed its deadline, for ever."""
        while True:
            try:
                if await asyncio.to_thread(self._store.wake_due, self._clock.now()):
                    self.call()
            except StoreError as error:
                LOG.warning("store refuses", of="deadlines", error=str(error))
            await asyncio.sleep(WAKE_S)

    async def _run(self, row: MissionRow) -> None:
        firing = await asyncio.to_thread(self._store.firing, row.firing) if row.firing else None
        if row.phase == 1:
            self._count_start(row, firing)
        if firing is not None:
            row = await asyncio.to_thread(self._after, row, parent_of(firing.cause))
        LOG.info(
            "mission starts", mission=row.id, kind=row.kind, firing=row.firing, phase=row.phase
        )
        means = Means(
            self._clusters,
            self._store,
            self._shelf,
            self._clock,
            collect_s=self._settings.collect_s,
            run_s=self._settings.run_s,
            gate_s=self._settings.gate_s,
            places=self.places,
            changeable=self.changeable,
            advise=self.advise,
            tell=self.tell,
        )
        with around(Point.STEP_STARTED):
            end = await leg(row, means)
        await self._end(row, end)

    def _after(self, row: MissionRow, parent: str) -> MissionRow:
        """Return `row` with what the mission offered whose end launched it, if one did."""
        before = self._store.mission(parent) if parent else None
        return row if before is None or before.report is None else prefilled(row, before.report)

    def _count_start(self, row: MissionRow, firing: FiringRow | None) -> None:
        meters.MISSIONS_STARTED.labels(row.kind).inc()
        if firing is not None:
            waited = self._clock.now() - firing.opened
            meters.SIGNAL_TO_MISSION.observe(max(0.0, waited.total_seconds()))

    async def _end(self, row: MissionRow, end: LegEnd) -> None:
        """Write report and deliveries in one transaction, however long the store refuses."""
        rule = await asyncio.to_thread(self.rule_of, row.rule, row.firing)
        write = self._ending(row, end, rule)
        while True:
            try:
                await asyncio.to_thread(write)
                break
            except Fenced:
                raise
            except StoreError as error:
                LOG.warning("store refuses", of="report", mission=row.id, error=str(error))
                await asyncio.sleep(RETRY_S)
        self._count(row, end)
        self.told()

    def _ending(self, row: MissionRow, end: LegEnd, rule: Rule | None) -> Callable[[], None]:
        """Return what writes the end of a leg: the mission is over, or waits at a gate."""
        now, report = self._clock.now(), end.report
        told = list(tell_result(rule, report, row, self.routes)) if report is not row.report else []
        if end.wake_at is None:
            return partial(self._store.finish, row.id, report, told, now, epoch=row.epoch)
        changes = change_rows(row, end.proposed, asked(rule, self.routes), now)
        wait = self._store.wait
        return partial(wait, row.id, report, changes, told, now, end.wake_at, epoch=row.epoch)

    def _count(self, row: MissionRow, end: LegEnd) -> None:
        report = end.report
        if end.wake_at is not None:
            proposed = [one.id for one in end.proposed]
            LOG.info("mission waits", mission=row.id, phase=row.phase, changes=proposed)
            return
        took = (report.finished - report.started).total_seconds()
        meters.MISSIONS_FINISHED.labels(row.kind, report.outcome.value).inc()
        meters.MISSION_SECONDS.labels(row.kind).observe(took)
        LOG.info(
            "mission ends", mission=row.id, outcome=report.outcome.value, summary=report.summary
        )
