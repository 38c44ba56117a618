"""Keys: the cells of one cluster, and which of them must hear of an object's later signals."""

from collections import Counter
from collections.abc import Iterator

from engine.stream.cell import Cell
from engine.stream.dispatch import CellId
from engine.stream.orders import carried
from engine.stream.reader import Reader


class Keys:
    """The cells by rule and key; `holders` are those that remember a series."""

    __slots__ = ("_cluster", "_sizes", "cells", "holders")

    def __init__(self, cluster: str) -> None:
        """Start without any."""
        self._cluster = cluster
        self._sizes: Counter[str] = Counter()
        self.cells: dict[CellId, Cell] = {}
        self.holders: dict[str, dict[CellId, Cell]] = {}

    def of(self, reader: Reader, key: tuple[str, ...]) -> tuple[CellId, Cell]:
        """Return the cell of `key`; beyond `max_keys` the one for all new keys."""
        rule = reader.rule
        where = (rule.name, key)
        cell = self.cells.get(where)
        if cell is not None:
            return where, cell
        storm = self._sizes[rule.name] >= rule.max_keys
        if storm:
            reader.count("storm")
            key = tuple(self._cluster if name == "cluster" else "*" for name in rule.by)
            where = (rule.name, key)
            cell = self.cells.get(where)
        if cell is None:
            cell = self.cells[where] = Cell(reader, self._cluster, key, storm=storm)
            self._sizes[rule.name] += not storm
        return where, cell

    def add(self, cell: Cell) -> CellId:
        """Take in a cell that is there already; return its place."""
        where = (cell.rule.name, cell.key)
        self.cells[where] = cell
        self._sizes[cell.rule.name] += not cell.storm
        if cell.reader.follows:
            for series in cell.condition.series():
                self.hold(series, where, cell)
        return where

    def hold(self, series: str, where: CellId, cell: Cell) -> None:
        """Let the cell hear of later signals of `series`."""
        self.holders.setdefault(series, {})[where] = cell

    def holder(self, series: str) -> tuple[CellId, Cell] | None:
        """Return a cell that remembers `series`, None where none does."""
        return next(iter(self.holders.get(series, {}).items()), None)

    def let_go(self, series: str, where: CellId) -> None:
        """The cell at `where` remembers nothing of `series` any more."""
        holders = self.holders.get(series)
        if holders is not None:
            holders.pop(where, None)
            if not holders:
                del self.holders[series]

    def drop(self, where: CellId, cell: Cell) -> None:
        """Forget a cell."""
        if self.cells.pop(where, None) is not None:
            self._sizes[where[0]] -= not cell.storm
        for series in cell.condition.series():
            self.let_go(series, where)

    def in_order(self) -> Iterator[tuple[CellId, Cell]]:
        """Yield all cells that there are now, in order of rule and key."""
        yield from sorted(self.cells.items(), key=lambda one: one[0])

    def gapped(self) -> Iterator[tuple[CellId, Cell]]:
        """Yield the cells that must know of gaps, in order of rule and key."""
        concerned = [one for one in self.cells.items() if one[1].reader.gapped]
        yield from sorted(concerned, key=lambda one: one[0])


def renewed(old: Cell, reader: Reader, key: tuple[str, ...], mark: int) -> Cell:
    """Return the cell of a changed rule: its missions are remembered, nothing else is.

    A mission that settles still goes. The next firing launches none if one was launched for an
    episode that the change cut off at `mark`, unless it comes much later.
    """
    rule = reader.rule
    cell = Cell(reader, old.cluster, key, storm=old.storm)
    cell.orders = carried(old.orders)
    cell.launched_at = old.launched_at
    cell.spared_until = old.spared_until
    cut = old.opened is not None and bool(old.opened.held.firing)
    if cut and rule.mission is not None:
        quiet = rule.over_us + rule.for_us + rule.settle_us + rule.stale_after_us
        cell.spared_until = mark + max(rule.cooldown_us, quiet)
    return cell
