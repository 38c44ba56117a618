"""Cell: one rule and group key. Its condition, its hold, and what was told of it.

Everything from the cluster's mark (see engine.stream.stream_time) on is tentative, as a signal
may still arrive out of order. The cell folds each signal at once up to the newest instant; the
moves since the mark stand in its trail. A signal that arrives between them takes the cell back
to its instant, and it folds on from there. A move told early (see engine.stream.trail) stands
when a refold finds it again, or finds the same episode from another instant on; when the refold
finds nothing of it, it stands too and ends in the same instant.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

from engine.model.firing import State, Transition
from engine.rules.rule import Rule
from engine.stream.conditions import episode
from engine.stream.hold import REST, Event, Held, Phase, move
from engine.stream.reader import Reader
from engine.stream.reasons import Reason
from engine.stream.sample import Sample
from engine.stream.trail import Entry, Trail, opens

if TYPE_CHECKING:
    from engine.stream.orders import Order


class Cell:
    """The state of one key; see the module. `wake` is when it wants to be looked at.

    `met` are instants of true signals while it fires, for rules with `debounce`.
    """

    __slots__ = (
        "cluster",
        "condition",
        "head",
        "held",
        "key",
        "launched_at",
        "met",
        "opened",
        "orders",
        "reader",
        "spared_until",
        "storm",
        "trail",
        "wake",
    )

    def __init__(self, reader: Reader, cluster: str, key: tuple[str, ...], *, storm: bool) -> None:
        """Start inactive; `storm`: the key stands for all keys beyond `max_keys`."""
        self.reader = reader
        self.cluster = cluster
        self.key = key
        self.storm = storm
        self.condition = reader.condition()
        self.held = REST
        self.head = -1
        self.trail = Trail()
        self.met: list[int] = []
        self.wake: int | None = None
        self.orders: list[Order] = []
        self.launched_at: int | None = None
        self.spared_until: int | None = None
        self.opened: Entry | None = None

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.reader.rule

    def fold(self, sample: Sample, mark: int) -> None:
        """Fold one signal in, whatever its place among those from `mark` on."""
        at = sample.at
        if self.trail.entries:
            self.trail.forget(mark)
        if at > self.head:
            self._run(at)
            self._take([sample])
        elif at == self.head:
            self._restore(at)
            self._take([sample])
        else:
            later = self.condition.rewind(at)
            self._restore(at)
            place = next((i for i, one in enumerate(later) if one.at > at), len(later))
            self._refold([*later[:place], sample, *later[place:]])

    def run_to(self, at: int) -> None:
        """Run the timers up to and including `at`."""
        self._run(at + 1)

    def tell(self, limit: int) -> list[Entry]:
        """Return the moves that may be told once stream time is `limit`, and were not."""
        found = self.trail.tell(limit)
        if found:
            last = self.trail.last_told()
            self.opened = last if last is not None and opens(last) else None
        return found

    def next_wake(self, mark: int) -> int | None:
        """Return the next instant that must be looked at once stream time has passed it."""
        wishes = [self._next_timer(), self.condition.rest(mark), self.spared_until]
        if self.trail.entries:
            wishes.append(self.trail.next_untold())
        if self.launched_at is not None:
            wishes.append(self.launched_at + self.rule.cooldown_us)
        return min([one for one in wishes if one is not None and one >= 0], default=None)

    def trim(self, mark: int) -> set[str]:
        """Drop what is final; return the series of which nothing is remembered any more."""
        self.trail.forget(mark)
        if self.met:
            dues = (order.due for order in self.orders if not order.waits())
            edge = min(dues, default=mark)
            del self.met[: max(0, bisect_left(self.met, min(edge, mark)) - 1)]
        if self.launched_at is not None and self.launched_at + self.rule.cooldown_us < mark:
            self.launched_at = None
        if self.spared_until is not None and self.spared_until < mark:
            self.spared_until = None
        return self.condition.trim(mark)

    def idle(self, mark: int) -> bool:
        """Whether the cell can be forgotten: nothing open, nothing remembered."""
        if self.held.phase is not Phase.INACTIVE or self.orders or self.trail.entries:
            return False
        if self.launched_at is not None or self.spared_until is not None:
            return False
        return self.condition.idle(mark)

    def rebind(self, reader: Reader, mark: int) -> None:
        """Go on under an edited rule of the same hash; a timer now overdue runs at `mark`.

        A condition that is another one now (a schedule more or less) is looked at from there on.
        """
        self.reader = reader
        before, self.condition = self.condition, reader.rebound(self.condition, mark)
        if self.condition is not before:
            at = max(mark, self.head)
            self.condition.expire(at, firing=self.held.phase is Phase.FIRING)
            self._decide(at, None)
        due = self._due()
        if due is not None and due < mark:
            count = len(self.trail.entries)
            self._time_out(mark)
            for entry in self.trail.entries[count:]:
                entry.prompt = True

    def _run(self, limit: int) -> None:
        """Run the timers before `limit`, each at its instant."""
        while (at := self._next_timer()) is not None and at < limit:
            self.condition.expire(at, firing=self.held.phase is Phase.FIRING)
            self._decide(at, None)
            self._time_out(at)

    def _next_timer(self) -> int | None:
        change, due = self.condition.next_change(), self._due()
        if change is None or due is None:
            return due if change is None else change
        return min(change, due)

    def _due(self) -> int | None:
        """Return when `for` or `keep_firing_for` has run its time."""
        held = self.held
        if held.phase is Phase.PENDING:
            return held.since + self.rule.for_us
        return None if held.fell is None else held.fell + self.rule.keep_firing_for_us

    def _take(self, samples: list[Sample]) -> None:
        """Fold the samples of one instant, then decide; `head` is the newest one so far."""
        at = samples[-1].at
        self.head = max(self.head, at)
        firing = self.held.phase is Phase.FIRING
        for sample in samples:
            self.condition.add(sample, firing=firing)
        self.condition.expire(at, firing=firing)
        self._decide(at, samples[-1])
        fires = self.held.firing and self.held.fell is None
        if self.rule.debounce_us and fires and any(one.met for one in samples):
            self.met.append(at)
        for entry in self.trail.early.pop(at, ()):
            self._reconcile(entry)

    def _refold(self, samples: list[Sample]) -> None:
        self.head = -1
        start = 0
        while start < len(samples):
            at = samples[start].at
            end = start
            while end < len(samples) and samples[end].at == at:
                end += 1
            self._run(at)
            self._take(samples[start:end])
            start = end

    def _restore(self, at: int) -> None:
        """Set the hold back to just before `at`; moves told early wait in the trail."""
        self.held = self.trail.restore(at)
        del self.met[bisect_left(self.met, at) :]

    def _decide(self, at: int, sample: Sample | None) -> None:
        """Move the hold by the condition at `at`; `sample`: the signal that decided."""
        held = self.held
        firing = held.phase is Phase.FIRING
        true = self.reader.truth(self.condition, at, firing=firing)
        if true is None:
            return
        if true and (held.phase is Phase.INACTIVE or held.fell is not None):
            self._rise(at, sample)
        elif not true and held.phase is not Phase.INACTIVE and held.fell is None:
            self._fall(at, sample)

    def _rise(self, at: int, sample: Sample | None) -> None:
        held = self.held
        phase = move(held.phase, Event.RISES)
        if phase is Phase.FIRING:
            self._move(at, Held(phase, held.since, None, held.firing))
        elif self.rule.for_us:
            after = Held(phase, at)
            self._move(at, after, (State.PENDING, self._why(sample, true=True), ""), sample)
        else:
            self._fire(at, move(phase, Event.HELD), self._why(sample, true=True), sample)

    def _fall(self, at: int, sample: Sample | None) -> None:
        held = self.held
        phase = move(held.phase, Event.FALLS)
        if phase is Phase.INACTIVE:
            self._move(at, REST, (State.INACTIVE, self._why(sample, true=False), ""), sample)
            return
        self._move(at, Held(phase, held.since, at, held.firing))
        if not self.rule.keep_firing_for_us:
            self._resolve(at, sample)

    def _time_out(self, at: int) -> None:
        held, rule = self.held, self.rule
        if held.phase is Phase.PENDING and held.since + rule.for_us <= at:
            self._fire(at, move(held.phase, Event.HELD), Reason.HOLD, None)
        elif held.fell is not None and held.fell + rule.keep_firing_for_us <= at:
            self._resolve(at, None)

    def _fire(self, at: int, phase: Phase, reason: Reason, sample: Sample | None) -> None:
        firing = episode(self.rule, self.reader.named(self.key), self.condition, at)
        told = Reason.STORM if self.storm else reason
        self._move(at, Held(phase, at, None, firing), (State.FIRING, told, firing), sample)

    def _resolve(self, at: int, sample: Sample | None) -> None:
        held = self.held
        after = Held(move(held.phase, Event.KEPT))
        why = self._why(sample, true=False)
        self._move(at, after, (State.RESOLVED, why, held.firing), sample)

    def _why(self, sample: Sample | None, *, true: bool) -> Reason:
        if sample is not None and sample.gone and not true:
            return Reason.DELETED
        return self.condition.why(sample, true=true)

    def _move(
        self,
        at: int,
        after: Held,
        told: tuple[State, Reason, str] | None = None,
        sample: Sample | None = None,
    ) -> None:
        self.held = after
        if told is None:
            self.trail.entries.append(Entry(at, after, None))
            return
        entry = self._entry(at, after, told, sample)
        entry.prompt = sample is not None
        self.trail.entries.append(entry)

    def _depth(self) -> int:
        """Return the depth of what is open or pending, for a timer that moves it."""
        moves = (one.transition for one in reversed(self.trail.entries) if one.transition)
        before = next(moves, self.opened.transition if self.opened else None)
        return before.depth if before else 0

    def _entry(
        self, at: int, after: Held, told: tuple[State, Reason, str], sample: Sample | None
    ) -> Entry:
        shown = self.condition.show()
        state, reason, firing = told
        transition = Transition(
            at=at,
            rule=self.rule.name,
            key=self.reader.named(self.key),
            state=state,
            value=shown.value,
            firing=firing,
            reason=reason.value,
            cause=sample.cause if sample else "",
            members=shown.members,
            member_count=shown.member_count,
            node=shown.node,
            depth=sample.depth if sample else self._depth(),
        )
        return Entry(at, after, transition, shown.nodes)

    def _reconcile(self, early: Entry) -> None:
        """Let a move that was told early stand beside what the refold has found so far."""
        self.trail.merge(early)
        quiet = self.held.phase is Phase.INACTIVE
        if early.held.phase is Phase.FIRING:
            after = Held(Phase.FIRING, early.at, self.held.fell, early.held.firing)
        else:
            after = Held(Phase.PENDING, early.at) if quiet else self.held
        self.held = self.trail.keep(early, after)
        if quiet:
            self._fall(early.at, None)
