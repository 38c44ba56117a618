"""Joins are right whatever opens and ends, wherever it was restarted, and under any rules."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from engine.model.firing import State, Transition
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.evaluator import Evaluator
from engine.stream.stage import Stage
from tests.stream.building import a_set
from tests.stream.correlating import MEMBERS, conditions, moves, rules
from tests.stream.test_properties import Found, told

SECOND = 1_000_000
STAGES = st.sampled_from([Stage.BOTH, Stage.SECOND])


def folded(evaluator: Evaluator, log: Sequence[Signal], end: int) -> Found:
    return told([*(evaluator.step([one]) for one in log), evaluator.advance(end)])


def of(found: Sequence[Transition], rule: Rule) -> list[tuple[int, tuple[str, ...], str]]:
    mine = [one for one in found if one.rule == rule.name]
    return sorted((one.at, tuple(one.key[name] for name in rule.by), one.state.value)
                  for one in mine)  # fmt: skip


@given(rules("r"), rules("s"), conditions(), STAGES)
def test_the_reference_agrees(one: Rule, two: Rule, log: list[Signal], stage: Stage) -> None:
    end = to_us(log[-1].time) + 20 * SECOND
    found = folded(Evaluator(a_set(one, two, *MEMBERS), stage=stage), log, end)[0]
    for rule in (one, two):
        assert of(found, rule) == moves(rule, log, end)
    opened = [one.firing for one in found if one.state is State.FIRING]
    assert len(opened) == len(set(opened))


@given(rules("r"), rules("s"), conditions(), STAGES, st.data())
def test_restarts_and_doubles_leave_no_trace(
    one: Rule, two: Rule, log: list[Signal], stage: Stage, data: st.DataObject
) -> None:
    every = a_set(one, two, *MEMBERS)
    end = to_us(log[-1].time) + 20 * SECOND
    state: dict[str, bytes] = {}
    evaluator, steps = Evaluator(every, stage=stage), []
    for place, signal in enumerate(log):
        steps.append(evaluator.step([signal]))
        if stage is Stage.SECOND and data.draw(st.integers(0, 3)) == 0:
            again = log[data.draw(st.integers(0, place))]
            steps.append(evaluator.step([again]))
        if data.draw(st.integers(0, 2)) == 0:
            for name, raw in evaluator.changes().items():
                if raw is None:
                    state.pop(name, None)
                else:
                    state[name] = raw
            evaluator = Evaluator(every, state, stage=stage)
    steps.append(evaluator.advance(end))
    assert told(steps) == folded(Evaluator(every, stage=stage), log, end)


@given(rules("r"), rules("r"), conditions(), st.data())
def test_new_rules_know_what_is_open(
    old: Rule, new: Rule, log: list[Signal], data: st.DataObject
) -> None:
    """After an edit a rule is as if it had always been so, apart from when it began."""
    turn = data.draw(st.integers(0, len(log)))
    evaluator = Evaluator(a_set(old, *MEMBERS), stage=Stage.SECOND)
    for signal in log[:turn]:
        evaluator.step([signal])
    evaluator.swap(a_set(new, *MEMBERS))
    plain = Evaluator(a_set(new, *MEMBERS), stage=Stage.SECOND)
    end = to_us(log[-1].time) + 20 * SECOND
    for signal in log[turn:]:
        evaluator.step([signal])
    evaluator.advance(end)
    folded(plain, log, end)
    assert [(one.rule, one.key, one.state) for one in evaluator.open()] == [
        (one.rule, one.key, one.state) for one in plain.open()
    ]
