"""Debounce, repeat, max_per_hour, mute_during, shadow: what is put off, said again, held back."""

from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.rule import Interval, MissionOrder, Rule
from engine.stream.evaluator import Evaluator
from tests.stream.building import Run, a_beat, a_pod, a_rule, a_set, us

BAD = 'signal.data.phase == "Bad"'
CRASH: dict[str, Any] = {"when": BAD, "by": ("cluster", "workload"), "mission": {}}
HOUR = 3600


def pod(at: float, phase: str = "Bad", name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase=phase, **data)


def node(at: float, ready: bool) -> Signal:
    return a_pod(at, "n1", kind="Node", node="n1", ready=ready, workload="n1")


def node_rule() -> Rule:
    return a_rule("node-not-ready", when="!signal.data.ready", by=("cluster", "node"))


def crash(**fields: Any) -> Rule:
    return a_rule("crash", **{"settle": "0", **CRASH, **fields})


def until_one(**fields: Any) -> tuple[Interval, ...]:
    """An interval that lasts until 01:00 UTC every day."""
    return (Interval("nightly", times=((0, 60),), **fields),)


def restarted(before: Run, rule: Rule) -> Run:
    """Return a run that goes on from the checkpoint of `before`."""
    after = Run(rule)
    state = {name: raw for name, raw in before.evaluator.changes().items() if raw is not None}
    after.evaluator = Evaluator(a_set(rule), state)
    return after


def opened_and_ended(seen: Run) -> list[tuple[float, str]]:
    return [(at, state) for at, state, reason in seen.told if reason != "repeat"]


def reminded(seen: Run) -> list[float]:
    return [at for at, _, reason in seen.told if reason == "repeat"]


def test_mission_and_notice_wait_until_no_signal_made_the_condition_true_for_debounce() -> None:
    seen = Run(crash(debounce="10s")).see(pod(0), pod(4), pod(9), pod(15, "Bad")).to(24.9)
    assert (seen.launched, seen.told) == ([], [])
    assert seen.to(25).launched == [25]
    assert seen.told == [(0, "firing", "threshold")]


def test_debounce_ends_after_ten_times_itself_however_often_signals_come() -> None:
    seen = Run(crash(debounce="10s")).see(*(pod(at) for at in range(0, 120, 5))).to(200)
    assert seen.launched == [100]


def test_a_signal_that_leaves_the_condition_false_does_not_prolong_debounce() -> None:
    rule = crash(debounce="10s", keep_firing_for="1m")
    seen = Run(rule).see(pod(0), pod(4, "Good"), pod(9, "Good")).to(20)
    assert seen.launched == [10]


def test_a_signal_after_the_end_of_debounce_is_too_late_to_prolong_it() -> None:
    seen = Run(crash(debounce="10s")).see(pod(0), pod(11.5)).to(30)
    assert seen.launched == [10]


def test_a_signal_that_arrives_out_of_order_counts_at_its_own_instant() -> None:
    seen = Run(crash(debounce="10s")).see(pod(0), pod(9, name="b"), pod(8, "Good", "b"))
    assert seen.to(30).launched == [19]
    seen = Run(crash(debounce="10s")).see(pod(0), pod(8, "Good", "b"), pod(7.5, name="b"))
    assert seen.to(30).launched == [17.5]


def test_signals_that_stream_time_passes_at_once_count_one_by_one() -> None:
    seen = Run(crash(debounce="10s")).see(a_beat(0, source="w"), pod(0), pod(8), pod(15))
    assert seen.see(a_beat(40, source="w")).to(60).launched == [25]


def test_what_is_remembered_for_debounce_is_in_order_after_a_late_signal() -> None:
    seen = Run(crash(debounce="10s")).see(pod(0), pod(9), pod(8, name="b"))
    (cell,) = seen.evaluator._folds["c1"].cells.values()
    assert cell.met == [us(0), us(8), us(9)]


def test_debounce_goes_on_after_a_restart() -> None:
    first = Run(crash(debounce="10s")).see(pod(0), pod(9))
    again = restarted(first, crash(debounce="10s")).to(60)
    assert again.launched == [19]
    assert opened_and_ended(again) == [(0, "firing")]


def test_a_rule_that_left_shadow_while_nothing_ran_tells_of_what_is_open() -> None:
    first = Run(crash(mode="shadow")).see(pod(0))
    assert opened_and_ended(restarted(first, crash()).see(pod(9)).to(20)) == [(0, "firing")]


def test_a_rule_that_entered_shadow_while_nothing_ran_tells_of_nothing_that_waits() -> None:
    first = Run(crash(debounce="10s")).see(pod(0))
    assert restarted(first, crash(debounce="10s", mode="shadow")).to(60).told == []


def test_the_longer_of_settle_and_debounce_counts() -> None:
    assert Run(crash(debounce="10s", settle="30s")).see(pod(0)).to(99).launched == [30]
    assert Run(crash(debounce="50s", settle="30s")).see(pod(0)).to(99).launched == [50]


def test_a_firing_that_ends_while_it_debounces_is_told_with_its_end_and_still_launches() -> None:
    seen = Run(crash(debounce="10s")).see(pod(0), pod(4), pod(5, "Good")).to(60)
    assert opened_and_ended(seen) == [(0, "firing"), (5, "resolved")]
    assert seen.launched == [14]


def test_without_debounce_people_are_told_at_once() -> None:
    seen = Run(crash(settle="30s")).see(pod(0), pod(5, "Good")).to(9)
    assert opened_and_ended(seen) == [(0, "firing"), (5, "resolved")]


def test_repeat_reminds_of_one_firing_until_it_resolves() -> None:
    seen = Run(crash(repeat="10s")).see(pod(0), pod(25, "Good")).to(99)
    assert reminded(seen) == [10, 20]
    assert [one.state for one in seen.transitions] == ["firing", "resolved"]
    assert len({one.firing for one in seen.notices}) == 1


def test_a_reminder_at_the_instant_of_the_end_is_not_given() -> None:
    seen = Run(crash(repeat="10s")).see(pod(0), pod(20, "Good")).to(99)
    assert reminded(seen) == [10]


def test_a_reminder_shows_what_is_true_now() -> None:
    seen = Run(crash(repeat="10s")).see(pod(0), pod(4, name="web-2")).to(10)
    assert seen.notices[-1].members == ("web-1", "web-2")
    assert seen.notices[0].members == ("web-1",)


def test_repeat_counts_from_the_notice_that_debounce_put_off() -> None:
    seen = Run(crash(debounce="5s", repeat="10s")).see(pod(0)).to(30)
    assert seen.told == [
        (0, "firing", "threshold"),
        (15, "firing", "repeat"),
        (25, "firing", "repeat"),
    ]


def test_repeat_is_silent_while_an_inhibitor_fires() -> None:
    rule = crash(repeat="10s", inhibited_by=[("node-not-ready", ("cluster", "node"))])
    seen = Run(rule, node_rule()).see(pod(0), node(15, ready=False), node(35, ready=True)).to(49)
    assert [one for one in seen.told if one[2] == "repeat"] == [
        (10, "firing", "repeat"),
        (40, "firing", "repeat"),
    ]
    assert seen.count('suppressed{rule="crash",reason="inhibited"}') == 2


def test_max_per_hour_counts_the_missions_of_the_rule_in_its_cluster() -> None:
    rule = crash(max_per_hour=2)
    signals = [pod(at, name=f"p{at}", workload=f"w{at}") for at in (0, 10, 20)]
    seen = Run(rule).see(*signals, pod(30, cluster="c2")).to(40)
    assert seen.launched == [0, 10, 30]
    assert seen.held_back == [(20, "rate limit")]
    assert seen.count('suppressed{rule="crash",reason="rate limit"}') == 1


def test_a_mission_an_hour_ago_counts_no_longer() -> None:
    rule = crash(max_per_hour=1)
    early = Run(rule).see(pod(0), pod(HOUR - 0.5, name="b", workload="b")).to(HOUR + 9)
    assert (early.launched, early.held_back) == ([0], [(HOUR - 0.5, "rate limit")])
    late = Run(rule).see(pod(0), pod(HOUR, name="b", workload="b")).to(HOUR + 9)
    assert late.launched == [0, HOUR]


def test_a_mission_that_cooldown_held_back_counts_for_no_hour() -> None:
    rule = crash(max_per_hour=2, cooldown="30m")
    seen = Run(rule).see(pod(0), pod(5, "Good"), pod(10), pod(20, name="b", workload="b"))
    assert seen.launched == [0, 20]
    assert seen.held_back == [(10, "cooldown")]


def test_the_cooldown_of_a_dedup_key_outlives_a_restart() -> None:
    rule = crash(cooldown="60s", mission=MissionOrder("incident-response", dedup_key="one"))
    before = Run(rule).see(pod(0, workload="a"))
    seen = restarted(before, rule).see(pod(10, name="b", workload="b"))
    assert (seen.launched, seen.held_back) == ([], [(10, "duplicate")])
    assert seen.see(pod(60, name="c", workload="c")).launched == [60]


def test_a_muted_mission_waits_for_the_end_of_the_interval_and_settles_anew() -> None:
    seen = Run(crash(settle="30s", mute_during=until_one())).see(pod(10)).to(HOUR + 29)
    assert (seen.launched, seen.held_back) == ([], [(40, "muted")])
    assert seen.to(HOUR + 30).launched == [HOUR + 30]


def test_what_began_and_ended_while_it_was_muted_launches_nothing_and_is_told_to_nobody() -> None:
    seen = Run(crash(mute_during=until_one())).see(pod(10), pod(50, "Good")).to(2 * HOUR)
    assert (seen.launched, seen.told) == ([], [])
    assert seen.held_back == [(10, "muted")]


def test_a_muted_opening_is_told_when_the_interval_ends_with_its_own_time() -> None:
    seen = Run(crash(mute_during=until_one())).see(pod(10)).to(HOUR - 1)
    assert seen.told == []
    assert seen.to(HOUR).told == [(10, "firing", "threshold")]


def test_the_end_of_what_people_know_passes_while_the_rule_is_muted() -> None:
    later = (Interval("later", times=((1, 60),)),)
    seen = Run(crash(mute_during=later)).see(pod(10), pod(90, "Good")).to(99)
    assert opened_and_ended(seen) == [(10, "firing"), (90, "resolved")]


def test_a_muted_opening_is_not_told_after_a_restart_either() -> None:
    first = Run(crash(mute_during=until_one())).see(pod(10))
    again = restarted(first, crash(mute_during=until_one())).see(pod(50, "Good")).to(2 * HOUR)
    assert again.told == []


def test_mute_begins_where_debounce_ends() -> None:
    later = (Interval("later", times=((1, 60),)),)
    seen = Run(crash(debounce="60s", mute_during=later)).see(pod(10)).to(2 * HOUR)
    assert seen.held_back == [(70, "muted")]
    assert seen.told == [(10, "firing", "threshold")]
    assert seen.launched == [HOUR]


def test_a_muted_firing_without_a_mission_is_told_as_suppressed() -> None:
    rule = a_rule("crash", when=BAD, by=("cluster",), mute_during=until_one())
    assert Run(rule).see(pod(10)).to(99).held_back == [(40, "muted")]


def test_a_mission_that_one_interval_after_the_other_holds_is_told_of_once() -> None:
    both = (*until_one(), Interval("after", times=((60, 120),)))
    seen = Run(crash(mute_during=both)).see(pod(10)).to(3 * HOUR)
    assert seen.held_back == [(10, "muted")]
    assert seen.launched == [2 * HOUR]


def test_outside_of_the_interval_nothing_is_muted() -> None:
    assert Run(crash(mute_during=until_one())).see(pod(HOUR)).launched == [HOUR]


def test_repeat_is_silent_while_it_is_muted() -> None:
    later = (Interval("later", times=((20, 60),)),)
    seen = Run(crash(repeat="25m", mute_during=later)).see(pod(0)).to(2 * HOUR)
    assert reminded(seen) == [75 * 60, 100 * 60]


def test_reminders_begin_when_a_muted_opening_was_told() -> None:
    seen = Run(crash(repeat="25m", mute_during=until_one())).see(pod(0)).to(2 * HOUR)
    assert reminded(seen) == [85 * 60, 110 * 60]


@pytest.mark.parametrize("first", ["mute", "inhibitor"])
def test_inhibition_and_mute_hold_one_after_the_other(first: str) -> None:
    rule = crash(mute_during=until_one(), inhibited_by=[("node-not-ready", ("cluster", "node"))])
    end = {"mute": 2 * HOUR, "inhibitor": HOUR / 2}[first]
    seen = Run(rule, node_rule()).see(node(0, ready=False), pod(10), node(end, ready=True))
    seen.to(3 * HOUR)
    reasons = {"mute": ["inhibited"], "inhibitor": ["inhibited", "muted"]}
    assert [reason for _, reason in seen.held_back] == reasons[first]
    assert seen.launched == [max(end, HOUR)]


def test_shadow_tells_its_transitions_and_does_nothing() -> None:
    rule = crash(mode="shadow", repeat="10s")
    seen = Run(rule).see(pod(0), pod(25, "Good")).to(99)
    assert seen.moves == [(0, "firing"), (25, "resolved")]
    assert (seen.launched, seen.told) == ([], [])
    assert seen.count('suppressed{rule="crash",reason="shadow"}') == 1


def test_shadow_holds_nobody_back() -> None:
    rule = crash(inhibited_by=[("node-not-ready", ("cluster", "node"))])
    shadow = a_rule(
        "node-not-ready", when="!signal.data.ready", by=("cluster", "node"), mode="shadow"
    )
    assert Run(rule, shadow).see(node(0, ready=False), pod(10)).launched == [10]


def test_shadow_obeys_cooldown_as_if_it_had_launched() -> None:
    rule = crash(mode="shadow", cooldown="1h")
    seen = Run(rule).see(pod(0), pod(5, "Good"), pod(10)).to(20)
    assert seen.count('suppressed{rule="crash",reason="shadow"}') == 1
    assert seen.held_back == [(10, "cooldown")]


def test_a_rule_that_leaves_shadow_tells_of_what_is_open() -> None:
    seen = Run(crash(mode="shadow", repeat="10s")).see(pod(0), pod(12))
    seen.swap(crash(repeat="10s")).to(15)
    assert seen.told == [(0, "firing", "threshold")]
    assert reminded(seen.to(30)) == [20, 30]


def test_a_rule_that_enters_shadow_still_tells_the_end_of_what_people_know() -> None:
    seen = Run(crash(repeat="10s")).see(pod(0)).swap(crash(mode="shadow", repeat="10s"))
    seen.see(pod(25, "Good")).to(60)
    assert seen.told == [(0, "firing", "threshold"), (25, "resolved", "cleared")]


def test_repeat_that_is_edited_during_a_firing_counts_from_the_edit() -> None:
    seen = Run(crash()).see(pod(0), pod(20)).swap(crash(repeat="10s")).to(40)
    assert reminded(seen) == [28, 38]
    seen.swap(crash()).to(99)
    assert reminded(seen) == [28, 38]


def test_mute_that_is_removed_during_a_firing_lets_its_mission_settle_anew() -> None:
    seen = Run(crash(settle="30s", mute_during=until_one())).see(pod(0), pod(60, name="b"))
    seen.swap(crash(settle="30s")).to(200)
    assert seen.held_back == [(30, "muted")]
    assert seen.launched == [88]


def test_a_removed_rule_tells_what_it_put_off_before_its_end() -> None:
    seen = Run(crash(debounce="1m")).see(pod(0), pod(20)).swap()
    assert [one[1:] for one in seen.told] == [("firing", "threshold"), ("resolved", "rule removed")]


def test_a_changed_rule_in_shadow_tells_no_end_of_what_nobody_knows() -> None:
    seen = Run(crash(mode="shadow")).see(pod(0)).swap(crash(mode="shadow", hash="other"))
    assert seen.moves[-1][1] == "resolved"
    assert seen.told == []
