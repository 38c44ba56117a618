"""`on_nodata` and `stale_after`: what a key of levels or of a window does in silence."""

from dataclasses import replace
from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.evaluator import Evaluator
from tests.stream.building import Run, a_beat, a_measure, a_metric, a_pod, a_rule, a_set, run

BAD = 'signal.data.phase == "Bad"'


def bad(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Bad", **data)


def good(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Good", **data)


def level(on_nodata: str, **fields: Any) -> Rule:
    return a_rule(when=BAD, on_nodata=on_nodata, stale_after="60s", **fields)


def window(on_nodata: str, **fields: Any) -> Rule:
    given = {"over": "10s", "measure": a_measure("count"), "having": "m.n >= 2", **fields}
    return a_rule(on_nodata=on_nodata, stale_after="60s", **given)


EACH = (
    level("fire"),
    window("fire", having="m.n >= 9"),
    window("fire", having="m.n >= 9", when=BAD),
)


# keep


def test_keep_is_the_default_and_lets_a_level_stand_in_silence() -> None:
    assert a_rule(when=BAD).on_nodata == "keep"
    assert run(level("keep"), [bad(0)], 999) == [(0, "firing")]


# resolve


def test_resolve_ends_a_level_once_nothing_came_for_stale_after() -> None:
    seen = Run(level("resolve")).see(bad(0), bad(30)).to(999)
    assert seen.moves == [(0, "firing"), (90, "resolved")]
    assert seen.transitions[-1].reason == "no data"


def test_keep_firing_for_runs_from_the_beginning_of_silence() -> None:
    seen = Run(level("resolve", keep_firing_for="20s")).see(bad(0)).to(999)
    assert seen.moves == [(0, "firing"), (80, "resolved")]
    assert seen.transitions[-1].reason == "no data"


def test_silence_resets_a_pending() -> None:
    rule = level("resolve", **{"for": "90s"})
    assert run(rule, [bad(0)], 999) == [(0, "pending"), (60, "inactive")]


def test_any_signal_of_the_key_breaks_the_silence_of_a_level() -> None:
    moves = run(level("resolve"), [bad(0, "a"), good(50, "b")], 999)
    assert moves == [(0, "firing"), (110, "resolved")]


def test_tie_a_signal_exactly_at_the_beginning_of_silence_breaks_it() -> None:
    assert run(level("resolve"), [bad(0), bad(60)], 100) == [(0, "firing")]


def test_a_level_that_was_true_before_the_silence_counts_again_after_it() -> None:
    moves = run(level("resolve"), [bad(0, "a"), good(100, "b")], 120)
    assert moves == [(0, "firing"), (60, "resolved"), (100, "firing")]


def test_a_level_that_only_waited_for_clear_does_not_come_back_after_a_silence() -> None:
    rule = level("resolve", clear='signal.data.phase == "Good"')
    signals = [bad(0, "a"), a_pod(10, "a", phase="Unknown"), good(100, "b")]
    assert run(rule, signals, 120) == [(0, "firing"), (70, "resolved")]


def test_resolve_ends_a_long_window_in_silence_and_its_samples_count_again_after_it() -> None:
    rule = window("resolve", over="10m")
    moves = run(rule, [a_pod(0), a_pod(1), a_pod(100)], 120)
    assert moves == [(1, "firing"), (61, "resolved"), (100, "firing")]


def test_clear_does_not_hold_a_window_against_silence() -> None:
    rule = window("resolve", over="10m", clear="m.n < 1")
    assert run(rule, [a_pod(0), a_pod(1)], 120) == [(1, "firing"), (61, "resolved")]


# fire


def test_fire_makes_a_silent_level_true_until_a_signal_comes() -> None:
    seen = Run(level("fire")).see(good(0), good(100)).to(120)
    assert seen.moves == [(60, "firing"), (100, "resolved")]
    assert [one.reason for one in seen.transitions] == ["no data", "cleared"]


def test_for_runs_from_the_beginning_of_silence() -> None:
    moves = run(level("fire", **{"for": "30s"}), [good(0)], 120)
    assert moves == [(60, "pending"), (90, "firing")]


def test_a_level_that_fires_goes_on_into_a_silence_that_fires() -> None:
    assert run(level("fire"), [bad(0), bad(100)], 150) == [(0, "firing")]


def test_fire_makes_a_silent_window_true_although_it_is_empty() -> None:
    moves = run(window("fire"), [a_pod(0), a_pod(100)], 120)
    assert moves == [(60, "firing"), (100, "resolved")]


def test_signals_that_when_keeps_out_of_a_window_are_heard() -> None:
    rule = window("fire", when=BAD)
    assert run(rule, [bad(0), good(50), good(100)], 150) == []


def test_series_without_deletion_are_missed_too() -> None:
    rule = a_rule(on="metric", when="signal.value > 5.0", on_nodata="fire", stale_after="60s")
    assert run(rule, [a_metric(0, 1)], 120) == [(60, "firing")]


# deletion and moves


@pytest.mark.parametrize("rule", EACH)
def test_a_key_whose_last_object_was_deleted_is_forgotten(rule: Rule) -> None:
    seen = Run(rule).see(good(0, "a"), good(1, "b"), good(2, "a", change="deleted"))
    seen.see(good(3, "b", change="deleted")).to(999)
    assert seen.moves == []
    assert seen.evaluator._folds["c1"].cells == {}
    assert seen.evaluator._folds["c1"]._holders == {}


@pytest.mark.parametrize("rule", EACH)
def test_a_deletion_is_no_silence_while_another_object_is_there(rule: Rule) -> None:
    signals = [good(0, "a"), good(1, "b"), good(30, "a", change="deleted")]
    assert run(rule, signals, 999) == [(90, "firing")]


@pytest.mark.parametrize("rule", EACH[:2])
def test_the_deletion_of_the_last_object_ends_a_silence(rule: Rule) -> None:
    seen = Run(rule).see(good(0), good(100, change="deleted")).to(999)
    assert seen.moves == [(60, "firing"), (100, "resolved")]
    assert seen.transitions[-1].reason == "deleted"


@pytest.mark.parametrize("make", [level, window])
def test_an_object_that_moved_is_missed_under_its_new_key_only(make: Any) -> None:
    rule = make("fire", by=("cluster", "node"))
    seen = Run(rule).see(good(0, node="n1"), good(30, node="n2")).to(999)
    assert [(one.key["node"], one.reason) for one in seen.transitions] == [("n2", "no data")]


def test_a_deletion_that_arrives_before_an_older_signal_still_ends_the_object() -> None:
    for rule in EACH:
        assert run(rule, [good(11, change="deleted"), good(10)], 999) == []


def test_a_late_move_does_not_begin_a_silence_before_its_time() -> None:
    rule = replace(level("resolve", by=("cluster", "node")), stale_after_us=3_000_000)
    signals = [bad(10, "a"), good(10.1, "b"), good(10.2, "c"), good(13.5, "b", node="n2")]
    moves = run(rule, [*signals, good(12.5, "c", node="n2")], 60)
    assert moves == [(10, "firing"), (13.2, "resolved")]


def test_a_silence_ends_when_the_last_object_moves_away() -> None:
    rule = level("fire", by=("cluster", "node"))
    seen = Run(rule).see(good(0, node="n1"), good(100, node="n2")).to(120)
    assert seen.moves == [(60, "firing"), (100, "resolved")]


def test_a_late_deletion_sees_the_objects_of_its_own_instant() -> None:
    rule = replace(level("fire"), stale_after_us=500_000)
    seen = Run(rule).see(good(10, "a"), good(12, "b"), good(11, "a", change="deleted")).to(13)
    assert seen.moves == [(10.5, "firing"), (11, "resolved"), (12.5, "firing")]


# occurrences keep their own meaning


def test_an_occurrence_beside_levels_lasts_for_stale_after() -> None:
    rule = level("keep")
    seen = Run(replace(rule, stale_after_us=5_000_000)).see(bad(0), a_beat(60))
    assert seen.moves == [(0, "firing")]


# edits


def test_an_edit_to_resolve_counts_from_the_first_signal_after_it() -> None:
    seen = Run(level("keep")).see(bad(0)).swap(level("resolve"))
    seen.to(500)
    assert seen.moves == [(0, "firing")]
    assert seen.see(bad(501)).to(999).moves == [(0, "firing"), (561, "resolved")]


def test_an_edit_to_keep_lets_a_level_stand() -> None:
    seen = Run(level("resolve")).see(bad(0), a_beat(10)).swap(level("keep")).to(999)
    assert seen.moves == [(0, "firing")]


def test_a_shorter_stale_after_counts_from_the_last_signal_but_not_before_the_edit() -> None:
    rule = level("resolve")
    seen = Run(rule).see(bad(0), a_beat(40)).swap(replace(rule, stale_after_us=20_000_000))
    assert seen.to(999).moves == [(0, "firing"), (38, "resolved")]


def test_a_restart_with_an_edited_rule_keeps_what_it_knows() -> None:
    seen = Run(level("resolve")).see(bad(0), a_beat(10))
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    for on_nodata, states in (("keep", []), ("resolve", ["resolved"])):
        after = Evaluator(a_set(level(on_nodata)), state)
        assert [
            one.state for one in after.advance(seen.transitions[0].at + 10**9).transitions
        ] == states
