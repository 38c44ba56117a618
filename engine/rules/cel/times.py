"""Timestamps and durations: reading, writing, arithmetic, and parts in a time zone.

Both have the precision of Python: microseconds. A text that is finer is refused, not rounded.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engine.rules.cel.errors import ARGUMENT, CONVERSION, OVERFLOW, EvaluationError
from engine.rules.cel.meter import Meter

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICRO: Final = timedelta(microseconds=1)
_SECOND: Final = timedelta(seconds=1)
_LONGEST: Final = timedelta(seconds=315_576_000_001) - MICRO
_LARGEST: Final = timedelta(microseconds=(2**63 - 1) // 1000)
"""What arithmetic may reach: 64 bits of nanoseconds, some 292 years, as in the reference."""
_ZONE_COST: Final = 400
_READ_COST: Final = 100
_CYCLE: Final = timedelta(days=146_097)
"""400 years, after which the calendar repeats, days of the week included."""
_CYCLE_YEARS: Final = 400

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,30}))?"
    r"(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_SPAN = re.compile(r"([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|ns))+|0)", re.ASCII)
_SPAN_PART = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|m|s|us|ns)", re.ASCII)
_OFFSET = re.compile(r"([+-]?)(\d{1,2}):(\d{1,2})", re.ASCII)
_UNIT_NS = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_MAX_TEXT = 60


# -- reading


def timestamp_from_string(meter: Meter, text: str) -> datetime:
    """Read an RFC 3339 instant with a zone; a leap second counts as the second after it."""
    meter.spend(_READ_COST)
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise EvaluationError(CONVERSION, f"{text[:40]!r} is no RFC 3339 timestamp")
    year, month, day, hour, minute, second = (int(match[part]) for part in range(1, 7))
    leap = second == 60  # noqa: PLR2004 (the leap second of RFC 3339)
    offset = timedelta(hours=int(match[9] or 0), minutes=int(match[10] or 0))
    if int(match[9] or 0) > 23 or int(match[10] or 0) > 59:  # noqa: PLR2004 (a clock)
        raise EvaluationError(CONVERSION, f"{text[:40]!r} has an impossible offset")
    try:
        local = datetime(year, month, day, hour, minute, second - leap, tzinfo=UTC)
        shift = offset if match[8] == "-" else -offset
        return local + shift + timedelta(seconds=leap) + _fraction(match[7] or "")
    except ValueError as error:
        raise EvaluationError(CONVERSION, f"{text[:40]!r} is no date: {error}") from error
    except OverflowError as error:
        raise EvaluationError(OVERFLOW, f"{text[:40]!r} is outside the years 1 to 9999") from error


def _fraction(digits: str) -> timedelta:
    if digits[6:].strip("0"):
        raise EvaluationError(CONVERSION, "instants finer than a microsecond are not supported")
    return timedelta(microseconds=int(digits[:6].ljust(6, "0")))


def timestamp_from_int(_: Meter, seconds: int) -> datetime:
    """Return the instant so many seconds after 1970."""
    try:
        return EPOCH + timedelta(seconds=seconds)
    except OverflowError as error:
        raise EvaluationError(OVERFLOW, "a timestamp is outside the years 1 to 9999") from error


def duration_from_string(meter: Meter, text: str) -> timedelta:
    """Read a duration such as `1h30m`, `1.5s`, `-200ms`, `0`."""
    meter.spend(_READ_COST)
    match = _SPAN.fullmatch(text[: _MAX_TEXT + 1])
    if match is None or len(text) > _MAX_TEXT:
        raise EvaluationError(
            CONVERSION, f"{text[:40]!r} is no duration; the units are h, m, s, ms, us, ns"
        )
    parts = _SPAN_PART.findall(match[2])
    micros = sum(_micros(count, unit) for count, unit in parts)
    try:
        span = timedelta(microseconds=micros)
    except OverflowError as error:
        raise EvaluationError(OVERFLOW, f"{text[:40]!r} is too long") from error
    return _bounded(-span if match[1] == "-" else span, _LONGEST)


def _micros(count: str, unit: str) -> int:
    """Return `count` (decimal) of a unit in microseconds, exactly."""
    whole, _, decimals = count.partition(".")
    scale = int(f"1000{'0' * len(decimals)}")
    micros, rest = divmod(int(f"0{whole}{decimals}") * _UNIT_NS[unit], scale)
    if rest:
        raise EvaluationError(CONVERSION, "durations finer than a microsecond are not supported")
    return micros


def _bounded(span: timedelta, limit: timedelta) -> timedelta:
    if abs(span) <= limit:
        return span
    raise EvaluationError(OVERFLOW, f"a duration is longer than {limit.days // 365} years")


# -- writing


def string_from_timestamp(_: Meter, at: datetime) -> str:
    """Write RFC 3339 in UTC, with as many groups of three decimals as it takes."""
    zoned = at.astimezone(UTC)
    return f"{zoned:%Y-%m-%dT%H:%M:%S}{_decimals(zoned.microsecond)}Z".rjust(20, "0")


def string_from_duration(_: Meter, span: timedelta) -> str:
    """Write seconds, with as many groups of three decimals as it takes: `5400s`, `1.500s`."""
    seconds, micros = divmod(abs(span) // MICRO, 1_000_000)
    sign = "-" if span < timedelta(0) else ""
    return f"{sign}{seconds}{_decimals(micros)}s"


def _decimals(micros: int) -> str:
    if not micros:
        return ""
    return f".{micros // 1000:03d}" if micros % 1000 == 0 else f".{micros:06d}"


# -- arithmetic


def add_duration(_: Meter, at: datetime, span: timedelta) -> datetime:
    """Return the instant `span` after `at`."""
    try:
        return at + span
    except OverflowError as error:
        raise EvaluationError(OVERFLOW, "a timestamp is outside the years 1 to 9999") from error


def add_to_duration(meter: Meter, span: timedelta, at: datetime) -> datetime:
    """Return the instant `span` after `at`."""
    return add_duration(meter, at, span)


def subtract_duration(meter: Meter, at: datetime, span: timedelta) -> datetime:
    """Return the instant `span` before `at`."""
    return add_duration(meter, at, -span)


def between(_: Meter, later: datetime, earlier: datetime) -> timedelta:
    """Return the time from `earlier` to `later`."""
    if (later.tzinfo is None) != (earlier.tzinfo is None):
        raise EvaluationError(ARGUMENT, "one of the timestamps has no time zone")
    return _bounded(later - earlier, _LARGEST)


def add_durations(_: Meter, left: timedelta, right: timedelta) -> timedelta:
    """Add two durations."""
    return _bounded(left + right, _LARGEST)


def subtract_durations(_: Meter, left: timedelta, right: timedelta) -> timedelta:
    """Subtract two durations."""
    return _bounded(left - right, _LARGEST)


# -- parts


def local_time(at: datetime, zone: str) -> datetime:
    """Return the wall clock of `at` in a zone of the IANA database or at an offset (`-08:00`).

    Raises:
        EvaluationError: argument, when there is no such zone.
        OverflowError: the local time is outside the years 1 to 9999.
    """
    match = _OFFSET.fullmatch(zone)
    if match is not None:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        return at.astimezone(UTC) + (-offset if match[1] == "-" else offset)
    try:
        return at.astimezone(ZoneInfo(zone or "UTC"))
    except (KeyError, ValueError, OSError) as error:
        raise EvaluationError(ARGUMENT, f"{zone[:40]!r} is no time zone") from error


Part = Callable[[datetime], int]
TIMESTAMP_PARTS: Final[dict[str, Part]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}
DURATION_PARTS: Final[dict[str, timedelta]] = {
    "getHours": timedelta(hours=1),
    "getMinutes": timedelta(minutes=1),
    "getSeconds": _SECOND,
}


def part_utc(part: Part) -> Callable[[Meter, datetime], int]:
    """Return the accessor of `part` in UTC."""
    return lambda _, at: part(at.astimezone(UTC))


def part_in_zone(name: str, part: Part) -> Callable[[Meter, datetime, str], int]:
    """Return the accessor of `part` in a named zone.

    Where the local time leaves the years of Python, the same day of another cycle of the
    calendar is read.
    """

    def read(meter: Meter, at: datetime, zone: str) -> int:
        meter.spend(_ZONE_COST)
        try:
            return part(local_time(at, zone))
        except OverflowError:
            back = at.astimezone(UTC).year > _CYCLE_YEARS
            value = part(local_time(at - _CYCLE if back else at + _CYCLE, zone))
            years = _CYCLE_YEARS if back else -_CYCLE_YEARS
            return value + years if name == "getFullYear" else value

    return read


def part_of_duration(unit: timedelta) -> Callable[[Meter, timedelta], int]:
    """Return the accessor of whole units, cut towards zero."""
    return lambda _, span: (abs(span) // unit) * (-1 if span < timedelta(0) else 1)


def milliseconds_of_duration(_: Meter, span: timedelta) -> int:
    """Return the milliseconds within the second, with the sign of `span`."""
    millis = abs(span) % _SECOND // timedelta(milliseconds=1)
    return -millis if span < timedelta(0) else millis
