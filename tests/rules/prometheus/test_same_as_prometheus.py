"""Imported rules fire at the very instants at which Prometheus' own rules do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.prometheus.annotations import MISSING
from engine.rules.prometheus.convert import Status, convert
from engine.stream.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.rules.rule import RuleSet
    from tests.testbeds.promtool import Promtool

pytestmark = pytest.mark.real

SCRAPE_S = 47
"""No window is a multiple of it: where they are is where Prometheus 2 and 3 differ."""
TICKS = 24
START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS: tuple[dict[str, str], ...] = (
    {"i": "1", "j": "p"},
    {"i": "2", "j": "p"},
    {"i": "3"},
    {"i": "4", "j": 'q"\\ é'},
)
EXACT = (
    # Thresholds on averages, percentiles and slopes lie off what small numbers give: Prometheus
    # rounds at each step, dogwatch once, so they may differ in the last bit.
    "x > 1",
    "x",
    'x{i="1"} != 2',
    'x{j="p",i!="1"} >= 2',
    'x{j!="p"} < 2',
    'x{j=""} < 3',
    'x{j!=""} < 3',
    'x{i=~"1|3"} == 1',
    'x{j!~"p.*"} > 0',
    'x{j=~".*"} > 2',
    'x{j=~"q"} >= 0',
    '{__name__="x",i="2"} > 0',
    "3 - x / 2 * 0.5 > 2",
    "-x <= -2",
    "5 < x * 3",
    "(x > bool 1) == 1",
    "x > 1 and x < 3",
    'x{i="1"} > 1 or x{i="2"} < 1',
    "x unless x == 2",
    "abs(x - 2) > 1",
    "clamp_max(x, 2) == 2 or clamp_min(x, 1) == 1",
    "a / b > 1.5",
    "a > b",
    "a - b != 0",
    "a > 1 and b < 2",
    "a > 1 or b > 1",
    "a unless b > 1",
    'a{j="p"} / b{j="p"} >= 1',
    'a{i="1"} > 0 and b{j="p"} > 0',
    "a / b",
    "max_over_time(x[3m]) > 2",
    "min_over_time(x[10m]) > 0",
    "avg_over_time(x[5m]) >= 1.77",
    "sum_over_time(x[4m]) > 8",
    "count_over_time(x[5m]) < 5",
    "last_over_time(x[7m]) == 2",
    "present_over_time(x[4m])",
    "stddev_over_time(x[6m]) > 1.01",
    "quantile_over_time(0.9, x[10m]) > 2.03",
    "quantile_over_time(0, x[10m]) > 0",
    "deriv(x[5m]) > 0.0051",
    "avg_over_time(x[5m]) > 1.03 and x < 2",
    "avg_over_time(a[10m]) / avg_over_time(b[10m]) > 1.03",
    "rate(x[4m]) > 0",
    "increase(x[10m]) > 0",
    "0 == increase(x[4m])",
    "rate(x[4m]) != 0",
    "increase(x[4m]) <= 0",
    "rate(x[4m]) >= 0",
    "(increase(x[4m]) == 0) + 1 > 0",
    "changes(x[4m]) > 0",
    "changes(x[4m]) == 0",
    "rate(a[4m]) > 0 unless rate(b[4m]) > 0",
    "sum by (j) (sum_over_time(x[4m])) > 12",
    "sum(sum_over_time(x[4m])) < 24",
    "max by (j, i) (max_over_time(x[4m])) == 3",
    "min by (j) (min_over_time(x[4m])) == 0",
    "sum by (j) (count_over_time(x[4m])) > 6",
    "count by (j) (x) == 2",
    "count(x) < 3",
    "group by (j) (x)",
    "count by (j) (max_over_time(x[4m])) < 2",
    "sum by (j) (sum_over_time(a[5m])) / sum by (j) (sum_over_time(b[5m])) > 1",
    "sum by (j) (sum_over_time(a[5m])) > 4 unless count by (j) (b) == 2",
    "recorded > 1",
)

number = st.sampled_from([0, 0, 1, 1, 2, 3, 0.5, 5])
run = st.tuples(st.one_of(st.none(), number), st.integers(1, 9))
values = st.lists(run, min_size=4, max_size=12).map(
    lambda runs: [one for one, times in runs for _ in range(times)][:TICKS]
)
Samples = dict[tuple[str, int], list[float | None]]
samples = st.fixed_dictionaries(
    {(metric, i): values for metric in "xab" for i in range(len(LABELS))}
)


def a_file(expressions: Sequence[str]) -> list[dict[str, Any]]:
    recorded = {"record": "recorded", "expr": "a / b"}
    alerts = [{"alert": f"A{i}", "expr": expr} for i, expr in enumerate(expressions)]
    return [{"name": "g", "rules": [recorded, *alerts]}]


def imported(groups: Sequence[Mapping[str, Any]], *, nearly: bool = False) -> RuleSet:
    found = convert("all.yaml", json.dumps({"groups": groups}), nearly=nearly)
    assert not [one for one in found.outcomes if one.status is Status.REFUSED]
    loaded = load({"all.yaml": found.text})
    assert loaded.rules.rules, loaded.faults
    return loaded.rules


def told(rules: RuleSet, given: Samples) -> list[set[tuple[str, frozenset[tuple[str, str]]]]]:
    """Return what fires under our evaluator after the signals of each tick."""
    evaluator, found = Evaluator(rules), []
    names = {rule.name: rule.labels["alertname"] for rule in rules.rules}
    for tick in range(TICKS):
        at = START + timedelta(seconds=SCRAPE_S * tick)
        evaluator.step([
            Signal(id=f"{metric}{i}@{tick}", source="scrape", type="metric", time=at, cluster="c",
                   data={"metric": metric, "labels": LABELS[i], "value": value})
            for (metric, i), one in given.items()
            if (value := one[tick] if tick < len(one) else None) is not None
        ])  # fmt: skip
        evaluator.advance(to_us(at) + 2_000)
        found.append({
            (names[one.rule], labels_of(one.key))
            for one in evaluator.open()
            if one.state is State.FIRING
        })  # fmt: skip
    return found


def labels_of(key: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    if "signal.labels" in key:
        return frozenset(json.loads(key["signal.labels"]).items())
    parts = {name.removeprefix("labels."): one for name, one in key.items() if name != "cluster"}
    return frozenset((name, one) for name, one in parts.items() if one != MISSING)


def selector(labels: Mapping[str, str]) -> str:
    quoted = (f"{name}={json.dumps(one, ensure_ascii=False)}" for name, one in labels.items())
    return f"{{{','.join(quoted)}}}"


def judged(
    promtool: Promtool, groups: list[dict[str, Any]], given: Samples
) -> list[set[tuple[str, frozenset[tuple[str, str]]]]]:
    """Return what fires under Prometheus at the evaluation of each tick."""
    series = {
        metric + selector(LABELS[i]): " ".join("_" if v is None else str(v) for v in one)
        for (metric, i), one in given.items()
    }
    looks = [SCRAPE_S * tick for tick in range(TICKS)]
    alerts = promtool.alerts(groups, series, looks, interval_s=SCRAPE_S)
    return [{(one.rule, frozenset(one.labels)) for one in found} for found in alerts]


@given(given_=samples)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_supported_form_fires_at_the_ticks_at_which_prometheus_fires(
    promtool: Promtool, given_: Samples
) -> None:
    groups = a_file(EXACT)
    expected, actual = judged(promtool, groups, given_), told(imported(groups), given_)
    for tick, (theirs, ours) in enumerate(zip(expected, actual, strict=True)):
        differing = {(EXACT[int(name[1:])], labels) for name, labels in theirs ^ ours}
        assert not differing, f"at tick {tick}"
