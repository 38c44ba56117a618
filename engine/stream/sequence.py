"""Sequences: steps of one key that come within a time of the first one taken.

A step goes on with the earliest partial sequence that waits for it, and where none does it may
begin a new one; with `overlap` it does both, and goes on with all of them. A complete sequence is
an occurrence: true for `stale_after`. A negated last step completes it by not coming: at the
first step's instant + `within`, which is the last one at which it can still come.
"""

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, ClassVar, Final

import msgspec

from engine.rules.rule import Rule
from engine.rules.rule import Sequence as Steps
from engine.stream.reasons import Reason
from engine.stream.sample import Sample, Shown

MOST_PARTIALS: Final = 100
"""Of one key; a step that would begin another one is passed over and counted."""


class Partial(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Steps taken so far: their places, the ids and nodes of their signals, the first instant."""

    first: int
    places: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()

    def grown(self, place: int, sample: Sample) -> "Partial":
        """Return it with one step more."""
        return Partial(
            self.first,
            (*self.places, place),
            (*self.ids, sample.cause),
            (*self.nodes, sample.node),
        )


class Progress(msgspec.Struct, array_like=True, frozen=True):
    """Partial sequences, oldest first; until when the last whole one counts; which that was.

    `held`: no signal since then made `clear` true.
    """

    partials: tuple[Partial, ...] = ()
    until: int = -1
    whole: Partial | None = None
    held: bool = False


class SequenceState(msgspec.Struct, array_like=True):
    """A sequence as it is stored: where it stood at the mark, and the samples since."""

    base: Progress
    samples: list[Sample]
    now: int


class Sequence:
    """The sequences of one key. `raws` of a sample are the places of the steps that it fits."""

    form: ClassVar[type[Any]] = SequenceState
    __slots__ = (
        "_base",
        "_count",
        "_lasting",
        "_now",
        "_samples",
        "_stale_us",
        "_states",
        "_steps",
    )

    def __init__(self, rule: Rule, steps: Steps, count: Callable[[str], None]) -> None:
        """Start empty; `count("sequence_full")` is told of each step that found no room."""
        self._steps = steps
        self._stale_us = rule.stale_after_us
        self._lasting = rule.clear is not None
        self._count = count
        self._base = Progress()
        self._samples: list[Sample] = []
        self._states: list[Progress] = []
        self._now = -1

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under other settings, from the next whole sequence on."""
        del mark
        self._stale_us = rule.stale_after_us
        self._lasting = rule.clear is not None

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in."""
        del firing
        self._take(sample, self._count)

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`; what ends at `at` ends after the samples of that instant."""
        del firing
        self._now = at

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self._samples, at, key=lambda one: one.at)
        later = self._samples[start:]
        del self._samples[start:], self._states[start:]
        self._now = at - 1
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see."""
        count = bisect_left(self._samples, mark, key=lambda one: one.at)
        if count:
            self._base = self._states[count - 1]
            del self._samples[:count], self._states[:count]
        edge = min(mark, self._now + 1)
        self._base = self._swept(self._ended(self._base, edge), mark)
        return set()

    def next_change(self) -> int | None:
        """Return when the next negated step times out, or the last whole sequence goes stale."""
        now = self._present()
        dues = (self._end(one) for one in now.partials if self._waits(one))
        changes = (next(dues, -1), now.until)
        return min((one for one in changes if one > self._now), default=None)

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember."""
        if self._samples:
            return self._samples[-1].at
        ends = (self._base.until, *(self._end(one) for one in self._base.partials[-1:]))
        return max((one for one in ends if one >= mark), default=None)

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        return not (self._samples or self._base.partials or self._base.until >= mark)

    def filled(self) -> bool:
        """Whether a sequence was completed less than `stale_after` ago."""
        return self._present().until > self._now

    def lasts(self) -> bool:
        """Whether the rule's `clear` was not true yet since the last whole sequence."""
        return self._present().held

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false: it ends when no other one came."""
        if true:
            return Reason.SEQUENCE
        return Reason.NO_DATA if sample is None else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """A sequence has no measures."""
        return {}

    def show(self) -> Shown:
        """Describe the last whole sequence: the ids of the signals of its steps."""
        whole = self._present().whole
        if whole is None:
            return Shown({})
        nodes = [node for node in whole.nodes if node]
        return Shown({}, whole.ids, len(whole.ids), frozenset(nodes), nodes[-1] if nodes else "")

    def dump(self) -> SequenceState:
        """Return the state; `load` on a new object restores it."""
        return SequenceState(self._base, self._samples, self._now)

    def load(self, state: SequenceState) -> None:
        """Take over what `dump` returned."""
        self._base, self._now = state.base, state.now
        for sample in state.samples:
            self._take(sample, _known)

    def series(self) -> set[str]:
        """A step is an occurrence: what becomes of its object is of no concern."""
        return set()

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in self._samples)

    def _present(self) -> Progress:
        return self._ended(self._state(), self._now + 1)

    def _state(self) -> Progress:
        return self._states[-1] if self._states else self._base

    def _take(self, sample: Sample, count: Callable[[str], None]) -> None:
        self._states.append(self._after(self._state(), sample, count))
        self._samples.append(sample)

    def _end(self, partial: Partial) -> int:
        return partial.first + self._steps.within_us

    def _waits(self, partial: Partial) -> bool:
        """Whether only the negated step could still come."""
        last = len(self._steps.steps) - 1
        return self._steps.steps[last].negated and len(partial.places) == last

    def _ended(self, was: Progress, at: int) -> Progress:
        """Return `was` with the time-outs before `at`: what waited for a negated step is whole."""
        if not was.partials or self._end(was.partials[0]) >= at:
            return was
        count = bisect_left(was.partials, at, key=self._end)
        kept = was.partials[count:]
        whole = [one for one in was.partials[:count] if self._waits(one)]
        if not whole:
            return Progress(kept, was.until, was.whole, was.held)
        until = self._end(whole[-1]) + self._stale_us
        return Progress(kept, until, whole[-1], self._lasting)

    def _swept(self, was: Progress, mark: int) -> Progress:
        """Return `was` without what can not be completed any more from `mark` on."""
        if not was.partials or self._end(was.partials[0]) >= mark:
            return was
        kept = tuple(one for one in was.partials if self._end(one) >= mark or self._waits(one))
        return Progress(kept, was.until, was.whole, was.held)

    def _after(self, was: Progress, sample: Sample, count: Callable[[str], None]) -> Progress:
        """Return what comes of `was` with `sample`; `count` is told of what finds no room."""
        was = self._ended(was, sample.at)
        if not sample.raws:
            return Progress(was.partials, was.until, was.whole, was.held and not sample.cleared)
        partials, whole, used = self._gone_on(was, sample)
        if (self._steps.overlap or not used) and self._begins(sample.raws[0]):
            if len(partials) < MOST_PARTIALS:
                partials.append(Partial(sample.at).grown(sample.raws[0], sample))
            else:
                count("sequence_full")
        held = was.held and not (self._lasting and sample.cleared)
        if whole is None:
            return Progress(tuple(partials), was.until, was.whole, held)
        return Progress(tuple(partials), sample.at + self._stale_us, whole, self._lasting)

    def _gone_on(self, was: Progress, sample: Sample) -> tuple[list[Partial], Partial | None, bool]:
        """Return what is partial after `sample`, what it completed, and whether it was used."""
        steps, whole, used = self._steps.steps, None, False
        partials = []
        for partial in was.partials:
            spent = used and not self._steps.overlap
            place = None if spent else self._next(partial, sample.raws)
            if place is None:
                partials.append(partial)
                continue
            used = True
            grown = partial.grown(place, sample)
            if len(grown.places) < len(steps):
                partials.append(grown)
            elif not steps[place].negated:
                whole = grown
        return partials, whole, used

    def _next(self, partial: Partial, fits: tuple[int, ...]) -> int | None:
        """Return the place of the step with which `partial` goes on, None for none."""
        if self._steps.ordered:
            place = len(partial.places)
            return place if place in fits else None
        return next((one for one in fits if one not in partial.places), None)

    def _begins(self, place: int) -> bool:
        """Whether the step at `place` may be the first one."""
        return place == 0 or not self._steps.ordered


def _known(_: str) -> None:
    """What was counted before is not counted again."""
