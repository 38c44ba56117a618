"""Signals that arrive out of order, inside the lateness."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.model.signal import Signal, identity_of
from tests.stream.building import Run, a_beat, a_measure, a_pod, a_rule, a_signal, run

BAD = 'signal.data.phase == "Bad"'
COUNT: dict[str, Any] = {"over": "60s", "measure": a_measure("count")}


def bad(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Bad", **data)


def good(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Good", **data)


def test_an_older_true_after_a_newer_false_gives_the_whole_episode() -> None:
    assert run(a_rule(when=BAD), [good(11), bad(10)], 30) == [(10, "firing"), (11, "resolved")]


def test_an_older_false_after_a_newer_true_changes_nothing() -> None:
    assert run(a_rule(when=BAD), [bad(11), good(10)], 30) == [(11, "firing")]


def test_an_older_true_moves_the_start_of_a_hold() -> None:
    seen = Run(a_rule(when=BAD, **{"for": "20s"})).see(bad(11), bad(10)).to(99)
    assert seen.moves == [(11, "pending"), (30, "firing")]


def test_a_firing_that_was_told_keeps_its_id_and_instant() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(11), bad(10), good(15)).to(30)
    assert seen.moves == [(11, "firing"), (15, "resolved")]
    assert len({one.firing for one in seen.transitions}) == 1


def test_an_episode_before_a_told_firing_is_found_in_full() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(11), bad(9.5), good(10)).to(30)
    assert seen.moves == [(9.5, "firing"), (10, "resolved"), (11, "firing")]


def test_a_told_firing_is_open_when_an_earlier_episode_ends_after_it() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(11), bad(9.5), good(10)).to(30)
    assert [one.state for one in seen.evaluator.open()] == ["firing"]
    assert seen.swap().moves[2:] == [(11, "firing"), (30.000001, "resolved")]


def test_a_told_firing_inhibits_when_an_earlier_episode_ends_after_it() -> None:
    first = a_rule("first", when=BAD, by=("cluster",))
    other = a_rule(
        "other", when='signal.data.phase == "Lost"', settle="30s", mission={},
        inhibited_by=[("first", ("cluster",))],
    )  # fmt: skip
    seen = Run(first, other).see(bad(11), bad(9.5), good(10)).to(30)
    assert seen.see(a_pod(40, "web-2", phase="Lost")).to(99).launched == []


def test_a_firing_that_the_order_takes_away_stands_and_ends_at_once() -> None:
    rule = a_rule(over="60s", measure=a_measure("avg", "signal.data.n"), having="m.n > 5.0")
    seen = Run(rule).see(a_pod(11, n=9), a_pod(10, n=0)).to(30)
    assert seen.moves == [(11, "firing"), (11, "resolved")]


def test_a_counter_out_of_order_counts_each_step_once() -> None:
    rule = a_rule(over="60s", measure=a_measure("increase", "signal.data.n"), having="m.n == 5")
    seen = Run(rule).see(a_pod(10, n=1), a_pod(11.5, n=6), a_pod(11, n=2)).to(30)
    assert seen.moves == [(11.5, "firing")]


def test_a_sample_that_left_the_window_before_a_late_one_came_is_counted_again() -> None:
    rule = a_rule(over="1s", measure=a_measure("count"), having="m.n >= 2")
    assert run(rule, [bad(10), bad(11.5), bad(10.5)], 30) == [(10.5, "firing"), (11, "resolved")]


def test_a_move_between_groups_out_of_order_leaves_the_object_in_the_latest() -> None:
    rule = a_rule(when=BAD, by=("cluster", "workload"))
    seen = Run(rule).see(bad(11, workload="b"), bad(10, workload="a")).to(30)
    found = [(one.key["workload"], one.state) for one in seen.transitions]
    assert sorted(found) == [("a", "firing"), ("a", "resolved"), ("b", "firing")]


def test_clear_sees_the_members_as_they_were_at_its_instant() -> None:
    rule = a_rule(when=BAD, clear='signal.data.phase == "Good"')
    seen = Run(rule).see(bad(0), good(10), bad(11), a_pod(9.5, phase="Unknown")).to(30)
    assert seen.moves == [(0, "firing"), (10, "resolved"), (11, "firing")]


def test_an_end_that_is_not_final_is_not_told() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0), good(10))
    assert seen.moves == [(0, "firing")]
    assert seen.see(bad(9), a_beat(20)).moves == [(0, "firing"), (10, "resolved")]


def test_nobody_outside_can_have_a_signal_of_ours_passed_over_by_sending_its_id_first() -> None:
    rule = a_rule(when='signal.data.phase == "Bad"')
    real = msgspec.structs.replace(a_pod(6, phase="Bad"), id="K/pods/u@101")
    forged = a_signal(5, "alert", {}, source="stranger", identity=real.id)
    other = a_signal(5, "alert", {}, source="another", identity=real.id)
    seen = Run(rule).see(a_beat(0), forged, forged, other, other, real, real)
    assert seen.moves == [(6, "firing")]
    assert seen.count("duplicate") == 3


@given(st.text(max_size=3), st.text(max_size=3), st.text(max_size=3), st.text(max_size=3))
def test_what_signals_are_known_by_differs_where_their_source_or_their_id_does(
    source: str, one: str, other_source: str, other: str
) -> None:
    first = a_signal(0, "alert", {}, source=source or "s", identity=one or "i")
    second = a_signal(0, "alert", {}, source=other_source or "s", identity=other or "i")
    same = (first.source, first.id) == (second.source, second.id)
    assert (identity_of(first) == identity_of(second)) is same
