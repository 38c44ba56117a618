"""Where the numbers of an expression come from: the latest signal, or measures of a window."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.model.instant import format_duration
from engine.rules.prometheus.selecting import Series, cel_text, shared
from engine.rules.prometheus.vector import ALWAYS, Vector, both

LOOKBACK_US: Final = 300_000_000
"""How long Prometheus takes a series at its last sample."""
_MILLIS: Final = "int(signal.time) * 1000 + signal.time.getMilliseconds()"
_NUMBER: Final = "double(signal.value)"
_MAYBE_EMPTY: Final = frozenset({"slope"})
"""Measures that may have no value though samples are there."""
_NAME: Final = re.compile(r"\W")
_NAME_CHARS: Final = 40


@dataclass
class Frame:
    """Collects what an expression over `found` series needs; `over_us` 0: their latest signals.

    `labels` are those of the groups that measures are taken for; None: each series by itself.
    """

    found: Collection[Series]
    over_us: int = 0
    measures: dict[str, dict[str, Any]] = field(default_factory=dict)

    def instant(self, series: Series) -> Vector:
        """Return the series as they are now."""
        if self.over_us:
            return self.measured("last", series)
        return Vector(self.filter(series), "signal.value", "value")

    def measured(self, fn: str, series: Series, labels: tuple[str, ...] | None = None) -> Vector:
        """Return the measure `fn` of the samples of `series`."""
        taken = {"of": _NUMBER, "where": self._where(series)}
        return self._vector(fn, series.metric, taken, labels)

    def latest(self, fn: str, metric: str, inner: Vector, labels: tuple[str, ...]) -> Vector:
        """Return `fn` over the series of `metric`, each as it was last seen.

        `inner` says of a signal whether it is there, and its value.
        """
        of = _NUMBER if inner.value in {"signal.value", ""} else f"double({inner.value})"
        taken = {"of": of, "where": self._of(metric, inner.present), "latest": True}
        return self._vector(fn, metric, taken, labels)

    def grown(self, series: Series) -> tuple[str, str]:
        """Return whether counters have the two samples of a rate, and whether they grew.

        Prometheus' rate and increase are 0 exactly where every step between two samples of the
        window leads to the same value or to 0, and positive otherwise, whatever they are
        extrapolated by. So they are positive where two values above 0 differ, or a 0 comes
        before a value above 0.
        """
        count = self.measured("count", series)
        above, zero = "signal.value > 0.0", "signal.value == 0.0"
        over, under = self._where(series, above), self._where(series, zero)
        high = self._measure(("high", "max"), series.metric, {"of": _NUMBER, "where": over})
        low = self._measure(("low", "min"), series.metric, {"of": _NUMBER, "where": over})
        risen = self._measure(("risen", "max"), series.metric, {"of": _MILLIS, "where": over})
        reset = self._measure(("reset", "min"), series.metric, {"of": _MILLIS, "where": under})
        differ = f"has(m.{high}) && m.{high} > m.{low}"
        after = f"has(m.{reset}) && has(m.{risen}) && m.{reset} < m.{risen}"
        return f"{count.shown} >= 2", f"{differ} || {after}"

    def changed(self, series: Series) -> tuple[str, str]:
        """Return whether there are samples, and whether their values differ."""
        high, low = (self.measured(fn, series) for fn in ("max", "min"))
        return high.present, both(high.present, f"{high.value} > {low.value}")

    def fields(self) -> dict[str, Any]:
        """Return the fields of the rule that select signals and measure them."""
        base = shared(self.found)
        selector: dict[str, Any] = {
            "type": "metric",
            "metrics": sorted({one.metric for one in self.found}),
        }
        if base is not None and base.labels:
            selector["labels"] = ",".join(base.labels)
        fields: dict[str, Any] = {"on": [selector]}
        if base is not None and base.tests:
            fields["when"] = both(*base.tests)
        if self.over_us:
            fields["over"] = format_duration(self.over_us)
            fields["measure"] = self.measures
        return fields

    def filter(self, series: Series) -> str:
        """Return the matchers of `series` that not all series of the expression have."""
        return ALWAYS if shared(self.found) is not None else series.condition()

    def _where(self, series: Series, test: str = ALWAYS) -> str:
        """Return which samples are of `series` and pass `test`."""
        return self._of(series.metric, both(self.filter(series), test))

    def _of(self, metric: str, test: str) -> str:
        """Return which samples are of `metric` and pass `test`; empty: all of them."""
        several = len({one.metric for one in self.found}) > 1
        named = f"signal.data.metric == {cel_text(metric)}" if several else ALWAYS
        found = both(named, test)
        return "" if found == ALWAYS else found

    def _vector(
        self, fn: str, metric: str, taken: Mapping[str, Any], labels: tuple[str, ...] | None
    ) -> Vector:
        """Return a measure as a vector: there where a sample contributes to it."""
        name = self._measure((fn, fn), metric, taken)
        there = f"has(m.{name})" if taken["where"] or fn in _MAYBE_EMPTY else ALWAYS
        if fn == "count" and there != ALWAYS:
            there = f"has(m.{name}) && m.{name} > 0"
        if fn == "sum" and there != ALWAYS:
            there = self._vector("count", metric, taken, labels).present
        value = f"double(m.{name})" if fn == "count" else f"m.{name}"
        return Vector(there, value, f"m.{name}", labels)

    def _measure(self, named: tuple[str, str], metric: str, taken: Mapping[str, Any]) -> str:
        """Return the name of a measure, made where it is not there: (word for it, function)."""
        word, fn = named
        given = {"fn": fn, **{name: one for name, one in taken.items() if one}}
        if fn == "count":
            del given["of"]
        for name, known in self.measures.items():
            if known == given:
                return name
        name = _free(_name(word, metric, self.found), self.measures)
        self.measures[name] = given
        return name


def _name(word: str, metric: str, found: Iterable[Series]) -> str:
    several = len({one.metric for one in found}) > 1
    metric = _NAME.sub("_", metric)[:_NAME_CHARS]
    if not several:
        return word
    return metric if word == "last" else f"{metric}_{word}"


def _free(name: str, taken: Collection[str]) -> str:
    number = 1
    while (tried := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return tried
