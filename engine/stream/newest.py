"""Newest: which sample of each series is its latest, for measures with `latest`.

A series leaves a window with its oldest sample first. So of its samples only the latest one
contributes, and it goes on to do so until it leaves itself, or is replaced; nothing else needs to
be known, and a signal costs the same however many samples a window has.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

from engine.rules.rule import Measure
from engine.stream.sample import Sample


class Newest:
    """The samples of each series that a window remembers, oldest first.

    A sample without a series stands for itself; one that is only heard is no sample here.
    """

    __slots__ = ("_latest", "_series")

    def __init__(self, measures: Sequence[Measure]) -> None:
        """Start empty; `measures` are those of the window."""
        self._latest = tuple(one.latest for one in measures)
        self._series: dict[str, deque[Sample]] = {}

    def given(self, sample: Sample) -> tuple[Any, ...]:
        """Return what the sample contributes to each measure: for `latest` if it is that."""
        found = self._series.get(sample.series)
        if found is None or found[-1] is sample:
            return sample.given
        pairs = zip(sample.given, self._latest, strict=False)
        return tuple(None if latest else one for one, latest in pairs)

    def before(self, sample: Sample) -> Sample | None:
        """Return the latest sample of the series of `sample` beside it."""
        found = self._series.get(sample.series, ())
        place = -2 if found and found[-1] is sample else -1
        return found[place] if len(found) >= -place else None

    def load(self, samples: Iterable[Sample]) -> None:
        """Take in what a window remembers, oldest first."""
        for sample in samples:
            self.push(sample)

    def push(self, sample: Sample) -> None:
        """Take the newest sample in."""
        if sample.series and sample.counted:
            self._series.setdefault(sample.series, deque()).append(sample)

    def pop(self, sample: Sample) -> None:
        """Take the newest sample out again."""
        if sample.series and sample.counted:
            self._series[sample.series].pop()
            self._tidy(sample.series)

    def forget(self, samples: Iterable[Sample]) -> None:
        """Drop the oldest samples."""
        for sample in samples:
            if sample.series and sample.counted:
                self._series[sample.series].popleft()
                self._tidy(sample.series)

    def _tidy(self, series: str) -> None:
        if not self._series[series]:
            del self._series[series]


def newest_of(measures: Sequence[Measure]) -> Newest | None:
    """Return what measures with `latest` need; None where there are none."""
    return Newest(measures) if any(one.latest for one in measures) else None
