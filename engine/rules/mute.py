"""Time intervals: whether one holds at an instant, until when, and from when on.

Intervals speak of local time. Between two changes of a zone's offset local time runs as stream
time does, so an end is looked for from one such change, or midnight, to the next.
"""

from calendar import monthrange
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engine.model.instant import MICROS, from_us
from engine.rules.rule import Interval

_DAY_MINUTES: Final = 1440
_LOOKS: Final = 300
"""Boundaries looked at, days mostly; an interval that lasts longer is looked at again then."""


def muted_until(intervals: Iterable[Interval], at: int) -> int | None:
    """Return when to look again, as one of `intervals` holds at `at`; None where none does.

    That is its end, in microseconds since 1970, or an instant far ahead at which it still holds.
    """
    ends = (_end(one, at) for one in intervals if inside(one, at))
    return min(ends, default=None)


def next_within(intervals: Iterable[Interval], at: int) -> int:
    """Return the first instant from `at` on at which one of `intervals` holds.

    Where none does for long it is an instant far ahead, to look again then.
    """
    return min(_start(one, at) for one in intervals)


def inside(interval: Interval, at: int) -> bool:
    """Whether `interval` holds at `at` (microseconds since 1970)."""
    local = _local(interval, at)
    minute = local.hour * 60 + local.minute
    days = monthrange(local.year, local.month)[1]
    of_month = tuple(
        (_day(first, days), _day(last, days)) for first, last in interval.days_of_month
    )
    timely = not interval.times or any(start <= minute < end for start, end in interval.times)
    return (
        timely
        and _within(local.weekday(), interval.weekdays)
        and _within(local.day, of_month)
        and _within(local.month, interval.months)
        and _within(local.year, interval.years)
    )


def _within(value: int, ranges: Iterable[tuple[int, int]]) -> bool:
    ranges = tuple(ranges)
    return not ranges or any(first <= value <= last for first, last in ranges)


def _day(day: int, days: int) -> int:
    """Return the day of a month of `days` days; -1 is its last one."""
    return day if day > 0 else days + 1 + day


def _end(interval: Interval, at: int) -> int:
    for _ in range(_LOOKS):
        at = _boundary(interval, at)
        if not inside(interval, at):
            break
    return at


def _start(interval: Interval, at: int) -> int:
    for _ in range(_LOOKS):
        if inside(interval, at):
            break
        minute = _minute(interval, at)
        starts = (start for start, _ in interval.times if start > minute)
        at = _at_minute(interval, at, min(starts, default=_DAY_MINUTES))
    return at


def _boundary(interval: Interval, at: int) -> int:
    """Return the first instant after `at` at which `interval` may end."""
    minute = _minute(interval, at)
    ends = (end for start, end in interval.times if start <= minute < end)
    return _at_minute(interval, at, max(ends, default=_DAY_MINUTES))


def _minute(interval: Interval, at: int) -> int:
    local = _local(interval, at)
    return local.hour * 60 + local.minute


def _at_minute(interval: Interval, at: int, minute: int) -> int:
    """Return when it is `minute` of the day after `at`, or the clock's change before that."""
    local = _local(interval, at)
    passed = timedelta(
        hours=local.hour,
        minutes=local.minute,
        seconds=local.second,
        microseconds=local.microsecond,
    )
    left = timedelta(minutes=minute) - passed
    end = at + left // timedelta(microseconds=1)
    return end if _offset(interval, end) == _offset(interval, at) else _turn(interval, at, end)


def _turn(interval: Interval, at: int, end: int) -> int:
    """Return the first second after `at` with the offset of `end`."""
    offset = _offset(interval, end)
    low, high = at // MICROS, -(-end // MICROS)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(interval, middle * MICROS) == offset:
            high = middle
        else:
            low = middle
    return min(high * MICROS, end)


def _offset(interval: Interval, at: int) -> timedelta | None:
    return _local(interval, at).utcoffset()


def _local(interval: Interval, at: int) -> datetime:
    return from_us(at).astimezone(ZoneInfo(interval.timezone))
