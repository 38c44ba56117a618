"""The fold is deterministic: cuts, crashes, replays; and it agrees with the slow reference."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.app.replaying import replay
from engine.model.firing import Launch, State, Step, Transition
from engine.model.instant import to_us
from engine.model.signal import NEWS, Signal
from engine.rules.rule import Rule
from engine.stream.evaluator import Evaluator
from tests.stream.building import a_set, a_signal, us
from tests.stream.reference import moves
from tests.stream.strategies import logs, rules, whole_rules

LATENESS = 2_000_000
EPISODE = {
    (None, State.PENDING),
    (None, State.FIRING),
    (State.PENDING, State.INACTIVE),
    (State.PENDING, State.FIRING),
    (State.FIRING, State.RESOLVED),
}
Found = tuple[list[Transition], list[Launch], list[Transition]]


def folded(rule_set: Sequence[Rule], log: Sequence[Signal], end: int) -> Found:
    evaluator = Evaluator(a_set(*rule_set))
    steps = [*(evaluator.step([one]) for one in log), evaluator.advance(end)]
    return told(steps)


def told(steps: Sequence[Step]) -> Found:
    transitions = [one for step in steps for one in step.transitions]
    launches = [one for step in steps for one in step.launches]
    transitions.sort(key=lambda one: (one.at, one.rule, sorted(one.key.items()), one.state))
    launches.sort(key=lambda one: (one.at, one.rule, one.mission))
    notices = [one for step in steps for one in step.notices]
    notices.sort(key=lambda one: one.firing)
    return transitions, launches, notices


def of(found: Found, rule: Rule, *states: State) -> list[tuple[int, tuple[str, ...], str]]:
    return sorted(
        (one.at, tuple(one.key[name] for name in rule.by), one.state.value)
        for one in found[0]
        if not states or one.state in states
    )


@given(rules(), logs(), st.integers(0, 30))
def test_the_reference_agrees_on_logs_in_order(rule: Rule, log: list[Signal], more: int) -> None:
    end = to_us(log[-1].time) + more * 1_000_000
    assert of(folded([rule], log, end), rule) == moves(rule, log, end)


@given(rules(), logs(), logs(), st.integers(0, 5))
def test_the_reference_agrees_that_nothing_counts_once_a_cluster_left(
    rule: Rule, log: list[Signal], rest: list[Signal], more: int
) -> None:
    end = (to_us(log[-1].time) - us(0)) // 1_000_000 + more
    left = a_signal(end + 3, NEWS, {"change": "left"})
    later = timedelta(seconds=end + 4)
    after = [
        msgspec.structs.replace(one, id=f"after-{one.id}", time=one.time + later) for one in rest
    ]
    evaluator = Evaluator(a_set(rule))
    steps = [evaluator.step(log), evaluator.advance(us(end)), evaluator.step([left, *after])]
    steps.append(evaluator.advance(to_us(after[-1].time) + 60_000_000))
    found = told(steps)
    ended = [one for one in found[0] if one.reason == "cluster left"]
    others = ([one for one in found[0] if one not in ended], *found[1:])
    assert of(others, rule) == moves(rule, [*log, left, *after], us(end))
    assert still_open(found) == set()


@given(rules(clear=False), logs(), st.data())
def test_order_inside_the_lateness_makes_no_difference_to_what_a_hold_fires(
    rule: Rule, log: list[Signal], data: st.DataObject
) -> None:
    rule = replace(rule, for_us=max(rule.for_us, 3_000_000))
    end = to_us(log[-1].time) + 60_000_000
    shuffled = arrival(log, data)
    shown = (State.FIRING, State.RESOLVED)
    assert of(folded([rule], shuffled, end), rule, *shown) == [
        move for move in moves(rule, log, end) if move[2] in shown
    ]


@given(rules(clear=False), logs(), st.data())
def test_order_inside_the_lateness_makes_no_difference_to_what_is_open_at_last(
    rule: Rule, log: list[Signal], data: st.DataObject
) -> None:
    rule = replace(rule, for_us=0, keep_firing_for_us=0)
    end = to_us(log[-1].time) + 3_000_000
    assert still_open(folded([rule], arrival(log, data), end)) == still_open(
        folded([rule], log, end)
    )


@given(whole_rules("a", "b"), whole_rules("b", "a"), logs(beats=True), st.data())
def test_cuts_crashes_and_replays_give_the_same_firings_and_missions(
    one: Rule, two: Rule, log: list[Signal], data: st.DataObject
) -> None:
    two = replace(two, inhibited_by=())
    log = arrival(log, data, late=True)
    end = us(200)
    whole = folded([one, two], log, end)
    assert crashed([one, two], log, end, data) == whole
    lines = list(replay(a_set(one, two), [log], until=end))
    assert sorted(line["firing"] for line in lines) == sorted(move.firing for move in whole[0])


@given(rules(), logs(), st.data())
def test_what_is_told_makes_whole_episodes_in_any_order_of_arrival(
    rule: Rule, log: list[Signal], data: st.DataObject
) -> None:
    evaluator = Evaluator(a_set(rule))
    steps = [evaluator.step([one]) for one in arrival(log, data)]
    steps.append(evaluator.advance(us(300)))
    moves = [one for step in steps for one in step.transitions]
    begun: set[str] = set()
    for move in moves:
        assert move.state is not State.RESOLVED or move.firing in begun
        begun.add(move.firing)
    open_: dict[tuple[str, ...], Transition] = {}
    for move in sorted(moves, key=lambda one: one.at):
        key = tuple(move.key.values())
        before = open_.pop(key, None)
        state = None if before is None else before.state
        assert (state, move.state) in EPISODE
        if move.state is State.RESOLVED:
            assert before is not None
            assert move.firing == before.firing
        if move.state in {State.PENDING, State.FIRING}:
            open_[key] = move
    assert {key for key, move in open_.items() if move.state is State.FIRING} == {
        tuple(one.key.values()) for one in evaluator.open() if one.state is State.FIRING
    }


def arrival(log: Sequence[Signal], data: st.DataObject, *, late: bool = False) -> list[Signal]:
    """Return `log` as it may arrive: out of order by up to the lateness, some signals twice."""
    most = 10_000_000 if late else LATENESS - 1
    delays = st.integers(0, most)
    keyed = [(to_us(one.time) + data.draw(delays), place, one) for place, one in enumerate(log)]
    again = [(at + data.draw(st.integers(0, 1_000_000)), place, one) for at, place, one in keyed]
    keyed += [one for one in again if data.draw(st.integers(0, 4)) == 0]
    return [one for _, _, one in sorted(keyed, key=lambda item: item[:2])]


def still_open(found: Found) -> set[tuple[tuple[str, str], ...]]:
    open_: dict[tuple[tuple[str, str], ...], bool] = {}
    for move in found[0]:
        open_[tuple(sorted(move.key.items()))] = move.state is State.FIRING
    return {key for key, firing in open_.items() if firing}


def crashed(
    rule_set: Sequence[Rule], log: Sequence[Signal], end: int, data: st.DataObject
) -> Found:
    """Fold `log` in random cuts, going on from the merged checkpoints after each of some."""
    state: dict[str, bytes] = {}
    evaluator = Evaluator(a_set(*rule_set))
    steps, start = [], 0
    while start < len(log):
        size = data.draw(st.integers(1, 6))
        steps.append(evaluator.step(log[start : start + size]))
        start += size
        for name, raw in evaluator.changes().items():
            if raw is None:
                state.pop(name, None)
            else:
                state[name] = raw
        if data.draw(st.booleans()):
            evaluator = Evaluator(a_set(*rule_set), state)
    steps.append(evaluator.advance(end))
    return told(steps)
