"""Everything that one process runs, wired together by its roles."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from engine.advisor.advise import Advisor
from engine.app.config import AppConfig, ClusterConfig
from engine.app.configured import options
from engine.app.delivering import Courier, tell_of_dead_letter
from engine.app.folding import Fold
from engine.app.front import Front
from engine.app.in_force import InForce, routes_of
from engine.app.intake.intake import Intake, Limits
from engine.app.intake.progress import EmbeddedProgress, Folding, SharedProgress
from engine.app.leasing import Alone, Hold, Leases
from engine.app.lock import hold
from engine.app.logs_folded import EmbeddedLog, Logs, Waiting
from engine.app.means import Means
from engine.app.opening import exclusive, open_bus, open_store
from engine.app.policies import Policies
from engine.app.policy_file import places_of
from engine.app.process import LOCAL, process_name
from engine.app.roles import ALL, Role
from engine.app.shelf import SnapshotShelf
from engine.app.working import Workers
from engine.bus.embedded import EmbeddedBus
from engine.missions.ending import ended
from engine.missions.notices import tell_result
from engine.missions.registry import kinds
from engine.missions.run import failed
from engine.model.delivery import Delivery
from engine.model.errors import StoreError
from engine.model.mission import MissionRow
from engine.model.ports import Clock, Cluster
from engine.rules.rule import RuleSet
from engine.store.checkpoint import Committed
from engine.store.store import Store
from sinks.registry import make

if TYPE_CHECKING:
    from engine.changes.policy import Place

LOG = structlog.get_logger()
REAP_S = 5.0
"""How often to look for missions whose process died."""


class Engine:
    """Bus, store, and what the roles ask for: evaluators, mission workers, couriers.

    `rules` gives the rule set to start with; `clusters`, `places` and `configs` may change as
    clusters come and go. Use as an async context manager; `run` then goes on until it is
    cancelled, or raises Fenced when another process took over.
    """

    def __init__(
        self,
        settings: AppConfig,
        rules: Callable[[Store], RuleSet],
        clusters: Mapping[str, Cluster],
        clock: Clock,
        roles: frozenset[Role] = ALL,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.roles = roles
        self._rules_for = rules
        self._clusters = clusters
        self.places: Mapping[str, Place] = places_of(settings)
        self.configs: Callable[[], Sequence[ClusterConfig]] = lambda: settings.clusters
        self._folder = Path(settings.data_dir)
        self._open = AsyncExitStack()

    @property
    def knows_rules(self) -> bool:
        """Whether the roles need rules: to evaluate them, or to know whom to tell."""
        return bool(self.roles & {Role.WORKER, Role.RUNNER})

    def watched(self) -> frozenset[str]:
        """Return the clusters that this process, or another one, watches."""
        return frozenset(one.name for one in self.configs())

    async def __aenter__(self) -> Self:
        try:
            await self._begin()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def _begin(self) -> None:
        settings, clock = self.settings, self.clock
        alone = exclusive(settings)
        if alone:
            self._open.enter_context(hold(self._folder))
        self.store = await asyncio.to_thread(open_store, settings, clock)
        self._open.callback(self.store.close)
        self.process = LOCAL if alone else process_name()
        self.leases: Hold = Alone() if alone else Leases(self.store, self.process)
        rules = RuleSet()
        if self.knows_rules:
            rules = await asyncio.to_thread(self._rules_for, self.store)
        self.force = InForce(rules, routes_of(settings), self.store)
        self.front = await self._front()
        self.bus = await self._open.enter_async_context(open_bus(settings, self.store, clock))
        self.couriers: dict[str, Courier] = {}
        self.workers: Workers | None = None
        spent = await self._recover() if alone else ()
        self.logs = self._logs() if Role.WORKER in self.roles else None
        if self.logs is not None:
            await self.logs.begin()
            self._open.push_async_callback(self.logs.close)
        self.intake = self._intake() if self.roles & {Role.WATCHER, Role.WEB} else None
        if self.intake is not None:
            self._open.push_async_callback(self.intake.aclose)
        await self._give_up(spent)
        if Role.RUNNER in self.roles:
            await asyncio.to_thread(kinds)  # or the first mission would wait for their import
            self._make_runner()

    async def run(self) -> None:
        """Do what the roles ask for until cancelled."""
        leases = self.leases
        async with asyncio.TaskGroup() as group:
            if self.intake is not None:
                group.create_task(self.intake.run())
            if self.logs is not None:
                group.create_task(self.logs.run())
            if self.front is not None:
                group.create_task(self.front.run())
            if self.workers is not None:
                group.create_task(leases.hold(f"process/{self.process}", self.workers.run))
                if not exclusive(self.settings):
                    group.create_task(leases.hold("reaper", self._reap))
            for name, courier in self.couriers.items():
                group.create_task(leases.hold(f"sink/{name}", courier.run))

    def end(self) -> None:
        """Get ready to be cancelled."""
        if self.logs is not None:
            self.logs.end()

    async def swap(self, rules: RuleSet) -> None:
        """Put `rules` in force, from here of each log on."""
        self.force.swap(rules)
        if self.logs is not None:
            await self.logs.swap()

    def folds(self) -> list[Fold]:
        """Return the folds of this process."""
        return self.logs.folds() if self.logs is not None else []

    async def waiting(self) -> Waiting:
        """Return what waits to be folded here. Raises StoreError."""
        return await self.logs.waiting() if self.logs is not None else Waiting()

    def problems(self) -> dict[str, str]:
        """Return name -> why it does not work, empty while it does, of all that must."""
        folds = "; ".join(sorted({fold.problem for fold in self.folds() if fold.problem}))
        found = {"store": folds or self.leases.problem, "bus": self.bus.problem}
        if self.logs is not None:
            found |= self.logs.problems()
        return found

    async def _front(self) -> Front | None:
        settings = self.settings
        if not self.roles & {Role.RUNNER, Role.WEB}:
            return None
        path = settings.changes.policy_file or ""
        complete = not settings.discover
        policies = Policies(path, self.places, self.store, complete=complete)
        await asyncio.to_thread(policies.first)
        front = Front(settings, self.store, policies, self.clock, self._call_couriers)
        front.configs = self.configs
        return front

    def _logs(self) -> Logs:
        means = Means(self.store, self.force, self.settings.stream, self.clock, self._committed)
        if isinstance(self.bus, EmbeddedBus):
            return EmbeddedLog(means, self.bus, self._folder)
        from engine.app.kafka_logs import KafkaLogs  # noqa: PLC0415 - only who has Kafka pays

        return KafkaLogs(means, self.bus, self.process)

    def _intake(self) -> Intake:
        stream, bus = self.settings.stream, self.bus
        limits = Limits(stream.intake_bytes, stream.shed_after_s, 2 * stream.checkpoint_signals)
        if isinstance(bus, EmbeddedBus):
            limits = replace(limits, floor=stream.checkpoint_signals)
            (fold,) = self.folds()
            folding: Folding = EmbeddedProgress(bus, lambda: fold.next_offset, self.clock)
        else:
            # Workers give a sign of themselves by their commits.
            limits = replace(limits, window_s=stream.checkpoint_s + 1)
            folding = SharedProgress(bus, self.store, self.clock)
        return Intake(bus, folding, limits, self.clock)

    def _make_runner(self) -> None:
        missions, clock = self.settings.missions, self.clock
        for name in self.settings.sinks:
            self.couriers[name] = self._courier(name)
        shelf = SnapshotShelf(self._folder / "snapshots", missions.keep_snapshots)
        workers = Workers(self.store, self._clusters, shelf, missions, clock)
        workers.process, workers.rule_of = self.process, self.force.rule_of
        workers.routes, workers.told = self.force.routes, self._mission_ended
        workers.places = self.places
        written = [one.name for one in self.settings.clusters if one.writer is not None]
        workers.changeable = frozenset(written if self.settings.changes.policy_file else ())
        workers.advise = Advisor(self.settings.advisor, self.store, clock).advise
        if self.front is not None:
            workers.tell = self.front.decided
        self.workers = workers

    def _courier(self, name: str) -> Courier:
        config = self.settings.sinks[name]
        sign = self.front.sign if self.front is not None else None
        sink = make(name, config.type, options(config), sign=sign)
        self._open.push_async_callback(sink.aclose)
        courier = Courier(name, sink, self.store, self.clock)
        courier.notice, courier.gave_up = self._notice, self._call_couriers
        return courier

    async def _reap(self) -> None:
        """See to the missions of processes that died, for ever."""
        while True:
            try:
                await self._give_up(await self._recover())
            except StoreError as error:
                LOG.warning("store refuses", of="reaper", error=str(error))
            await asyncio.sleep(REAP_S)

    async def _recover(self) -> Sequence[MissionRow]:
        """Queue again what dead processes left running; return what crashed too often."""
        recover = self.store.recover
        found = await asyncio.to_thread(recover, shared=not exclusive(self.settings))
        if found:
            spent = [row.id for row in found.spent]
            LOG.warning("recovered", queued=found.queued, spent=spent)
        return found.spent

    async def _give_up(self, spent: Sequence[MissionRow]) -> None:
        """End missions that crashed too often, and tell those who wait for their results."""
        for row in spent:
            now = self.clock.now()
            why = f"its worker died {row.crashes} times over it"
            changes = await asyncio.to_thread(self.store.changes, mission=row.id)
            report = ended(failed(row, why, now), row, changes)
            rule = await asyncio.to_thread(self.force.rule_of, row.rule, row.firing)
            told = list(tell_result(rule, report, row, self.force.routes))
            await asyncio.to_thread(self.store.finish, row.id, report, told, now, epoch=row.epoch)

    def _committed(self, done: Committed) -> None:
        for one in done.refused:
            LOG.warning("chain refused", mission=one.mission, kind=one.kind, why=one.why)
        if done.new_missions and self.workers is not None:
            self.workers.call()
        if done.new_deliveries:
            self._call_couriers()

    def _mission_ended(self) -> None:
        if self.logs is not None:
            self.logs.mission_ended()
        self._call_couriers()

    def _call_couriers(self) -> None:
        for courier in self.couriers.values():
            courier.call()

    def _notice(self, lost: Delivery, why: str) -> Sequence[Delivery]:
        """Return what tells another sink, where there is one, that `lost` never arrived."""
        others = [name for name in self.couriers if name != lost.sink]
        return tell_of_dead_letter(lost, why, others, self.clock.now())
