"""The intake: signals of all sources of a process, on their way onto the bus."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from engine import meters
from engine.app.intake.entry import Batch, Entry, fail, records, settle, weigh
from engine.app.intake.flow import Flow
from engine.app.intake.lane import Lane, Taken
from engine.app.intake.progress import Folding, Log
from engine.app.intake.shedding import Pressure
from engine.app.intake.told import Told
from engine.app.intake.worth import Worth
from engine.model.errors import Overloaded, StoreError
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock

LOG = structlog.get_logger()
RETRY_S: Final = 1.0
LOOK_S: Final = 0.05
TICK_S: Final = 1.0
BUSY_S: Final = 0.1
CALM_S: Final = 0.5
"""How often to see how far folding is, while signals wait for it and while none does."""
DRAIN_S: Final = 5.0
LEAST: Final = 50
"""Signals that are worth an append while the log is too long."""
WAITS_S: Final = 10.0
WAITS_LONGEST_S: Final = 15.0
"""How long a signal may have to wait here: with more before it, its source is held back."""
RESERVE: Final = 8
"""A part in so many of the bytes is left to batches in which all is critical."""


@dataclass(frozen=True)
class Limits:
    """How much may wait.

    Attributes:
        bytes: of memory, that all signals that wait may take.
        shed_after_s: how late folding may be before shedding is in full swing but for levels.
        floor, window_s: how much may be in the log unfolded, as in Flow.
    """

    bytes: int
    shed_after_s: float
    floor: int
    window_s: float = 3.0

    def pressure(self, delay_s: float, fill: float) -> Pressure:
        """Return what must be given up at this delay of folding and fill of the intake."""
        by_delay = 2 * delay_s / self.shed_after_s
        by_fill = 4 * fill
        return Pressure(min(3, max(int(by_delay), int(by_fill))))


class Intake:
    """Where signals wait for the bus; `run` takes them there. Both within one running loop.

    `problem` says that signals are shed or sources held back, empty while all passes.
    """

    def __init__(self, log: Log, folding: Folding, limits: Limits, clock: Clock) -> None:
        self._log = log
        self._folding = folding
        self._limits = limits
        self._clock = clock
        self._lanes: dict[int, Lane] = {}
        self._of: dict[str, int] = {}
        self._read = 0
        self._freed = asyncio.Event()
        self._grown: dict[int, asyncio.Event] = {}
        self._new: asyncio.Queue[int] = asyncio.Queue()
        self._refused = False
        self._told = Told()

    @property
    def problem(self) -> str:
        """What is the matter, empty while nothing is."""
        return self._told.problem

    @property
    def waiting_bytes(self) -> int:
        """The bytes of memory that wait here."""
        return self._read + sum(lane.bytes for lane in self._lanes.values())

    async def put(self, batch: Batch) -> None:
        """Let `batch` of a watcher wait for the bus; return once there is room for it.

        Raises:
            StoreError: the partition of a cluster is not known yet; nothing was taken.
        """
        for cluster in batch.entries:
            await self._lane(cluster)
        for cluster, entries in batch.entries.items():
            while self._full(cluster, entries):
                self._freed.clear()
                await self._freed.wait()
            await self._add(cluster, entries)

    async def accept(self, batch: Batch) -> None:
        """Take `batch` of a sender who waits; return once all is durable, or shed and counted.

        Raises:
            Overloaded: there is no room; nothing was taken.
            StoreError: not all was taken; the sender may try again, an id counts once.
        """
        if not batch.count:
            return
        for cluster in batch.entries:
            await self._lane(cluster)
        for cluster, entries in batch.entries.items():
            if self._log.problem and self._lanes[self._of[cluster]].count:
                raise StoreError(self._log.problem)  # one that tries already is enough
            if self._full(cluster, entries):
                raise self._overloaded(cluster)
        ticket = batch.promise()
        for cluster, entries in batch.entries.items():
            await self._add(cluster, entries)
        await ticket.settled

    @contextlib.contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Count `size` bytes of a request that is read as waiting. Raises Overloaded."""
        waiting = self.waiting_bytes
        if waiting and waiting + size > self._limits.bytes:
            raise self._overloaded("")
        self._read += size
        try:
            yield
        finally:
            self._read -= size
            self._freed.set()

    def relists(self, cluster: str) -> int:
        """Return how often all of `cluster` was to be listed anew, as its log was lost in part."""
        return self._folding.relists(cluster)

    async def run(self) -> None:
        """Take what waits onto the bus, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            group.create_task(self._look())
            while True:
                group.create_task(self._pump(await self._new.get()))

    async def aclose(self) -> None:
        """Take what still waits onto the bus, within DRAIN_S; `run` has ended."""
        try:
            async with asyncio.timeout(DRAIN_S):
                for lane in self._lanes.values():
                    while lane.count:
                        await self._write(lane, lane.take(lane.count))
        except (TimeoutError, StoreError) as error:
            lost = sum(lane.count for lane in self._lanes.values())
            LOG.warning("not taken onto the bus", signals=lost, error=str(error) or "no time")
        for lane in self._lanes.values():
            fail(lane.withdraw(), StoreError("dogwatch is stopping"))

    async def _lane(self, cluster: str) -> Lane:
        number = self._of.get(cluster)
        if number is None:
            number = self._of[cluster] = await self._folding.lane(cluster)
        if number not in self._lanes:
            self._lanes[number] = Lane(Flow(self._limits.floor, self._limits.window_s))
            self._grown[number] = asyncio.Event()
            self._new.put_nowait(number)
        return self._lanes[number]

    async def _add(self, cluster: str, entries: list[Entry]) -> None:
        (await self._lane(cluster)).add(cluster, entries)
        self._grown[self._of[cluster]].set()

    def _full(self, cluster: str, entries: list[Entry]) -> bool:
        """Whether the source of `entries` is to be held back."""
        lane, limit = self._lanes[self._of[cluster]], self._limits.bytes
        critical = all(entry.worth is Worth.CRITICAL for entry in entries)
        room = limit if critical else limit - limit // RESERVE
        longest = WAITS_LONGEST_S if critical else WAITS_S
        size = weigh(entries)
        waiting = self.waiting_bytes
        full = (
            # What is being read may be this very batch: one that is alone finds room.
            (waiting > self._read and waiting + size > room)
            or (lane.held(cluster) > 0 and lane.held(cluster) + size > self._share(room))
            or lane.flow.seconds(lane.before(cluster)) > longest
        )
        if full:
            self._told.held(waiting, self._now())
        return full

    def _share(self, room: int) -> int:
        """Return what one cluster may take of `room`: it leaves some where there are others."""
        return room // 2 if len(self._of) > 1 else room

    def _overloaded(self, cluster: str) -> Overloaded:
        lane = self._lanes.get(self._of.get(cluster, -1))
        wait_s = lane.flow.seconds(lane.before(cluster)) / 2 if lane else 0.0
        meters.INTAKE_REFUSED.inc()
        self._told.held(self.waiting_bytes, self._now())
        return Overloaded(
            "more signals come than are folded: keep these and send them again later",
            retry_s=max(1, min(10, round(wait_s))),
        )

    async def _pump(self, number: int) -> None:
        """Take onto the bus what waits in one lane, as fast as it is folded."""
        lane, grown = self._lanes[number], self._grown[number]
        while True:
            await grown.wait()
            if not lane.count:
                grown.clear()
                continue
            now = self._now()
            lane.flow.folded(self._folding.folded_us(number), now)
            most = lane.flow.allowance(now)
            if most < min(lane.count, LEAST):
                self._relieve(number, lane, now)
                await asyncio.sleep(LOOK_S)
                continue
            try:
                await self._write(lane, lane.take(min(most, lane.flow.at_once)))
            except StoreError as error:
                await self._keep(lane, grown, error)

    def _relieve(self, number: int, lane: Lane, now: int) -> None:
        """Shed what the pressure asks for: what waits here has to wait."""
        late_s = (now - self._folding.folded_us(number)) / MICROS
        delay_s = max(late_s, lane.flow.seconds(lane.flow.in_flight + lane.count))
        fill = self.waiting_bytes / self._limits.bytes
        pressure = self._limits.pressure(delay_s, fill)
        counts, gone = lane.shed(pressure)
        settle(gone)
        self._told.shed(counts, pressure, delay_s, now)
        if gone:
            self._freed.set()

    async def _write(self, lane: Lane, taken: Taken) -> None:
        """Append `taken`; what could not be appended waits again. Raises StoreError."""
        piece = lane.flow.piece
        pairs = [(cluster, record) for cluster, own in taken for record in records(own, piece)]
        try:
            await self._log.append_records(pairs)
        except BaseException:
            lane.put_back(taken)
            raise
        entries = [entry for _, own in taken for entry in own]
        lane.flow.appended(self._now(), len(entries))
        settle(entries)
        self._freed.set()
        if self._refused:
            self._refused = False
            LOG.info("bus takes signals again")

    async def _keep(self, lane: Lane, grown: asyncio.Event, error: StoreError) -> None:
        """Let senders keep their signals; wait with those of watchers before the next attempt."""
        if not self._refused:
            LOG.warning("bus refuses", error=str(error))
        self._refused = True
        fail(lane.withdraw(), error)
        self._freed.set()
        grown.clear()
        try:
            async with asyncio.timeout(RETRY_S):
                await grown.wait()
        except TimeoutError:
            grown.set()

    async def _tick(self) -> None:
        while True:
            now = self._now()
            for number, lane in self._lanes.items():
                lane.flow.folded(self._folding.folded_us(number), now)
            meters.INTAKE_BYTES.set(self.waiting_bytes)
            if self._told.look(now):
                for lane in self._lanes.values():
                    lane.relax()
            await asyncio.sleep(TICK_S)

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(StoreError):  # the bus and the store say why themselves
                await self._folding.look()
            calm = all(lane.count == 0 for lane in self._lanes.values())
            await asyncio.sleep(CALM_S if calm else BUSY_S)

    def _now(self) -> int:
        return to_us(self._clock.now())
