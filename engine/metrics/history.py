"""The short history of series: a bounded number of points each, and what they say. Pure.

Windows are left-open, `(t - window, t]`. A gap is no value: nothing is said where there are too
few points.
"""

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from math import ceil
from typing import Final

from engine.model.series import Point

_WRAPS: Final = (float(1 << 32), float(1 << 64))
"""Where counters begin again at zero by themselves."""
_NEAR: Final = 0.1
"""A counter within this share of its end that begins again near zero has wrapped."""


def mean(points: Sequence[Point]) -> float | None:
    """Return the mean of the values, None without any."""
    return sum(one.value for one in points) / len(points) if points else None


def percentile(points: Sequence[Point], share: float) -> float | None:
    """Return the least value that `share` of [0, 1] of the values stay at or below."""
    if not points:
        return None
    ordered = sorted(one.value for one in points)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def increase(points: Sequence[Point]) -> float:
    """Return by how much a counter grew from the first to the last of `points`.

    One that fell began anew and grew by what it is now, unless it was near the end of 32 or 64
    bits and is near zero: then it wrapped.
    """
    pairs = zip(points, islice(points, 1, None), strict=False)
    return sum(_step(before.value, after.value) for before, after in pairs)


def rate(points: Sequence[Point], gap: timedelta) -> float | None:
    """Return the growth of a counter per second, None where no two points are near enough.

    Steps over more than `gap` count neither as growth nor as time.
    """
    grown = covered_s = 0.0
    for before, after in zip(points, islice(points, 1, None), strict=False):
        if timedelta() < after.at - before.at <= gap:
            grown += _step(before.value, after.value)
            covered_s += (after.at - before.at).total_seconds()
    return grown / covered_s if covered_s else None


def _step(before: float, after: float) -> float:
    if after >= before:
        return after - before
    for end in _WRAPS:
        if end * (1 - _NEAR) <= before < end and after <= end * _NEAR:
            return end - before + after
    return after


class Histories:
    """The latest points of series by key, at most `points` each over `span`, of `most` series.

    Of too many series the one that was silent for longest is forgotten.
    """

    def __init__(self, *, span: timedelta, points: int, most: int) -> None:
        self._span = span
        self._points = points
        self._most = most
        self._series: OrderedDict[str, deque[Point]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._series)

    def add(self, key: str, point: Point) -> None:
        """Remember a point; one that is not newer than the latest of its series is left out."""
        kept = self._series.get(key)
        if kept is None:
            kept = self._series[key] = deque(maxlen=self._points)
        elif kept and point.at <= kept[-1].at:
            return
        kept.append(point)
        self._series.move_to_end(key)
        while kept[0].at <= point.at - self._span:
            kept.popleft()
        if len(self._series) > self._most:
            self._series.popitem(last=False)

    def window(self, key: str, until: datetime, window: timedelta) -> list[Point]:
        """Return the points in `(until - window, until]`, oldest first."""
        kept = list(self._series.get(key, ()))
        first = bisect_right(kept, until - window, key=_instant)
        return kept[first : bisect_right(kept, until, key=_instant)]

    def prune(self, now: datetime) -> None:
        """Forget the series of which no point is within the span."""
        for key in list(self._silent(now)):
            del self._series[key]

    def _silent(self, now: datetime) -> Iterator[str]:
        for key, kept in self._series.items():  # silent for longest first
            if kept[-1].at > now - self._span:
                return
            yield key


def _instant(point: Point) -> datetime:
    return point.at
