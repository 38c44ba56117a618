"""Everything that one process runs, wired together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import structlog

from engine import meters
from engine.app.config import AppConfig
from engine.app.configured import options
from engine.app.delivering import Courier, tell_of_dead_letter
from engine.app.folding import PARTITION, Fold
from engine.app.lock import hold
from engine.app.second_stage import Chronicler
from engine.app.shelf import SnapshotShelf
from engine.app.working import Workers
from engine.bus.embedded import EmbeddedBus
from engine.missions.notices import tell_result
from engine.missions.run import failed
from engine.model.delivery import Delivery
from engine.model.errors import StoreError
from engine.model.mission import MissionRow
from engine.model.ports import Clock, Cluster
from engine.rules.rule import RuleSet
from engine.store.checkpoint import Committed
from engine.store.store import Store
from sinks.registry import make

LOG = structlog.get_logger()


class Engine:
    """Bus, store, evaluator, workers and couriers over one data folder.

    `rules` gives the rule set to start with. Use as an async context manager; `run` then
    goes on until it is cancelled, or raises Fenced when another process took over.
    """

    def __init__(
        self,
        settings: AppConfig,
        rules: Callable[[Store], RuleSet],
        clusters: Mapping[str, Cluster],
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._rules_for = rules
        self._clusters = clusters
        self._folder = Path(settings.data_dir)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        settings, clock = self.settings, self.clock
        try:
            self._open.enter_context(hold(self._folder))
            self.store = await asyncio.to_thread(
                Store.open, self._folder / "dogwatch.db", clock=clock
            )
            self._open.callback(self.store.close)
            rules = await asyncio.to_thread(self._rules_for, self.store)
            self.bus = EmbeddedBus(self._folder / "signals.db", clock=clock)
            self._open.push_async_callback(self.bus.aclose)
            self.couriers = {name: self._courier(name) for name in settings.sinks}
            recovered = await asyncio.to_thread(self.store.recover)
            if recovered:
                spent = [row.id for row in recovered.spent]
                LOG.warning("recovered", queued=recovered.queued, spent=spent)
            await self._check_log()
            self.fold = Fold(self.store, self.bus, rules, settings, clock)
            self._open.push_async_callback(self.fold.close)
            for row in recovered.spent:
                await asyncio.to_thread(self._give_up, row)
            shelf = SnapshotShelf(self._folder / "snapshots", settings.missions.keep_snapshots)
            self.workers = Workers(self.store, self._clusters, shelf, settings.missions, clock)
            self.workers.rule_of, self.workers.routes = self.fold.rule_of, self.fold.routes
            self.workers.told = self._mission_ended
            self.chronicler = Chronicler(self.store, self.bus, clock, self.fold.second_us)
            self.fold.committed = self._committed
        except BaseException:
            await self._open.aclose()
            raise
        meters.in_force(len(rules.rules), rules.digest)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def run(self) -> None:
        """Fold, work and deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.fold.run())
            group.create_task(self.workers.run())
            group.create_task(self.chronicler.run())
            for courier in self.couriers.values():
                group.create_task(courier.run())

    async def _check_log(self) -> None:
        """Refuse a log that ends before the checkpoint: new signals would be taken for old ones.

        Raises:
            StoreError: says both ends and what can be done.
        """
        end = await self.bus.end()
        folded = (await asyncio.to_thread(self.store.load, PARTITION)).next_offset
        if end < folded:
            raise StoreError(
                f"{self._folder}: signals.db ends at record {end}, dogwatch.db has folded "
                f"{folded}: the log was cut off or replaced; restore both files together, or "
                "move both away to start anew"
            )

    def _courier(self, name: str) -> Courier:
        config = self.settings.sinks[name]
        sink = make(name, config.type, options(config))
        self._open.push_async_callback(sink.aclose)
        courier = Courier(name, sink, self.store, self.clock)
        courier.notice, courier.gave_up = self._notice, self._call_couriers
        return courier

    def _give_up(self, row: MissionRow) -> None:
        """End a mission that crashed too often, and tell those who wait for its result."""
        report = failed(row, f"its worker died {row.crashes} times over it", self.clock.now())
        told = tell_result(
            self.fold.rule_of(row.rule, row.firing), report, row.firing, row.key, self.fold.routes
        )
        self.store.finish(row.id, report, list(told), self.clock.now())

    def _committed(self, done: Committed) -> None:
        if done.new_missions:
            self.workers.call()
        if done.new_deliveries:
            self._call_couriers()

    def _mission_ended(self) -> None:
        self.chronicler.call()
        self._call_couriers()

    def _call_couriers(self) -> None:
        for courier in self.couriers.values():
            courier.call()

    def _notice(self, lost: Delivery, why: str) -> Sequence[Delivery]:
        """Return what tells another sink, where there is one, that `lost` never arrived."""
        others = [name for name in self.couriers if name != lost.sink]
        return tell_of_dead_letter(lost, why, others, self.clock.now())
