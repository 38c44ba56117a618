"""Timers: when the cells of one cluster, and their orders, must be looked at again."""

from collections.abc import Mapping
from heapq import heappush
from typing import Final

from engine.stream.cell import Cell
from engine.stream.dispatch import CellId

CELL: Final = 0
ORDER: Final = 1
_SPARE: Final = 64
Timer = tuple[int, int, str, tuple[str, ...]]
"""Instant, CELL or ORDER, rule and key: the order in which they run."""


class Timers:
    """A heap of timers. One that a cell put off stays in it, until it is due or they are many."""

    __slots__ = ("_cells", "_most", "heap")

    def __init__(self, cells: Mapping[CellId, Cell]) -> None:
        """Start without any; `cells` are those that there are at any time."""
        self.heap: list[Timer] = []
        self._cells = cells
        self._most = _SPARE

    def wake(self, where: CellId, cell: Cell, mark: int) -> None:
        """Set the timer of `cell`, whose next instant counts from the stream time `mark`."""
        wake = cell.next_wake(mark)
        if wake == cell.wake:
            return
        cell.wake = wake
        if wake is not None:
            self._push((wake, CELL, *where))

    def order(self, at: int, where: CellId) -> None:
        """Set a timer for what is ordered in the cell at `where`."""
        self._push((at, ORDER, *where))

    def _push(self, timer: Timer) -> None:
        heappush(self.heap, timer)
        if len(self.heap) > self._most:
            # A silence of days, put off by each signal, would leave a timer for each behind.
            self.heap[:] = sorted(one for one in set(self.heap) if self._lives(one))
            self._most = 2 * len(self.heap) + _SPARE

    def _lives(self, timer: Timer) -> bool:
        at, what, name, key = timer
        cell = self._cells.get((name, key))
        return cell is not None and (what == ORDER or cell.wake == at)
