"""Robust statistics: middle, spread and slope that a few odd values do not move. Pure.

Source: median absolute deviation scaled to the standard deviation of a normal distribution;
slope by Theil and Sen: the median of the slopes of all pairs of points.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

SIGMA: Final = 1.4826
"""What the median absolute deviation of normally distributed values times this is: sigma."""


class Centre(NamedTuple):
    """Median, and robust standard deviation, of the same unit as the values."""

    middle: float
    spread: float

    def score(self, value: float) -> float:
        """Return how many spreads `value` lies above the middle; 0 where there is no spread."""
        return (value - self.middle) / self.spread if self.spread > 0 else 0.0


class Line(NamedTuple):
    """A line: its value at time 0, and its slope for each unit of time."""

    base: float
    slope: float

    def at(self, time: float) -> float:
        """Return the value at `time`."""
        return self.base + self.slope * time


def median(values: Sequence[float]) -> float:
    """Return the median of at least one value."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def centre(values: Sequence[float], least: float = 0.0) -> Centre:
    """Return middle and spread of at least one value; `least` is the spread of flat ones."""
    middle = median(values)
    return Centre(middle, max(SIGMA * median([abs(one - middle) for one in values]), least))


def line(times: Sequence[float], values: Sequence[float]) -> Line:
    """Return the line by Theil and Sen through at least two points; times rise strictly.

    It takes the square of the number of points: give a few dozen.
    """
    slopes = [
        (value - values[one]) / (time - times[one])
        for place, (time, value) in enumerate(zip(times, values, strict=True))
        for one in range(place)
    ]
    slope = median(slopes)
    pairs = zip(times, values, strict=True)
    return Line(median([value - slope * time for time, value in pairs]), slope)


def smooth(values: Sequence[float]) -> list[float]:
    """Return each value as the median of it and its neighbours: a lone spike is gone."""
    if not values:
        return []
    middle = [sorted(values[place : place + 3])[1] for place in range(len(values) - 2)]
    return [values[0], *middle, values[-1]] if len(values) > 1 else list(values)
