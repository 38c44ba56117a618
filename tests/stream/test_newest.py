"""Measures with `latest`: of each series only its latest sample in the window is taken."""

from dataclasses import replace
from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.evaluator import Evaluator
from engine.stream.sample import Sample
from engine.stream.series import series_of
from engine.stream.window import Window
from tests.stream.building import (
    Run,
    a_measure,
    a_metric,
    a_pod,
    a_rule,
    a_set,
    an_alert,
    an_event,
    run,
)

SUM = a_measure("sum", "signal.value", latest=True)
HIGH = a_measure("count", where="signal.value > 5.0", latest=True)
PODS = a_measure("sum", "signal.data.restarts", latest=True)


def latest(measure: Any = SUM, having: str = "m.n > 10", **fields: Any) -> Rule:
    return a_rule(on="metric", **{"over": "60s", "measure": measure, "having": having, **fields})


def values(rule: Rule, signals: list[Signal], to: float = 0) -> list[Any]:
    """Return the value of the measure when each signal was folded, and at `to`."""
    seen = Run(rule)
    found = []
    for signal in signals:
        seen.see(signal)
        found.append(the_value(seen.evaluator))
    if to:
        seen.to(to)
        found.append(the_value(seen.evaluator))
    return found


def the_value(evaluator: Evaluator) -> Any:
    (cell,) = evaluator.cells("r")
    return cell.condition.values().get("n")


def test_a_new_sample_takes_the_place_of_the_earlier_one_of_its_series() -> None:
    log = [
        a_metric(1, 6, i="a"),
        a_metric(2, 7, i="b"),
        a_metric(3, 1, i="a"),
        a_metric(4, 9, i="b"),
    ]
    assert values(latest(), log) == [6, 13, 8, 10]


def test_a_series_that_falls_silent_leaves_with_its_last_sample() -> None:
    log = [a_metric(0, 6, i="a"), a_metric(30, 7, i="b"), a_metric(40, 6, i="a")]
    moves = run(latest(), log, 200)
    assert moves == [(30, "firing"), (90, "resolved")]


def test_an_earlier_sample_does_not_come_back_once_the_later_one_has_left() -> None:
    log = [a_metric(0, 20, i="a"), a_metric(1, 1, i="a"), a_metric(50, 2, i="b")]
    assert values(latest(), log, 62) == [20, 1, 3, 2]


def test_where_decides_on_the_latest_sample_alone() -> None:
    log = [
        a_metric(1, 9, i="a"),
        a_metric(2, 9, i="b"),
        a_metric(3, 1, i="a"),
        a_metric(4, 8, i="a"),
    ]
    assert values(latest(HIGH, "m.n > 1"), log) == [1, 2, 1, 2]


def test_a_latest_sample_without_a_value_takes_the_place_of_one_with_a_value() -> None:
    log = [a_metric(1, 9, i="a"), a_metric(2, float("nan"), i="a")]
    largest = a_measure("max", "signal.value", latest=True)
    assert values(latest(largest, "m.n > 1"), log) == [9, None]


def test_of_two_samples_at_one_instant_the_one_that_came_later_is_the_latest() -> None:
    assert values(latest(), [a_metric(1, 9, i="a"), a_metric(1, 4, i="a")]) == [9, 4]


def test_a_late_sample_does_not_take_the_place_of_a_later_one() -> None:
    log = [a_metric(1, 9, i="a"), a_metric(3, 4, i="a"), a_metric(2, 20, i="a")]
    assert values(latest(), log) == [9, 4, 4]


def test_a_late_sample_may_raise_and_lower_the_past() -> None:
    log = [
        a_metric(3, 4, i="a"),
        a_metric(4, 20, i="a"),
        a_metric(2, 12, i="a"),
        a_metric(9, 3, i="a"),
    ]
    moves = [(2, "firing"), (3, "resolved"), (4, "firing"), (9, "resolved")]
    assert run(latest(), log, 90) == moves


def test_a_tumbling_window_forgets_the_latest_of_the_one_before() -> None:
    rule = latest(over="10s", window="tumbling")
    assert values(rule, [a_metric(1, 9, i="a"), a_metric(9, 8, i="b"), a_metric(11, 2, i="a")]) == [
        9,
        17,
        2,
    ]


def test_a_session_takes_the_latest_of_each_series_of_the_running_one() -> None:
    rule = latest(over="20s", gap="5s", window="session")
    log = [
        a_metric(1, 9, i="a"),
        a_metric(4, 8, i="b"),
        a_metric(6, 1, i="a"),
        a_metric(12, 2, i="b"),
    ]
    assert values(rule, log) == [9, 17, 9, 2]


def test_other_measures_beside_it_go_on_pooling_all_samples() -> None:
    pooled = replace(a_measure("sum", "signal.value"), name="all")
    seen = Run(latest((SUM, pooled)))
    seen.see(a_metric(1, 9, i="a"), a_metric(3, 4, i="a"), a_metric(2, 7, i="a"))
    (cell,) = seen.evaluator.cells("r")
    assert cell.condition.values() == {"n": 4, "all": 20}


def test_the_state_knows_the_series_of_samples_past_undoing() -> None:
    rule = latest()
    log = [a_metric(1, 9, i="a"), a_metric(2, 8, i="b"), a_metric(30, 0, i="c")]
    before = Run(rule).see(*log)
    stored = before.evaluator.changes().items()
    after = Evaluator(a_set(rule), {name: raw for name, raw in stored if raw is not None})
    after.step([a_metric(31, 1, i="a")])
    assert the_value(after) == 9


def test_the_first_list_of_a_watcher_tells_what_is() -> None:
    rule = a_rule(over="60s", measure=PODS, having="m.n > 10")
    log = [a_pod(1, "web-1", restarts=4, change="synced"), a_pod(2, "web-2", restarts=5)]
    assert values(rule, log) == [4, 9]


def test_an_event_counts_once_however_often_it_happened() -> None:
    rule = a_rule(
        on="k8s.event", over="60s", measure=a_measure("count", latest=True), having="m.n > 9"
    )
    log = [an_event(1, "e1", 4), an_event(2, "e1", 8), an_event(3, "e2", 3)]
    assert values(rule, log) == [1, 1, 2]


def test_what_has_no_series_stands_for_itself() -> None:
    rule = a_rule(on="alert", over="60s", measure=a_measure("count", latest=True), having="m.n > 9")
    assert values(rule, [an_alert(1), an_alert(2), an_alert(3)]) == [1, 2, 3]


@pytest.mark.parametrize("latest_", [True, False])
def test_only_those_whose_latest_sample_counts_are_shown_as_members(latest_: bool) -> None:
    measure = a_measure("count", where="signal.data.bad", latest=latest_)
    rule = a_rule(over="60s", measure=measure, having="m.n > 0")
    seen = Run(rule).see(a_pod(1, "web-1", bad=True), a_pod(2, "web-1", bad=False))
    seen.see(a_pod(3, "web-2", bad=True))
    (cell,) = seen.evaluator.cells("r")
    assert cell.condition.show().members == (("web-2",) if latest_ else ("web-1", "web-2"))


def test_a_count_beside_it_still_takes_all_occurrences_of_an_event() -> None:
    counts = (a_measure("count", latest=True), replace(a_measure("count"), name="all"))
    seen = Run(a_rule(on="k8s.event", over="60s", measure=counts, having="m.n > 9"))
    seen.see(an_event(1, "e1", 4), an_event(2, "e1", 8))
    (cell,) = seen.evaluator.cells("r")
    assert cell.condition.values() == {"n": 1, "all": 5}


def test_a_signal_that_does_not_enter_the_window_takes_no_place() -> None:
    rule = latest(when="signal.value > 5.0", on_nodata="resolve", stale_after="300s")
    seen = Run(rule).see(a_metric(1, 12, i="a"), a_metric(2, 1, i="a"))
    assert seen.to(40).moves == [(1, "firing")]


def test_an_end_that_only_counters_are_told_of_takes_no_place() -> None:
    grown = replace(a_measure("increase", "signal.data.restarts"), name="grown")
    for measures in (PODS, (PODS, grown)):
        rule = a_rule(over="60s", when="signal.data.change != 'deleted'", measure=measures)
        log = [a_pod(1, restarts=4), a_pod(2, restarts=4, change="deleted")]
        assert values(rule, log) == [4, 4]


def test_samples_that_are_gone_for_good_are_forgotten() -> None:
    later = (a_metric(at, 1, i="b") for at in range(2, 150))
    seen = Run(latest()).see(a_metric(1, 1, i="a"), *later)
    (cell,) = seen.evaluator.cells("r")
    assert isinstance(cell.condition, Window)
    assert cell.condition.newest is not None
    names = [series_of(a_metric(0, 1, i=one)) for one in "ab"]
    gone, known = (cell.condition.newest.before(Sample(0, name)) for name in names)
    assert gone is None
    assert known is not None


def test_windows_without_it_store_no_series() -> None:
    stored = []
    for measure in (SUM, a_measure("sum", "signal.value")):
        seen = Run(latest(measure)).see(*(a_metric(at, 1, i="a") for at in range(50))).to(50)
        (cell,) = seen.evaluator.cells("r")
        assert isinstance(cell.condition, Window)
        stored.append(cell.condition.dump().series)
    assert set(stored[0]) == {1}
    assert stored[1] == []
