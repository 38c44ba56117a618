"""The signals of one partition that wait: a queue for each cluster, emptied in turns."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Final

from engine.app.intake.entry import Entry, weigh
from engine.app.intake.flow import Flow
from engine.app.intake.shedding import Pressure, Reason, Samples, shed
from engine.bus.codec import BATCH_LIMIT, RECORD_LIMIT

AT_ONCE_BYTES: Final = RECORD_LIMIT
"""Bytes of one append."""
_FRESH: Final = 50
_SHARE: Final = 4

Taken = list[tuple[str, list[Entry]]]
"""(cluster, its entries in their order)"""


class _Queue:
    """The entries of one cluster. `fresh`: how many came since they were last judged."""

    __slots__ = ("bytes", "entries", "fresh", "judged")

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.bytes = 0
        self.fresh = 0
        self.judged = Pressure.NONE

    def due(self, pressure: Pressure) -> bool:
        """Whether judging would find something that is worth the time for it."""
        if pressure > self.judged:
            return True
        return self.fresh >= max(_FRESH, len(self.entries) // _SHARE)


class Lane:
    """What waits for one partition, by cluster, and the flow of it into the log."""

    def __init__(self, flow: Flow) -> None:
        """Begin empty."""
        self.flow = flow
        self.count = 0
        self.bytes = 0
        self._queues: dict[str, _Queue] = {}
        self._samples: dict[str, Samples] = {}

    def add(self, cluster: str, entries: list[Entry]) -> None:
        """Let `entries` of one cluster wait behind all others of it."""
        queue = self._queues.setdefault(cluster, _Queue())
        queue.entries.extend(entries)
        queue.fresh += len(entries)
        self._counted(queue, len(entries), weigh(entries))

    def held(self, cluster: str) -> int:
        """Return the bytes of one cluster that wait."""
        queue = self._queues.get(cluster)
        return queue.bytes if queue else 0

    def before(self, cluster: str) -> int:
        """Return how many signals go before a further one of `cluster`, as turns are taken."""
        queue = self._queues.get(cluster)
        return min(self.count, len(queue.entries) * len(self._queues)) if queue else 0

    def shed(self, pressure: Pressure) -> tuple[Counter[Reason], list[Entry]]:
        """Give up what may go at `pressure`; return how many by reason, and which."""
        counts: Counter[Reason] = Counter()
        gone: list[Entry] = []
        for cluster, queue in self._queues.items():
            if queue.due(pressure):
                samples = self._samples.setdefault(cluster, Samples())
                outcome = shed(queue.entries, pressure, samples)
                queue.entries = deque(outcome.kept)
                queue.fresh, queue.judged = 0, pressure
                counts += outcome.counts()
                lost = [entry for entry, _ in outcome.shed]
                # A level that stands for others may have grown: count anew.
                self._counted(queue, -len(lost), weigh(queue.entries) - queue.bytes)
                gone += lost
        return counts, gone

    def take(self, most: int) -> Taken:
        """Take out up to `most` entries, AT_ONCE_BYTES and one more at most, cluster by turns."""
        taken: dict[str, list[Entry]] = {}
        size = count = 0
        while self._queues and count < most and size < AT_ONCE_BYTES:
            cluster, queue = next(iter(self._queues.items()))
            own = taken.setdefault(cluster, [])
            for entry in _first(queue, min(BATCH_LIMIT, most - count), AT_ONCE_BYTES - size):
                own.append(entry)
                count += 1
                size += entry.weight
                self._counted(queue, -1, -entry.weight)
            del self._queues[cluster]
            if queue.entries:
                self._queues[cluster] = queue  # behind those of all others
        return list(taken.items())

    def put_back(self, taken: Taken) -> None:
        """Let entries wait where they were before they were taken."""
        for cluster, entries in taken:
            queue = self._queues.setdefault(cluster, _Queue())
            queue.entries.extendleft(reversed(entries))
            self._counted(queue, len(entries), weigh(entries))

    def withdraw(self) -> list[Entry]:
        """Take out all entries that somebody waits for."""
        found: list[Entry] = []
        for cluster, queue in list(self._queues.items()):
            own = [entry for entry in queue.entries if entry.ticket is not None]
            if own:
                queue.entries = deque(entry for entry in queue.entries if entry.ticket is None)
                self._counted(queue, -len(own), -weigh(own))
                found += own
            if not queue.entries:
                del self._queues[cluster]
        return found

    def relax(self) -> None:
        """Take note that the pressure is over: every series has its next sample again."""
        self._samples.clear()
        for queue in self._queues.values():
            queue.judged = Pressure.NONE

    def _counted(self, queue: _Queue, count: int, size: int) -> None:
        self.count += count
        self.bytes += size
        queue.bytes += size


def _first(queue: _Queue, most: int, size: int) -> Iterator[Entry]:
    """Take out the first entries of `queue` up to these limits, one at least."""
    for _ in range(most):
        if not queue.entries or size <= 0:
            return
        entry = queue.entries.popleft()
        size -= entry.weight
        yield entry
