"""Where the numbers of an expression come from: the latest signal, or measures of a window."""

import re
from collections.abc import Collection, Iterable
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
_WHOLE: Final = frozenset({"count", "distinct"})
_NAME: Final = re.compile(r"\W")
_NAME_CHARS: Final = 40


@dataclass
class Frame:
    """Collects what an expression over `found` series needs; `over_us` 0: their latest signals.

    `labels` are those of the groups that measures are taken for; None: each series by itself.
    """

    found: Collection[Series]
    over_us: int = 0
    measures: dict[str, dict[str, str]] = field(default_factory=dict)

    def instant(self, series: Series) -> Vector:
        """Return the series as they are now."""
        if self.over_us:
            return self.measured("last", series)
        return Vector(self._filter(series), "signal.value", "value")

    def measured(
        self, fn: str, series: Series, labels: tuple[str, ...] | None = None, test: str = ""
    ) -> Vector:
        """Return the measure `fn` of the samples of `series` for which `test` is true."""
        of = "signal.labels" if fn == "distinct" else _NUMBER
        name = self._measure((fn, fn), series, "" if fn == "count" else of, test)
        there = ALWAYS if not self._where(series, test) else f"has(m.{name})"
        if fn in _MAYBE_EMPTY:
            there = f"has(m.{name})"
        if fn in _WHOLE and there != ALWAYS:
            there = f"has(m.{name}) && m.{name} > 0"
        if fn == "sum" and there != ALWAYS:
            there = self.measured("count", series, labels, test).present
        value = f"double(m.{name})" if fn in _WHOLE else f"m.{name}"
        return Vector(there, value, f"m.{name}", labels)

    def grown(self, series: Series) -> tuple[str, str]:
        """Return whether counters have the two samples of a rate, and whether they grew.

        Prometheus' rate and increase are 0 exactly where every step between two samples of the
        window leads to the same value or to 0, and positive otherwise, whatever they are
        extrapolated by. So they are positive where two values above 0 differ, or a 0 comes
        before a value above 0.
        """
        count = self.measured("count", series)
        above, zero = "signal.value > 0.0", "signal.value == 0.0"
        high = self._measure(("high", "max"), series, _NUMBER, above)
        low = self._measure(("low", "min"), series, _NUMBER, above)
        risen = self._measure(("risen", "max"), series, _MILLIS, above)
        reset = self._measure(("reset", "min"), series, _MILLIS, zero)
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

    def _filter(self, series: Series) -> str:
        """Return the matchers of `series` that not all series of the expression have."""
        return ALWAYS if shared(self.found) is not None else series.condition()

    def _where(self, series: Series, test: str) -> str:
        several = len({one.metric for one in self.found}) > 1
        metric = f"signal.data.metric == {cel_text(series.metric)}" if several else ALWAYS
        found = both(metric, self._filter(series), test or ALWAYS)
        return "" if found == ALWAYS else found

    def _measure(self, named: tuple[str, str], series: Series, of: str, test: str) -> str:
        """Return the name of a measure, made where it is not there: (word for it, function)."""
        word, fn = named
        where = self._where(series, test)
        given = {"fn": fn, **({"of": of} if of else {}), **({"where": where} if where else {})}
        for name, known in self.measures.items():
            if known == given:
                return name
        name = _free(_name(word, series, self.found), self.measures)
        self.measures[name] = given
        return name


def _name(word: str, series: Series, found: Iterable[Series]) -> str:
    several = len({one.metric for one in found}) > 1
    metric = _NAME.sub("_", series.metric)[:_NAME_CHARS]
    if not several:
        return word
    return metric if word == "last" else f"{metric}_{word}"


def _free(name: str, taken: Collection[str]) -> str:
    number = 1
    while (tried := name if number == 1 else f"{name}_{number}") in taken:
        number += 1
    return tried
