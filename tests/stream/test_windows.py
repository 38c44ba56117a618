"""Tumbling and session windows, and the measures that only they or series have."""

from dataclasses import replace
from typing import Any

import pytest

from engine.model.signal import Signal
from engine.stream.evaluator import Evaluator
from tests.stream.building import (
    Run,
    a_measure,
    a_metric,
    a_pod,
    a_rule,
    a_set,
    an_event,
    run,
    seconds,
)

COUNT = a_measure("count")
STEPS: dict[str, Any] = {"over": "60s", "having": "m.n != 0"}


def tumbling(**fields: Any) -> Any:
    given = {"over": "10s", "measure": COUNT, "having": "m.n >= 2", **fields}
    return a_rule(window="tumbling", **given)


def session(**fields: Any) -> Any:
    given = {"over": "20s", "gap": "5s", "measure": COUNT, "having": "m.n >= 2", **fields}
    return a_rule(window="session", **given)


# tumbling


def test_a_tumbling_window_fires_at_once_and_is_emptied_at_its_end() -> None:
    assert run(tumbling(), [a_pod(1), a_pod(7)], 60) == [(7, "firing"), (10, "resolved")]


def test_a_tumbling_window_counts_nothing_of_the_one_before() -> None:
    assert run(tumbling(), [a_pod(9), a_pod(11)], 60) == []


def test_tie_a_signal_at_the_end_of_a_tumbling_window_belongs_to_the_next_one() -> None:
    assert run(tumbling(), [a_pod(9), a_pod(10)], 60) == []
    assert run(tumbling(), [a_pod(10), a_pod(19)], 60) == [(19, "firing"), (20, "resolved")]


def test_a_tumbling_window_that_begins_true_goes_on_firing() -> None:
    moves = run(tumbling(having="m.n >= 1"), [a_pod(5), a_pod(10)], 60)
    assert moves == [(5, "firing"), (20, "resolved")]


def test_tumbling_windows_are_aligned_to_the_epoch_not_to_the_key() -> None:
    rule = tumbling(by=("cluster", "workload"))
    seen = Run(rule).see(a_pod(3, workload="a"), a_pod(8, workload="b"))
    seen.see(a_pod(9, workload="a"), a_pod(9.5, workload="b")).to(60)
    ends = {seconds(one.at) for one in seen.transitions if one.state == "resolved"}
    assert ends == {10}


def test_keep_firing_for_bridges_the_end_of_a_tumbling_window() -> None:
    rule = tumbling(keep_firing_for="8s")
    moves = run(rule, [a_pod(1), a_pod(7), a_pod(11), a_pod(12)], 60)
    assert moves == [(7, "firing"), (28, "resolved")]


def test_the_end_of_a_tumbling_window_resets_for() -> None:
    rule = tumbling(**{"for": "5s"})
    moves = run(rule, [a_pod(1), a_pod(7), a_pod(12), a_pod(13)], 60)
    assert moves[:2] == [(7, "pending"), (10, "inactive")]
    assert moves[2:] == [(13, "pending"), (18, "firing"), (20, "resolved")]


def test_late_signals_inside_the_lateness_enter_the_tumbling_window_of_their_time() -> None:
    assert run(tumbling(), [a_pod(8), a_pod(10.5), a_pod(9)], 60) == [
        (9, "firing"),
        (10, "resolved"),
    ]


# session


def test_a_session_goes_on_while_samples_come_and_ends_after_the_gap() -> None:
    moves = run(session(), [a_pod(0), a_pod(4), a_pod(8)], 60)
    assert moves == [(4, "firing"), (13, "resolved")]


def test_tie_a_sample_exactly_at_the_end_of_the_gap_belongs_to_the_session() -> None:
    assert run(session(), [a_pod(0), a_pod(5)], 60) == [(5, "firing"), (10, "resolved")]
    assert run(session(), [a_pod(0), a_pod(5.000_001)], 60) == []


def test_a_session_ends_at_its_max_and_the_next_sample_begins_another() -> None:
    signals = [a_pod(at) for at in (0, 5, 10, 15, 19, 20, 21)]
    moves = run(session(), signals, 60)
    assert moves == [(5, "firing"), (20, "resolved"), (21, "firing"), (26, "resolved")]


def test_a_session_that_is_silent_ends_at_its_max_where_the_gap_is_longer() -> None:
    moves = run(session(over="7s"), [a_pod(0), a_pod(4)], 60)
    assert moves == [(4, "firing"), (7, "resolved")]


def test_a_late_sample_inside_the_lateness_joins_two_sessions() -> None:
    rule = session(having="m.n >= 3")
    assert run(rule, [a_pod(0), a_pod(6), a_pod(4.5)], 60) == [(6, "firing"), (11, "resolved")]


def test_a_deletion_does_not_prolong_a_session() -> None:
    rule = session(
        measure=a_measure("increase", "signal.data.n"),
        having="m.n >= 2",
        when='signal.data.change != "deleted"',
    )
    signals = [a_pod(0, n=1), a_pod(2, n=3), a_pod(6, n=3, change="deleted")]
    assert run(rule, signals, 60) == [(2, "firing"), (7, "resolved")]


def test_tie_a_sample_joins_a_session_whatever_came_at_the_end_of_its_gap_before_it() -> None:
    rule = session(
        measure=(a_measure("increase", "signal.data.n"), replace(COUNT, name="c")),
        having="m.c == 2",
        when='signal.data.change != "deleted"',
    )
    signals = [a_pod(0, n=1), a_pod(5, n=1, change="deleted"), a_pod(5, "web-2", n=1)]
    assert run(rule, signals, 60) == [(5, "firing"), (10, "resolved")]


def test_a_session_goes_on_as_it_was_after_a_restart_among_sessions_that_ended() -> None:
    rule = session(
        over="2s",
        measure=a_measure("increase", "signal.data.n"),
        having="m.n == 7",
        when='signal.data.change != "deleted"',
    )
    signals = [a_pod(2, n=1), a_pod(2.5, "web-2", n=0), a_pod(2.6, "web-2", change="deleted")]
    signals += [a_pod(3, n=2), a_pod(4, n=3), a_pod(5, n=4), a_pod(6.5, n=6)]
    seen = Run(rule).see(*signals)
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    seen.evaluator = Evaluator(a_set(rule), state)
    seen.see(a_pod(7.5, n=11)).to(30)
    assert seen.moves == [(7.5, "firing"), (8.5, "resolved")]


def test_clear_holds_a_session_until_it_is_true_or_the_session_ends() -> None:
    measure = a_measure("last", "signal.data.n")
    rule = session(measure=measure, having="m.n > 9", clear="m.n < 5")
    signals = [a_pod(0, n=10), a_pod(2, n=7), a_pod(4, n=4)]
    assert run(rule, signals, 60) == [(0, "firing"), (4, "resolved")]
    assert run(rule, signals[:2], 60) == [(0, "firing"), (7, "resolved")]


# empty window


@pytest.mark.parametrize("rule", [tumbling(having="m.n < 5"), session(having="m.n < 5")])
def test_an_empty_window_of_any_kind_is_false_and_its_key_is_forgotten(rule: Any) -> None:
    seen = Run(rule).see(a_pod(0))
    (name,) = [name for name in seen.evaluator.changes() if name.startswith('["cell"')]
    assert seen.to(99).moves[0] == (0, "firing")
    assert [state for _, state in seen.moves] == ["firing", "resolved"]
    assert seen.evaluator.changes()[name] is None


# counters and series: rate, delta, changes


def counter(*values: tuple[float, float], **labels: str) -> list[Signal]:
    return [a_metric(at, value, **labels) for at, value in values]


def value(fn: str, signals: list[Signal], **fields: Any) -> Any:
    """Return the measure of the only key after `signals`."""
    initial = fields.pop("initial", False)
    measure = a_measure(fn, "signal.value", initial=initial)
    seen = Run(a_rule(on="metric", measure=measure, over="60s", having="true", **fields))
    seen.see(*sorted(signals, key=lambda one: one.time))
    (cell,) = seen.evaluator._folds["c1"].cells.values()
    return cell.condition.values().get("n")


def test_a_rate_is_the_increase_by_the_length_of_the_window() -> None:
    assert value("rate", counter((0, 0), (1, 30))) == 0.5
    assert value("rate", counter((0, 0), (1, 30)), window="tumbling") == 0.5


def test_the_rate_of_a_session_is_taken_over_its_samples_and_at_least_a_second() -> None:
    fields = {"window": "session", "gap": "30s"}
    assert value("rate", counter((0, 0), (4, 20), (10, 30)), **fields) == 3.0
    assert value("rate", counter((0, 0), (0.5, 30)), **fields) == 30.0


def test_a_rate_is_aware_of_resets_and_not_extrapolated() -> None:
    assert value("rate", counter((0, 100), (1, 130), (2, 30))) == 1.0


def test_the_very_first_sample_is_no_rate_unless_count_initial() -> None:
    assert value("rate", counter((0, 60))) == 0.0
    assert value("rate", counter((0, 60)), initial=True) == 1.0


def test_a_delta_is_last_less_first_of_each_series_summed_over_the_group() -> None:
    signals = [*counter((0, 10), (2, 7), pod="a"), *counter((1, 5), (3, 6), pod="b")]
    assert value("delta", signals) == -2


def test_the_delta_of_floats_does_not_drift() -> None:
    values = [(at, one / 10) for at, one in enumerate([1, 7, 3, 9, 2, 8, 4])]
    assert value("delta", counter(*values)) == 0.4 - 0.1


def test_the_value_before_the_window_is_the_first_of_a_delta() -> None:
    assert value("delta", counter((0, 10), (100, 4))) == -6


def test_the_very_first_sample_is_no_delta_and_no_change_even_with_count_initial() -> None:
    assert value("delta", counter((0, 9)), initial=True) == 0
    assert value("changes", counter((0, 9)), initial=True) == 0


def test_changes_are_counted_per_series_from_the_value_before_the_window_on() -> None:
    signals = [*counter((0, 1), (100, 2), (101, 2), pod="a"), *counter((102, 1), pod="b")]
    assert value("changes", signals) == 1


def test_changes_are_of_any_value_and_equal_numbers_are_no_change() -> None:
    rule = a_rule(measure=a_measure("changes", "signal.data.phase"), over="60s", having="m.n > 2")
    phases = ["Ready", "NotReady", "Ready", "Ready", "NotReady"]
    signals = [a_pod(at, phase=phase) for at, phase in enumerate(phases)]
    assert run(rule, signals, 5) == [(4, "firing")]
    assert value("changes", counter((0, 1), (1, 1.0), (2, 2))) == 1


@pytest.mark.parametrize("fn", ["increase", "rate", "delta", "changes"])
def test_a_deleted_object_begins_anew_in_every_measure_of_a_series(fn: str) -> None:
    rule = a_rule(measure=a_measure(fn, "signal.data.n"), **STEPS)
    gone = a_pod(1, n=5, change="deleted")
    assert run(rule, [a_pod(0, n=5), gone, a_pod(9, n=8)], 20) == []
    assert run(rule, [a_pod(0, n=5), a_pod(9, n=8)], 20) == [(9, "firing")]


@pytest.mark.parametrize("fn", ["increase", "rate", "delta", "changes"])
def test_a_synced_object_updates_every_measure_of_a_series(fn: str) -> None:
    rule = a_rule(measure=a_measure(fn, "signal.data.n"), **STEPS)
    signals = [a_pod(0, n=5, change="synced"), a_pod(1, n=7, change="synced")]
    assert run(rule, signals, 9) == [(1, "firing")]


def test_a_step_out_of_order_is_taken_between_its_neighbours() -> None:
    signals = [a_metric(10, 1), a_metric(11.5, 1), a_metric(11, 2)]
    rule = a_rule(
        on="metric", measure=a_measure("changes", "signal.value"), over="60s", having="m.n == 2"
    )
    assert run(rule, signals, 30) == [(11.5, "firing")]


def test_the_value_of_a_silent_series_is_remembered_for_a_day_beyond_the_window() -> None:
    rule = a_rule(
        on="metric", measure=a_measure("increase", "signal.value"), over="60s", having="m.n > 0"
    )
    day = 86_400
    assert run(rule, [a_metric(0, 1), a_metric(day + 60, 5)], day + 61) == [(day + 60, "firing")]
    assert run(rule, [a_metric(0, 1), a_metric(day + 61, 5)], day + 62) == []


# pooled: percentiles, stddev, slope


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        ("p50", 25.0),
        ("p75", 32.5),
        ("p90", 37.0),
        ("p95", 38.5),
        ("p99", 39.7),
        ("stddev", 125**0.5),
    ],
)
def test_percentiles_and_stddev_pool_the_samples_of_the_group(fn: str, expected: float) -> None:
    signals = [*counter((0, 40), (2, 10), pod="a"), *counter((1, 20), (3, 30), pod="b")]
    assert value(fn, signals) == expected


def test_a_slope_is_per_second_over_the_pooled_samples() -> None:
    assert value("slope", counter((0, 0), (2, 4), (4, 5))) == 1.25
    signals = [*counter((0, 0), pod="a"), *counter((10, 5), pod="b")]
    assert value("slope", signals) == 0.5


def test_a_slope_of_one_instant_has_no_value_so_having_misses_a_field() -> None:
    measure = a_measure("slope", "signal.value")
    rule = a_rule(on="metric", measure=measure, over="60s", having="m.n <= 0.0")
    seen = Run(rule).see(a_metric(0, 5, pod="a"), a_metric(0, 6, pod="b")).to(9)
    assert seen.moves == []
    assert seen.count('missing_field{rule="r"}') >= 2


# Event counts


@pytest.mark.parametrize("window", ["sliding", "tumbling", "session"])
def test_a_growing_event_count_is_that_many_occurrences_in_every_kind_of_window(
    window: str,
) -> None:
    fields = {"window": window, "gap": "9s"}
    rule = a_rule(on="k8s.event", over="60s", measure=COUNT, having="m.n == 5", **fields)
    assert run(rule, [an_event(0, count=1), an_event(1, count=5)], 9) == [(1, "firing")]


# values that can not be measured


@pytest.mark.parametrize(
    "fn", ["sum", "avg", "min", "max", "p99", "stddev", "slope", "increase", "rate", "delta"]
)
@pytest.mark.parametrize(
    "bad", [float("nan"), float("inf"), -1e301, 10**400, True, "9", [1], {"a": 1}]
)
def test_what_is_no_finite_number_is_a_counted_error_and_no_sample(fn: str, bad: Any) -> None:
    rule = a_rule(measure=a_measure(fn, "signal.data.n"), over="60s", having="m.n == m.n")
    clean = Run(rule).see(a_pod(0, n=1), a_pod(2, n=3)).to(3)
    seen = Run(rule).see(a_pod(0, n=1), a_pod(1, n=bad), a_pod(2, n=3)).to(3)
    assert seen.count('errors{rule="r"}') == 1
    assert seen.moves == clean.moves
    assert [one.value for one in seen.transitions] == [one.value for one in clean.transitions]


@pytest.mark.parametrize(
    "fn", ["sum", "avg", "min", "max", "p50", "stddev", "slope", "increase", "rate", "delta"]
)
def test_the_largest_values_are_measured_and_stored(fn: str) -> None:
    rule = a_rule(measure=a_measure(fn, "signal.data.n"), over="60s", having="m.n == m.n")
    most = 2**63 - 1
    values = [-most - 1, most, most, most, -9.9e299, 9.9e299, -most]
    seen = Run(rule).see(*[a_pod(at, n=one) for at, one in enumerate(values)])
    assert seen.count('errors{rule="r"}') == 0
    assert all(raw is None or raw for raw in seen.evaluator.changes().values())
