"""`dogwatch run`: the engine as one process, until a signal ends it."""

import asyncio
import signal
import socket
import sys
from collections.abc import Collection
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from engine.app import logs
from engine.app.collector import settle_memory
from engine.app.config import AppConfig
from engine.app.configured import load_config
from engine.app.engine import Engine
from engine.app.fleet import Fleet
from engine.app.fleet_member import Duty
from engine.app.fleet_passages import Passages
from engine.app.front import Front
from engine.app.node_agent import NodeProcess
from engine.app.own_metrics import publish_own
from engine.app.probes import Probes
from engine.app.process import Process, listening
from engine.app.receiving import Receivers
from engine.app.reloading import RuleFiles, Texts
from engine.app.roles import Role, roles_of
from engine.app.upkeep import forget
from engine.model.ports import SystemClock
from engine.rules.rule import RuleSet
from engine.web import receive
from engine.web.app import build

LOG = structlog.get_logger()
SWITCH_S = 0.0005
"""How long a thinking mission keeps the interpreter from the loop that delivers."""


def serve(path: str, roles: Collection[Role] = ()) -> None:
    """Run until SIGTERM or SIGINT, in `roles`, or in all but those that go alone.

    Raises:
        ConfigError, RuleError: at the start.
        StoreError: at the start, for a store that is a file; a server may come later.
    """
    settings = load_config(path)
    own = roles_of(roles, settings)
    logs.configure(settings.log_format)
    sys.setswitchinterval(SWITCH_S)
    if Role.WRITER in own:
        # What only the writer needs takes long to import.
        from engine.app.writer import WriterProcess  # noqa: PLC0415

        with listening(settings.changes.listen, "changes.listen") as listener:
            asyncio.run(WriterProcess(settings, listener).run())
        return
    with listening(settings.http.listen, "http.listen") as listener:
        if Role.NODE in own:
            asyncio.run(NodeProcess(settings, listener).run())
        else:
            asyncio.run(_Everything(settings, own, listener).run())


class _Everything:
    """The parts of `dogwatch run` and how they are started and ended."""

    def __init__(
        self, settings: AppConfig, roles: frozenset[Role], listener: socket.socket
    ) -> None:
        self._settings = settings
        self._roles = roles
        self._clock = SystemClock()
        self._rule_files = RuleFiles(
            [Path(path) for path in settings.rules], set(settings.sinks), self._swap
        )
        self._probes = Probes(settings, self._rule_files.reload, self._clock)
        self._ports = self._probes.ports(takes_signals=Role.WEB in roles)
        receivers = Receivers(settings, self._probes.running, self._clock)
        reception = receivers.reception(self._probes.hold)
        self._receivers = receive.routes(reception) if Role.WEB in roles else []
        self._process = Process(build(self._ports, more=self._receivers), listener)

    async def run(self) -> None:
        """Serve the pages, run all parts until a signal asks to stop, end them in good order."""

        async def work() -> None:
            async with AsyncExitStack() as stack:
                await self._work(stack)

        await self._process.run(work, self._probes.turn())

    async def _work(self, stack: AsyncExitStack) -> None:
        """Do the work of all roles until a signal asks to stop."""
        fleet = Fleet(self._settings, self._clock)
        await fleet.open(stack)
        engine = await self._opened(stack, fleet)
        if engine is None:
            return
        self._engine = engine
        settle_memory()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(engine.run())]
            if engine.knows_rules:
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)
                tasks.append(group.create_task(self._rule_files.run()))
            if Role.RUNNER in self._roles:
                forgetting = engine.leases.hold("retention", lambda: forget(engine))
                tasks.append(group.create_task(forgetting))
            self._watch(engine, fleet)
            tasks.append(group.create_task(publish_own(engine, fleet.watchings)))
            tasks.append(group.create_task(fleet.run()))
            self._probes.ready(engine, fleet.watchings)
            if Role.WEB in self._roles and engine.front is not None:
                self._open_front(engine.front, engine, fleet)
                tasks.append(group.create_task(engine.front.fetch()))
            LOG.info(
                "running",
                listen=self._process.url,
                clusters=len(fleet.watchings),
                roles=[role.value for role in Role if role in self._roles],
            )
            await self._process.until_stopped()
            engine.end()
            for task in tasks:
                task.cancel()

    async def _opened(self, stack: AsyncExitStack, fleet: Fleet) -> Engine | None:
        """Return the engine once its store can be opened, None when asked to stop before."""

        async def opening() -> Engine:
            engine = Engine(self._settings, self._rule_files.first, fleet, self._clock, self._roles)
            engine.places, engine.configs = fleet.places, fleet.configs
            return await stack.enter_async_context(engine)

        shared = self._settings.store.shared
        return await self._process.opened(opening, self._probes.wait_for if shared else None)

    def _watch(self, engine: Engine, fleet: Fleet) -> None:
        """Let the fleet watch its clusters, where that is a role of this process."""
        if Role.WATCHER in self._roles and engine.intake is not None:
            passages = Passages(engine.store, engine.intake, self._clock)
            folder = Path(self._settings.data_dir) / "kept"
            fleet.watch(Duty(engine.store, engine.intake, engine.leases, passages, folder))

    def _open_front(self, front: Front, engine: Engine, fleet: Fleet) -> None:
        """Serve pages, API and receivers of decisions, which need the store."""

        def problems() -> dict[str, str]:
            return {one.config.name: one.status.unreachable() for one in fleet.watchings}

        def rules() -> RuleSet | None:
            return engine.force.rules if engine.knows_rules else None

        people = front.people(rules, problems)
        self._process.app = build(self._ports, people, [*front.routes(), *self._receivers])

    async def _swap(self, rules: RuleSet, texts: Texts) -> None:
        await asyncio.to_thread(self._engine.store.keep_rules, rules.digest, texts)
        settle_memory()
        await self._engine.swap(rules)

    def _hang_up(self) -> None:
        self._reloading = asyncio.ensure_future(self._rule_files.reload())
