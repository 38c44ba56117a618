"""Asking again although nothing changed: `reevaluate`. A certificate stays; time moves.

Levels remember the latest signal of each object or series, true or not, and the rule's `when`
is asked of it again every so often, with `now` as the instant. A window's `having` is asked
again while there is something in it. The instants are those of the signal + a multiple of
`reevaluate`.
"""

from bisect import bisect_left
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, Final

import msgspec

from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.condition import Condition
from engine.stream.layer import Layer
from engine.stream.sample import Sample
from engine.stream.window import Window

Judge = Callable[[Signal, int], Sample | None]
"""What a signal says to the rule at an instant; None where it says nothing (an error)."""
_SPARE: Final = 64


class AgainState(msgspec.Struct, array_like=True):
    """Latest signals by series, those that the samples replaced, and when which was asked."""

    latest: dict[str, Signal]
    before: list[Signal | None]
    asked: list[tuple[int, str]]


class Again(Layer):
    """Asks levels again every `every_us`."""

    name: ClassVar[str] = "again"
    __slots__ = ("_asked", "_before", "_every_us", "_judge", "_latest", "_timers")

    def __init__(self, inner: Condition, every_us: int, judge: Judge) -> None:
        """Stand round `inner`; `judge` says what a signal means at an instant."""
        super().__init__(inner)
        self._every_us = every_us
        self._judge = judge
        self._latest: dict[str, Signal] = {}
        self._before: list[Signal | None] = []
        self._asked: list[tuple[int, str]] = []
        self._timers: list[tuple[int, str]] = []

    def rebind(self, rule: Rule, mark: int) -> None:
        """Go on under an edited rule of the same hash, from `mark` on."""
        super().rebind(rule, mark)
        self._set_all()

    def expire(self, at: int, *, firing: bool) -> None:
        """Let time be `at`, and ask what is to be asked then."""
        asked: list[str] = []
        while self._timers and self._timers[0][0] <= at:
            due, series = heappop(self._timers)
            signal = self._latest.get(series)
            if signal is not None and due == self._due(signal) and asked[-1:] != [series]:
                asked.append(series)
                self._asked.append((due, series))
        for series in asked:
            sample = self._judge(self._latest[series], at)
            if sample is not None:
                sample.series = series
                self.inner.add(sample, firing=firing)
                self.made = at
        super().expire(at, firing=firing)
        for series in asked:
            self._set(series)

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        start = bisect_left(self.samples, at, key=lambda one: one.at)
        before = self._before[start:]
        del self._before[start:]
        later = super().rewind(at)
        for sample, signal in zip(reversed(later), reversed(before), strict=True):
            if signal is None:
                self._latest.pop(sample.series, None)
            else:
                self._latest[sample.series] = signal
                self._set(sample.series)
        while self._asked and self._asked[-1][0] >= at:
            heappush(self._timers, self._asked.pop())
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what is final; return the series of which nothing is remembered any more."""
        dropped = super().trim(mark)
        del self._before[: len(self._before) - len(self.samples)]
        del self._asked[: bisect_left(self._asked, (mark, ""))]
        return dropped

    def idle(self, mark: int) -> bool:
        """Whether nothing is remembered that could matter from `mark` on."""
        return not self._latest and super().idle(mark)

    def series(self) -> set[str]:
        """Return every series that must tell of its moves to other keys."""
        return super().series() | set(self._latest)

    def _take(self, sample: Sample, *, firing: bool) -> None:
        self._before.append(self._latest.get(sample.series))
        if sample.gone or not sample.heard:
            self._latest.pop(sample.series, None)
        elif sample.signal is not None:
            self._latest[sample.series] = sample.signal
            self._set(sample.series)
        super()._take(sample, firing=firing)

    def _set(self, series: str) -> None:
        """Set the timer of a series; timers that no longer hold are passed over when due."""
        if len(self._timers) > _SPARE + 2 * len(self._latest):
            self._set_all()
        else:
            heappush(self._timers, (self._due(self._latest[series]), series))

    def _set_all(self) -> None:
        self._timers = [(self._due(signal), one) for one, signal in self._latest.items()]
        heapify(self._timers)

    def _due(self, signal: Signal) -> int:
        return following(to_us(signal.time), self._every_us, self.now)

    def _next(self) -> int | None:
        timers = self._timers
        while timers:
            due, series = timers[0]
            signal = self._latest.get(series)
            if signal is not None and due == self._due(signal):
                return due
            heappop(timers)
        return None

    def _keeps(self, series: str) -> bool:
        return series in self._latest

    def _dump(self) -> AgainState:
        return AgainState(self._latest, self._before, self._asked)

    def _load(self, own: Any) -> None:
        state = msgspec.convert(own, AgainState)
        self._latest, self._before, self._asked = state.latest, state.before, state.asked
        self._set_all()


class Ticks(Layer):
    """Looks at a window again every `every_us` after its newest sample."""

    name: ClassVar[str] = "ticks"
    __slots__ = ("_every_us", "_window")

    def __init__(self, inner: Window, every_us: int) -> None:
        """Stand round the window `inner`."""
        super().__init__(inner)
        self._window = inner
        self._every_us = every_us

    def _next(self) -> int | None:
        if not self._window.filled():
            return None
        return following(self._window.samples[-1].at, self._every_us, self.now)

    def _keeps(self, series: str) -> bool:
        return series in self._window.seen

    def _dump(self) -> None:
        return None

    def _load(self, own: Any) -> None:
        """Nothing but the samples is known."""


def following(start: int, every: int, now: int) -> int:
    """Return the first `start` + k * `every` after `now`, k at least 1."""
    return start + (max(0, now - start) // every + 1) * every
