"""Imported rules fire at the very instants at which Prometheus' own rules do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.rules.prometheus.convert import Status, convert
from tests.rules.prometheus.contest import Samples, a_file, differing, samples

if TYPE_CHECKING:
    from tests.testbeds.promtool import Promtool

pytestmark = pytest.mark.real

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
    "max by (j) (x) > 2",
    "min by (j) (x) < 1",
    "sum by (j) (x) >= 5",
    "avg by (j) (x) > 1.3",
    "stddev by (j) (x) > 0.77",
    "quantile by (j) (0.9, x) > 2.03",
    "quantile(0.5, x) < 1.01",
    "count by (j) (x > 1) == 2",
    "count(x > 1) > 2",
    "count by (i) (x)",
    "group by (j) (x == 0)",
    "sum(x)",
    'sum by (j) (x{i!="2"}) > 2',
    "sum by (j) (x * 2 - 1) < 0",
    "sum by (j) (x > bool 1) == 2",
    "max by (j) (abs(x - 2)) >= 2",
    "sum by (j) (x > 0 and x < 3) > 1",
    "min by (j) (x unless x == 0) > 1",
    'sum by (j) (x{i="1"} or x{i="2"} > 1) > 1',
    "count by (j) (1 / x > 0.4) == 2",
    "sum by (j) (a) / sum by (j) (b) > 0.7",
    "sum by (j) (a) - count by (j) (a > 1) > 2",
    'count by (j) (x > 1) / count by (j) (x{i!="4"}) > 0.4',
    "max by (j) (a) > 1 and min by (j) (b) < 1",
    "max by (j) (a) > 1 or avg by (j) (b) > 1.3",
    "sum by (j) (a) > 1 unless count by (j) (b == 0) > 1",
    "sum by (j) (sum_over_time(a[5m])) > 4 * max by (j) (a)",
    "recorded > 1",
)

series = st.sampled_from(["x", "a", "b", 'x{j="p"}', 'a{i!="2"}', 'b{j=~"p|"}'])
over = st.sampled_from(["min", "max", "sum", "count", "last", "present"])
signs = st.sampled_from(["+", "-", "*", "/", ">", "<", "==", "!=", ">= bool", "< bool"])
numbers = st.sampled_from(["1", "0", "2", "-3.5"])
words = st.sampled_from(["and", "or", "unless"])
leaf = st.one_of(
    series,
    st.builds("{}_over_time({}[5m])".format, over, series),
    st.builds(
        "({}({}[5m]) {} 0)".format,
        st.sampled_from(["rate", "increase", "changes"]),
        series,
        st.sampled_from([">", "==", "!=", "<=", ">="]),
    ),
)
expressions = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, signs, st.one_of(numbers, inner)),
        st.builds("({} {} {})".format, inner, words, inner),
        st.builds("abs({})".format, inner),
    ),
    max_leaves=5,
)
metrics = st.sampled_from(["x", "a", "b"])
vectors = st.sampled_from([
    "{0}",
    '{0}{{i!="2"}}',
    "{0} > 1",
    "{0} * 2 - 1",
    "{0} >= bool 1",
    "abs({0} - 2)",
    "{0} > 0 and {0} < 3",
    "{0} unless {0} == 1",
    '{0}{{i="1"}} or {0}{{i="2"}} > 1',
    "1 / {0}",
])  # fmt: skip
aggregates = st.builds(
    lambda op, vector, metric: f"{op} by (j) ({vector.format(metric)})",
    st.sampled_from(["sum", "avg", "min", "max", "count", "group"]),
    vectors,
    metrics,
)
grouped = st.recursive(
    aggregates,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, signs, st.one_of(numbers, inner)),
        st.builds("({} {} {})".format, inner, words, inner),
    ),
    max_leaves=4,
)


def is_kept(expression: str) -> bool:
    outcomes = convert("e.yml", json.dumps({"groups": a_file([expression])})).outcomes
    return outcomes[-1].status is Status.TRANSLATED


@given(given_=samples)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_each_supported_form_fires_at_the_ticks_at_which_prometheus_fires(
    promtool: Promtool, given_: Samples
) -> None:
    assert differing(promtool, EXACT, given_) == []


@given(found=st.lists(expressions | grouped, min_size=20, max_size=40), given_=samples)
@settings(max_examples=8, deadline=None, suppress_health_check=[*HealthCheck])
def test_whatever_is_kept_of_composed_forms_fires_where_prometheus_fires(
    promtool: Promtool, found: list[str], given_: Samples
) -> None:
    kept = [one for one in found if is_kept(one)]
    assert differing(promtool, kept, given_) == []
