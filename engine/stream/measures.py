"""Aggregates over a multiset of contributions: exact, in any order, add and drop alike.

Each sample of a window gives at most one contribution to each measure. Order never matters, so
signals that arrive out of order, restarts and replays give the same value to the last bit.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from engine.model.ids import canonical

_POINT: Final = 1074
"""Every finite float is a whole multiple of 2**-1074, so sums of them are whole numbers."""
_LIMIT: Final = 1e300


class BadValue(ValueError):  # noqa: N818 - says what it is
    """A measure was given a value that it can not aggregate."""


class Aggregate(Protocol):
    """A running aggregate; `value` is None while nothing contributes."""

    def add(self, given: Any) -> None:
        """Take a contribution in."""

    def drop(self, given: Any) -> None:
        """Take the same contribution out again."""

    def value(self) -> Any:
        """Return the aggregate of what is in."""


class Total:
    """Sum; correctly rounded where floats take part, an int where none does. Empty: 0."""

    __slots__ = ("floats", "scaled", "whole")

    def __init__(self) -> None:
        self.whole = 0
        self.scaled = 0
        self.floats = 0

    def add(self, given: float) -> None:
        """Take a number in."""
        if type(given) is int:
            self.whole += given
        else:
            self.scaled += _scaled(given)
            self.floats += 1

    def drop(self, given: float) -> None:
        """Take a number out."""
        if type(given) is int:
            self.whole -= given
        else:
            self.scaled -= _scaled(given)
            self.floats -= 1

    def value(self) -> int | float:
        """Return the sum; one too large for a float is infinite."""
        return _ratio(self, 1) if self.floats else self.whole


class Mean:
    """Average, correctly rounded."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.total = Total()
        self.count = 0

    def add(self, given: float) -> None:
        """Take a number in."""
        self.total.add(given)
        self.count += 1

    def drop(self, given: float) -> None:
        """Take a number out."""
        self.total.drop(given)
        self.count -= 1

    def value(self) -> float | None:
        """Return the average, None when empty."""
        return _ratio(self.total, self.count) if self.count else None


class Distinct:
    """Number of different values."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def add(self, given: str) -> None:
        """Take a value (see `distinct_key`) in."""
        self.seen[given] += 1

    def drop(self, given: str) -> None:
        """Take a value out."""
        self.seen[given] -= 1
        if not self.seen[given]:
            del self.seen[given]

    def value(self) -> int:
        """Return how many different values are in."""
        return len(self.seen)


class Sorted:
    """Smallest (`place` 0) or largest (`place` -1) value."""

    __slots__ = ("_sorted", "place")

    def __init__(self, place: int) -> None:
        self.place = place
        self._sorted: list[float] = []

    def add(self, given: float) -> None:
        """Take a number in."""
        insort(self._sorted, given)

    def drop(self, given: float) -> None:
        """Take a number out."""
        del self._sorted[bisect_left(self._sorted, given)]

    def value(self) -> float | None:
        """Return the extreme, None when empty."""
        return self._sorted[self.place] if self._sorted else None


class Latest:
    """Place of `last`, whose value the window reads off its samples, newest first."""

    __slots__ = ()

    def add(self, given: Any) -> None:
        """Nothing to do."""

    def drop(self, given: Any) -> None:
        """Nothing to do."""

    def value(self) -> None:
        """Return nothing; the window knows."""


AGGREGATES: Final[Mapping[str, Callable[[], Aggregate]]] = MappingProxyType(
    {
        "count": Total,
        "sum": Total,
        "increase": Total,
        "avg": Mean,
        "distinct": Distinct,
        "min": lambda: Sorted(0),
        "max": lambda: Sorted(-1),
        "last": Latest,
    }
)
OCCURRENCES: Final = frozenset({"count", "distinct", "sum"})
"""Measures of what happened: a `synced` object signal, seen in a list only, is none."""


def number(value: Any) -> int | float:
    """Return `value` as a measure takes it.

    Raises:
        BadValue: it is no number (a bool is none), not finite, or beyond 1e300, where a
            difference could overflow.
    """
    if type(value) not in {int, float} or not -_LIMIT < value < _LIMIT:
        raise BadValue(f"{type(value).__name__} where a finite number is needed")
    if type(value) is int and not -(2**63) <= value < 2**63:
        return float(value)
    return value  # type: ignore[no-any-return]


def distinct_key(value: Any) -> str:
    """Return the text that stands for `value`; CEL's equal numbers have equal texts."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else "\0" + canonical(value).decode()


def plain(value: Any) -> Any:
    """Return `value` of a `last` as it can be kept: JSON scalars as they are."""
    return value if isinstance(value, str | int | float) else canonical(value).decode()


def increase(now: float, before: float | None, *, initial: bool) -> int | float:
    """Return the growth of a counter since its last sample; a smaller value is a reset."""
    if before is None:
        return now if initial else 0
    return now - before if now >= before else now


def _scaled(given: float) -> int:
    over, under = given.as_integer_ratio()
    return over << (_POINT + 1 - under.bit_length())


def _ratio(total: Total, count: int) -> float:
    over = (total.whole << _POINT) + total.scaled
    try:
        return over / (count << _POINT)
    except OverflowError:
        return float("inf") if over > 0 else float("-inf")
