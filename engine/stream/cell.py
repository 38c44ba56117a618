"""Cell: one rule and group key. Its condition, its hold, and what was told of it.

Everything from the cluster's mark (see engine.stream.stream_time) on is tentative, as a signal
may still arrive out of order. The cell folds each signal at once up to the newest instant and
keeps the moves since the mark in `trail`; a signal that arrives between them takes the cell
back to its instant and folds on from there. What is told can not be taken back:

- a pending or firing that a signal caused is told at once,
- everything else when stream time has passed it,
- and nothing before what came before it.

A move told early stands when a refold finds it again, or finds the same episode from another
instant on; when the refold finds nothing of it, it stands too and ends in the same instant.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from engine.model.firing import State, Transition
from engine.model.ids import firing_id
from engine.rules.rule import Rule
from engine.stream.hold import REST, Event, Held, Phase, move
from engine.stream.members import Members
from engine.stream.reader import Reader
from engine.stream.reasons import Reason
from engine.stream.sample import Sample

if TYPE_CHECKING:
    from engine.stream.orders import Order
    from engine.stream.window import Window

_AT_ONCE = frozenset({State.PENDING, State.FIRING})


class Entry(msgspec.Struct, array_like=True):
    """One move of the hold: what it led to, and what is told of it (nothing: None).

    `nodes` are those of the members; `prompt`: a signal caused it; `told`: it was given out;
    `merged`: instant of a later move, told early, that stands for this one as well; -1: none.
    """

    at: int
    held: Held
    transition: Transition | None
    nodes: frozenset[str] = frozenset()
    prompt: bool = False
    told: bool = False
    merged: int = -1

    def waits(self) -> bool:
        """Whether there is something in it that must still be told."""
        return self.transition is not None and not self.told and self.merged < 0


def ended(opened: Entry, at: int, reason: Reason) -> Transition:
    """Return the end of what was told as open, as its rule ends at `at` for `reason`."""
    phase = move(opened.held.phase, Event.ENDS)
    told = opened.transition
    if told is None:
        raise ValueError("nothing was told of this move")
    state = State.RESOLVED if told.state is State.FIRING else State(phase.value)
    return replace(told, at=max(at, told.at), state=state, reason=reason.value, cause="")


class Cell:
    """The state of one key; see the module. `wake` is when it wants to be looked at."""

    __slots__ = (
        "_early",
        "base",
        "cluster",
        "condition",
        "head",
        "held",
        "key",
        "launched_at",
        "opened",
        "orders",
        "reader",
        "settled",
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
        self.condition: Window | Members = reader.condition()
        self.base = REST
        self.held = REST
        self.head = -1
        self.trail: list[Entry] = []
        self.wake: int | None = None
        self.orders: list[Order] = []
        self.launched_at: int | None = None
        self.spared_until: int | None = None
        self.opened: Entry | None = None
        self.settled = REST
        self._early: dict[int, list[Entry]] = {}

    @property
    def rule(self) -> Rule:
        """The rule."""
        return self.reader.rule

    def fold(self, sample: Sample, mark: int) -> None:
        """Fold one signal in, whatever its place among those from `mark` on."""
        at = sample.at
        if self.trail:
            self._forget(mark)
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

    def tell(self, mark: int) -> list[Entry]:
        """Return the moves that may now be told and were not, in order."""
        found: list[Entry] = []
        for entry in self.trail:
            if entry.transition is None or not entry.waits():
                continue
            if entry.at >= mark and not (entry.prompt and entry.transition.state in _AT_ONCE):
                break
            entry.told = True
            self.opened = entry if entry.transition.state in _AT_ONCE else None
            found.append(entry)
        return found

    def next_wake(self, mark: int) -> int | None:
        """Return the next instant that must be looked at once stream time has passed it."""
        untold = next((one.at for one in self.trail if one.waits()), None)
        cooled = None
        if self.launched_at is not None:
            cooled = self.launched_at + self.rule.cooldown_us
        wishes = (
            self._next_timer(),
            untold,
            self.condition.rest(mark),
            cooled,
            self.spared_until,
        )
        return min((one for one in wishes if one is not None and one >= 0), default=None)

    def trim(self, mark: int) -> set[str]:
        """Drop what is final; return the series of which nothing is remembered any more."""
        self._forget(mark)
        if self.launched_at is not None and self.launched_at + self.rule.cooldown_us < mark:
            self.launched_at = None
        if self.spared_until is not None and self.spared_until < mark:
            self.spared_until = None
        return self.condition.trim(mark)

    def idle(self, mark: int) -> bool:
        """Whether the cell can be forgotten: nothing open, nothing remembered."""
        if self.held.phase is not Phase.INACTIVE or self.orders or self.trail:
            return False
        if self.launched_at is not None or self.spared_until is not None:
            return False
        return self.condition.idle(mark)

    def rebind(self, reader: Reader, mark: int) -> None:
        """Go on under an edited rule of the same hash; a timer now overdue runs at `mark`."""
        self.reader = reader
        if isinstance(self.condition, Members):
            self.condition.rebind(reader.rule.stale_after_us, lasting=reader.lasting)
        due = self._due()
        if due is not None and due < mark:
            count = len(self.trail)
            self._time_out(mark)
            for entry in self.trail[count:]:
                entry.prompt = True

    def _run(self, limit: int) -> None:
        """Run the timers before `limit`, each at its instant."""
        while (at := self._next_timer()) is not None and at < limit:
            self.condition.expire(at)
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
        if at > self.head:
            self.settled = self.held
            self.head = at
        self.condition.expire(at)
        firing = self.settled.phase is Phase.FIRING
        for sample in samples:
            self.condition.add(sample, firing=firing)
        self._decide(at, samples[-1])
        for entry in self._early.pop(at, ()):
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
        """Set the hold back to just before `at`; moves told early wait in `_early`."""
        count = next((i for i, one in enumerate(self.trail) if one.at >= at), len(self.trail))
        for entry in self.trail[count:]:
            if entry.told:
                self._early.setdefault(entry.at, []).append(entry)
        del self.trail[count:]
        for entry in self.trail:
            if entry.merged >= at:
                entry.merged = -1
        self.held = self.trail[-1].held if self.trail else self.base
        self.settled = self.held

    def _forget(self, mark: int) -> None:
        """Let the base take in the moves that are final and told."""
        count = 0
        for entry in self.trail:
            if entry.at >= mark or entry.merged >= mark or entry.waits():
                break
            self.base = entry.held
            count += 1
        if count:
            del self.trail[:count]

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
            self._move(at, after, (State.PENDING, Reason.THRESHOLD, ""), sample)
        else:
            self._fire(at, move(phase, Event.HELD), Reason.THRESHOLD, sample)

    def _fall(self, at: int, sample: Sample | None) -> None:
        held = self.held
        phase = move(held.phase, Event.FALLS)
        if phase is Phase.INACTIVE:
            self._move(at, REST, (State.INACTIVE, self._why(sample), ""), sample)
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
        firing = firing_id(self.rule.name, self.reader.named(self.key), at)
        told = Reason.STORM if self.storm else reason
        self._move(at, Held(phase, at, None, firing), (State.FIRING, told, firing), sample)

    def _resolve(self, at: int, sample: Sample | None) -> None:
        held = self.held
        after = Held(move(held.phase, Event.KEPT))
        self._move(at, after, (State.RESOLVED, self._why(sample), held.firing), sample)

    def _why(self, sample: Sample | None) -> Reason:
        if sample is not None and sample.gone:
            return Reason.DELETED
        burst = isinstance(self.condition, Members) and self.condition.burst is not None
        return Reason.NO_DATA if burst and sample is None else Reason.CLEARED

    def _move(
        self,
        at: int,
        after: Held,
        told: tuple[State, Reason, str] | None = None,
        sample: Sample | None = None,
    ) -> None:
        self.held = after
        if told is None:
            self.trail.append(Entry(at, after, None))
            return
        entry = self._entry(at, after, told, sample.cause if sample else "")
        entry.prompt = sample is not None
        self.trail.append(entry)

    def _entry(self, at: int, after: Held, told: tuple[State, Reason, str], cause: str) -> Entry:
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
            cause=cause,
            members=shown.members,
            member_count=shown.member_count,
            node=shown.node,
        )
        return Entry(at, after, transition, shown.nodes)

    def _reconcile(self, early: Entry) -> None:
        """Let a move that was told early stand beside what the refold has found so far."""
        told: Any = early.transition
        again = self._open_untold(told.state)
        if again is not None:
            again.merged = early.at
        if told.state is State.FIRING:
            self._reopen(early, told.firing)
        elif self.held.phase is Phase.INACTIVE:
            after = Held(Phase.PENDING, early.at)
            self.trail.append(msgspec.structs.replace(early, held=after))
            self.held = after
            self._fall(early.at, None)
        else:
            self.trail.append(msgspec.structs.replace(early, held=self.held))

    def _reopen(self, early: Entry, firing: str) -> None:
        """Go on with the episode `firing`, which was told to begin at `early.at`."""
        fell = self.held.fell
        open_ = self.held.phase is not Phase.INACTIVE
        after = Held(Phase.FIRING, early.at, fell, firing)
        self.trail.append(msgspec.structs.replace(early, held=after))
        self.held = after
        if not open_:
            self._fall(early.at, None)

    def _open_untold(self, state: State) -> Entry | None:
        """Return the untold move that began what is open now, if it led to `state`."""
        for entry in reversed(self.trail):
            if entry.transition is not None and entry.merged < 0:
                same = entry.transition.state is state and not entry.told
                return entry if same else None
        return None
