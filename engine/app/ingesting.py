"""Signals into the intake: those of the watchers, and those that come by HTTP."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

import structlog

from engine import failpoint, meters
from engine.app.config import ClusterConfig
from engine.app.door import ANYBODY, Sender, admitted
from engine.app.intake.entry import Batch
from engine.app.intake.intake import Intake
from engine.app.unread import Faults
from engine.bus.codec import Bad
from engine.failpoint import Point
from engine.model.errors import ClusterError, StoreError
from engine.model.ports import Clock, Watch
from engine.model.signal import Signal
from engine.store.quarantine import Quarantined
from engine.store.store import Store
from engine.web.app import Accepted
from watchers.cluster import Means, WatchStatus, watch
from watchers.registry import chosen

LOG = structlog.get_logger()
RETRY_S = 1.0
IDENTITY_S = 60.0
"""How often to see whether it is the same cluster that answers."""
OUTSIDE = -1
"""The offset in quarantine of what never came onto the bus."""


@dataclass(frozen=True)
class Remembered:
    """What one watcher of one cluster remembers, in the store; the port `Memory`."""

    store: Store
    cluster: str
    watcher: str

    async def recall(self, keys: Collection[str] = ()) -> dict[str, bytes]:
        """Return what is remembered of `keys`; of all where none are named. Raises StoreError."""
        return await asyncio.to_thread(self.store.memories, self.cluster, self.watcher, keys)

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        """Remember `changes`, None: forget that key. Raises StoreError."""
        await asyncio.to_thread(self.store.remember, self.cluster, self.watcher, changes)


@dataclass
class Watching:
    """Keeps one cluster's signals flowing into the intake, as fast as that takes them.

    When a part of the log of this cluster was lost, or another cluster answers in its place, all
    of it is listed anew.
    """

    config: ClusterConfig
    reader: Watch
    intake: Intake
    clock: Clock
    means: Means = field(default_factory=Means)
    status: WatchStatus = field(default_factory=WatchStatus)

    def __post_init__(self) -> None:
        self.since = self.clock.now()
        self._uid = ""
        self._faults = Faults(self.config.name)

    @property
    def lease(self) -> str:
        """The lease of whoever watches this cluster."""
        return f"cluster/{self.config.name}"

    async def run(self) -> None:
        """Watch for ever."""
        while True:
            relists = self.intake.relists(self.config.name)
            works = [asyncio.create_task(one) for one in (self._watch(relists), self._changed())]
            try:
                done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
                why = {work.result() for work in done}
            finally:
                for work in works:
                    work.cancel()
                await asyncio.gather(*works, return_exceptions=True)
            for event in sorted(why):
                LOG.warning(event, cluster=self.config.name)

    async def _changed(self) -> str:
        """Return what to say once another cluster answers."""
        while True:
            await asyncio.sleep(IDENTITY_S)
            if self._uid:
                with suppress(ClusterError):  # that is told of where it is watched
                    if await self.reader.identity() != self._uid:
                        return "lists anew: another cluster answers"

    async def _met(self, uid: str) -> None:
        self._uid = uid
        await self.means.met(uid)

    async def _watch(self, relists: int) -> str:
        """Watch until the relists asked for are another number; return what to say then."""
        configs = chosen(self.config.watchers)
        means = replace(self.means, met=self._met)
        stream = watch(self.reader, self.clock, configs, self.status, means)
        async with aclosing(stream) as batches:
            async for signals in batches:
                self._faults.note(signals)
                with failpoint.around(Point.SIGNAL_READ):
                    batch = Batch(signals)
                await self._put(batch)
                if self.intake.relists(self.config.name) != relists:
                    return "lists anew: a part of the log was lost"
        await asyncio.Event().wait()  # every watcher had nothing to do
        raise AssertionError  # pragma: no cover - nobody sets that event

    async def _put(self, batch: Batch) -> None:
        told = False
        while True:
            try:
                await self.intake.put(batch)
            except StoreError as error:
                if not told:
                    LOG.warning("no place for signals", cluster=self.config.name, error=str(error))
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
        meters.UNREAD.labels(name).set(len(self.status.unread()))
        relists: dict[str, int] = {}
        for resource in self.status.resources.values():
            for reason, count in resource.relists.items():
                relists[reason] = relists.get(reason, 0) + count
        for reason, count in relists.items():
            meters.follow(meters.RELISTS.labels(name, reason), count)


async def accept(
    record: bytes, intake: Intake, store: Store, clock: Clock, sender: Sender = ANYBODY
) -> Accepted:
    """Take CloudEvents, an array or one: good ones into the intake, the others into quarantine.

    Returns once all are durable; some of what waits in a flood may be shed, and is counted then.

    Raises:
        Overloaded: too many signals wait already; nothing was taken.
        StoreError: not all was taken; the sender may try again, an id counts once.
    """
    with failpoint.around(Point.SIGNAL_READ):
        good, bad = admitted(record, clock.now(), sender)
    count = await take(good, bad, intake, store, clock)
    return Accepted(count, tuple(f"{one.reason}: {one.detail}" for one in bad))


async def take(
    good: list[Signal], bad: Sequence[Bad], intake: Intake, store: Store, clock: Clock
) -> int:
    """Take `good`, which is emptied, into the intake and `bad` into quarantine.

    Returns:
        How many were taken, once all are durable. Raises as `accept` does.
    """
    batch = Batch(good)
    good.clear()  # what waits is encoded; this would be many times as much memory
    await intake.accept(batch)
    if bad:
        await refuse(bad, store, clock)
    return batch.count


async def refuse(bad: Sequence[Bad], store: Store, clock: Clock) -> None:
    """Put what is no signal into quarantine, durable on return. Raises StoreError."""
    rows = [Quarantined(OUTSIDE, one.reason, one.detail, one.raw) for one in bad]
    await asyncio.to_thread(store.quarantine, rows, clock.now())
    for one in bad:
        meters.QUARANTINED.labels(one.reason).inc()
