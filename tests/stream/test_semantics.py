"""Every row of the semantics table that concerns the fields of this part."""

from dataclasses import replace
from typing import Any

import pytest

from engine.model.signal import Signal
from tests.stream.building import (
    Run,
    a_beat,
    a_measure,
    a_metric,
    a_pod,
    a_rule,
    a_signal,
    an_alert,
    an_event,
    run,
    us,
)

BAD = 'signal.data.phase == "Bad"'


def bad(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Bad", **data)


def good(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Good", **data)


# levels and occurrences


def test_the_latest_signal_of_an_object_decides() -> None:
    assert run(a_rule(when=BAD), [bad(0), good(5)], 10) == [(0, "firing"), (5, "resolved")]


def test_deletion_ends_a_level() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0), bad(5, change="deleted")).to(10)
    assert seen.moves == [(0, "firing"), (5, "resolved")]
    assert seen.transitions[-1].reason == "deleted"


def test_a_group_is_true_while_one_member_is_and_names_its_members() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0, "a"), bad(1, "b"), good(2, "a"), good(9, "b")).to(20)
    assert seen.moves == [(0, "firing"), (9, "resolved")]
    both = Run(a_rule(when=BAD, **{"for": "3s"})).see(bad(0, "b"), bad(1, "a")).to(5)
    assert both.transitions[-1].members == ("a", "b")
    assert both.transitions[-1].member_count == 2


def test_a_level_never_goes_stale() -> None:
    assert run(a_rule(when=BAD), [bad(0)], 86_400) == [(0, "firing")]


def test_an_object_that_moves_to_another_group_leaves_the_old_one() -> None:
    rule = a_rule(when=BAD, by=("cluster", "signal.data.node"))
    seen = Run(rule).see(bad(0, node="n1"), bad(5, node="n2")).to(20)
    found = [(one.at - us(0), one.key["signal.data.node"], one.state) for one in seen.transitions]
    assert sorted(found) == [
        (0, "n1", "firing"),
        (5_000_000, "n1", "resolved"),
        (5_000_000, "n2", "firing"),
    ]


def test_a_device_is_the_same_whichever_pod_holds_it() -> None:
    rule = a_rule(on="hardware", when="signal.data.xid == 79", by=("cluster", "name"))
    device = {"kind": "gpu", "name": "gpu-0", "uid": "GPU-1"}
    held = a_signal(0, "hardware", {**device, "namespace": "ml", "xid": 79})
    free = a_signal(5, "hardware", {**device, "namespace": "", "xid": 0})
    assert run(rule, [held, free], 20) == [(0, "firing"), (5, "resolved")]


def test_each_series_of_a_metric_is_a_member() -> None:
    rule = a_rule(on="metric", when="signal.value > 5.0")
    signals = [a_metric(0, 9, pod="a"), a_metric(1, 9, pod="b"), a_metric(2, 1, pod="a")]
    assert run(rule, signals, 20) == [(0, "firing")]
    assert run(rule, [*signals, a_metric(3, 1, pod="b")], 20)[-1] == (3, "resolved")


def test_an_occurrence_opens_an_episode_that_ends_after_stale_after() -> None:
    rule = a_rule(on="alert", stale_after="60s")
    assert run(rule, [an_alert(0), an_alert(59)], 300) == [(0, "firing"), (119, "resolved")]


def test_a_false_occurrence_ends_nothing() -> None:
    rule = a_rule(on="alert", when="signal.data.hot", stale_after="60s")
    moves = run(rule, [an_alert(0, hot=True), an_alert(5, hot=False)], 300)
    assert moves == [(0, "firing"), (60, "resolved")]


def test_an_occurrence_at_the_instant_of_staleness_goes_on() -> None:
    rule = a_rule(on="alert", stale_after="60s")
    assert run(rule, [an_alert(0), an_alert(60)], 300) == [(0, "firing"), (120, "resolved")]


# when beside over; window; empty window


def test_when_filters_what_enters_the_window() -> None:
    rule = a_rule(when=BAD, over="60s", measure=a_measure("count"), having="m.n > 1")
    assert run(rule, [bad(0), good(1), good(2)], 30) == []
    assert run(rule, [bad(0), good(1), bad(2)], 30) == [(2, "firing")]


def test_the_window_is_open_on_the_left_and_closed_on_the_right() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n > 1")
    assert run(rule, [bad(0), bad(10)], 11) == []
    assert run(rule, [bad(0), bad(9.999_999)], 9.999_999) == [(9.999999, "firing")]


def test_a_sample_leaves_at_its_exact_instant() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n > 1")
    assert run(rule, [bad(0), bad(4)], 99) == [(4, "firing"), (10, "resolved")]


def test_signals_inside_the_lateness_enter_and_later_ones_are_counted_and_never_fire() -> None:
    rule = a_rule(over="60s", measure=a_measure("count"), having="m.n > 1")
    inside = Run(rule).see(bad(10), bad(8)).to(20)
    assert inside.moves == [(10, "firing")]
    outside = Run(rule).see(bad(10), bad(7.999)).to(20)
    assert outside.moves == []
    assert outside.count("late") == 1


def test_an_empty_window_is_false_and_its_key_is_forgotten() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n < 5")
    seen = Run(rule).see(bad(0)).to(99)
    assert seen.moves == [(0, "firing"), (10, "resolved")]
    assert not [name for name in dict(seen.evaluator.changes()) if name.startswith('["cell"')] or (
        all(value is None for name, value in seen.evaluator.changes().items() if "cell" in name)
    )


def test_a_forgotten_key_leaves_the_state() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n < 5")
    seen = Run(rule).see(bad(0))
    (name,) = [name for name in seen.evaluator.changes() if name.startswith('["cell"')]
    seen.to(99)
    assert seen.evaluator.changes()[name] is None


# counters and series


def growing(*values: tuple[float, int], name: str = "web-1", **data: Any) -> list[Signal]:
    return [a_pod(at, name, restarts=restarts, **data) for at, restarts in values]


INCREASE = a_measure("increase", "signal.data.restarts")


def test_an_increase_counts_steps_and_is_aware_of_resets() -> None:
    rule = a_rule(over="60s", measure=INCREASE, having="m.n >= 5")
    assert run(rule, growing((0, 7), (1, 9), (2, 3)), 3) == [(2, "firing")]


def test_the_step_from_before_the_window_counts_at_the_time_of_the_latter() -> None:
    rule = a_rule(over="10s", measure=INCREASE, having="m.n >= 4")
    moves = run(rule, growing((0, 1), (86_400, 5)), 86_500)
    assert moves == [(86_400, "firing"), (86_410, "resolved")]


def test_the_very_first_sample_is_no_increase_unless_count_initial() -> None:
    assert run(a_rule(over="60s", measure=INCREASE, having="m.n > 0"), growing((0, 9)), 5) == []
    counted = a_measure("increase", "signal.data.restarts", initial=True)
    moves = run(a_rule(over="60s", measure=counted, having="m.n == 9"), growing((0, 9)), 5)
    assert moves == [(0, "firing")]


def test_increases_are_taken_per_series_and_summed_over_the_group() -> None:
    rule = a_rule(over="60s", measure=INCREASE, having="m.n == 3")
    signals = [*growing((0, 5)), *growing((1, 0), name="web-2"), *growing((2, 6))]
    assert run(rule, [*signals, *growing((3, 2), name="web-2")], 5) == [(3, "firing")]


def test_a_deleted_object_begins_anew_as_a_counter() -> None:
    rule = a_rule(over="60s", measure=INCREASE, having="m.n > 0")
    signals = [*growing((0, 5)), *growing((1, 5), change="deleted"), *growing((9, 8))]
    assert run(rule, signals, 20) == []


@pytest.mark.parametrize(
    ("fn", "expected"), [("avg", 4.0), ("min", 2), ("max", 6), ("last", 6), ("sum", 12)]
)
def test_averages_and_extremes_pool_the_samples_of_the_group(fn: str, expected: float) -> None:
    rule = a_rule(on="metric", over="60s", measure=a_measure(fn, "signal.value"), having="m.n > 0")
    seen = Run(replace(rule, for_us=3_000_000)).see(
        a_metric(0, 4, pod="a"), a_metric(1, 2, pod="b"), a_metric(2, 6, pod="a")
    )
    seen.to(3)
    assert seen.transitions[-1].value == {"n": expected}


def test_distinct_counts_values() -> None:
    measure = a_measure("distinct", "signal.name")
    rule = a_rule(over="60s", measure=measure, having="m.n >= 3")
    assert run(rule, [bad(0, "a"), bad(1, "b"), bad(2, "a")], 9) == []
    assert run(rule, [bad(0, "a"), bad(1, "b"), bad(2, "c")], 9) == [(2, "firing")]


def test_where_chooses_what_one_measure_takes() -> None:
    rule = a_rule(over="60s", measure=a_measure("count", where=BAD), having="m.n == 2")
    assert run(rule, [bad(0), good(1), bad(2)], 9) == [(2, "firing")]


# Event objects


def test_a_growing_count_is_that_many_occurrences() -> None:
    rule = a_rule(on="k8s.event", over="60s", measure=a_measure("count"), having="m.n >= 5")
    assert run(rule, [an_event(0, count=1), an_event(1, count=4)], 9) == []
    assert run(rule, [an_event(0, count=1), an_event(1, count=5)], 9) == [(1, "firing")]


def test_the_first_sight_of_an_old_event_is_one_occurrence() -> None:
    rule = a_rule(on="k8s.event", over="60s", measure=a_measure("count"), having="m.n >= 2")
    assert run(rule, [an_event(0, count=300)], 9) == []


# ties


def test_false_exactly_when_the_hold_ends_does_not_fire() -> None:
    rule = a_rule(when=BAD, **{"for": "10s"})
    assert run(rule, [bad(0), good(10)], 30) == [(0, "pending"), (10, "inactive")]
    assert run(rule, [bad(0), good(10.000_001)], 30)[1] == (10, "firing")


def test_a_window_exit_exactly_when_the_hold_ends_does_not_fire() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n > 0", **{"for": "10s"})
    assert run(rule, [bad(0)], 30) == [(0, "pending"), (10, "inactive")]


def test_true_exactly_when_keep_firing_for_ends_goes_on() -> None:
    rule = a_rule(when=BAD, keep_firing_for="10s")
    assert run(rule, [bad(0), good(5), bad(15), good(16)], 60) == [(0, "firing"), (26, "resolved")]


# at of a transition


def test_at_is_when_it_became_true_not_when_it_was_learned() -> None:
    rule = a_rule(when=BAD, **{"for": "10s"})
    seen = Run(rule).see(bad(0), good(500, "other"))
    assert seen.moves == [(0, "pending"), (10, "firing")]


# duplicates


def test_a_signal_id_counts_once() -> None:
    rule = a_rule(over="60s", measure=a_measure("count"), having="m.n > 1")
    once = bad(0)
    seen = Run(rule).see(once, once).to(9)
    assert seen.moves == []
    assert seen.count("duplicate") == 1


def test_an_event_id_is_remembered_for_two_hours() -> None:
    rule = a_rule(on="k8s.event", over="3h", measure=a_measure("count"), having="m.n > 1")
    seen = Run(rule).see(an_event(0), an_event(7_100, uid="e1"), bad(7_101)).to(7_200)
    assert seen.moves == []
    assert seen.count("duplicate") == 1


@pytest.mark.parametrize("kind", ["alert", "audit"])
def test_what_others_post_again_within_two_hours_counts_once(kind: str) -> None:
    rule = a_rule(on=kind, over="3h", measure=a_measure("count"), having="m.n > 1")
    data = {"namespace": "shop", "workload": "web"}
    posts = [a_signal(at, kind, data, identity="p1") for at in (0, 7_100)]
    seen = Run(rule).see(*posts, bad(7_101)).to(7_200)
    assert seen.moves == []
    assert seen.count("duplicate") == 1


# first list of a watcher


def test_a_synced_object_updates_levels() -> None:
    assert run(a_rule(when=BAD), [bad(0, change="synced")], 9) == [(0, "firing")]
    moves = run(a_rule(when=BAD), [bad(0), good(5, change="synced")], 9)
    assert moves == [(0, "firing"), (5, "resolved")]


def test_a_synced_object_is_no_occurrence() -> None:
    rule = a_rule(over="60s", measure=a_measure("count"), having="m.n > 0")
    assert run(rule, [bad(0, change="synced")], 9) == []


def test_a_synced_object_updates_counters() -> None:
    rule = a_rule(over="60s", measure=INCREASE, having="m.n == 2")
    signals = [*growing((0, 5), change="synced"), *growing((1, 7), change="synced")]
    assert run(rule, signals, 9) == [(1, "firing")]


def test_a_synced_object_has_no_old() -> None:
    rule = a_rule(when='has(old.spec) || old.spec == "x"')
    assert run(rule, [bad(0, old={"spec": "x"})], 9) == [(0, "firing")]
    assert run(rule, [bad(0, old={"spec": "x"}, change="synced")], 9) == []


# for, keep_firing_for, clear


def test_for_fires_at_exactly_first_true_plus_for() -> None:
    moves = run(a_rule(when=BAD, **{"for": "10s"}), [bad(3), bad(7)], 60)
    assert moves == [(3, "pending"), (13, "firing")]


def test_one_false_resets_for() -> None:
    moves = run(a_rule(when=BAD, **{"for": "10s"}), [bad(0), good(9), bad(9.5)], 60)
    assert moves == [(0, "pending"), (9, "inactive"), (9.5, "pending"), (19.5, "firing")]


def test_keep_firing_for_counts_from_the_first_false_and_true_clears_it() -> None:
    rule = a_rule(when=BAD, keep_firing_for="10s")
    assert run(rule, [bad(0), good(5), good(8)], 60) == [(0, "firing"), (15, "resolved")]
    assert run(rule, [bad(0), good(5), bad(8), good(20)], 60)[-1] == (30, "resolved")


def test_keep_firing_for_does_not_hold_a_pending() -> None:
    rule = a_rule(when=BAD, keep_firing_for="60s", **{"for": "10s"})
    assert run(rule, [bad(0), good(5)], 90) == [(0, "pending"), (5, "inactive")]


def test_clear_keeps_a_level_firing_until_it_is_true() -> None:
    rule = a_rule(on="metric", when="signal.value > 90.0", clear="signal.value < 70.0")
    signals = [a_metric(0, 95), a_metric(1, 80), a_metric(2, 75), a_metric(3, 60)]
    assert run(rule, signals, 9) == [(0, "firing"), (3, "resolved")]
    assert run(rule, [a_metric(0, 80)], 9) == []


def test_clear_is_asked_where_the_comparison_of_when_is_false() -> None:
    rule = a_rule(when=BAD, clear='signal.data.phase == "Good"')
    signals = [bad(0), a_pod(1, phase="Unknown"), good(2)]
    assert run(rule, signals, 9) == [(0, "firing"), (2, "resolved")]


def test_clear_does_not_hold_a_pending() -> None:
    rule = a_rule(
        on="metric", when="signal.value > 9.0", clear="signal.value < 7.0", **{"for": "5s"}
    )
    assert run(rule, [a_metric(0, 10), a_metric(1, 8)], 9) == [(0, "pending"), (1, "inactive")]


def test_clear_keeps_a_window_firing_until_it_is_true() -> None:
    rule = a_rule(over="10s", measure=a_measure("count"), having="m.n >= 3", clear="m.n < 2")
    assert run(rule, [bad(0), bad(1), bad(2)], 60) == [(2, "firing"), (11, "resolved")]


# episode


def test_an_episode_is_one_firing_however_long() -> None:
    seen = Run(a_rule(when=BAD)).see(*[bad(at) for at in range(0, 3600, 60)]).to(4000)
    assert seen.moves == [(0, "firing")]


def test_the_end_of_an_episode_bears_its_id_and_the_next_one_has_another() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0), good(5), bad(6), good(8)).to(20)
    first, end, second, last = seen.transitions
    assert first.firing == end.firing != second.firing == last.firing


# missing field, missing key, errors


def test_a_missing_field_is_no_match_and_counted() -> None:
    seen = Run(a_rule(when=BAD)).see(a_pod(0)).to(9)
    assert seen.moves == []
    assert seen.count('missing_field{rule="r"}') == 1


def test_a_missing_field_ends_a_level() -> None:
    assert run(a_rule(when=BAD), [bad(0), a_pod(5)], 9) == [(0, "firing"), (5, "resolved")]


def test_a_signal_without_a_group_key_is_skipped_and_counted() -> None:
    seen = Run(a_rule(when=BAD, by=("cluster", "labels.team"))).see(bad(0)).to(9)
    assert seen.moves == []
    assert seen.count('missing_key{rule="r"}') == 1


def test_a_default_stands_for_a_missing_group_key() -> None:
    rule = a_rule(when=BAD, by=("cluster", "labels.team"), by_default={"labels.team": "none"})
    seen = Run(rule).see(bad(0), bad(1, "b", labels={"team": "x"}))
    assert [one.key["labels.team"] for one in seen.transitions] == ["none", "x"]


def test_an_error_neither_fires_nor_resolves() -> None:
    rule = a_rule(when="10 / signal.data.n > 1")
    assert run(rule, [a_pod(0, n=0)], 9) == []
    seen = Run(rule).see(a_pod(0, n=2), a_pod(5, n=0)).to(9)
    assert seen.moves == [(0, "firing")]
    assert seen.count('errors{rule="r"}') == 1


def test_an_error_in_having_neither_fires_nor_resolves() -> None:
    rule = a_rule(over="60s", measure=a_measure("sum", "signal.data.n"), having="10 / m.n > 1")
    moves = run(rule, [a_pod(0, n=2), a_pod(1, n=-2)], 9)
    assert moves == [(0, "firing")]


def test_a_value_that_is_no_number_is_an_error_and_no_sample() -> None:
    rule = a_rule(over="60s", measure=a_measure("sum", "signal.data.n"), having="m.n > 1")
    seen = Run(rule).see(a_pod(0, n="9"), a_pod(1, n=2)).to(2)
    assert seen.moves == [(1, "firing")]
    assert seen.count('errors{rule="r"}') == 1


# max_keys


def test_beyond_max_keys_new_keys_share_one_storm_firing() -> None:
    rule = a_rule(when=BAD, max_keys=2)
    seen = Run(rule).see(*[bad(at, f"p{at}", workload=f"w{at}") for at in range(5)]).to(9)
    keys = [(one.key["workload"], one.reason) for one in seen.transitions]
    assert keys == [("w0", "threshold"), ("w1", "threshold"), ("*", "storm")]
    assert seen.count('storm{rule="r"}') == 3


def test_keys_that_ended_make_room() -> None:
    rule = a_rule(when=BAD, max_keys=1)
    seen = Run(rule).see(bad(0, workload="a"), good(1, workload="a"), a_beat(9))
    seen.see(bad(10, "b", workload="b"))
    assert seen.transitions[-1].key["workload"] == "b"


def test_a_resolve_passes_beyond_max_keys() -> None:
    rule = a_rule(when=BAD, max_keys=1)
    seen = (
        Run(rule)
        .see(bad(0, "a", workload="a"), bad(1, "b", workload="b"))
        .see(good(2, "b", workload="b"), good(3, "a", workload="a"))
    )
    assert [state for _, state in seen.to(9).moves] == ["firing", "firing", "resolved", "resolved"]
