"""Aggregates over a multiset of contributions: exact, in any order, add and drop alike.

Each sample of a window gives at most one contribution to each measure. Order never matters, so
signals that arrive out of order, restarts and replays give the same value to the last bit. What
is kept is whole numbers (sums) or a sorted list (ranks), so a sample costs the same in a window
of ten and of ten thousand.
"""

from bisect import bisect_left, bisect_right, insort_left, insort_right
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol

from engine.stream.exact import POINT, divided, root, scaled

SECOND_US: Final = 1_000_000


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
            self.scaled += scaled(given)
            self.floats += 1

    def drop(self, given: float) -> None:
        """Take a number out."""
        if type(given) is int:
            self.whole -= given
        else:
            self.scaled -= scaled(given)
            self.floats -= 1

    def value(self) -> int | float:
        """Return the sum; a float where an int of 64 bits can not hold it, at most infinite."""
        if self.floats or not -(2**63) <= self.whole < 2**63:
            return self.over(1)
        return self.whole

    def over(self, count: int) -> float:
        """Return the sum divided by `count`, correctly rounded; infinite beyond any float."""
        return divided(self.exact(), count << POINT)

    def exact(self) -> int:
        """Return the sum in units of 2**-1074."""
        return (self.whole << POINT) + self.scaled


class Steps:
    """Sum of the steps of counters and gauges; see `engine.stream.measures.step`.

    A step of floats is the pair of both values, so that steps that follow one another cancel
    exactly: the sum is that of the last value less the first.
    """

    __slots__ = ("pairs", "total")

    def __init__(self) -> None:
        self.total = Total()
        self.pairs = 0

    def add(self, given: Any) -> None:
        """Take a step in."""
        if isinstance(given, int | float):
            self.total.add(given)
        else:
            self.total.add(given[0])
            self.total.drop(given[1])
            self.pairs += 1

    def drop(self, given: Any) -> None:
        """Take a step out."""
        if isinstance(given, int | float):
            self.total.drop(given)
        else:
            self.total.drop(given[0])
            self.total.add(given[1])
            self.pairs -= 1

    def value(self) -> int | float:
        """Return the sum of the steps; a float where one of them is of floats. Empty: 0."""
        return self.total.over(1) if self.pairs else self.total.value()

    def per_second(self, length_us: int) -> float:
        """Return the sum of the steps divided by the seconds of `length_us`."""
        return divided(self.total.exact() * SECOND_US, length_us << POINT)


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
        return self.total.over(self.count) if self.count else None


class Distinct:
    """Number of different values."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()

    def add(self, given: str) -> None:
        """Take a value (see `measures.distinct_key`) in."""
        self.seen[given] += 1

    def drop(self, given: str) -> None:
        """Take a value out."""
        self.seen[given] -= 1
        if not self.seen[given]:
            del self.seen[given]

    def value(self) -> int:
        """Return how many different values are in."""
        return len(self.seen)


class Ranked:
    """The value at `percent` of the way from the smallest to the largest.

    Between two ranks it is interpolated linearly, as Prometheus' quantile_over_time does, and
    rounded once. Of equal numbers ints stand before floats, so that the order in which they
    came and went leaves no trace.
    """

    __slots__ = ("_percent", "_sorted")

    def __init__(self, percent: int) -> None:
        self._percent = percent
        self._sorted: list[int | float] = []

    def add(self, given: float) -> None:
        """Take a number in."""
        (insort_left if type(given) is int else insort_right)(self._sorted, given)

    def drop(self, given: float) -> None:
        """Take a number out."""
        if type(given) is int:
            del self._sorted[bisect_left(self._sorted, given)]
        else:
            del self._sorted[bisect_right(self._sorted, given) - 1]

    def value(self) -> float | None:
        """Return the value of that rank, None when empty; the extremes as they came."""
        found = self._sorted
        if not found:
            return None
        place, rest = divmod(self._percent * (len(found) - 1), 100)
        if self._percent in {0, 100}:
            return found[place]
        (low, low_under), (high, high_under) = (
            found[place].as_integer_ratio(),
            found[min(place + 1, len(found) - 1)].as_integer_ratio(),
        )
        over = low * high_under * (100 - rest) + high * low_under * rest
        return divided(over, 100 * low_under * high_under)


class Spread:
    """Standard deviation of the values as a whole population, correctly rounded."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.squares = 0

    def add(self, given: float) -> None:
        """Take a number in."""
        units = scaled(given)
        self.count += 1
        self.total += units
        self.squares += units * units

    def drop(self, given: float) -> None:
        """Take a number out."""
        units = scaled(given)
        self.count -= 1
        self.total -= units
        self.squares -= units * units

    def value(self) -> float | None:
        """Return the deviation, None when empty."""
        count = self.count
        if not count:
            return None
        return root(count * self.squares - self.total * self.total, count) if count > 1 else 0.0


class Trend:
    """Slope per second of the least-squares line through (time, value), correctly rounded."""

    __slots__ = ("count", "products", "squares", "times", "total")

    def __init__(self) -> None:
        self.count = self.times = self.squares = self.total = self.products = 0

    def add(self, given: tuple[int, float]) -> None:
        """Take an instant in microseconds and a number in."""
        at, units = given[0], scaled(given[1])
        self.count += 1
        self.times += at
        self.squares += at * at
        self.total += units
        self.products += at * units

    def drop(self, given: tuple[int, float]) -> None:
        """Take an instant and its number out."""
        at, units = given[0], scaled(given[1])
        self.count -= 1
        self.times -= at
        self.squares -= at * at
        self.total -= units
        self.products -= at * units

    def value(self) -> float | None:
        """Return the slope, None with fewer than two different instants."""
        under = self.count * self.squares - self.times * self.times
        if not under:
            return None
        over = self.count * self.products - self.times * self.total
        return divided(over * SECOND_US, under << POINT)


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
        "increase": Steps,
        "rate": Steps,
        "delta": Steps,
        "changes": Total,
        "avg": Mean,
        "stddev": Spread,
        "slope": Trend,
        "distinct": Distinct,
        "min": lambda: Ranked(0),
        "p50": lambda: Ranked(50),
        "p75": lambda: Ranked(75),
        "p90": lambda: Ranked(90),
        "p95": lambda: Ranked(95),
        "p99": lambda: Ranked(99),
        "max": lambda: Ranked(100),
        "last": Latest,
    }
)
