"""What dogwatch itself made triggers nothing by itself, and chains end."""

from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.cel import compile as cel
from engine.rules.rule import Rule, Selector, Sequence, SequenceStep
from tests.stream.building import Run, a_measure, a_pod, a_rule, an_alert

BAD = 'signal.data.phase == "Bad"'


def pod(at: float, phase: str = "Bad", **data: Any) -> Signal:
    return a_pod(at, phase=phase, **data)


def bad(**fields: Any) -> Rule:
    return a_rule(when=BAD, settle="0", mission={}, **fields)


def counting(**fields: Any) -> Rule:
    return a_rule(over="1m", measure=a_measure("count"), having="m.n >= 1", **fields)


def test_what_dogwatch_made_does_not_trigger_a_level() -> None:
    seen = Run(bad()).see(pod(0, madeBy="dogwatch"))
    assert (seen.moves, seen.launched) == ([], [])
    assert seen.count('ignored_self{rule="r"}') == 1


def test_what_dogwatch_made_enters_no_window() -> None:
    seen = Run(counting()).see(pod(0, madeBy="dogwatch")).to(9)
    assert seen.moves == []
    assert seen.count('ignored_self{rule="r"}') == 1


def test_what_somebody_else_made_triggers() -> None:
    assert Run(bad()).see(pod(0, madeBy="kubectl")).launched == [0]


def test_a_rule_may_ask_to_see_what_dogwatch_made() -> None:
    assert Run(bad(ignore_self=False)).see(pod(0, madeBy="dogwatch")).launched == [0]


def test_what_dogwatch_made_good_ends_a_firing() -> None:
    seen = Run(bad()).see(pod(0), pod(5, "Good", madeBy="dogwatch")).to(9)
    assert seen.moves == [(0, "firing"), (5, "resolved")]


def test_what_dogwatch_touched_while_it_is_bad_leaves_its_firing_open() -> None:
    seen = Run(bad()).see(pod(0), pod(5, madeBy="dogwatch")).to(60)
    assert seen.moves == [(0, "firing")]


def test_what_dogwatch_deleted_is_gone() -> None:
    seen = Run(bad()).see(pod(0), pod(5, madeBy="dogwatch", change="deleted")).to(9)
    assert seen.moves == [(0, "firing"), (5, "resolved")]


@pytest.mark.parametrize("rule", [a_rule(when=BAD), counting()], ids=["level", "window"])
def test_a_signal_behind_more_than_five_missions_starts_nothing(rule: Rule) -> None:
    assert Run(rule).see(pod(0, depth=5)).to(3).moves == [(0, "firing")]
    seen = Run(rule).see(pod(0, depth=6)).to(9)
    assert seen.moves == []
    assert seen.count('too_deep{rule="r"}') == 1


def test_what_dogwatch_made_is_no_step_of_a_sequence() -> None:
    steps = tuple(
        SequenceStep(phase, (Selector("k8s.object"),), cel(f'signal.data.phase == "{phase}"'))
        for phase in ("Bad", "Good")
    )
    rule = a_rule(sequence=Sequence(steps, 60_000_000))
    assert Run(rule).see(pod(0), pod(5, "Good")).moves == [(5, "firing")]
    seen = Run(rule).see(pod(0, madeBy="dogwatch"), pod(5, "Good"))
    assert seen.moves == []
    assert seen.count('ignored_self{rule="r"}') == 1


def test_firing_and_launch_carry_the_depth_of_the_signal_that_decided() -> None:
    seen = Run(bad()).see(pod(0, depth=3))
    assert seen.transitions[0].depth == 3
    assert seen.launches[0].depth == 4


def test_a_hold_that_ends_by_time_keeps_the_depth_of_its_first_signal() -> None:
    seen = Run(bad(**{"for": "10s"})).see(pod(0, depth=3), an_alert(20)).to(30)
    assert [one.depth for one in seen.transitions] == [3, 3]
    assert seen.launches[0].depth == 4


def test_a_chain_is_five_missions_long_at_most() -> None:
    assert Run(bad()).see(pod(0, depth=4)).launches[0].depth == 5
    seen = Run(bad()).see(pod(0, depth=5))
    assert seen.launches == []
    assert seen.held_back == [(0, "too deep")]
