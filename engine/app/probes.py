"""What the pages show of a process: whether it lives, whether it is ready, its metrics."""

import asyncio
import contextlib
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from engine import meters
from engine.app.config import AppConfig
from engine.app.door import Sender
from engine.app.engine import Engine
from engine.app.ingesting import Watching, accept, refuse
from engine.app.process import Pulse
from engine.app.unread import told
from engine.bus.codec import Bad
from engine.model.errors import DogwatchError, StoreError
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.report.clean import clean
from engine.stream.account import Degraded
from engine.web.app import Accepted, Health, Ports

ERROR_SHOWN = 200
"""Characters of an error that the page of readiness shows."""


class Probes:
    """Answers for a process from its start on; `ready` hands it the engine once that is open.

    `waits_for` says why there is none yet.
    """

    def __init__(
        self, settings: AppConfig, reload: Callable[[], Awaitable[list[str]]], clock: Clock
    ) -> None:
        self._settings = settings
        self._reload = reload
        self._clock = clock
        self._engine: Engine | None = None
        self._watchings: Sequence[Watching] = ()
        self._pulse = Pulse(clock)
        self.waits_for = "starting"

    def ready(self, engine: Engine, watchings: Sequence[Watching]) -> None:
        """Answer for `engine` and `watchings` from now on."""
        self._engine = engine
        self._watchings = watchings

    def wait_for(self, why: str) -> None:
        """Say that there is no engine yet, and `why`."""
        self.waits_for = why

    def ports(self, *, takes_signals: bool) -> Ports:
        """Return what the pages ask."""
        return Ports(
            live=lambda: self._pulse.alive,
            checks=self._checks,
            metrics=self._metrics,
            accept=self._accept if takes_signals else None,
            refuse=self._refuse,
            reload=self._reloaded,
            token=self._token,
            hold=self.hold,
        )

    async def turn(self) -> None:
        """Take note every second that the loop turns, for ever."""
        while True:
            await self._pulse.beat()
            if self._engine is not None:
                with contextlib.suppress(StoreError):  # the bus itself says why, see `_checks`
                    await self._engine.bus.check()
                    await self._measure(self._engine)

    async def _measure(self, engine: Engine) -> None:
        """Set the gauges of what waits to be folded; an intake knows better since when."""
        waiting = await engine.waiting()
        meters.BUS_LAG.set(waiting.records)
        if engine.intake is None:
            now = to_us(self._clock.now())
            meters.CONSUMER_LAG.set((now - (waiting.since_us or now)) / MICROS)

    def running(self) -> Engine:
        """Return the engine. Raises StoreError, which says why there is none yet."""
        if self._engine is None:
            raise StoreError(self.waits_for)
        return self._engine

    def _checks(self) -> list[Health]:
        engine = self._engine
        if engine is None:
            return [Health("store", self.waits_for)]
        watched = [one for one in self._watchings if engine.leases.holds(one.lease)]
        return [
            *(Health(name, problem) for name, problem in engine.problems().items()),
            *([Health("intake", engine.intake.problem, fatal=False)] if engine.intake else []),
            *(
                Health(f"cluster {one.config.name}", of_cluster(one), fatal=False)
                for one in watched
            ),
            *(_degraded(one) for fold in engine.folds() for one in fold.degraded()),
        ]

    async def _metrics(self) -> tuple[bytes, str]:
        engine = self._engine
        if engine is not None:
            for watching in self._watchings:
                if engine.leases.holds(watching.lease):
                    watching.measure()
            try:
                meters.MISSIONS_QUEUED.set(await asyncio.to_thread(engine.store.queued))
                meters.FIRINGS_ACTIVE.set(await asyncio.to_thread(engine.store.open_firings))
            except StoreError:
                meters.MISSIONS_QUEUED.set(math.nan)
                meters.FIRINGS_ACTIVE.set(math.nan)
            counted: Counter[str] = Counter()
            for fold in engine.folds():
                counted.update(fold.counters())
            meters.stream(counted)
            meters.degraded(one.rule for fold in engine.folds() for one in fold.degraded())
        return meters.exposition(), meters.TEXT_TYPE

    async def _accept(self, batch: bytes) -> Accepted:
        engine = self.running()
        if engine.intake is None:
            raise StoreError("this process takes no signals")
        sender = Sender(watched=engine.watched())
        return await accept(batch, engine.intake, engine.store, self._clock, sender)

    def hold(self, size: int) -> AbstractContextManager[None]:
        """Count `size` bytes of a request as waiting within a context. Raises Overloaded."""
        intake = self._engine.intake if self._engine is not None else None
        return intake.hold(size) if intake is not None else nullcontext()

    async def _refuse(self, reason: str, detail: str, raw: bytes) -> None:
        await refuse([Bad(reason, detail, raw)], self.running().store, self._clock)

    async def _reloaded(self) -> list[str]:
        if not self.running().knows_rules:
            raise DogwatchError("this process has no rules: ask a worker or a runner")
        return await self._reload()

    def _token(self) -> str | None:
        path = self._settings.http.token_file
        if path is None:
            return None
        try:
            return Path(path).read_text().strip() or None
        except (OSError, ValueError):  # it may be no text at all
            return None


def of_cluster(watching: Watching) -> str:
    """Return what cannot be seen of a cluster: all of it, or some sources."""
    return watching.status.unreachable() or told(watching.status.unread())


def _degraded(found: Degraded) -> Health:
    place = f" in {found.cluster}" if found.cluster else ""
    problem = clean(f"degraded{place}: {found.error}", ERROR_SHOWN)
    return Health(f"rule {found.rule}", problem, fatal=False)
