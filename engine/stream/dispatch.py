"""Dispatch: what follows from what was told in one cluster: standing firings and missions.

See engine.stream.orders for the rules by which a mission goes, waits or is dropped.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from engine.model.firing import Launch, State, Transition
from engine.stream.cell import Cell
from engine.stream.orders import Order, Standing, inhibited, launch, names_inhibitor
from engine.stream.reasons import Reason
from engine.stream.trail import Entry, ended

CellId = tuple[str, tuple[str, ...]]


@dataclass
class Found:
    """What was found since it was last given out, in all clusters."""

    transitions: list[Transition] = field(default_factory=list)
    launches: list[Launch] = field(default_factory=list)
    counters: Counter[str] = field(default_factory=Counter)


class Dispatch:
    """Standing firings and waiting missions of one cluster.

    `due(at, where)` asks the fold to call `settle` at the instant `at`.
    """

    __slots__ = ("_blocked", "_cluster", "_due", "_found", "_standing", "_touched")

    def __init__(
        self,
        cluster: str,
        found: Found,
        due: Callable[[int, CellId], None],
        touched: set[CellId],
    ) -> None:
        """Start with nothing; `touched` takes up the cells that are changed here."""
        self._cluster = cluster
        self._found = found
        self._due = due
        self._standing: dict[str, dict[CellId, Standing]] = {}
        self._blocked: dict[CellId, Cell] = {}
        self._touched = touched

    def take_in(self, where: CellId, cell: Cell) -> None:
        """Take in a cell of a checkpoint: what stands, what waits."""
        if cell.opened is not None:
            self._stand(where, cell, cell.opened)
        for order in cell.orders:
            if order.blocked:
                self._blocked[where] = cell
            else:
                self._due(order.due, where)

    def tell(self, where: CellId, cell: Cell, entry: Entry) -> None:
        """Give out a move, and follow it up."""
        told = entry.transition
        if told is None:
            return
        self._found.transitions.append(told)
        if told.state is State.FIRING:
            self._stand(where, cell, entry)
            self._order(where, cell, entry)
        elif told.state is State.RESOLVED:
            self.fall(where, cell, told)

    def end(self, where: CellId, cell: Cell, at: int, reason: Reason) -> None:
        """Give out the end of what is open in `cell`, as its rule ends."""
        self._blocked.pop(where, None)
        if cell.opened is not None:
            told = ended(cell.opened, at, reason)
            self._found.transitions.append(told)
            if told.state is State.RESOLVED:
                self.fall(where, cell, told)

    def fall(self, where: CellId, cell: Cell, told: Transition) -> None:
        """A firing ended: what it held back settles anew, what was held back of it is dropped."""
        self._standing.get(where[0], {}).pop(where, None)
        kept = [one for one in cell.orders if not (one.blocked and one.told.firing == told.firing)]
        if len(kept) < len(cell.orders):
            cell.orders = kept
            self._blocked.pop(where, None)
        for other, held_back in sorted(self._blocked.items(), key=lambda one: one[0]):
            if names_inhibitor(held_back.rule, where[0]):
                self.release(other, held_back, told.at)

    def release(self, where: CellId, cell: Cell, at: int) -> None:
        """Let what is held back of `cell` settle anew from `at` on."""
        if self._blocked.pop(where, None) is None:
            return
        self._touched.add(where)
        for order in cell.orders:
            if order.blocked:
                order.blocked = False
                order.due = at + cell.rule.settle_us
                self._due(order.due, where)

    def settle(self, where: CellId, cell: Cell, at: int) -> None:
        """Decide on the missions of `cell` that are due by `at`."""
        standing = {name: found.values() for name, found in self._standing.items()}
        for order in [one for one in cell.orders if not one.blocked and one.due <= at]:
            told, opened = order.told, cell.opened
            mine = Standing(cell.rule, self._cluster, told.key, told.at, order.nodes)
            if inhibited(mine, standing, at):
                self._suppress(order, at, Reason.INHIBITED)
                order.blocked = opened is not None and opened.held.firing == told.firing
            else:
                self._launch(cell, order, at)
            if order.blocked:
                self._blocked[where] = cell
            else:
                cell.orders.remove(order)

    def _stand(self, where: CellId, cell: Cell, entry: Entry) -> None:
        told = entry.transition
        if told is not None and told.state is State.FIRING:
            standing = Standing(cell.rule, self._cluster, told.key, told.at, entry.nodes)
            self._standing.setdefault(where[0], {})[where] = standing

    def _order(self, where: CellId, cell: Cell, entry: Entry) -> None:
        rule, told = cell.rule, entry.transition
        if told is not None and (rule.mission is not None or rule.inhibited_by):
            order = Order(told, entry.nodes, told.at + rule.settle_us)
            cell.orders.append(order)
            self._due(order.due, where)

    def _launch(self, cell: Cell, order: Order, at: int) -> None:
        rule, since = cell.rule, cell.launched_at
        if rule.mission is None:
            return
        if since is not None and at - since < rule.cooldown_us:
            self._suppress(order, at, Reason.COOLDOWN)
            return
        spared = cell.spared_until is not None and order.told.at <= cell.spared_until
        if spared and not order.carried:
            cell.spared_until = None
            self._suppress(order, at, Reason.RULE_CHANGED)
            return
        found, faults = launch(rule, self._cluster, order, at)
        self._found.launches.append(found)
        for _ in range(faults):
            cell.reader.count("bad_params")
        cell.launched_at = at if rule.cooldown_us else None

    def _suppress(self, order: Order, at: int, reason: Reason) -> None:
        """Tell that a mission was held back, and why."""
        told = replace(order.told, at=at, state=State.SUPPRESSED, reason=reason.value, cause="")
        self._found.transitions.append(told)
        self._found.counters[f'suppressed{{rule="{told.rule}",reason="{reason}"}}'] += 1
