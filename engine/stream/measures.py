"""Measures: what a value of a signal contributes to each function; see engine.stream.aggregates.

A contribution depends on the sample and, for steps, on the last value of its series before it:
so it is taken once, when the sample is folded, and goes in and out of windows as it is.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from engine.model.ids import canonical
from engine.rules.rule import Measure

_LIMIT: Final = 1e300

OCCURRENCES: Final = frozenset({"count", "distinct", "sum"})
"""Measures of what happened: a `synced` object signal, seen in a list only, is none."""


class BadValue(ValueError):  # noqa: N818 - says what it is
    """A measure was given a value that it can not aggregate."""


def described(measure: Measure) -> str:
    """Return what a measure is, in words."""
    of = "" if measure.of is None else measure.of.source
    if measure.latest:
        return f"{measure.fn} of the latest {of or 'signal'} of each series"
    return f"{measure.fn} of {of}" if of else measure.fn


def number(value: Any) -> int | float:
    """Return `value` as a measure takes it.

    Raises:
        BadValue: it is no number (a bool is none), not finite, or beyond 1e300, where a
            difference could overflow.
    """
    if type(value) not in {int, float} or not -_LIMIT < value < _LIMIT:
        raise BadValue(f"{type(value).__name__} where a finite number is needed")
    if type(value) is float:
        return value + 0.0
    return value if -(2**63) <= value < 2**63 else float(value)


def distinct_key(value: Any) -> str:
    """Return the text that stands for `value`; CEL's equal numbers have equal texts."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else "\0" + canonical(value).decode()


def plain(value: Any) -> Any:
    """Return `value` of a `last` as it can be kept: JSON scalars as they are."""
    return value if isinstance(value, str | int | float) else canonical(value).decode()


def step(now: float, before: float) -> Any:
    """Return the step of a series from one value to the next, as `Steps` takes it.

    The difference where it is exact (ints, no step), else both values.
    """
    if now == before or (type(now) is type(before) is int and abs(now - before) < 2**63):
        return now - before
    return now, before


def grown(now: float, before: float | None, *, initial: bool) -> Any:
    """Return the step of a counter; a smaller value is a reset, counted from nought.

    The very first value is no step, unless `initial` says so.
    """
    if before is None:
        return now if initial else 0
    return now if now < before else step(now, before)


def moved(now: float, before: float | None, *, initial: bool) -> Any:
    """Return the step of a gauge; its very first value is none."""
    del initial
    return 0 if before is None else step(now, before)


def changed(now: str, before: str | None, *, initial: bool) -> int:
    """Return 1 where the value is another one than before, else 0; the very first is none."""
    del initial
    return int(before is not None and now != before)


_NUMBERS: Final = (
    *("sum", "avg", "min", "max", "stddev", "increase", "rate", "delta"),
    *("p50", "p75", "p90", "p95", "p99"),
)
TAKEN: Final[Mapping[str, Callable[[Any, int], Any]]] = MappingProxyType(
    {
        "distinct": lambda value, _: distinct_key(value),
        "changes": lambda value, _: distinct_key(value),
        "last": lambda value, _: plain(value),
        "slope": lambda value, at: (at, number(value)),
        **dict.fromkeys(_NUMBERS, lambda value, _: number(value)),
    }
)
"""Function -> raw value of a sample, from what `of` gives at its instant; may raise BadValue."""
STEPS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {"increase": grown, "rate": grown, "delta": moved, "changes": changed}
)
"""Functions that look at the value before, of the same series."""
