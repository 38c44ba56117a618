"""The index offers exactly the rules whose `on` takes a signal."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.rule import Selector
from engine.stream.index import Index
from engine.stream.reader import Reader
from tests.stream.building import Run, a_metric, a_pod, a_rule, an_event


def found(selector: Selector, signal: Signal, when: str = "true") -> bool:
    reader = Reader(a_rule(selectors=(selector,), when=when), Counter())
    return Index([reader]).find(signal) == [reader]


@pytest.mark.parametrize(
    ("fields", "takes"),
    [
        ({}, True),
        ({"kinds": ("Pod",)}, True),
        ({"kinds": ("Node", "P*")}, True),
        ({"kinds": ("Node",)}, False),
        ({"clusters": ("c1", "c2")}, True),
        ({"clusters": ("c?",)}, True),
        ({"clusters": ("d*",)}, False),
        ({"namespaces": ("shop",)}, True),
        ({"namespaces": ("team-*",)}, False),
        ({"exclude": {"namespaces": ("sh*",)}}, False),
        ({"exclude": {"kinds": ("Node",)}}, True),
        ({"labels": "app=web,!canary"}, True),
        ({"labels": "app notin (web)"}, False),
        ({"metrics": ("up",)}, False),
        ({"kinds": ("P*d",), "namespaces": ("s*", "web")}, True),
        ({"namespaces": ("sho", "t*")}, False),
        ({"namespaces": ("*op",)}, True),
        ({"namespaces": tuple(f"n{i}" for i in range(200))}, False),
        ({"kinds": ("Pod",), "namespaces": ("shop",), "clusters": ("c1",)}, True),
    ],
)
def test_a_selector_takes_what_all_its_lists_take(fields: dict[str, Any], takes: bool) -> None:
    assert found(Selector("k8s.object", **fields), a_pod(0, labels={"app": "web"})) is takes


def test_a_selector_of_another_type_takes_nothing() -> None:
    assert not found(Selector("k8s.event"), a_pod(0))
    assert found(Selector("k8s.event", reasons=("Back*",)), an_event(0))
    assert found(Selector("metric", metrics=("m",)), a_metric(0, 1))
    assert not found(Selector("metric", metrics=("other",)), a_metric(0, 1))


def test_a_comparison_that_when_needs_prefilters() -> None:
    when = 'signal.data.phase == "Bad" && signal.data.n > 1'
    assert found(Selector("k8s.object"), a_pod(0, phase="Bad"), when)
    assert not found(Selector("k8s.object"), a_pod(0, phase="Good"), when)
    assert not found(Selector("k8s.object"), a_pod(0, phase=["Bad"]), when)


@pytest.mark.parametrize(
    "selected",
    [
        {"namespaces": ("own-{}",)},
        {"namespaces": ("own-{}-*",)},
        {"clusters": ("own-{}", "own-{}-?")},
        {"labels": "app=own-{}"},
        {"when": 'signal.data.reason == "Own{}" && !signal.data.ready'},
        {"when": 'signal.name.startsWith("own-{}-") && !signal.data.ready'},
        {"when": 'signal.data.ready && signal.node in ["own-{}", "n-{}"]'},
    ],
    ids=str,
)
def test_as_rules_grow_in_number_no_more_of_them_are_asked(selected: dict[str, Any]) -> None:
    signal = a_pod(0, reason="Bad", ready=True, labels={"app": "web"})
    meets: dict[str, Any] = {"namespaces": ("sh*",), "when": 'signal.name.startsWith("web-")'}
    index = Index([reader("all"), reader("meets", **meets), *others(500, selected)])
    asked = [entry.reader.rule.name for entry in index.candidates(signal)]
    assert sorted(asked) == ["all", "meets"]


def others(count: int, selected: dict[str, Any]) -> Iterator[Reader]:
    for number in range(count):
        fields: dict[str, Any] = {
            name: value.replace("{}", str(number))
            if isinstance(value, str)
            else tuple(one.replace("{}", str(number)) for one in value)
            for name, value in selected.items()
        }
        yield reader(f"own-{number}", **fields)


def reader(name: str, when: str = "true", **selected: Any) -> Reader:
    rule = a_rule(name, selectors=(Selector("k8s.object", **selected),), when=when)
    return Reader(rule, Counter())


def test_a_beginning_that_when_needs_prefilters() -> None:
    when = 'signal.name.startsWith("web-") || signal.name.startsWith("db-")'
    assert found(Selector("k8s.object"), a_pod(0, "db-1"), when)
    assert not found(Selector("k8s.object"), a_pod(0, "mq-1"), when)
    assert not found(Selector("k8s.object"), a_pod(0, "w"), when)


def test_a_beginning_of_what_is_no_text_is_an_error_and_of_nothing_a_missing_field() -> None:
    seen = Run(a_rule(when='signal.data.phase.startsWith("B")'))
    seen.see(a_pod(0, phase="Bad"), a_pod(1, phase=7), a_pod(2, phase=["Bad"]), a_pod(3)).to(9)
    assert seen.count('errors{rule="r"}') == 2
    assert seen.count('missing_field{rule="r"}') == 1
    assert seen.moves == [(0, "firing"), (3, "resolved")]


def test_a_rule_with_two_selectors_is_found_once() -> None:
    reader = Reader(a_rule(selectors=(Selector("k8s.object"), Selector("k8s.object"))), Counter())
    assert Index([reader]).find(a_pod(0)) == [reader]


def test_a_field_that_the_index_looks_for_in_vain_is_counted_as_missing() -> None:
    asks = a_rule("asks", when='signal.data.phase == "Bad"')
    tests = a_rule("tests", when='has(signal.data.phase) && signal.data.phase == "Bad"')
    seen = Run(asks, tests).see(a_pod(0), a_pod(1, phase="Good"), a_pod(2))
    assert seen.count('missing_field{rule="asks"}') == 2
    assert seen.count('missing_field{rule="tests"}') == 0


def test_a_deletion_that_no_longer_matches_ends_a_level_all_the_same() -> None:
    rule = a_rule(selectors=(Selector("k8s.object", labels="app=web"),))
    seen = Run(rule).see(a_pod(0, labels={"app": "web"}), a_pod(5, change="deleted")).to(9)
    assert seen.moves == [(0, "firing"), (5, "resolved")]
