"""Signals onto the bus: those of the watchers, and those that come by HTTP."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from engine import meters
from engine.app.config import ClusterConfig
from engine.bus.codec import Bad, decode, encode
from engine.bus.embedded import EmbeddedBus
from engine.cluster.reader import Reader
from engine.model.errors import StoreError
from engine.model.ports import Clock
from engine.model.signal import SECOND_STAGE, Signal
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from engine.web.app import Accepted
from watchers.cluster import WatchStatus, watch
from watchers.objects import ObjectsConfig

LOG = structlog.get_logger()
RETRY_S = 1.0
AHEAD = timedelta(seconds=20)
"""How far a sender's clock may be ahead: less than the 30 s after which the others seem silent."""
OUTSIDE = -1
"""The offset in quarantine of what never came onto the bus."""


@dataclass
class Watching:
    """Keeps one cluster's signals flowing onto the bus; a batch is kept until that takes it."""

    config: ClusterConfig
    reader: Reader
    bus: EmbeddedBus
    clock: Clock
    status: WatchStatus = field(default_factory=WatchStatus)

    def __post_init__(self) -> None:
        self.since = self.clock.now()

    async def run(self) -> None:
        """Watch for ever."""
        resources = self.config.resources
        configs = {"objects": ObjectsConfig(resources=tuple(resources))} if resources else None
        async with aclosing(watch(self.reader, self.clock, configs, self.status)) as batches:
            async for signals in batches:
                await self._append(signals)

    async def _append(self, signals: list[Signal]) -> None:
        told = False
        while True:
            try:
                await self.bus.append(signals)
            except StoreError as error:
                if not told:
                    LOG.warning("bus refuses", cluster=self.config.name, error=str(error))
                told = True
                await asyncio.sleep(RETRY_S)
            else:
                return

    def measure(self) -> None:
        """Set the gauges of this cluster; a scrape asks for it, so that silence shows."""
        name = self.config.name
        now = self.clock.now()
        staleness = self.status.staleness_s(now)
        if staleness is None:  # never seen whole: a cluster that is down from the start shows too
            staleness = (now - self.since).total_seconds()
        meters.STALENESS.labels(name).set(staleness)
        meters.REACHABLE.labels(name).set(not self.status.unreachable())
        relists: dict[str, int] = {}
        for resource in self.status.resources.values():
            for reason, count in resource.relists.items():
                relists[reason] = relists.get(reason, 0) + count
        for reason, count in relists.items():
            meters.RELISTS.labels(name, reason).set(count)


async def accept(batch: bytes, bus: EmbeddedBus, store: Store, clock: Clock) -> Accepted:
    """Take CloudEvents, an array or one: good ones onto the bus, the others into quarantine.

    Returns once all are durable.

    Raises:
        StoreError: not all was taken; the sender may try again, an id counts once.
    """
    decoded = decode(batch)
    latest = clock.now() + AHEAD
    good, bad = [], list(decoded.bad)
    for signal in decoded.signals:
        if signal.type in SECOND_STAGE:
            why = f"signals of type '{signal.type}' are made by dogwatch itself, of what it saw"
            bad.append(Bad("type", why, encode([signal])))
        elif not signal.cluster:
            bad.append(Bad("cluster", "the extension 'cluster' is missing", encode([signal])))
        elif signal.time > latest:
            # One such signal would carry the time of its cluster away, and all others be late.
            why = f"time {signal.time.isoformat()} is more than 20 s ahead of this clock"
            bad.append(Bad("future", why, encode([signal])))
        else:
            good.append(signal)
    if good:
        await bus.append(good)
    if bad:
        await refuse(bad, store, clock)
    return Accepted(len(good), tuple(f"{one.reason}: {one.detail}" for one in bad))


async def refuse(bad: Sequence[Bad], store: Store, clock: Clock) -> None:
    """Put what is no signal into quarantine, durable on return. Raises StoreError."""
    rows = [Quarantined(OUTSIDE, one.reason, one.detail, one.raw) for one in bad]
    await asyncio.to_thread(store.quarantine, rows, clock.now())
    for one in bad:
        meters.QUARANTINED.labels(one.reason).inc()
