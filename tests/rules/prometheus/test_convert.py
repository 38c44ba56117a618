"""What can not be kept is refused with the reason; nothing changes its meaning in silence."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.errors import RuleError
from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.prometheus import account
from engine.rules.prometheus.convert import Import, Status, convert
from engine.stream.evaluator import Evaluator

if TYPE_CHECKING:
    from engine.rules.rule import Rule

REFUSED = {
    "rate(x[5m]) > 1": "extrapolates",
    "sum by (job) (rate(x[5m])) > 1": "extrapolates",
    "increase(x[5m]) > bool 0": "extrapolates",
    "(rate(x[5m]) > 0) > 3": "not how much",
    "((increase(x[5m]) != 0) or x) > 3": "not how much",
    "irate(x[5m]) > 0": "last two samples",
    "delta(x[5m]) > 0": "extrapolates",
    "changes(x[5m]) > 2": "step into the window",
    "predict_linear(x[1h], 3600) < 0": "clock",
    "time() - x > 60": "clock",
    "x offset 5m > 1": "the past",
    "x @ 0 > 1": "the past",
    "max_over_time(x[1h:1m]) > 1": "subquery",
    "sum by (job) (max_over_time(x[5m])) > 1": "computed of each series",
    "count(sum by (job) (x) > 1) > 1": "computed of each series",
    "sum by (job) (a * b) > 1": "computed of each series",
    "sum by (job) (x + avg_over_time(x[5m])) > 1": "computed of each series",
    "sum(vector(1)) < sum(x)": "computed of each series",
    "sum by (job) (1 / x) > 1": "no finite number",
    "max by (job) (x / 0) > 1": "no finite number",
    "quantile by (job) (0.42, x) > 1": "percentiles are",
    "sum without (job) (sum_over_time(x[5m])) > 1": "group key",
    "topk(3, x) > 1": "no counterpart",
    "a / on (job) b > 1": "some of their labels",
    "a * on (job) group_left (team) b > 1": "some of their labels",
    "sum by (a) (sum_over_time(x[5m])) > sum by (b) (sum_over_time(x[5m]))": "different labels",
    "avg_over_time(x[5m]) > avg_over_time(x[1h])": "different lengths",
    "avg_over_time(x[1h]) > 1 and x > 1": "different lengths",
    "quantile_over_time(0.42, x[5m]) > 1": "percentiles are",
    "histogram_quantile(0.9, x) > 1": "buckets",
    "label_replace(x, 'a', '$1', 'b', '(.*)') > 1": "made anew",
    "absent(x)": "never was",
    "vector(1)": "no series",
    "x % 2 == 1": "CEL has no '%'",
    "x > Inf": "infinite",
    '{__name__=~"a|b"} > 1': "no single metric",
    'recorded{a="b"} > 1': "recording rule",
    "looped > 1": "recorded from itself",
}


def a_file(*rules: dict[str, Any], **group: Any) -> str:
    return json.dumps({"groups": [{"name": "g", "rules": list(rules), **group}]})


def an_alert(expr: str, **fields: Any) -> dict[str, Any]:
    return {"alert": "HighLoad", "expr": expr, **fields}


RECORDED = {"record": "recorded", "expr": "a / b"}
LOOPED = {"record": "looped", "expr": "looped + 1"}


def the_rule(found: Import) -> Rule:
    loaded = load({"f.yaml": found.text})
    assert len(loaded.rules.rules) == 1, loaded.faults
    return loaded.rules.rules[0]


@pytest.mark.parametrize(("expr", "why"), REFUSED.items())
def test_what_can_not_be_kept_exactly_is_refused_with_the_reason(expr: str, why: str) -> None:
    found = convert("f.yml", a_file(RECORDED, LOOPED, an_alert(expr)))
    outcome = found.outcomes[-1]
    assert outcome.status is Status.REFUSED
    assert why in outcome.why
    assert outcome.way_out
    assert found.text == ""


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"labels": {"severity": "{{ $labels.severity }}"}}, "labels of rules are fixed"),
        ({"annotations": {"summary": "{{ $value | humanize }}"}}, "calls no functions"),
        ({"annotations": {"summary": "{{ range query `up` }}{{ end }}"}}, "calls no functions"),
        ({"annotations": {"summary": "100 {% raw %}"}}, "marks of templates"),
    ],
)
def test_templates_that_do_more_than_show_labels_and_value_are_refused(
    fields: dict[str, Any], why: str
) -> None:
    (outcome,) = convert("f.yml", a_file(an_alert("x > 1", **fields))).outcomes
    assert outcome.status is Status.REFUSED
    assert why in outcome.why


@pytest.mark.parametrize("field", [{"limit": 5}, {"query_offset": "1m"}])
def test_fields_of_a_group_that_change_its_alerts_are_refused(field: dict[str, Any]) -> None:
    (outcome,) = convert("f.yml", a_file(an_alert("x > 1"), **field)).outcomes
    assert (outcome.status, outcome.part) == (Status.REFUSED, next(iter(field)))


def test_for_labels_and_annotations_are_kept() -> None:
    alert = an_alert(
        "x > 1",
        **{"for": "1h30m", "keep_firing_for": "1d"},
        labels={"severity": "page", "empty": ""},
        annotations={"summary": "{{ $labels.pod }} is at {{$value}}", "runbook_url": "https://r/1"},
    )
    rule = the_rule(convert("f.yml", a_file(alert, labels={"team": "a", "severity": "x"})))
    assert (rule.name, rule.for_us, rule.keep_firing_for_us) == (
        "high-load",
        5400 * 10**6,
        86400 * 10**6,
    )
    assert rule.labels == {"alertname": "HighLoad", "severity": "page", "team": "a"}
    assert rule.annotations == {
        "summary": "{{ key['labels.pod'] }} is at {{ value }}",
        "runbook_url": "https://r/1",
    }


def test_the_value_of_an_expression_is_computed_in_the_template() -> None:
    alert = an_alert("avg_over_time(x[5m]) / 2 > 1", annotations={"summary": "{{ $value }}"})
    rule = the_rule(convert("f.yml", a_file(alert)))
    assert rule.annotations == {"summary": "{{ (m.avg / 2.0) }}"}


def test_a_label_that_the_alert_can_not_have_is_left_empty_as_in_prometheus() -> None:
    alert = an_alert(
        "sum by (job) (sum_over_time(x[5m])) > 1", annotations={"summary": "[{{ $labels.pod }}]"}
    )
    assert the_rule(convert("f.yml", a_file(alert))).annotations == {"summary": "[]"}


def test_alerts_of_one_name_get_names_of_their_own_and_keep_theirs_as_a_label() -> None:
    severities = ("warning", "critical", "critical")
    alerts = [an_alert("x > 1", labels={"severity": one}) for one in severities]
    found = convert("f.yml", a_file(*alerts))
    assert [one.rule for one in found.outcomes] == [
        "high-load",
        "high-load-critical",
        "high-load-2",
    ]
    rules = load({"f.yaml": found.text}).rules.rules
    assert {rule.labels["alertname"] for rule in rules} == {"HighLoad"}


def test_a_recording_rule_is_put_in_where_alerts_use_it_and_else_refused() -> None:
    other = {"record": "other", "expr": "a + b"}
    found = convert("f.yml", a_file(RECORDED, other, an_alert("recorded > 1")))
    assert [one.status for one in found.outcomes] == [
        Status.PUT_IN,
        Status.REFUSED,
        Status.TRANSLATED,
    ]
    assert "m.a / m.b > 1.0" in found.text


def test_nearly_takes_what_differs_a_little_and_says_how_in_the_file() -> None:
    exprs = (
        "rate(x[5m]) > 1",
        "sum by (j) (increase(x[5m])) > 1",
        "absent(x)",
    )
    for expr in exprs:
        found = convert("f.yml", a_file(an_alert(expr)), nearly=True)
        (outcome,) = found.outcomes
        assert outcome.status is Status.NEARLY
        assert all(f"# Differs: {one}." in found.text for one in outcome.differences)
        the_rule(found)


def a_sample(metric: str, at: int, value: float) -> Signal:
    data = {"metric": metric, "labels": {"job": "a"}, "value": value}
    time = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=at)
    return Signal(id=f"{metric}@{at}", source="s", type="metric", cluster="c", time=time, data=data)


def test_samples_of_one_scrape_decide_together_in_whatever_order_they_come() -> None:
    found = convert("f.yml", a_file(an_alert("a / b > 2"), an_alert("a - b > 95")))
    evaluator = Evaluator(load({"f.yaml": found.text}).rules)
    log = [a_sample("a", 0, 1), a_sample("b", 0, 1), a_sample("a", 60, 100), a_sample("b", 60, 90)]
    told = (
        evaluator.step(log).transitions + evaluator.advance(to_us(log[-1].time) + 10**6).transitions
    )
    assert {one.state for one in told} == {State.PENDING, State.INACTIVE}


def test_every_fault_of_a_broken_file_is_told_at_once_with_its_place() -> None:
    text = "\n".join([
        "groups:",
        "- name: g",
        "  rulez: []",
        "  rules:",
        "  - alert: A",
        "    expr: x{",
        "    for: 5 minutes",
        "  - expr: x > 1",
    ])  # fmt: skip
    with pytest.raises(RuleError) as caught:
        convert("f.yml", text)
    assert str(caught.value).splitlines() == [
        (
            "f.yml:3:3 unknown field 'rulez' of the group; "
            "known: interval, labels, limit, name, query_offset, rules; did you mean 'rules'?"
        ),
        "f.yml:6:11 not PromQL: unexpected end of input inside braces",
        "f.yml:8:5 a rule has either 'alert' or 'record'",
    ]


def test_the_account_names_place_part_reason_and_way_out() -> None:
    found = convert("f.yml", a_file(an_alert("x > 1"), an_alert("rate(x[5m]) > 3")))
    told = account.to_text(found)
    for word in ("f.yml:1", "HighLoad", "rate(x[5m])", "extrapolates", "way out: --nearly"):
        assert word in told
    assert told.endswith("2 rules: 1 translated, 1 not translated")
    assert json.loads(account.to_json(found))["outcomes"][1]["status"] == "refused"
    assert not account.complete(found)


def test_nearly_shows_a_formatted_value_in_its_own_form() -> None:
    text = '{{ printf "%.2f" $value }}% or {{ $value | humanize }}'
    alert = an_alert("x > 1", annotations={"summary": text, "other": "{{ query `up` }}"})
    found = convert("f.yml", a_file(alert), nearly=True)
    assert the_rule(found).annotations == {"summary": "{{ value | round(2) }}% or {{ value }}"}
    (outcome,) = found.outcomes
    assert [one.partition(",")[0] for one in outcome.differences] == [
        "annotation summary shows the value in its own form",
        "annotation summary shows the value in its own form",
        "annotation other is left out",
    ]


def test_a_manifest_of_the_operator_is_read_too() -> None:
    spec = json.loads(a_file(an_alert("x > 1")))
    manifest = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "spec": spec}
    assert the_rule(convert("f.yml", json.dumps(manifest))).name == "high-load"
