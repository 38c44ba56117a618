"""Season: what a series did on the days before, and whether it does that again. Pure.

A day repeats itself: a peak that comes at the same hour each day is no anomaly, and a rise that
stays below the peaks of the days before leads nowhere new. Both need two days that were seen.
"""

from collections.abc import Sequence
from math import isnan
from typing import Final, NamedTuple

from engine.analysis.robust import Centre, centre
from engine.analysis.trend import Trend

HOUR_S: Final = 3600
DAY: Final = 24
"""Buckets of a day: all series here are by the hour."""
SEEN: Final = 2 * DAY
"""Hours that must have been seen before a day is known."""
_KNOWN: Final = 0.8
UNSEEN: Final = 0.7
"""Most that is believed of a series of which two days were not seen."""
_BEEN_THERE: Final = 0.5
_RELATIVE: Final = 0.05
_AS_FAST: Final = 0.6
_BACK: Final = 0.5


class Oddness(NamedTuple):
    """How unusual a value is.

    Attributes:
        score: robust z-score: spreads above (or below) its last hours, and the same hour of each
            of the days before; the smallest of these, 0 where they do not agree.
        confidence: share of the last day's hours that were not that odd themselves, less for gaps
            and few samples, and for less than two days; of [0, 1].
    """

    score: float
    confidence: float


def novelty(found: Trend, hours: Sequence[float], limit: float) -> float:
    """Return how far a rise to `limit` can be believed by the days before, of [0, 1].

    It is believed where two days are known, the series is above all that it was before the rise
    (or did reach the limit then), and it did not rise as fast at this hour of a day before, only
    to come down again.

    Args:
        found: the rise; values rise toward the limit.
        hours: highest values by the hour, oldest first, up to now, NaN for a gap; of all series
            of that kind, as a new pod is like the one before it.
        limit: what would be reached.
    """
    before = hours[: len(hours) - int(found.span_s // HOUR_S) - 1]
    known = [value for value in before if not isnan(value)]
    if len(known) < SEEN * _KNOWN:
        return UNSEEN
    highest = max(known)
    risen = min(found.level, found.latest) > highest + 2 * found.noise
    news = (risen or highest >= limit) and not _daily(found, hours, len(before))
    return 1.0 if news else _BEEN_THERE


def _daily(found: Trend, hours: Sequence[float], end: int) -> bool:
    """Whether it rose much like this about this hour of a day before, and came down by `end`."""
    length = max(round(found.span_s / HOUR_S), 1)
    tops = [
        top
        for then in range(len(hours) - DAY, length, -DAY)
        for top in range(then - 1, min(then + 2, end))
    ]
    for top in tops:
        rise = hours[top] - hours[top - length]
        later = [value for value in hours[top:end] if not isnan(value)]
        fast = rise / length >= _AS_FAST * found.slope * HOUR_S
        if fast and later and hours[top] - min(later) >= _BACK * rise:
            return True
    return False


def oddness(
    value: float,
    recent: Sequence[float],
    hours: Sequence[float],
    least: float,
    worth: float = 0.0,
) -> Oddness:
    """Return how unusual `value` is.

    Args:
        value: the latest value.
        recent: values of the last hours, without the latest ones, NaN for a gap.
        hours: hourly means, oldest first, the last one that of the hour before now.
        least: spread of a series that is flat; a twentieth of its middle is the least, too.
        worth: score below which nobody wants to know how sure it is; then that is 0.
    """
    lately = [one for one in recent if not isnan(one)]
    if not lately:
        return Oddness(0.0, 0.0)
    now = _spread(lately, least)
    days = _same_hour(hours, len(hours), now.spread)
    scores = [now.score(value), *(day.score(value) for day in days)]
    agree = all(score > 0 for score in scores) or all(score < 0 for score in scores)
    score = min(scores, key=abs) if agree else 0.0
    if abs(score) < worth:
        return Oddness(score, 0.0)
    enough = len(lately) / (len(lately) + 3) * len(lately) / len(recent)
    known = sum(not isnan(one) for one in hours[-2 * SEEN :])
    seen = 1.0 if len(days) >= SEEN // DAY and known >= SEEN * _KNOWN else UNSEEN
    return Oddness(score, enough * seen * _quiet(hours, abs(score), now.spread))


def _spread(values: Sequence[float], least: float) -> Centre:
    found = centre(values, least)
    return found._replace(spread=max(found.spread, _RELATIVE * abs(found.middle)))


def _same_hour(hours: Sequence[float], place: int, least: float) -> list[Centre]:
    """Return what each of the days before was like at the hour `place` and beside it.

    Each day by itself: a Saturday is like one before it, and like no Friday.
    """
    found = []
    for then in range(place - DAY, -2, -DAY):
        near = [hours[n] for n in range(max(then - 1, 0), min(then + 2, len(hours)))]
        known = [one for one in near if not isnan(one)]
        if known:
            found.append(_spread(known, least))
    return found


def _quiet(hours: Sequence[float], score: float, least: float) -> float:
    """Return the share of the last day's hours that were less odd than `score`, at their hour."""
    judged = []
    for place in range(max(len(hours) - DAY, 0), len(hours)):
        days = [] if isnan(hours[place]) else _same_hour(hours, place, least)
        if days:
            judged.append(min(abs(day.score(hours[place])) for day in days) < score)
    return sum(judged) / len(judged) if judged else 1.0
