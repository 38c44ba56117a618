"""The intake's two ports, and how far folding is: in this process, or in the store of workers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from engine import meters
from engine.bus.embedded import EmbeddedBus
from engine.bus.topics import Topic
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.store.partitions import Position
from engine.store.store import Store

if TYPE_CHECKING:
    from engine.bus.kafka import KafkaBus


class Log(Protocol):
    """The bus, as the intake needs it; `problem` as there."""

    problem: str

    async def append_records(self, records: Sequence[tuple[str, bytes]]) -> object:
        """Append (cluster, record) pairs in order, durable on return. Raises StoreError."""
        ...


class Folding(Protocol):
    """How far folding is, as far as this process knows."""

    async def lane(self, cluster: str) -> int:
        """Return the partition of the cluster. Raises StoreError while that is not known."""
        ...

    async def look(self) -> None:
        """See how far folding is. Raises StoreError where that can not be seen now."""
        ...

    def relists(self, cluster: str) -> int:
        """Return how often since the start a part of the log of the cluster was lost."""
        ...

    def folded_us(self, lane: int) -> int:
        """Return an instant of the wall clock: all that was appended before it is folded."""
        ...


class EmbeddedProgress:
    """Folding of the embedded bus: one lane for all clusters.

    `next_offset` gives the offset of the record that is folded next.
    """

    def __init__(self, bus: EmbeddedBus, next_offset: Callable[[], int], clock: Clock) -> None:
        self._bus = bus
        self._next_offset = next_offset
        self._clock = clock
        self._folded = to_us(clock.now())

    async def lane(self, cluster: str) -> int:  # noqa: ARG002 - all are in the same
        """Return the only lane."""
        return 0

    async def look(self) -> None:
        """Ask the log since when its first record that is not folded is there."""
        now = to_us(self._clock.now())
        first = await self._bus.appended_us(self._next_offset())
        self._folded = now if first is None else first
        meters.CONSUMER_LAG.set(max(0, now - self._folded) / MICROS)

    def relists(self, cluster: str) -> int:  # noqa: ARG002
        """Return 0: a log that was cut off ends the process."""
        return 0

    def folded_us(self, lane: int) -> int:  # noqa: ARG002
        """Return an instant: all that was appended before it is folded."""
        return self._folded


class SharedProgress:
    """Folding of partitions of Kafka, which are the lanes, by workers anywhere.

    It is seen in what they commit, which may be some seconds behind.
    """

    def __init__(self, bus: "KafkaBus", store: Store, clock: Clock) -> None:
        self._bus = bus
        self._store = store
        self._clock = clock
        self._start = to_us(clock.now())
        self._folded: dict[int, int] = {}
        self._lanes: dict[str, int] = {}
        self._first: Mapping[int, int] | None = None
        self._relists: Mapping[int, int] = {}

    async def lane(self, cluster: str) -> int:
        """Return the partition of the cluster. Raises StoreError while it can not be found."""
        lane = self._lanes[cluster] = await self._bus.lane(cluster)
        return lane

    async def look(self) -> None:
        """Compare what is committed with where the logs end. Raises StoreError."""
        now = to_us(self._clock.now())
        ends = await self._bus.ends()
        positions = await asyncio.to_thread(self._store.positions)
        self._relists = await asyncio.to_thread(self._store.relists)
        if self._first is None:
            self._first = self._relists
        late = 0
        for log, end in ends.items():
            if log.topic is Topic.SIGNALS:
                position = positions.get(log.partition, Position())
                folded = now if position.next_offset >= end else position.appended_us
                # What was left unfolded before the start is nothing that signals wait for here.
                self._folded[log.partition] = max(folded, self._start)
                late = max(late, now - self._folded[log.partition])
        meters.CONSUMER_LAG.set(late / MICROS)

    def relists(self, cluster: str) -> int:
        """Return how often since the start a part of the log of the cluster was lost."""
        lane, first = self._lanes.get(cluster, -1), self._first or {}
        return self._relists.get(lane, 0) - first.get(lane, 0)

    def folded_us(self, lane: int) -> int:
        """Return an instant: all that was appended before it is folded."""
        return self._folded.get(lane, self._start)
