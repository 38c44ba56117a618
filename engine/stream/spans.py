"""Windows with other edges than the sliding one: tumbling and session."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from engine.rules.rule import Measure
from engine.stream.sample import Sample
from engine.stream.window import Window
from engine.stream.window_state import WindowState

SECOND_US: Final = 1_000_000


class Tumbling(Window):
    """Windows `[k * over, (k + 1) * over)` of stream time: each is emptied at its end."""

    __slots__ = ()

    def _edge(self, at: int) -> int:
        return at - at % self.over_us

    def _exit(self, at: int) -> int:
        return at - at % self.over_us + self.over_us


class Session(Window):
    """Samples that follow one another by at most `gap`, of less than `over` in all.

    A session ends, and is empty, `gap` after its last sample or `over` after its first one,
    whichever comes first. A sample at the very end of the gap still belongs to it; one at the
    very end of `over` begins the next session.
    """

    __slots__ = ("_gap_us", "_starts")

    def __init__(
        self, measures: Sequence[Measure], over_us: int, memory_us: int | None, gap_us: int
    ) -> None:
        """Start empty; `over_us` is the longest session, `gap_us` the silence that ends one."""
        super().__init__(measures, over_us, memory_us)
        self._gap_us = gap_us
        self._starts: list[int] = []

    def add(self, sample: Sample, *, firing: bool) -> None:
        """Fold the newest sample in: into the running session, or as the first of a new one."""
        if sample.counted:
            self._begin(sample.at)
            self._return(self._starts[-1])
        super().add(sample, firing=firing)

    def rewind(self, at: int) -> list[Sample]:
        """Go back to just before `at`; return the samples from there on, oldest first."""
        later = super().rewind(at)
        del self._starts[bisect_left(self._starts, at) :]
        return later

    def trim(self, mark: int) -> set[str]:
        """Drop what no instant from `mark` on can see; return series that were forgotten."""
        dropped = super().trim(mark)
        first = self.samples[0].at if self.samples else mark
        del self._starts[: bisect_left(self._starts, first)]
        return dropped

    def load(self, state: WindowState) -> None:
        """Take over what `dump` returned; the oldest sample that is kept begins a session."""
        super().load(state)
        samples, self.samples = self.samples, []
        for sample in samples:
            if sample.counted:
                self._begin(sample.at)
            self.samples.append(sample)

    def _begin(self, at: int) -> None:
        """Begin a session with a sample at `at`, unless it goes on with the newest one."""
        last = self._last_at(at)
        goes_on = last is not None and at <= last + self._gap_us
        if not goes_on or at >= self._starts[-1] + self.over_us:
            self._starts.append(at)

    def _edge(self, at: int) -> int:
        place = bisect_right(self._starts, at) - 1
        last = self._last_at(at)
        if last is None or at >= self._end(place, last):
            return at + 1
        return self._starts[place]

    def _exit(self, at: int) -> int:
        last = self._last_at(self.samples[-1].at)
        return at if last is None else max(at, self._end(-1, last))

    def _length(self) -> int:
        """Return the time between the first and the last sample, at least a second."""
        last = self._last_at(self.samples[-1].at) if self.samples else None
        return SECOND_US if last is None else max(SECOND_US, last - self._starts[-1])

    def _end(self, place: int, last: int) -> int:
        """Return when the session at `place` ends, were `last` its last sample."""
        return min(last + self._gap_us, self._starts[place] + self.over_us)

    def _last_at(self, at: int) -> int | None:
        """Return the instant of the newest sample up to `at`, of those that count."""
        place = bisect_right(self.samples, at, key=lambda one: one.at)
        while place and not self.samples[place - 1].counted:
            place -= 1
        return self.samples[place - 1].at if place else None
