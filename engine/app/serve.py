"""`dogwatch run`: the whole engine as one process, until a signal ends it."""

import asyncio
import contextlib
import math
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import structlog
import uvicorn

from engine import meters
from engine.app import logs
from engine.app.collector import settle_memory
from engine.app.config import AppConfig
from engine.app.configured import load_config
from engine.app.engine import Engine
from engine.app.ingesting import Watching, accept, refuse
from engine.app.reaching import reach
from engine.app.reloading import RuleFiles, Texts
from engine.app.web_server import Server
from engine.bus.codec import Bad
from engine.model.errors import ConfigError, StoreError
from engine.model.ports import SystemClock
from engine.report.clean import clean
from engine.rules.rule import RuleSet
from engine.stream.account import Degraded
from engine.web.app import Accepted, Health, Ports, build

LOG = structlog.get_logger()
ALIVE_S = 10.0
SWITCH_S = 0.0005
"""How long a thinking mission keeps the interpreter from the loop that delivers."""
TICK_S = 1.0
ERROR_SHOWN = 200
"""Characters of an error that the page of readiness shows."""
FORGET_S = 60.0


def serve(path: str) -> None:
    """Run until SIGTERM or SIGINT. Raises ConfigError, RuleError, StoreError at the start."""
    settings = load_config(path)
    logs.configure(settings.log_format)
    sys.setswitchinterval(SWITCH_S)
    with _listening(settings.http.listen) as listener:
        asyncio.run(_Process(settings, listener).run())


class _Process:
    """The parts of `dogwatch run` and how they are started and ended."""

    def __init__(self, settings: AppConfig, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._clock = SystemClock()
        self._turned = time.monotonic()
        self._watchings: list[Watching] = []
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run all parts until a signal asks to stop, then end them in good order."""
        settings = self._settings
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        meters.BUILD.labels(version("dogwatch")).set(1)
        async with AsyncExitStack() as stack:
            readers = {
                one.name: await stack.enter_async_context(reach(one)) for one in settings.clusters
            }
            self._rule_files = RuleFiles(
                [Path(path) for path in settings.rules], set(settings.sinks), self._swap
            )
            loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the start reads all anyway
            engine = Engine(settings, self._rule_files.first, readers, self._clock)
            self._engine = await stack.enter_async_context(engine)
            settle_memory()
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
            self._watchings = [
                Watching(one, readers[one.name], engine.bus, self._clock)
                for one in settings.clusters
            ]
            await self._until_stopped()
        LOG.info("stopped")

    async def _until_stopped(self) -> None:
        web = self._web()
        async with asyncio.TaskGroup() as group:
            parts = [
                self._engine.run(),
                self._rule_files.run(),
                self._turn(),
                self._forget(),
                *(watching.run() for watching in self._watchings),
            ]
            tasks = [group.create_task(part) for part in parts]
            serving = group.create_task(web.serve(sockets=[self._listener]))
            host, port = self._listener.getsockname()[:2]
            LOG.info("running", listen=f"http://{host}:{port}", clusters=len(self._watchings))
            await self._stop.wait()
            LOG.info("stopping")
            web.should_exit = True
            await serving  # who was promised an answer gets it
            for task in tasks:
                task.cancel()

    def _web(self) -> uvicorn.Server:
        app = build(
            Ports(
                live=lambda: time.monotonic() - self._turned < ALIVE_S,
                checks=self._checks,
                metrics=self._metrics,
                accept=self._accept,
                refuse=self._refuse,
                reload=self._rule_files.reload,
                token=self._token,
            )
        )
        return Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )

    async def _metrics(self) -> tuple[bytes, str]:
        for watching in self._watchings:
            watching.measure()
        try:
            meters.MISSIONS_QUEUED.set(await asyncio.to_thread(self._engine.store.queued))
        except StoreError:
            meters.MISSIONS_QUEUED.set(math.nan)
        meters.stream(self._engine.fold.counters())
        meters.degraded(one.rule for one in self._engine.fold.degraded())
        return meters.exposition(), meters.TEXT_TYPE

    async def _accept(self, batch: bytes) -> Accepted:
        return await accept(batch, self._engine.bus, self._engine.store, self._clock)

    async def _refuse(self, reason: str, detail: str, raw: bytes) -> None:
        await refuse([Bad(reason, detail, raw)], self._engine.store, self._clock)

    async def _swap(self, rules: RuleSet, texts: Texts) -> None:
        await asyncio.to_thread(self._engine.store.keep_rules, rules.digest, texts)
        settle_memory()
        await self._engine.fold.swap(rules)

    def _checks(self) -> list[Health]:
        return [
            Health("store", self._engine.fold.problem),
            Health("bus", self._engine.bus.problem),
            *(
                Health(f"cluster {one.config.name}", one.status.unreachable(), fatal=False)
                for one in self._watchings
            ),
            *map(_degraded, self._engine.fold.degraded()),
        ]

    def _token(self) -> str | None:
        path = self._settings.http.token_file
        if path is None:
            return None
        try:
            return Path(path).read_text().strip() or None
        except OSError:
            return None

    def _hang_up(self) -> None:
        self._reloading = asyncio.ensure_future(self._rule_files.reload())

    async def _turn(self) -> None:
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self._turned = time.monotonic()
            meters.HEARTBEAT.set(self._clock.now().timestamp())
            meters.LAG.set(self._turned - due)
            with contextlib.suppress(StoreError):  # the bus itself says why, see `_checks`
                await self._engine.bus.check()
                end = await self._engine.bus.end()
                meters.BUS_LAG.set(max(0, end - self._engine.fold.next_offset))

    async def _forget(self) -> None:
        """Let go of old records of the bus and old rows of the store, some each minute."""
        stream, missions = self._settings.stream, self._settings.missions
        while True:
            await asyncio.sleep(FORGET_S)
            try:
                await self._engine.bus.trim(
                    self._engine.fold.committed_offset,
                    keep_s=stream.retain_s,
                    keep_bytes=stream.retain_bytes,
                )
                old = self._clock.now() - timedelta(seconds=missions.retain_s)
                await asyncio.to_thread(self._engine.store.prune, old)
            except StoreError as error:
                LOG.warning("store refuses", of="retention", error=str(error))


def _degraded(found: Degraded) -> Health:
    place = f" in {found.cluster}" if found.cluster else ""
    problem = clean(f"degraded{place}: {found.error}", ERROR_SHOWN)
    return Health(f"rule {found.rule}", problem, fatal=False)


@contextlib.contextmanager
def _listening(address: str) -> Iterator[socket.socket]:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, int(port)))
        except OSError as error:
            raise ConfigError(f"http.listen {address}: {error.strerror}") from error
        listener.listen()
        yield listener
