"""The labels of `match` are in every selector of an expression, or it is refused."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.metrics.matching import matching
from engine.model.errors import MetricsError

EU = {"cluster": "eu"}


@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("up", 'up{cluster="eu"}'),
        ("up{}", 'up{cluster="eu"}'),
        ('up{job="a"}', 'up{cluster="eu",job="a"}'),
        ('up{job="a",}', 'up{cluster="eu",job="a",}'),
        ('{__name__=~"a|b"}', '{cluster="eu",__name__=~"a|b"}'),
        ('up{job="}{"} + b', 'up{cluster="eu",job="}{"} + b{cluster="eu"}'),
        ("rate(a[5m]) / b", 'rate(a{cluster="eu"}[5m]) / b{cluster="eu"}'),
        (
            "sum by (a, b) (c) / on (a) group_left (b) d",
            'sum by (a, b) (c{cluster="eu"}) / on (a) group_left (b) d{cluster="eu"}',
        ),
        ("sum(a) without (b) or vector(1)", 'sum(a{cluster="eu"}) without (b) or vector(1)'),
        (
            "max_over_time(a[1h:30s] offset -2m)",
            'max_over_time(a{cluster="eu"}[1h:30s] offset -2m)',
        ),
        ("a > bool 1e-3", 'a{cluster="eu"} > bool 1e-3'),
        ("a @ end() unless c # d\n", 'a{cluster="eu"} @ end() unless c{cluster="eu"} # d\n'),
        (
            'label_replace(a, "b", "$1", "c", "d")',
            'label_replace(a{cluster="eu"}, "b", "$1", "c", "d")',
        ),
        ("A * ON (x) GROUP_LEFT () B", 'A{cluster="eu"} * ON (x) GROUP_LEFT () B{cluster="eu"}'),
        ("job:a:rate5m", 'job:a:rate5m{cluster="eu"}'),
        ("sum(sum)", 'sum(sum{cluster="eu"})'),
        ("Inf * time()", "Inf * time()"),
    ],
)
def test_every_selector_gets_the_labels(expression: str, changed: str) -> None:
    assert matching(expression, EU) == changed


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "a{",
        "a b",
        "a" + "+a" * 100,
        "(" * 100 + "a" + ")" * 100,
        "sum by",
        'a{b="c" or d="e"}',
        "a" * 20_000,
        "nope(a)",
        "\x00",
        "a{b=~c}",
    ],
)
def test_what_cannot_be_changed_for_sure_is_refused(expression: str) -> None:
    with pytest.raises(MetricsError) as caught:
        matching(expression, EU)
    assert caught.value.reason == "refused"


def test_without_labels_an_expression_is_left_alone_even_if_nobody_understands_it() -> None:
    assert matching("a{ nonsense", {}) == "a{ nonsense"


@given(st.text(max_size=40))
@example('a"b\\c\nd')
def test_a_label_may_have_any_value(value: str) -> None:
    try:
        changed = matching("up", {"cluster": value})
    except MetricsError:
        return
    assert changed == f"up{{cluster={json.dumps(value, ensure_ascii=False)}}}"


@given(st.text(alphabet="ab_{}[]()\"'`,=~!:#\\ \n0159.emsumbyonor+-*/@<>", max_size=40))
def test_any_text_is_either_refused_or_has_the_labels_in_every_selector(text: str) -> None:
    with contextlib.suppress(MetricsError):
        changed = matching(text, EU)
        assert changed.count('cluster="eu"') >= (changed != text)
