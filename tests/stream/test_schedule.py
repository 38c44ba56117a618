"""Schedules: when a rule is looked at, what fires, and what of the missed is made up for."""

from typing import Any

import pytest

from engine.model.ids import firing_id
from engine.model.instant import parse_duration
from engine.model.signal import Signal
from engine.rules.rule import Rule, Schedule
from engine.stream.evaluator import Evaluator
from tests.stream.building import (
    Run,
    a_beat,
    a_measure,
    a_pod,
    a_rule,
    a_set,
    a_signal,
    an_alert,
    us,
)

BAD = 'signal.data.phase == "Bad"'
HOUR = 3600


def every_hour(catch_up: str = "none", **fields: Any) -> Rule:
    return a_rule(schedule=Schedule("0 * * * *", catch_up=catch_up), **fields)


def alone(catch_up: str = "none", cron: str = "0 * * * *", **fields: Any) -> Rule:
    return a_rule(on="clock", by=(), schedule=Schedule(cron, catch_up=catch_up), **fields)


def bad(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Bad", **data)


def clock(*spans: tuple[int, int]) -> list[Signal]:
    return [a_signal(at, "clock", {}, cluster="") for a, b in spans for at in range(a, b + 1, 5)]


def beats(*spans: tuple[int, int]) -> list[Signal]:
    return [a_beat(at) for a, b in spans for at in range(a, b + 1, 5)]


def fired(seen: Run) -> list[float]:
    return [at for at, state in seen.moves if state == "firing"]


def test_what_is_true_at_an_instant_fires_for_a_second() -> None:
    seen = Run(every_hour(when=BAD)).see(bad(10)).to(2 * HOUR + 1)
    hours = [(HOUR, "firing"), (HOUR + 1, "resolved"), (2 * HOUR, "firing")]
    assert seen.moves == [*hours, (2 * HOUR + 1, "resolved")]
    assert {one.reason for one in seen.transitions} == {"schedule", "cleared"}


def test_what_was_true_between_the_instants_makes_no_difference() -> None:
    good = a_pod(HOUR - 1, phase="Good")
    seen = Run(every_hour(when=BAD)).see(bad(10), good, bad(HOUR + 0.5)).to(HOUR + 600)
    assert seen.moves == []


def test_signals_of_an_instant_come_before_the_look() -> None:
    seen = Run(every_hour(when=BAD)).see(bad(10), a_pod(HOUR, phase="Good")).to(HOUR + 60)
    assert seen.moves == []
    late = Run(every_hour(when=BAD)).see(bad(HOUR)).to(HOUR + 60)
    assert fired(late) == [HOUR]


def test_a_schedule_without_a_condition_concerns_nobody() -> None:
    seen = Run(alone()).see(*clock((5, HOUR + 10)))
    assert [one.members for one in seen.transitions if one.state == "firing"] == [("",)]


def test_the_window_is_looked_at_as_it_is_at_the_instant() -> None:
    rule = every_hour(on="alert", over="10m", measure=a_measure("count"), having="m.n >= 2")
    seen = (
        Run(rule).see(an_alert(3000), an_alert(3010), an_alert(3500), an_alert(3600)).to(2 * HOUR)
    )
    assert fired(seen) == [HOUR]
    assert seen.transitions[0].value == {"n": 3}


def test_the_id_of_a_run_is_that_of_rule_key_and_instant() -> None:
    rule = every_hour(when=BAD)
    one, two = (Run(rule).see(bad(at)).to(HOUR + 60) for at in (10, 500))
    key = {"cluster": "c1", "namespace": "shop", "workload": "web"}
    assert one.transitions[0].firing == firing_id("r", key, us(HOUR))
    assert two.transitions[0].firing == one.transitions[0].firing


def test_a_schedule_alone_runs_by_the_clock() -> None:
    seen = Run(alone()).see(*clock((1800, 2 * HOUR + 60)))
    assert fired(seen) == [HOUR, 2 * HOUR]
    assert dict(seen.transitions[0].key) == {}


def test_a_schedule_alone_launches_its_mission_each_time() -> None:
    seen = Run(alone(mission={}, settle="0")).see(*clock((1800, 2 * HOUR + 60)))
    assert len({one.mission for one in seen.launches}) == 2


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("none", [5 * HOUR]),
        ("last", [4 * HOUR, 5 * HOUR]),
        ("all", [n * HOUR for n in range(1, 6)]),
    ],
)
def test_missed_instants_are_made_up_for_as_the_rule_says(
    catch_up: str, expected: list[int]
) -> None:
    spans = (60, 600), (4 * HOUR + 600, 5 * HOUR + 60)
    assert fired(Run(alone(catch_up)).see(*clock(*spans))) == expected
    levels = Run(every_hour(catch_up, when=BAD)).see(*beats((60, 65)), bad(68))
    assert fired(levels.see(*beats((70, 600), *spans[1:]))) == expected


def test_what_was_missed_stays_so_after_a_restart() -> None:
    rule = every_hour(when=BAD)
    seen = Run(rule).see(*beats((60, 65)), bad(68), *beats((70, 600), (4 * HOUR + 600,) * 2))
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    again = Run(rule)
    again.evaluator = Evaluator(a_set(rule), state)
    assert fired(again.see(*beats((4 * HOUR + 605, 5 * HOUR + 60)))) == [5 * HOUR]


def test_an_instant_that_time_passes_by_a_little_was_not_missed() -> None:
    seen = Run(alone()).see(*clock((HOUR - 30, HOUR - 5), (HOUR + 55, HOUR + 60)))
    assert fired(seen) == [HOUR]


def test_a_log_that_nobody_paces_misses_nothing() -> None:
    seen = Run(every_hour(when=BAD)).see(bad(10), bad(2 * HOUR + 600, "web-2")).to(2 * HOUR + 700)
    assert fired(seen) == [HOUR, 2 * HOUR]


def test_a_key_that_is_no_more_is_not_looked_at() -> None:
    seen = Run(every_hour(when=BAD)).see(bad(10), bad(20, change="deleted")).to(HOUR + 60)
    assert seen.moves == []
    assert not seen.evaluator._folds["c1"].cells


def test_a_rule_that_gets_a_schedule_keeps_what_is_known_of_its_keys() -> None:
    plain, timed = a_rule(when=BAD, hash="h"), every_hour(when=BAD, hash="h")
    seen = Run(plain).see(bad(10), a_beat(40)).swap(timed).to(HOUR + 60)
    assert seen.moves == [
        (10, "firing"),
        (38, "resolved"),
        (HOUR, "firing"),
        (HOUR + 1, "resolved"),
    ]


def test_a_rule_that_loses_its_schedule_goes_on_with_what_is_true() -> None:
    plain, timed = a_rule(when=BAD, hash="h"), every_hour(when=BAD, hash="h")
    seen = Run(timed).see(bad(10), a_beat(40)).swap(plain).to(90)
    assert seen.moves == [(38, "firing")]


def test_an_edited_schedule_is_followed_from_then_on() -> None:
    seen = Run(every_hour(when=BAD, hash="h")).see(bad(10)).to(100)
    half = a_rule(when=BAD, hash="h", schedule=Schedule("30 * * * *"))
    assert fired(seen.swap(half).to(HOUR + 60)) == [1800]


def test_a_month_without_signals_costs_no_more_than_its_looks() -> None:
    seen = Run(every_hour(when=BAD)).see(bad(10)).to(parse_duration("10d") // 1_000_000)
    assert len(fired(seen)) == 240
