"""Rules that change while their firings are open."""

from dataclasses import replace

from engine.model.signal import Signal
from engine.stream.evaluator import Evaluator
from tests.stream.building import Run, a_beat, a_pod, a_rule, a_set, seconds

BAD = 'signal.data.phase == "Bad"'


def bad(at: float) -> Signal:
    return a_pod(at, phase="Bad")


def test_the_same_hash_keeps_state() -> None:
    rule = a_rule(when=BAD, labels={"severity": "low"})
    seen = Run(rule).see(bad(0)).swap(replace(rule, labels={"severity": "high"})).see(bad(5))
    assert seen.to(60).moves == [(0, "firing")]


def test_a_shorter_for_fires_at_once_when_it_is_overdue() -> None:
    rule = a_rule(when=BAD, **{"for": "60s"})
    seen = Run(rule).see(bad(0), a_beat(30)).swap(replace(rule, for_us=10_000_000))
    assert seen.moves == [(0, "pending"), (28, "firing")]


def test_a_longer_for_goes_on_waiting() -> None:
    rule = a_rule(when=BAD, **{"for": "60s"})
    seen = Run(rule).see(bad(0), a_beat(30)).swap(replace(rule, for_us=90_000_000)).to(100)
    assert seen.moves == [(0, "pending"), (90, "firing")]


def test_another_hash_resolves_open_firings() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0), a_beat(30)).swap(a_rule(when=f"{BAD} || false"))
    assert seen.moves == [(0, "firing"), (28, "resolved")]
    assert seen.transitions[-1].reason == "rule changed"
    assert seen.transitions[-1].firing == seen.transitions[0].firing


def test_another_hash_ends_what_is_pending() -> None:
    rule = a_rule(when=BAD, **{"for": "60s"})
    seen = Run(rule).see(bad(0), a_beat(30)).swap(a_rule(when=f"{BAD} || false"))
    assert seen.moves == [(0, "pending"), (28, "inactive")]


def test_a_removed_or_disabled_rule_resolves_its_firings() -> None:
    rule = a_rule(when=BAD)
    for rest in ((), (replace(rule, enabled=False),)):
        seen = Run(rule).see(bad(0), a_beat(30)).swap(*rest).see(bad(40)).to(50)
        assert seen.moves == [(0, "firing"), (28, "resolved")]
        assert seen.transitions[-1].reason == "rule removed"


def test_a_rule_edited_during_a_firing_launches_no_second_mission() -> None:
    rule = a_rule(when=BAD, mission={}, settle="0")
    seen = Run(rule).see(bad(0), a_beat(30)).swap(a_rule(when=f"{BAD} || false", mission={}))
    seen.see(bad(40)).to(300)
    assert seen.launched == [0]
    assert [one.reason for one in seen.transitions if one.state == "suppressed"] == ["rule changed"]


def test_a_mission_that_settles_goes_although_its_rule_was_edited() -> None:
    rule = a_rule(when=BAD, mission={}, settle="30s")
    seen = Run(rule).see(bad(0), a_beat(10)).swap(a_rule(when=f"{BAD} || false", mission={}))
    assert seen.see(bad(12)).to(300).launched == [30]


def test_a_later_firing_of_an_edited_rule_launches_again() -> None:
    rule = a_rule(when=BAD, mission={}, settle="0", stale_after="60s")
    edited = a_rule(when=f"{BAD} || false", mission={}, settle="0", stale_after="60s")
    seen = Run(rule).see(bad(0), a_beat(30)).swap(edited).see(bad(500)).to(999)
    assert seen.launched == [0, 500]


def test_cooldown_survives_an_edit() -> None:
    rule = a_rule(when=BAD, mission={}, settle="0", cooldown="1h")
    edited = a_rule(when=f"{BAD} || false", mission={}, settle="0", cooldown="1h")
    seen = Run(rule).see(bad(0), a_pod(5, phase="Good"), a_beat(30)).swap(edited).see(bad(900))
    assert seen.to(999).launched == [0]


def test_rules_that_changed_while_nothing_ran_end_in_the_first_step() -> None:
    before = Run(a_rule(when=BAD), a_rule("gone", when=BAD)).see(bad(0), a_beat(30))
    state = {name: raw for name, raw in before.evaluator.changes().items() if raw is not None}
    after = Evaluator(a_set(a_rule(when=f"{BAD} || false")), state)
    found = after.step([a_beat(35)]).transitions
    assert [(one.rule, one.state, one.reason, seconds(one.at)) for one in found] == [
        ("gone", "resolved", "rule removed", 28),
        ("r", "resolved", "rule changed", 28),
    ]
    assert [name for name, raw in after.changes().items() if raw is None and "cell" in name]
