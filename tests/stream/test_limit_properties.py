"""Whatever comes in whatever order: notices make whole stories, and limits hold."""

from collections import Counter
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model.firing import State, Step, Transition
from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.evaluator import Evaluator
from engine.stream.orders import DEBOUNCE_MOST
from tests.stream.building import a_set, us
from tests.stream.strategies import logs, whole_rules
from tests.stream.test_properties import arrival

END = us(400)
HOUR_US = 3_600_000_000


def steps(rules: Sequence[Rule], log: Sequence[Signal]) -> list[Step]:
    evaluator = Evaluator(a_set(*rules))
    return [*(evaluator.step([one]) for one in log), evaluator.advance(END)]


def stories(found: Sequence[Step]) -> dict[str, list[Transition]]:
    """Return what people are told of each firing, in the order of telling."""
    told: dict[str, list[Transition]] = {}
    for notice in (one for step in found for one in step.notices):
        told.setdefault(notice.firing, []).append(notice)
    return told


@settings(max_examples=90)
@given(whole_rules("a", "b"), whole_rules("b", "a"), logs(), st.data())
def test_people_hear_an_opening_then_reminders_then_an_end_or_nothing(
    one: Rule, two: Rule, log: list[Signal], data: st.DataObject
) -> None:
    rules = {"a": one, "b": two}
    found = steps([one, two], arrival(log, data))
    told = stories(found)
    moves = [move for step in found for move in step.transitions]
    ended = {move.firing for move in moves if move.state is State.RESOLVED}
    for firing, story in told.items():
        opening, *rest = story
        assert (opening.state, opening.reason == "repeat") == (State.FIRING, False)
        assert rules[opening.rule].mode == "live"
        reminders = [notice for notice in rest if notice.state is State.FIRING]
        assert all(notice.reason == "repeat" for notice in reminders)
        ends = [State.RESOLVED] if firing in ended else []
        assert [notice.state for notice in rest[len(reminders) :]] == ends
    live = {m.firing for m in moves if m.state is State.FIRING and rules[m.rule].mode == "live"}
    assert set(told) <= live
    assert all(rules[m.rule].mute_during for m in moves if m.firing in live - set(told))


@settings(max_examples=90)
@given(whole_rules("a", "b"), whole_rules("b", "a"), logs(), st.data())
def test_missions_keep_to_their_limits_and_each_firing_has_one_fate(
    one: Rule, two: Rule, log: list[Signal], data: st.DataObject
) -> None:
    found = steps([one, two], arrival(log, data))
    launches = [launch for step in found for launch in step.launches]
    since = {m.firing: m.at for s in found for m in s.transitions if m.state is State.FIRING}
    assert max(Counter(launch.firing for launch in launches).values(), default=1) == 1
    for rule in (one, two):
        mine = [launch for launch in launches if launch.rule == rule.name]
        assert not (mine and rule.mode == "shadow")
        for launch in mine:
            hour = [other for other in mine if launch.at - HOUR_US < other.at <= launch.at]
            assert not rule.max_per_hour or len(hour) <= rule.max_per_hour
            waited = launch.at - since[launch.firing]
            assert waited >= max(rule.settle_us, rule.debounce_us)
            if not rule.inhibited_by and not rule.mute_during:
                assert waited <= max(rule.settle_us, DEBOUNCE_MOST * rule.debounce_us)
