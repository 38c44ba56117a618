"""Dispatch: what follows from what was told in one cluster: standing firings and orders.

See engine.stream.orders for the rules by which a mission goes, waits or is dropped.
"""

from collections.abc import Callable

from engine.model.firing import State, Transition
from engine.rules.mute import muted_until
from engine.rules.rule import Rule
from engine.stream.cell import Cell
from engine.stream.found import Found
from engine.stream.hold import Phase
from engine.stream.orders import (
    Order,
    Standing,
    Wish,
    inhibited,
    launch,
    names_inhibitor,
    quiet_from,
    reminder,
    same_of,
)
from engine.stream.reader import MAX_DEPTH
from engine.stream.reasons import Reason
from engine.stream.trail import Entry, ended

CellId = tuple[str, tuple[str, ...]]


class Dispatch:
    """Standing firings and orders of one cluster.

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
            if order.wish is Wish.TELL and cell.rule.mode == "shadow":
                order.held = Reason.SHADOW.value
            elif order.held == Reason.SHADOW:
                order.held = ""
            self._await(where, cell, order)

    def tell(self, where: CellId, cell: Cell, entry: Entry) -> None:
        """Give out a move, and follow it up."""
        told = entry.transition
        if told is None:
            return
        if told.state is State.FIRING:
            self._found.transitions.append(told)
            self._stand(where, cell, entry)
            self._order(where, cell, entry)
        elif told.state is State.RESOLVED:
            self._found.end(told, cell.orders)
            self._fall(where, cell, told)
        else:
            self._found.transitions.append(told)

    def end(self, where: CellId, cell: Cell, at: int, reason: Reason) -> None:
        """Give out the end of what is open in `cell`, as its rule ends."""
        self._blocked.pop(where, None)
        if cell.opened is not None:
            told = ended(cell.opened, at, reason)
            self._found.end(told, cell.orders)
            if told.state is State.RESOLVED:
                self._fall(where, cell, told)

    def rebind(self, where: CellId, cell: Cell, before: Rule, at: int) -> None:
        """Go on with `cell` under an edited rule of the same hash, from `at` on."""
        rule = cell.rule
        if before.inhibited_by != rule.inhibited_by or before.mute_during != rule.mute_during:
            self._release(where, cell, at, {Reason.INHIBITED, Reason.MUTED})
        if before.mode != rule.mode:
            self._turn(where, cell, at)
        if before.repeat_us != rule.repeat_us:
            cell.orders = [one for one in cell.orders if one.wish is not Wish.REMIND]
            opened = cell.opened
            if opened is not None and opened.held.firing and opened.transition is not None:
                self._remind(where, cell, Order(opened.transition, opened.nodes, at))

    def settle(self, where: CellId, cell: Cell, at: int) -> None:
        """Do what is due of `cell` by `at`."""
        for order in [one for one in cell.orders if not one.waits() and one.due <= at]:
            match order.wish:
                case Wish.LAUNCH:
                    self._look(where, cell, order, at)
                case Wish.TELL:
                    self._announce(where, cell, order, at)
                case Wish.REMIND:
                    self._repeat(where, cell, order, at)

    def settle_at_once(self, where: CellId, cell: Cell, mark: int) -> None:
        """Launch what waits for nothing, although stream time (`mark`) has not passed it."""
        for order in [one for one in cell.orders if one.wish is Wish.LAUNCH and not one.held]:
            if order.due == order.told.at >= mark:
                self._look(where, cell, order, order.due)

    def _stand(self, where: CellId, cell: Cell, entry: Entry) -> None:
        """Let a firing hold back others; one in shadow mode has no such effect."""
        told = entry.transition
        if told is not None and told.state is State.FIRING and cell.rule.mode == "live":
            standing = Standing(cell.rule, self._cluster, told.key, told.at, entry.nodes)
            self._standing.setdefault(where[0], {})[where] = standing

    def _order(self, where: CellId, cell: Cell, entry: Entry) -> None:
        rule, told = cell.rule, entry.transition
        if told is None:
            return
        if rule.mission is not None or rule.inhibited_by or rule.mute_during:
            self._add(where, cell, Order(told, entry.nodes, told.at + rule.settle_us))
        announced = Order(told, entry.nodes, told.at, Wish.TELL)
        cell.orders.append(announced)
        if rule.mode == "shadow":
            announced.held = Reason.SHADOW.value
        else:
            self._announce(where, cell, announced, told.at)

    def _add(self, where: CellId, cell: Cell, order: Order) -> None:
        cell.orders.append(order)
        self._await(where, cell, order)

    def _await(self, where: CellId, cell: Cell, order: Order) -> None:
        """See to it that `order` is looked at when it should."""
        if order.held == Reason.INHIBITED:
            self._blocked[where] = cell
        elif not order.waits():
            self._due(order.due, where)

    def _put_off(self, where: CellId, order: Order, due: int) -> None:
        order.due = due
        self._due(due, where)

    def _remind(self, where: CellId, cell: Cell, told: Order) -> None:
        """Order the first reminder, `repeat` after the firing was told of."""
        every = cell.rule.repeat_us
        if every and not any(one.wish is Wish.TELL for one in cell.orders):
            due = told.due + every
            self._add(where, cell, Order(told.told, told.nodes, due, Wish.REMIND))

    def _fall(self, where: CellId, cell: Cell, told: Transition) -> None:
        """A firing ended: what it held back settles anew, what was held back of it is dropped."""
        self._standing.get(where[0], {}).pop(where, None)
        if cell.opened is not None and cell.opened.held.firing != told.firing:
            self._stand(where, cell, cell.opened)  # it was told before this earlier episode
        self._blocked.pop(where, None)
        kept = []
        for order in cell.orders:
            if order.told.firing != told.firing:
                kept.append(order)
            elif order.wish is Wish.LAUNCH and not order.held:
                quiet = quiet_from(cell.rule, order.told, cell.met, told.at)
                if quiet > order.due:
                    self._put_off(where, order, quiet)
                kept.append(order)
        cell.orders = kept
        self._free(where[0], told.at)

    def _free(self, inhibitor: str, at: int) -> None:
        for other, held_back in sorted(self._blocked.items(), key=lambda one: one[0]):
            if names_inhibitor(held_back.rule, inhibitor):
                self._release(other, held_back, at, {Reason.INHIBITED})

    def _release(self, where: CellId, cell: Cell, at: int, reasons: set[Reason]) -> None:
        """Let what is held back of `cell` for one of `reasons` settle anew from `at` on."""
        for order in cell.orders:
            if order.held in reasons:
                order.held = ""
                self._touched.add(where)
                self._blocked.pop(where, None)
                anew = cell.rule.settle_us if order.wish is Wish.LAUNCH else 0
                self._put_off(where, order, at + anew)

    def _turn(self, where: CellId, cell: Cell, at: int) -> None:
        """The rule went into shadow mode, or came out of it."""
        self._touched.add(where)
        shadow = cell.rule.mode == "shadow"
        if shadow:
            self._standing.get(where[0], {}).pop(where, None)
            self._free(where[0], at)
        elif cell.opened is not None:
            self._stand(where, cell, cell.opened)
        for order in cell.orders:
            if order.wish is Wish.TELL:
                order.held = Reason.SHADOW.value if shadow else ""
                self._put_off(where, order, max(at, order.due))

    def _announce(self, where: CellId, cell: Cell, order: Order, at: int) -> None:
        """Tell of a firing that has been quiet for `debounce` and is not muted, or wait on."""
        rule, told = cell.rule, order.told
        quiet = quiet_from(rule, told, cell.met, at)
        if quiet > at:
            self._put_off(where, order, quiet)
        elif (until := muted_until(rule.mute_during, at)) is not None:
            order.held = Reason.MUTED.value
            self._put_off(where, order, until)
        else:
            cell.orders.remove(order)
            self._found.notices.append((at, told))
            self._remind(where, cell, order)

    def _repeat(self, where: CellId, cell: Cell, order: Order, at: int) -> None:
        """Tell that a firing goes on, unless it is held back at this instant."""
        rule, every = cell.rule, cell.rule.repeat_us
        reason = self._why_held(cell, order, at)
        if rule.mode == "shadow":
            reason = Reason.SHADOW
        if reason is not None:
            self._found.hold_back(rule.name, reason)
        else:
            lasts = cell.held.phase is Phase.FIRING and cell.held.fell is None
            shown = cell.condition.show() if lasts else None
            self._found.notices.append((at, reminder(order.told, at, shown)))
        self._put_off(where, order, order.due + every)

    def _look(self, where: CellId, cell: Cell, order: Order, at: int) -> None:
        """Decide on a mission that is due at `at`."""
        rule, told = cell.rule, order.told
        open_ = cell.opened is not None and cell.opened.held.firing == told.firing
        quiet = quiet_from(rule, told, cell.met, at)
        if open_ and quiet > at:
            self._put_off(where, order, quiet)
        elif reason := self._why_held(cell, order, at):
            self._hold(where, cell, order, at, reason)
            if not open_:
                cell.orders.remove(order)
        elif order.held:
            order.held = ""
            self._put_off(where, order, at + rule.settle_us)
        else:
            cell.orders.remove(order)
            self._launch(cell, order, at)

    def _hold(self, where: CellId, cell: Cell, order: Order, at: int, reason: Reason) -> None:
        if order.held != reason:
            self._found.suppress(order.told, at, reason)
        order.held = reason.value
        until = muted_until(cell.rule.mute_during, at)
        order.due = order.due if until is None else until
        self._await(where, cell, order)

    def _why_held(self, cell: Cell, order: Order, at: int) -> Reason | None:
        """Return what holds a firing back at `at`; what is due then waits for its end."""
        rule, told = cell.rule, order.told
        standing = {
            one.rule: self._standing.get(one.rule, {}).values() for one in rule.inhibited_by
        }
        mine = Standing(rule, self._cluster, told.key, told.at, order.nodes)
        if inhibited(mine, standing, at):
            return Reason.INHIBITED
        return None if muted_until(rule.mute_during, at) is None else Reason.MUTED

    def _launch(self, cell: Cell, order: Order, at: int) -> None:
        rule, ledger = cell.rule, self._found.ledger
        if rule.mission is None:
            return
        if reason := self._why_dropped(cell, order, at):
            self._found.suppress(order.told, at, reason)
            return
        cell.launched_at = at if rule.cooldown_us else None
        ledger.launch(rule, self._cluster, same_of(rule, self._cluster, order), at)
        if rule.mode == "shadow":
            self._found.hold_back(rule.name, Reason.SHADOW)
            return
        found, faults = launch(rule, self._cluster, order, at)
        self._found.launches.append(found)
        for _ in range(faults):
            cell.reader.count("bad_params")

    def _why_dropped(self, cell: Cell, order: Order, at: int) -> Reason | None:
        rule, since, until = cell.rule, cell.launched_at, cell.spared_until
        if since is not None and at - since < rule.cooldown_us:
            return Reason.COOLDOWN
        if until is not None and order.told.at <= until and not order.carried:
            cell.spared_until = None
            return Reason.RULE_CHANGED
        if order.told.depth >= MAX_DEPTH:
            return Reason.TOO_DEEP
        same = same_of(rule, self._cluster, order)
        return self._found.ledger.refuses(rule, self._cluster, same, at)
