"""Whom to tell of what was folded: the one part of a commit that asks the store."""

from engine import meters
from engine.app.in_force import InForce
from engine.app.pending import Pending, Told
from engine.bus.codec import decode
from engine.missions import notices
from engine.model.delivery import Delivery
from engine.model.firing import State, Transition
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.store.store import Store


class Teller:
    """Knows when firings opened, and which signals decided: of this fold, or by the store."""

    def __init__(self, store: Store, force: InForce) -> None:
        self._store = store
        self._force = force
        self._opened: dict[str, int] = {}

    def told(self, pending: Pending) -> Told:
        """Return who is to be told of `pending`. Raises StoreError; then it may be asked again."""
        told = Told()
        for found in pending.transitions:
            rule = self._force.rule_of(found.rule, found.firing)
            if rule is not None:
                told.labels[rule.name] = rule.labels
            if found.state is State.FIRING:
                self._opened.setdefault(found.firing, found.at)
        for found in pending.notices:
            told.deliveries.extend(self._deliveries(found, pending))
        return told

    def forget(self, written: Pending) -> None:
        """Let go of what ended in `written`."""
        for found in written.transitions:
            if found.state is State.RESOLVED:
                self._opened.pop(found.firing, None)

    def _deliveries(self, found: Transition, pending: Pending) -> list[Delivery]:
        rule = self._force.rule_of(found.rule, found.firing)
        if rule is None:
            return []
        cause = self._signal(found.cause, pending)
        about = notices.Told(found, self._opened_at(found.firing), cause)
        return list(notices.tell_transition(rule, about, self._force.routes))

    def _opened_at(self, firing: str) -> int | None:
        """Return when `firing` opened, here or before this fold began."""
        if firing not in self._opened and (row := self._store.firing(firing)) is not None:
            self._opened[firing] = to_us(row.opened)
        return self._opened.get(firing)

    def _signal(self, cause: str, pending: Pending) -> Signal | None:
        """Return the signal that decided, of this commit or of one before it."""
        if not cause:
            return None
        record = pending.causes.get(cause) or self._store.signal(cause)
        return decode(record).signals[0] if record else None


def count(found: Transition) -> None:
    """Count a move in the metrics."""
    if found.state is State.FIRING:
        meters.FIRINGS.labels(found.rule).inc()
    elif found.state is State.SUPPRESSED:
        meters.SUPPRESSED.labels(found.reason).inc()
