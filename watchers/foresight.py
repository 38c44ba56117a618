"""Foresight: the series of one cluster, bounded, and what is foreseen of them. Pure.

Each series is kept in buckets of two minutes for four hours, and its past by the hour for a week;
pods share the past of their workload. A look asks the cheap question first, whether the series
moves toward its limit fast enough at all, and only of those that do the dear one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isnan
from typing import Final
from zlib import crc32

from engine.analysis.season import SEEN, novelty, oddness
from engine.analysis.track import Track
from engine.analysis.trend import LEAST, Trend, confidence, heads_for, horizon_s, trend
from engine.model.signal import Signal
from watchers.aims import AIMS, ODD, Aim, Labels, Side
from watchers.followed import HOUR_S, HOURS, Load, Past, Series, hours
from watchers.foreseen import Foreseen, What, is_beyond, is_odd, named, reaches, restarts
from watchers.restarting import Restarting

_GONE_S: Final = 3600.0
_TURNS: Final = 5
"""Looks in which each series that promises nothing is looked at once."""
_DEARER: Final = 4
"""How many times as dear as that of a trend the closer look at an anomaly is."""
_PROMISING: Final = 0.3
_ENDS: Final = 5
_ODD: Final = 4.0
_LEAST_SPREAD: Final = 0.05
_LARGEST: Final = 1e30  # series are kept in single precision, which ends at 3e38


@dataclass(frozen=True)
class Bounds:
    """What is told at most, and kept at most.

    Attributes:
        horizon_s: what is farther away is not told.
        confidence: what is less sure is not told.
        series: how many series are followed; more are left out, and counted.
        closer: how many series one look has a closer look at; the others wait for the next.
    """

    horizon_s: float = 86_400.0
    confidence: float = 0.5
    series: int = 50_000
    closer: int = 1_000


class Foresight:
    """All that is followed in one cluster.

    Args:
        bounds: what is told and kept at most.
        aims: what is followed toward a limit, by metric.
        sides: of which metrics unusual values are told, and on which side.
    """

    def __init__(
        self,
        bounds: Bounds,
        aims: Mapping[str, Aim] = AIMS,
        sides: Mapping[str, Side] = ODD,
    ) -> None:
        self._bounds = bounds
        self._aims = aims
        self._sides = sides
        self._series: dict[str, Series] = {}
        self._loads: dict[str, Load] = {}
        self._pasts: dict[str, Past] = {}
        self._turn = self._first = self._left = 0
        self.restarting = Restarting()
        self.left_out = 0

    def __len__(self) -> int:
        """How many series are followed."""
        return len(self._series) + len(self._loads)

    def take(self, signals: Iterable[Signal]) -> None:
        """Take note of the metrics and Pods among `signals`."""
        for signal in signals:
            if signal.type == "metric":
                self._sample(signal)
            elif signal.type == "k8s.object" and signal.data.get("kind") == "Pod":
                self.restarting.take(signal)

    def sample(self, metric: str, labels: Labels, at_s: float, value: float) -> None:
        """Take in one sample of a series at `at_s`, seconds since 1970."""
        self._toward(named(metric, labels), metric, labels, at_s, value)

    def look(self, now: datetime) -> Iterator[Foreseen | None]:
        """Yield what is foreseen at `now`, series by series, None where that is nothing.

        Signals may be taken between two of them.
        """
        now_s = now.timestamp()
        self._turn += 1
        self.left_out = 0
        self._tidy(now_s)
        for subject, series in self._in_turn():
            due = series.promising or (crc32(subject.encode()) + self._turn) % _TURNS == 0
            yield self._ahead(subject, series, now_s) if due else None
        loads = list(self._loads.items())
        first = self._turn * self._bounds.closer // _DEARER % max(len(loads), 1)
        self._left = self._bounds.closer // _DEARER
        for subject, load in (*loads[first:], *loads[:first]):
            yield self._odd(subject, load, now_s)
        for one in self.restarting.faster(now_s):
            if one.confidence >= self._bounds.confidence:
                yield restarts(one)

    def _in_turn(self) -> Iterator[tuple[str, Series]]:
        """Yield all series, those first that the look before had no time for."""
        every = list(self._series.items())
        first = self._first % max(len(every), 1)
        self._left = self._bounds.closer
        waits = 0
        for place, one in enumerate((*every[first:], *every[:first])):
            yield one
            if self._left <= 0 and not waits:
                waits = first + place + 1
        self._first = waits

    def pasts(self, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
        """Yield the past of each kind of series whose name is `wanted`, for `recall`."""
        for name, past in self._pasts.items():
            if past.hours.values and wanted(name):
                yield name, past.hours.pack()

    def recall(self, name: str, packed: bytes) -> bool:
        """Take in a past that `pasts` gave, within its first hour; false if it is none."""
        past = self._pasts.get(name) or Past(hours(name))
        if not past.hours.resume(packed):
            return False
        past.heard = past.hours.end_s
        self._pasts[name] = past
        return True

    def _sample(self, signal: Signal) -> None:
        metric, value, labels = map(signal.data.get, ("metric", "value", "labels"))
        if not isinstance(metric, str) or not (metric in self._aims or metric in self._sides):
            return
        if not isinstance(value, int | float) or not isinstance(labels, dict):
            return
        if not -_LARGEST <= value <= _LARGEST:
            return
        at_s = signal.time.timestamp()
        if metric in self._aims:
            self._toward(signal.subject or named(metric, labels), metric, labels, at_s, value)
        if metric in self._sides:
            self._loaded(metric, labels, at_s, value)

    def _toward(self, subject: str, metric: str, labels: Labels, at_s: float, value: float) -> None:
        series = self._series.get(subject)
        if series is None:
            if len(self) >= self._bounds.series:
                self.left_out += 1
                return
            aim = self._aims[metric]
            alike = [labels.get(name, "") for name in aim.alike]
            kind = "/".join(("mean" if aim.hourly else "peak", metric, *alike))
            past = self._past(kind if alike else f"{kind}/{subject}")
            series = self._series[subject] = Series(metric, aim, labels, past)
        turned = -value if series.aim.falls else value
        series.latest = value
        series.past.heard = at_s
        series.fine.add(at_s, turned)
        series.past.hours.add(at_s, turned)

    def _loaded(self, metric: str, labels: Labels, at_s: float, value: float) -> None:
        space, workload = labels.get("namespace", ""), labels.get("workload", "")
        if not workload:
            return
        subject = f"mean/{metric}/{space}/{workload}"
        load = self._loads.get(subject)
        if load is None:
            if len(self) >= self._bounds.series:
                self.left_out += 1
                return
            named = {"namespace": space, "workload": workload}
            load = Load(metric, self._sides[metric], named, self._past(subject))
            self._loads[subject] = load
        load.past.heard = at_s
        load.fine.add(at_s, value)
        load.past.hours.add(at_s, value)

    def _past(self, name: str) -> Past:
        past = self._pasts.get(name)
        if past is None:
            past = self._pasts[name] = Past(hours(name))
        return past

    def _tidy(self, now_s: float) -> None:
        """Forget what has not been heard of for an hour, and a past after a week."""
        for subject in [s for s, one in self._series.items() if _silent(one.fine, now_s)]:
            del self._series[subject]
        for subject in [s for s, one in self._loads.items() if _silent(one.fine, now_s)]:
            del self._loads[subject]
        old = [n for n, past in self._pasts.items() if now_s - past.heard > HOURS * HOUR_S]
        for name in old:
            del self._pasts[name]
        self.restarting.tidy(now_s)

    def _ahead(self, subject: str, series: Series, now_s: float) -> Foreseen | None:
        """Return where a series will reach its limit, None where it does not, or nobody knows."""
        aim = series.aim
        track = series.past.hours if aim.hourly else series.fine
        track.close(now_s)
        limit = -aim.limit if aim.falls else aim.limit
        if aim.hourly and (found := self._beyond(subject, series, now_s)):
            series.promising = True
            return found
        # Without time for a closer look it stays as promising as it was.
        if self._left <= 0:
            return None
        series.promising = False
        if not heads_for(track.values, track.step_s, limit, self._bounds.horizon_s):
            return None
        self._left -= 1
        return self._closer(subject, series, track, now_s)

    def _closer(self, subject: str, series: Series, track: Track, now_s: float) -> Foreseen | None:
        """Return where a series that moves toward its limit will reach it, if that is sure."""
        aim = series.aim
        limit = -aim.limit if aim.falls else aim.limit
        seen = trend(track.values, track.step_s, aim.floor)
        left_s = horizon_s(seen, limit) if seen else None
        if seen is None or left_s is None or left_s > self._bounds.horizon_s:
            return None
        sure = confidence(seen, left_s) * self._new(series, seen, limit, now_s)
        series.promising = sure >= _PROMISING
        if sure < self._bounds.confidence:
            return None
        slope = -seen.slope if aim.falls else seen.slope
        return reaches(_what(subject, series), slope, left_s, sure)

    def _new(self, series: Series, found: Trend, limit: float, now_s: float) -> float:
        """Return how far the days before let a rise be believed."""
        if found.span_s >= SEEN * HOUR_S:
            return 1.0
        labels = series.labels
        if series.aim.alike and self.restarting.killed(
            labels.get("namespace", ""), labels.get("workload", ""), now_s
        ):
            return 1.0
        series.past.hours.close(now_s)
        return novelty(found, series.past.hours.values, limit)

    def _beyond(self, subject: str, series: Series, now_s: float) -> Foreseen | None:
        """Return that the limit of what is asked for is behind already, for most of an hour."""
        series.fine.close(now_s)
        aim = series.aim
        lately = [value for value in series.fine.last(LEAST) if not isnan(value)]
        over = sum(value > aim.limit for value in lately)
        if not lately or lately[-1] <= aim.limit:
            return None
        sure = over / (LEAST + 3)
        if sure < self._bounds.confidence:
            return None
        return is_beyond(_what(subject, series), sure)

    def _odd(self, subject: str, load: Load, now_s: float) -> Foreseen | None:
        """Return that the last ten minutes of a workload are unusual."""
        load.fine.close(now_s)
        values = load.fine.values
        latest = [value for value in values[-_ENDS:] if not isnan(value)]
        space, workload = load.labels["namespace"], load.labels["workload"]
        if len(values) < LEAST or len(latest) < _ENDS:
            return None
        value, recent = sum(latest) / len(latest), values[: -2 * _ENDS]
        if not _far(value, recent) or self.restarting.changed(space, workload, now_s):
            return None
        self._left -= 1
        if self._left < 0:
            return None
        load.past.hours.close(now_s)
        found = oddness(value, recent, load.past.hours.values, _LEAST_SPREAD, _ODD)
        asked = load.side in {"both", "high" if found.score > 0 else "low"}
        if not asked or abs(found.score) < _ODD or found.confidence < self._bounds.confidence:
            return None
        return is_odd(subject, (load.metric, load.labels), value, recent, found)


def _what(subject: str, series: Series) -> What:
    return What(subject, series.metric, series.aim, series.labels, series.latest)


def _far(value: float, recent: Sequence[float]) -> bool:
    """Whether `value` is so far from some of the recent ones that a closer look is worth it."""
    some = sorted(one for one in recent[:: max(len(recent) // 9, 1)] if not isnan(one))
    if not some:
        return False
    middle = some[len(some) // 2]
    return abs(value - middle) >= _ODD * max(_LEAST_SPREAD, 0.05 * abs(middle))


def _silent(track: Track, now_s: float) -> bool:
    return now_s - track.end_s > _GONE_S
