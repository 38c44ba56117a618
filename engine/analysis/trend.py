"""Trend: where a series goes if it goes on like this, and how far that can be believed. Pure.

Values are turned so that they rise toward the limit. A series is cut where it is no one series:
at a gap, and at a step in either direction (a restart, a deployment, another pod on the node).
What is left must be a line: the slope is that of Theil and Sen, and the line through its first
two thirds must foretell its last third.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import isnan, log, sqrt
from typing import Final, NamedTuple

from engine.analysis.robust import SIGMA, Line, centre, line, median, smooth

LEAST: Final = 30
"""Buckets that a series needs since its last step or gap."""
GROUPS: Final = 16
"""Points that a line is drawn through: medians of as many groups of buckets."""
_ENDS: Final = 5
_LINE: Final = 0.8
_GAP: Final = 3
_STEP: Final = 6.0
_BAND: Final = 3.0
_DRIFT: Final = 0.25
_CLEAR: Final = 6.0
_DOUBT: Final = 0.5


class Trend(NamedTuple):
    """What a series did since its last step.

    Attributes:
        slope: robust slope in units of the value for each second, positive toward the limit.
        level: value of the line at the end of the last bucket.
        latest: median of the last samples, which may have left the line.
        noise: robust standard deviation about the line.
        span_s: seconds that the series was looked at.
        held: share of the last third, of [0, 1], that fell into the band about the line that was
            drawn through the first two thirds.
        coverage: share of the buckets that had samples, of [0, 1].
        samples: buckets with samples.
        slowing: slope of its second half over that of the first, 1 where they do not differ by
            more than noise explains.
    """

    slope: float
    level: float
    latest: float
    noise: float
    span_s: float
    held: float
    coverage: float
    samples: int
    slowing: float


def heads_for(buckets: Sequence[float], step_s: float, limit: float, within_s: float) -> bool:
    """Whether a series goes toward `limit` so fast that `trend` is worth its time.

    Cheap, and generous: by the means of its ends, and of its last hour's.
    """
    if len(buckets) < LEAST:
        return False
    late = _mean(buckets[-_ENDS:])
    for start in (0, len(buckets) - LEAST):
        rise = late - _mean(buckets[start : start + _ENDS])
        span_s = (len(buckets) - start - _ENDS) * step_s
        if rise > 0 and limit - late <= rise / span_s * within_s:
            return True
    return False


def trend(buckets: Sequence[float], step_s: float, floor: float) -> Trend | None:
    """Return the trend of the end of a series; None where there is too little of it.

    Of a series that is no line all along, the last half is taken, or the last quarter.

    Args:
        buckets: values of equal distance, oldest first, NaN for a gap.
        step_s: seconds between two of them.
        floor: differences that mean nothing, in units of the value.
    """
    lasting = since_step(buckets, floor)
    found = None
    while len(lasting) >= LEAST:
        found = _trend(lasting, step_s, floor)
        if found is None or found.held >= _LINE:
            break
        lasting = lasting[len(lasting) // 2 :]
    return found


def _trend(lasting: Sequence[float], step_s: float, floor: float) -> Trend | None:
    known = [(n * step_s, value) for n, value in enumerate(lasting) if not isnan(value)]
    if len(known) < LEAST:
        return None
    times, values = _grouped(known)
    cut = len(times) * 2 // 3
    whole, early = line(times, values), line(times[:cut], values[:cut])
    noise = _noise(whole, times, values, floor)
    return Trend(
        slope=whole.slope,
        level=whole.at((len(lasting) - 0.5) * step_s),
        latest=values[-1],
        noise=noise,
        span_s=times[-1] - times[0],
        held=_held(early, times, values, cut, noise),
        coverage=len(known) / len(lasting),
        samples=len(known),
        slowing=_slowing(times, values, noise),
    )


def horizon_s(found: Trend, limit: float) -> float | None:
    """Return the seconds until the series reaches `limit`; None where it never does, or has.

    One that slows down is taken to go on slowing down as it did, so it may stay below for ever.
    """
    left = max(limit - found.level, 0.0)
    if found.latest >= limit or found.slope <= 0 or found.slowing <= 0:
        return None
    if found.slowing >= 1:
        return left / found.slope
    fading_s = found.span_s / 2 / -log(found.slowing)
    late = found.slope * 2 * found.slowing / (1 + found.slowing) * sqrt(found.slowing)
    reached = late * fading_s
    return None if reached <= left else fading_s * -log(1 - left / reached)


def confidence(found: Trend, horizon: float) -> float:
    """Return how far a trend can be believed to reach its limit in time, of [0, 1].

    That is the share of its own last third that it foretold, less for gaps, for few samples, for
    a rise that is hardly more than its noise, and for a horizon far beyond what was seen. It is
    measured by tests: of what is told with c, c or more comes true, within half the horizon and
    one and a half of it.
    """
    rise = found.slope * found.span_s
    clear = min(1.0, rise / (_CLEAR * found.noise)) if found.noise > 0 else 1.0
    reach = sqrt(min(1.0, 2 * found.span_s / max(horizon, 1.0)))
    enough = found.samples / (found.samples + 3)
    fading = 1.0 if found.slowing >= 1 else _DOUBT + (1 - _DOUBT) * found.slowing
    return max(0.0, found.held * found.coverage * enough * clear * reach * fading)


def since_step(buckets: Sequence[float], floor: float) -> Sequence[float]:
    """Return the end of a series without a gap of several buckets and without a step."""
    end = len(buckets)
    while end and isnan(buckets[end - 1]):
        end -= 1
    if len(buckets) - end >= _GAP:
        return []
    start = _after_gap(buckets[:end])
    lasting = buckets[start:end]
    known = [value for value in lasting if not isnan(value)]
    places = [place for place, value in enumerate(lasting) if not isnan(value)]
    if len(known) < LEAST:
        return []
    smoothed = smooth(known)
    # Two buckets apart: a step that falls into the middle of a bucket is two halves of one.
    moves = [later - before for before, later in zip(smoothed, smoothed[2:], strict=False)]
    usual = centre(moves, floor / _STEP)
    steps = [n for n, move in enumerate(moves) if abs(move - usual.middle) > _STEP * usual.spread]
    return lasting[places[steps[-1] + 2] :] if steps else lasting


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not isnan(value)]
    return sum(known) / len(known) if known else 0.0


def _after_gap(buckets: Sequence[float]) -> int:
    """Return where the buckets after the last long gap begin."""
    gap = 0
    for place in range(len(buckets) - 1, -1, -1):
        gap = gap + 1 if isnan(buckets[place]) else 0
        if gap >= _GAP:
            return place + gap
    return 0


def _grouped(known: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return the middles of groups of points: median values at mean times."""
    edges = [len(known) * n // GROUPS for n in range(GROUPS + 1)]
    groups = [known[a:b] for a, b in pairwise(edges) if b > a]
    times = [sum(time for time, _ in group) / len(group) for group in groups]
    return times, [median([value for _, value in group]) for group in groups]


def _noise(drawn: Line, times: Sequence[float], values: Sequence[float], floor: float) -> float:
    off = [abs(value - drawn.at(time)) for time, value in zip(times, values, strict=True)]
    return max(SIGMA * median(off), floor / _STEP)


def _held(
    early: Line, times: Sequence[float], values: Sequence[float], cut: int, noise: float
) -> float:
    """Return the share of the points from `cut` on that fell into the band about `early`."""
    then = times[cut - 1]
    within = [
        abs(value - early.at(time)) <= _BAND * noise + _DRIFT * abs(early.slope) * (time - then)
        for time, value in zip(times[cut:], values[cut:], strict=True)
    ]
    return sum(within) / len(within)


def _slowing(times: Sequence[float], values: Sequence[float], noise: float) -> float:
    half = len(times) // 2
    first, second = line(times[:half], values[:half]), line(times[half:], values[half:])
    if first.slope <= 0:
        return 1.0
    # Error of a slope through n points of that noise, spread evenly over the half.
    error = noise * sqrt(12 / half) / (times[half - 1] - times[0])
    ratio = second.slope / first.slope
    doubt = error / first.slope * sqrt(1 + ratio * ratio)
    return 1.0 if ratio + doubt >= 1 else max(ratio, 0.0)
