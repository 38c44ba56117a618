"""Use over days in small: a decaying histogram of each workload, a day of hours of each pod. Pure.

So percentiles and daily means exist without a Prometheus, and over restarts. The shape of the
histogram is that of the vertical pod autoscaler: buckets that grow by 5 %, weights that halve
every 24 hours.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import exp2, floor, log
from typing import Final, NamedTuple

import msgspec

MEMORY: Final = "metrics-use"
"""Under this name the watcher of metrics keeps it: `scene.memory(MEMORY)`, `store.memories`."""
_GROWTH: Final = 1.05
_LOG: Final = log(_GROWTH)
_LEAST: Final = 1e-4
"""Values up to this, such as a tenth of a millicore, are in the first bucket."""
_MOST_BUCKETS: Final = 1200
_HALF_LIFE_S: Final = 86400.0
_HOUR_S: Final = 3600
_DAY: Final = 24
_REBASE: Final = 40.0
"""Half-lives after which weights are written anew, long before they overflow."""


class Decaying(msgspec.Struct, array_like=True):
    """How a value was spread, of which what is old weighs less.

    Attributes:
        base_s: the instant, in seconds since 1970, at which a weight of 1 counts 1.
        weights: by number of the bucket.
        total: sum of the weights.
        sum: sum of weight times value.
        count: values so far.
        first_s, last_s: when the first and the last came.
    """

    base_s: float = 0.0
    weights: dict[int, float] = {}
    total: float = 0.0
    sum: float = 0.0
    count: int = 0
    first_s: float = 0.0
    last_s: float = 0.0

    def add(self, value: float, at_s: float) -> None:
        """Take in a value, finite and not negative, seen at `at_s`."""
        if not self.count:
            self.base_s = self.first_s = self.last_s = at_s
        lives = (at_s - self.base_s) / _HALF_LIFE_S
        if lives > _REBASE:
            self._rebase(at_s)
            lives = 0.0
        weight = exp2(lives)
        bucket = _bucket(value)
        self.weights[bucket] = self.weights.get(bucket, 0.0) + weight
        self.total += weight
        self.sum += weight * value
        self.count += 1
        self.last_s = max(self.last_s, at_s)

    @property
    def mean(self) -> float | None:
        """The weighted mean, None without values."""
        return self.sum / self.total if self.total else None

    def percentile(self, share: float) -> float | None:
        """Return the least value, to 5 %, that `share` of [0, 1] of the weight stays below."""
        left = share * self.total
        for bucket in sorted(self.weights):
            left -= self.weights[bucket]
            if left <= self.total * 1e-9:
                return _LEAST * _GROWTH**bucket
        return None

    def _rebase(self, at_s: float) -> None:
        factor = exp2((self.base_s - at_s) / _HALF_LIFE_S)
        self.weights = {b: w * factor for b, w in self.weights.items() if w * factor > 1e-9}  # noqa: PLR2004
        self.total = sum(self.weights.values())
        self.sum *= factor
        self.base_s = at_s


class Day(msgspec.Struct, array_like=True):
    """The mean of each of the last 24 hours, newest last; `hour` is that one, since 1970.

    An hour in which nothing was seen has no values.
    """

    hour: int = 0
    sums: list[float] = []
    counts: list[int] = []

    def add(self, value: float, at_s: float, count: int = 1) -> None:
        """Take in `count` values with the mean `value`; one of an hour long ago is left out."""
        hour = int(at_s // _HOUR_S)
        if not self.sums:
            self.hour = hour
            self.sums, self.counts = [0.0], [0]
        ahead = hour - self.hour
        if ahead > 0:
            new = min(ahead, _DAY)
            self.sums = [*self.sums, *[0.0] * new][-_DAY:]
            self.counts = [*self.counts, *[0] * new][-_DAY:]
            self.hour = hour
        place = len(self.sums) - 1 + min(ahead, 0)
        if place >= 0:
            self.sums[place] += value * count
            self.counts[place] += count

    def fill(self, value: float, at_s: float) -> None:
        """Take in what the mean of a past hour was, where nothing is known of that hour."""
        behind = self.hour - int(at_s // _HOUR_S)
        if not self.sums or not 0 < behind < _DAY:
            return
        short = behind + 1 - len(self.sums)
        self.sums = [*[0.0] * short, *self.sums]
        self.counts = [*[0] * short, *self.counts]
        place = len(self.sums) - 1 - behind
        if not self.counts[place]:
            self.sums[place], self.counts[place] = value, 1

    def known(self, at_s: float) -> int:
        """Return of how many of the 24 hours up to `at_s` something is known."""
        behind = int(at_s // _HOUR_S) - self.hour
        return sum(count > 0 for count in self.counts[max(0, len(self.counts) - _DAY + behind) :])

    def mean(self, at_s: float) -> float | None:
        """Return the mean of the means of the 24 hours up to `at_s`, None without any."""
        behind = int(at_s // _HOUR_S) - self.hour
        first = max(0, len(self.counts) - _DAY + behind)
        pairs = zip(self.sums[first:], self.counts[first:], strict=True)
        means = [total / count for total, count in pairs if count]
        return sum(means) / len(means) if means else None


class Use(msgspec.Struct, array_like=True):
    """The use of one resource by one workload, or node.

    Attributes:
        spread: over the use of its single pods.
        days: by name of pod.
    """

    spread: Decaying = msgspec.field(default_factory=Decaying)
    days: dict[str, Day] = msgspec.field(default_factory=dict)

    def forget(self, now_s: float) -> None:
        """Forget the pods of which nothing was seen for a day."""
        oldest = int(now_s // _HOUR_S) - _DAY
        self.days = {pod: day for pod, day in self.days.items() if day.hour > oldest}


class Whose(NamedTuple):
    """Whose use it is: namespace and workload, or an empty namespace and a node.

    `resource` is cpu (cores) or memory (bytes); of a node they are shares of what it has.
    """

    namespace: str
    name: str
    resource: str


def key_of(whose: Whose) -> str:
    """Return the key under which the use of `whose` is kept."""
    return "/".join(whose)


def encoded(use: Use) -> bytes:
    """Return `use` as it is kept."""
    return msgspec.msgpack.encode(use)


class Summary(NamedTuple):
    """What a mission asks of the use of one resource: CPU in cores, memory in bytes.

    `since` and `until` are the first and the last sample, aware UTC; what is a day older weighs
    half.
    """

    whose: Whose
    mean: float
    percentiles: Mapping[str, float]
    samples: int
    since: datetime
    until: datetime


_SHARES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


def uses(kept: Mapping[str, bytes]) -> dict[Whose, Use]:
    """Return what is kept under MEMORY; entries that cannot be read are left out."""
    found = {}
    for key, value in kept.items():
        parts = key.split("/")
        if len(parts) != len(Whose._fields):
            continue
        try:
            use = msgspec.msgpack.decode(value, type=Use)
        except msgspec.DecodeError:
            continue
        if all(len(day.sums) == len(day.counts) <= _DAY for day in use.days.values()):
            found[Whose(*parts)] = use
    return found


def summaries(kept: Mapping[str, bytes]) -> list[Summary]:
    """Return the use of each workload and node, from what is kept under MEMORY, in order.

    Source: samples of the watcher of metrics.
    """
    found = {whose: use.spread for whose, use in uses(kept).items() if use.spread.count}
    return [_summary(whose, found[whose]) for whose in sorted(found)]


def _summary(whose: Whose, spread: Decaying) -> Summary:
    shares = {name: spread.percentile(share) or 0.0 for name, share in _SHARES.items()}
    start = datetime.fromtimestamp(0, UTC)
    since, until = (start + timedelta(seconds=at) for at in (spread.first_s, spread.last_s))
    return Summary(whose, spread.mean or 0.0, shares, spread.count, since, until)


def _bucket(value: float) -> int:
    """Return the number of the bucket whose upper end is the first at or above `value`."""
    if value <= _LEAST:
        return 0
    exact = log(value / _LEAST) / _LOG
    return min(floor(exact) + (exact > floor(exact)), _MOST_BUCKETS)
