"""Run missions: a few workers take queued ones from the store, and write what came of them."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from engine import meters
from engine.app.calling import called
from engine.app.config import MissionsConfig
from engine.app.shelf import SnapshotShelf
from engine.failpoint import Point, around
from engine.missions.notices import Route, tell_result
from engine.missions.run import Means, Order, run
from engine.model.errors import Fenced, StoreError
from engine.model.mission import MissionRow
from engine.model.ports import Clock, Cluster
from engine.model.report import Report
from engine.store.store import Store

if TYPE_CHECKING:
    from engine.rules.rule import Rule

LOG = structlog.get_logger()
LOOK_S = 1.0
RETRY_S = 5.0


class Workers:
    """Runs queued missions, `settings.workers` at once, until cancelled.

    A run cut off by a crash goes on behind its last journaled step when the next process
    calls `recover`. `process` is the id whose lease says that this one lives.
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
        self.told: Callable[[], None] = lambda: None

    def call(self) -> None:
        """Say that a mission is queued."""
        self._called.set()

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._settings.workers):
                group.create_task(self._work(f"{self.process}/worker-{number}"))

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

    async def _run(self, row: MissionRow) -> None:
        meters.MISSIONS_STARTED.labels(row.kind).inc()
        firing = await asyncio.to_thread(self._store.firing, row.firing) if row.firing else None
        if firing is not None:
            waited = self._clock.now() - firing.opened
            meters.SIGNAL_TO_MISSION.observe(max(0.0, waited.total_seconds()))
        LOG.info("mission starts", mission=row.id, kind=row.kind, firing=row.firing)
        order = Order(
            id=row.id,
            kind=row.kind,
            params=row.params,
            clusters=tuple(row.clusters) or tuple(sorted(self._clusters)),
            rule=row.rule,
            firing=row.firing,
            epoch=row.epoch,
        )
        means = Means(
            self._clusters,
            self._store,
            self._shelf,
            self._clock,
            collect_s=self._settings.collect_s,
            run_s=self._settings.run_s,
        )
        with around(Point.STEP_STARTED):
            report = await run(order, means)
        await self._finish(row, report)

    async def _finish(self, row: MissionRow, report: Report) -> None:
        """Write report and deliveries in one transaction, however long the store refuses."""
        rule = await asyncio.to_thread(self.rule_of, row.rule, row.firing)
        deliveries = list(tell_result(rule, report, row.firing, row.key, self.routes))
        while True:
            try:
                await asyncio.to_thread(
                    self._store.finish,
                    row.id,
                    report,
                    deliveries,
                    self._clock.now(),
                    epoch=row.epoch,
                )
                break
            except Fenced:
                raise
            except StoreError as error:
                LOG.warning("store refuses", of="report", mission=row.id, error=str(error))
                await asyncio.sleep(RETRY_S)
        took = (report.finished - report.started).total_seconds()
        meters.MISSIONS_FINISHED.labels(row.kind, report.outcome.value).inc()
        meters.MISSION_SECONDS.labels(row.kind).observe(took)
        LOG.info(
            "mission ends", mission=row.id, outcome=report.outcome.value, summary=report.summary
        )
        self.told()
