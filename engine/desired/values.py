"""When two values say the same: as they are written, and as an API server writes them."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from engine.analysis import quantity

_AMOUNTS: Final = frozenset(
    {
        "allocatable",
        "averageValue",
        "capacity",
        "default",
        "defaultRequest",
        "divisor",
        "hard",
        "limits",
        "max",
        "maxLimitRequestRatio",
        "min",
        "podFixed",
        "requests",
        "sizeLimit",
        "storage",
    }
)
"""Fields that hold a quantity, or quantities by name."""
_LITERAL: Final = frozenset(
    {"annotations", "data", "labels", "matchLabels", "nodeSelector", "parameters", "selector"}
)
"""Maps of texts that an API server keeps letter by letter."""
_PERIOD = re.compile(r"(?i)(interval|timeout|duration|period|ttl|renewBefore|after)$")
_SPAN = re.compile(r"([+-]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNITS: Final[Mapping[str, Fraction]] = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),
    "ms": Fraction(1, 1000),
    "s": Fraction(1),
    "m": Fraction(60),
    "h": Fraction(3600),
}
_UNSET: Final = frozenset(
    {
        "clusterIP",
        "dnsPolicy",
        "hostPort",
        "imagePullPolicy",
        "namespace",
        "nodePort",
        "protocol",
        "restartPolicy",
        "schedulerName",
        "serviceAccountName",
        "sessionAffinity",
        "targetPort",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "type",
    }
)
"""Fields in which the empty text, or 0, asks the server to choose."""
_NUMBER = re.compile(r"-?\d{1,18}")


def empty(value: Any) -> bool:
    """Whether an API server keeps `value` no more than it keeps nothing: 0, false, "", [], {}."""
    if isinstance(value, Mapping):
        return all(map(empty, value.values()))
    return value is None or value in (0, "", [])


def same(path: tuple[str, ...], desired: Any, live: Any) -> bool:
    """Whether two values that are no maps and no lists say the same at `path`."""
    if isinstance(desired, bool) is isinstance(live, bool) and desired == live:
        return True
    if path[-2:-1] and path[-2] in _LITERAL:
        return False
    if live is None or (path and path[-1] in _UNSET):
        return empty(desired)
    return not isinstance(desired, bool) and _written_otherwise(path, desired, live)


def _written_otherwise(path: tuple[str, ...], desired: Any, live: Any) -> bool:
    if _NUMBER.fullmatch(str(desired)) and str(desired) == str(live):
        return True
    if set(path[-2:]) & _AMOUNTS or path[-2:] == ("target", "value"):
        amount = quantity.parse(desired)
        if amount is not None and amount == quantity.parse(live):
            return True
    if path and _PERIOD.search(path[-1]):
        span = _span(desired)
        return span is not None and span == _span(live)
    return False


def _span(value: Any) -> Fraction | None:
    """Return the seconds of a duration as Go writes it, None where it is none."""
    if not isinstance(value, str) or len(value) > 64 or not (whole := _SPAN.fullmatch(value)):  # noqa: PLR2004 - longer than any
        return None
    total = sum((Fraction(n) * _UNITS[unit] for n, unit in _PART.findall(value)), Fraction(0))
    return -total if whole[1] == "-" else total
