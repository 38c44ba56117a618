"""A sliding window `(t - over, t]` of one key, and the measures over it.

Samples come and go in any order of the caller's making: `add` at the newest instant, `expire`
up to an instant, `rewind` back to before one. Aggregates do not depend on order.
Windows of another kind differ in their edges only; see engine.stream.spans.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from heapq import nsmallest
from typing import Any, ClassVar, Final

from engine.rules.rule import Measure, Rule
from engine.stream.aggregates import AGGREGATES, Aggregate, Steps
from engine.stream.measures import STEPS
from engine.stream.newest import Newest, newest_of
from engine.stream.reasons import Reason
from engine.stream.sample import NAMES_SHOWN, Sample, Shown
from engine.stream.window_state import Seen, WindowState, ends, packed, unpacked

_LAZY: Final = 8


class Window:
    """The samples of one key. `samples[left:]` are in the window; those before have left it."""

    form: ClassVar[type[Any]] = WindowState
    __slots__ = (
        "_aggregates",
        "_count",
        "_counters",
        "_final",
        "_memory_us",
        "_swept",
        "left",
        "measures",
        "newest",
        "over_us",
        "samples",
        "seen",
    )

    def __init__(self, measures: Sequence[Measure], over_us: int, memory_us: int | None) -> None:
        """Start empty.

        Args:
            measures: what is taken.
            over_us: length of the window.
            memory_us: how long the last value of a silent counter counts beyond the window;
                None: until the object is deleted.
        """
        self.measures = measures
        self.samples: list[Sample] = []
        self.left = 0
        self.seen: dict[str, Seen] = {}
        self.over_us = over_us
        self._memory_us = memory_us
        self._aggregates: list[Aggregate] = [AGGREGATES[one.fn]() for one in measures]
        self._counters = any(one.fn in STEPS for one in measures)
        self.newest = newest_of(measures)
        self._count = 0
        self._final = 0
        self._swept = _LAZY

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on as before: all that a window is made of belongs to the hash of its rule."""

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in; `firing` is of no concern to a window."""
        del firing
        if self._counters or sample.growing:
            self._count_up(sample)
        else:
            sample.given = sample.raws
        if self.newest is not None:
            self._replace(self.newest, sample, self.newest.push)
        self.samples.append(sample)
        self._enter(sample)

    def expire(self, at: int, *, firing: bool) -> None:
        """Let go of what is not in the window at `at`."""
        del firing
        samples, edge = self.samples, self._edge(at)
        while self.left < len(samples) and samples[self.left].at < edge:
            self._leave(samples[self.left])
            self.left += 1

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        samples = self.samples
        self._return(self._edge(at - 1))
        start = bisect_left(samples, at, key=lambda one: one.at)
        later = samples[start:]
        for sample in reversed(later):
            self._leave(sample)
            if self.newest is not None:
                self._replace(self.newest, sample, self.newest.pop)
            if isinstance(sample.before, Seen):
                self.seen[sample.series] = sample.before
            else:
                self.seen.pop(sample.series, None)
        del samples[start:]
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see; return series that were forgotten."""
        samples, self._final = self.samples, mark
        if not self.left or (self.left < _LAZY and self.left < len(samples)):
            return set()
        edge = self._edge(mark - 1)
        count = min(bisect_left(samples, edge, key=lambda one: one.at), self.left)
        dropped = {sample.series for sample in samples[:count] if sample.gone}
        if self.newest is not None:
            self.newest.forget(samples[:count])
        del samples[:count]
        self.left -= count
        self._sweep(mark)
        return dropped - self.series() if dropped else dropped

    def next_change(self) -> int | None:
        """Return when the next sample leaves, None for an empty window."""
        if self.left == len(self.samples):
            return None
        return self._exit(self.samples[self.left].at)

    def rest(self, mark: int) -> int | None:
        """Return when there may be nothing left to remember; None: not by time alone."""
        if self.samples:
            return self._exit(self.samples[-1].at)
        self._sweep(mark, force=True)
        if self._memory_us is None or not self.seen:
            return None
        newest = max(seen.at for seen in self.seen.values())
        return newest + self.over_us + self._memory_us

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        if self.samples:
            return False
        self._sweep(mark, force=True)
        return not self.seen

    def filled(self) -> bool:
        """Whether a sample is in the window."""
        return self._count > 0

    def lasts(self) -> bool:
        """An empty window is false."""
        return False

    def why(self, sample: Sample | None, *, true: bool) -> Reason:
        """Return why it became true or false."""
        del sample
        return Reason.THRESHOLD if true else Reason.CLEARED

    def values(self) -> dict[str, Any]:
        """Return the measures; one to which nothing contributed has no value."""
        found = {}
        for place, measure in enumerate(self.measures):
            aggregate = self._aggregates[place]
            if measure.fn == "last":
                value = self._last(place)
            elif measure.fn == "rate" and isinstance(aggregate, Steps):
                value = aggregate.per_second(self._length())
            else:
                value = aggregate.value()
            if value is not None:
                found[measure.name] = value
        return found

    def show(self) -> Shown:
        """Describe the window: its measures and who contributed to them."""
        names, nodes, node = set(), set(), ""
        for sample in self.samples[self.left :]:
            if any(one is not None and one != 0 for one in self._given(sample)):
                names.add(sample.name)
                node = sample.node
                nodes.add(node)
        names.discard("")
        nodes.discard("")
        first = tuple(nsmallest(NAMES_SHOWN, names))
        return Shown(self.values(), first, len(names), frozenset(nodes), node)

    def dump(self) -> WindowState:
        """Return the state; `load` on a new window restores it."""
        unseen = bisect_left(self.samples, self._edge(self._final - 1), key=lambda one: one.at)
        unseen = min(unseen, self.left)
        first = 0 if any(ends(one) for one in self.samples[:unseen]) else unseen
        kept, named = self.samples[first:], self.newest is not None
        return packed(kept, self._final, self.left - first, self.seen, named=named)

    def load(self, state: WindowState) -> None:
        """Take over what `dump` returned."""
        self.samples, self.left, self.seen = list(unpacked(state)), state.left, state.seen
        if self.newest is not None:
            self.newest.load(self.samples)
        for sample in self.samples[self.left :]:
            self._enter(sample)

    def series(self) -> set[str]:
        """Return every series that is remembered."""
        return {sample.series for sample in self.samples if sample.series} | set(self.seen)

    def has(self, series: str, at: int) -> bool:
        """Whether a sample of `series` at `at` is known and not yet final."""
        return any(one.at == at and one.series == series for one in reversed(self.samples))

    def _count_up(self, sample: Sample) -> None:
        """Work out what a counter grew by, and remember its last value."""
        known = sample.before = self.seen.get(sample.series)
        memory = self._memory_us
        if known is not None and memory is not None:
            silent = sample.at - known.at
            known = known if silent <= self.over_us + memory else None
        sample.given = self._contributions(sample, known)
        if sample.gone:
            self.seen.pop(sample.series, None)
        elif any(raw is not None for raw in sample.raws):
            at = 0 if memory is None else sample.at
            self.seen[sample.series] = Seen(at, _merged(sample.raws, known))

    def _contributions(self, sample: Sample, known: Seen | None) -> tuple[Any, ...]:
        given: list[Any] = []
        for place, (measure, raw) in enumerate(zip(self.measures, sample.raws, strict=False)):
            before = known.raws[place] if known else None
            if raw is None:
                given.append(None)
            elif measure.fn in STEPS:
                given.append(STEPS[measure.fn](raw, before, initial=measure.count_initial))
            elif measure.fn == "count" and sample.growing:
                given.append(1 if before is None or raw <= before else raw - before)
            else:
                given.append(raw)
        return tuple(given)

    def _edge(self, at: int) -> int:
        """Return the first instant that is in the window at `at`; it never goes back."""
        return at - self.over_us + 1

    def _exit(self, at: int) -> int:
        """Return when a sample of the instant `at` leaves."""
        return at + self.over_us

    def _length(self) -> int:
        """Return the length over which a rate is taken."""
        return self.over_us

    def _return(self, edge: int) -> None:
        """Let samples from `edge` on that have left come in again."""
        while self.left and self.samples[self.left - 1].at >= edge:
            self.left -= 1
            self._enter(self.samples[self.left])

    def _replace(self, newest: Newest, sample: Sample, change: Callable[[Sample], None]) -> None:
        """Let `change` decide which sample of the series of `sample` is its latest."""
        before, window = newest.before(sample), self.samples[self.left : self.left + 1]
        if before is None or not window or before.at < window[0].at:
            change(sample)
            return
        self._leave(before)
        change(sample)
        self._enter(before)

    def _given(self, sample: Sample) -> tuple[Any, ...]:
        """Return what the sample contributes while it is in the window."""
        return sample.given if self.newest is None else self.newest.given(sample)

    def _enter(self, sample: Sample) -> None:
        self._count += sample.counted
        for aggregate, one in zip(self._aggregates, self._given(sample), strict=False):
            if one is not None:
                aggregate.add(one)

    def _leave(self, sample: Sample) -> None:
        self._count -= sample.counted
        for aggregate, one in zip(self._aggregates, self._given(sample), strict=False):
            if one is not None:
                aggregate.drop(one)

    def _last(self, place: int) -> Any:
        for index in range(len(self.samples) - 1, self.left - 1, -1):
            given = self.samples[index].given
            if given and given[place] is not None:
                return given[place]
        return None

    def _sweep(self, mark: int, *, force: bool = False) -> None:
        """Drop counters too old to count: saves memory, changes no result."""
        if self._memory_us is None or (len(self.seen) < self._swept and not force):
            return
        edge = mark - self.over_us - self._memory_us
        self.seen = {series: seen for series, seen in self.seen.items() if seen.at >= edge}
        self._swept = _LAZY + 2 * len(self.seen)


def _merged(raws: tuple[Any, ...], known: Seen | None) -> tuple[Any, ...]:
    if known is None or None not in raws:
        return raws
    return tuple(old if new is None else new for new, old in zip(raws, known.raws, strict=True))
