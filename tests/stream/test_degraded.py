"""A rule whose expression fails again and again is degraded, tells so, and becomes healthy."""

import time
from typing import Any

from engine.model.signal import Signal
from engine.stream.account import Degraded, Ledger, Turn
from engine.stream.evaluator import Evaluator
from tests.stream.building import Run, a_measure, a_pod, a_rule, a_set

RULE = a_rule(when="1 / signal.data.n > 0")
"""Fails where n is 0."""


def zeros(count: int, start: int = 0, **data: Any) -> list[Signal]:
    return [a_pod(start + at, n=0, **data) for at in range(count)]


def degraded(seen: Run) -> list[tuple[str, str]]:
    return [(one.rule, one.cluster) for one in seen.evaluator.health()]


def test_five_errors_in_a_row_degrade_a_rule_and_say_why() -> None:
    seen = Run(RULE).see(*zeros(4))
    assert seen.evaluator.health() == []
    seen.see(*zeros(1, 4))
    (found,) = seen.evaluator.health()
    assert (found.rule, found.cluster) == ("r", "c1")
    assert "zero" in found.error


def test_a_value_between_the_errors_begins_the_row_anew() -> None:
    assert degraded(Run(RULE).see(*zeros(4), a_pod(4, n=1), *zeros(4, 5))) == []


def test_the_first_value_makes_it_healthy() -> None:
    seen = Run(RULE).see(*zeros(7), a_pod(9, n=1))
    assert degraded(seen) == []


def test_each_expression_has_its_own_row() -> None:
    rule = a_rule(when="true", having="1 / m.n > 0", over="1m", measure=a_measure("sum", "0"))
    assert degraded(Run(rule).see(*zeros(5))) == [("r", "c1")]


def test_a_measure_without_a_value_counts_as_an_error() -> None:
    rule = a_rule(over="1m", measure=a_measure("sum", "signal.data.name"), having="m.n > 0")
    assert degraded(Run(rule).see(*zeros(5))) == [("r", "c1")]


def test_a_missing_field_degrades_nothing() -> None:
    assert degraded(Run(a_rule(when="signal.data.none > 0")).see(*zeros(9))) == []


def test_clusters_are_degraded_one_by_one() -> None:
    seen = Run(RULE).see(*zeros(5), *zeros(4, cluster="c2"))
    assert degraded(seen) == [("r", "c1")]


def test_it_is_told_once_when_it_turns() -> None:
    ledger = Ledger()
    ledger.cluster = "c1"
    for at in range(8):
        ledger.at = at
        ledger.failed("r", "x > 0", f"error {at}")
    ledger.passed("r", "x > 0")
    ledger.failed("r", "x > 0", "again")
    assert ledger.turns == [Turn(4, "r", "c1", "error 4"), Turn(7, "r", "c1", "")]


def test_the_row_outlives_a_restart() -> None:
    first = Run(RULE).see(*zeros(4))
    state = {name: raw for name, raw in first.evaluator.changes().items() if raw is not None}
    again = Evaluator(a_set(RULE), state)
    again.step(zeros(1, 4))
    assert [one.rule for one in again.health()] == ["r"]
    assert isinstance(again.health()[0], Degraded)
    state |= {name: raw for name, raw in again.changes().items() if raw is not None}
    assert [one.rule for one in Evaluator(a_set(RULE), state).health()] == ["r"]


def test_a_rule_that_was_degraded_before_a_restart_becomes_healthy_after_it() -> None:
    first = Run(RULE).see(*zeros(5))
    state = {name: raw for name, raw in first.evaluator.changes().items() if raw is not None}
    again = Evaluator(a_set(RULE), state)
    again.step([a_pod(9, n=1)])
    assert again.health() == []


def test_an_edit_of_the_expression_that_failed_makes_it_healthy() -> None:
    seen = Run(RULE).see(*zeros(5)).swap(a_rule(when="signal.data.n > 0"))
    assert degraded(seen) == []


def test_a_removed_rule_is_not_degraded_and_leaves_no_state() -> None:
    seen = Run(RULE).see(*zeros(5))
    seen.evaluator.changes()
    seen.swap()
    assert degraded(seen) == []
    assert seen.evaluator.changes()['["rule","r","c1"]'] is None


def test_an_expression_bomb_is_cut_off_counted_and_lets_other_rules_go_on() -> None:
    deep = "signal.data.l.all(a, signal.data.l.all(b, signal.data.l.all(c, a + b + c >= 0)))"
    bomb, other = a_rule("bomb", when=deep), a_rule("other", when="size(signal.data.l) > 9")
    seen = Run(bomb, other)
    values = list(range(1000))
    seen.see(a_pod(0, l=values))
    start = time.process_time()
    seen.see(*(a_pod(at, l=values) for at in range(1, 6)))
    assert (time.process_time() - start) / 5 < 0.5  # 0.1 s on a machine that is not shared
    assert seen.moves == [(0, "firing")]
    assert seen.count('errors{rule="bomb"}') == 6
    assert degraded(seen) == [("bomb", "c1")]
