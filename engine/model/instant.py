"""Instants and durations. Stream time is an int: microseconds since 1970, UTC."""

import re
from datetime import UTC, datetime, timedelta

MICROS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S = 86_400
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d|w)")
_UNIT_US = {
    "ms": 1_000,
    "s": MICROS,
    "m": 60 * MICROS,
    "h": 3600 * MICROS,
    "d": 86400 * MICROS,
    "w": 7 * 86400 * MICROS,
}


def to_us(at: datetime) -> int:
    """Return `at` (aware) in microseconds since 1970, exactly."""
    since = at - _EPOCH
    return (since.days * _DAY_S + since.seconds) * MICROS + since.microseconds


def from_us(at: int) -> datetime:
    """Return the aware UTC instant of `at` microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


def rfc3339(at: int) -> str:
    """Return `at` as RFC 3339 in UTC with a `Z`, without a fraction where there is none."""
    return from_us(at).isoformat().replace("+00:00", "Z")


def parse_rfc3339(text: str) -> int:
    """Return the instant that `text` names, in microseconds since 1970.

    Raises:
        ValueError: `text` is no RFC 3339 instant with a zone.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(
            f"'{text}' is no instant; write for example 2026-01-31T12:00:00Z"
        ) from error
    if at.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone; write for example 2026-01-31T12:00:00Z")
    return to_us(at)


def parse_duration(text: str) -> int:
    """Return the microseconds of a Prometheus duration such as `90s`, `1h30m`, `500ms`, `0`.

    Raises:
        ValueError: `text` is no such duration.
    """
    if text == "0":
        return 0
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"'{text}' is no duration; write for example 30s, 5m, 1h30m or 7d")
    return sum(int(number) * _UNIT_US[unit] for number, unit in parts)


def format_duration(us: int) -> str:
    """Return `us` as the shortest Prometheus duration, for example `1h30m`."""
    text = ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, us = divmod(us, _UNIT_US[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"
