"""How far folding is: seen in the process itself, or in the store that workers commit to."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from engine import meters
from engine.bus.embedded import EmbeddedBus
from engine.bus.topics import Log, Topic
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.store.partitions import Position

EMBEDDED_S: Final = 0.25
SHARED_S: Final = 1.0


class EmbeddedProgress:
    """Folding of the embedded bus: one lane for all clusters.

    `next_offset` gives the offset of the record that is folded next.
    """

    every_s = EMBEDDED_S

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

    def folded_us(self, lane: int) -> int:  # noqa: ARG002
        """Return an instant: all that was appended before it is folded."""
        return self._folded


class SharedProgress:
    """Folding of partitions of Kafka, which are the lanes, by workers anywhere.

    `placed` gives the partition of a cluster, `positions` what is committed of each partition
    (it blocks), `ends` where each log ends. A commit may be some seconds behind folding.
    """

    every_s = SHARED_S

    def __init__(
        self,
        placed: Callable[[str], Awaitable[int]],
        positions: Callable[[], Mapping[int, Position]],
        ends: Callable[[], Awaitable[Mapping[Log, int]]],
        clock: Clock,
    ) -> None:
        self._placed = placed
        self._positions = positions
        self._ends = ends
        self._clock = clock
        self._start = to_us(clock.now())
        self._folded: dict[int, int] = {}

    async def lane(self, cluster: str) -> int:
        """Return the partition of the cluster. Raises StoreError while it can not be found."""
        return await self._placed(cluster)

    async def look(self) -> None:
        """Compare what is committed with where the logs end. Raises StoreError."""
        now = to_us(self._clock.now())
        ends = await self._ends()
        positions = await asyncio.to_thread(self._positions)
        late = 0
        for log, end in ends.items():
            if log.topic is not Topic.SIGNALS:
                continue
            position = positions.get(log.partition)
            folded = position.appended_us if position else 0
            if end == 0 or (position is not None and position.next_offset >= end):
                folded = now
            # What was left unfolded before the start is not what signals of this process wait for.
            self._folded[log.partition] = max(folded, self._start)
            late = max(late, now - self._folded[log.partition])
        meters.CONSUMER_LAG.set(max(0, late) / MICROS)

    def folded_us(self, lane: int) -> int:
        """Return an instant: all that was appended before it is folded."""
        return self._folded.get(lane, self._start)
