"""The second stage hears of firings whose rules it gets later, or has got already."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.signal import Signal
from engine.rules.rule import Correlate, Rule
from engine.stream.correlator import MOST_WAITING
from engine.stream.evaluator import Evaluator
from engine.stream.stage import Stage
from tests.stream.building import Run, a_pod, a_rule, a_set
from tests.stream.correlating import a_condition, correlating

PAIR = correlating("pair", Correlate(("node",), all=("a", "b")))
A, B = (a_rule(name, by=("cluster", "node"), hash=f"{name}-1") for name in ("a", "b"))
EDITED = replace(A, hash="a-2")


def second(*rules: Rule, state: Mapping[str, bytes] | None = None) -> Run:
    seen = Run()
    seen.evaluator = Evaluator(a_set(*rules), state or {}, stage=Stage.SECOND)
    return seen


def opens(at: float, rule: Rule, firing: str) -> Signal:
    return a_condition(at, rule.name, firing, node="n1", hash=rule.hash)


def ends(at: float, rule: Rule, firing: str) -> Signal:
    return a_condition(at, rule.name, firing, opens=False, node="n1", hash=rule.hash)


@pytest.mark.parametrize("before", [(), (A,)], ids=["new", "edited"])
def test_an_opening_counts_that_was_heard_before_its_rule_was_known(
    before: tuple[Rule, ...],
) -> None:
    seen = second(*before, B, PAIR).see(opens(0, EDITED, "f1"), opens(5, B, "f2"))
    assert seen.moves == []
    seen.swap(EDITED, B, PAIR)
    assert seen.moves == [(5, "firing")]
    assert seen.see(ends(9, EDITED, "f1")).to(60).moves == [(5, "firing"), (9, "resolved")]


def test_an_opening_that_waits_outlasts_a_restart_and_counts_for_a_rule_that_comes_later() -> None:
    seen = second(B, PAIR).see(opens(0, EDITED, "f1"), opens(5, B, "f2"))
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    again = second(B, PAIR, state=state)
    assert again.moves == []
    assert again.swap(EDITED, B, PAIR).moves == [(5, "firing")]


def test_an_opening_under_a_rule_that_was_edited_since_does_not_count_and_goes_with_its_end() -> (
    None
):
    seen = second(EDITED, B, PAIR).see(opens(0, A, "f1"), opens(5, B, "f2"))
    assert seen.moves == []
    assert len(openings(seen)) == 2
    assert seen.see(ends(6, EDITED, "f1"), ends(7, B, "f2")).moves == []
    assert openings(seen) == []


def test_an_open_firing_whose_rule_is_edited_ends_what_it_was_part_of_and_then_itself() -> None:
    seen = second(A, B, PAIR).see(opens(0, A, "f1"), opens(5, B, "f2"))
    seen.swap(EDITED, B, PAIR).to(6)
    assert seen.moves == [(5, "firing"), (5, "resolved")]
    seen.see(ends(7, EDITED, "f1"), opens(8, EDITED, "f3"))
    assert seen.moves[2:] == [(8, "firing")]
    assert openings(seen) == ["f2", "f3"]


def test_a_rule_that_is_put_back_finds_its_firings_again() -> None:
    seen = second(A, B, PAIR).see(opens(0, A, "f1"), opens(5, B, "f2"))
    seen.swap(EDITED, B, PAIR).to(6).swap(A, B, PAIR)
    assert [state for _, state in seen.moves] == ["firing", "resolved", "firing"]


def test_what_has_no_rule_of_its_own_is_not_kept() -> None:
    silent = a_condition(0, "watcher-silent", "c1 w1", hash="")
    assert openings(second(A, B, PAIR).see(silent)) == []


def test_the_oldest_of_too_many_that_wait_are_given_up_and_counted() -> None:
    more = [opens(10 + at / 10, EDITED, f"g{at}") for at in range(MOST_WAITING - 3)]
    waits = [opens(at, EDITED, f"f{at}") for at in (4, 1, 3, 2, 5)]
    seen = second(B, PAIR)
    seen.take(seen.evaluator.step([*more, *waits]))
    assert openings(seen)[:4] == ["f3", "f4", "f5", "g0"]
    assert seen.count('waited{rule="a"}') == 2
    assert seen.see(*[ends(2000, EDITED, one) for one in ("f1", "f4")]).moves == []
    assert len(openings(seen)) == MOST_WAITING - 1


def test_the_first_stage_says_under_which_rule_a_firing_opened() -> None:
    rule = a_rule("a", when="signal.data.bad", by=("cluster", "node"), hash="a-1")
    edited = replace(rule, hash="a-2")
    first = Evaluator(a_set(edited), stage=Stage.FIRST)
    heard = first.step([a_pod(0, bad=True, node="n1")]).conditions
    seen = second(rule, B, PAIR).see(*heard, opens(5, B, "f2"))
    assert seen.moves == []
    assert seen.swap(edited, B, PAIR).moves == [(5, "firing")]


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[Signal], int]:
    """Return what the first stage tells while `a` is edited there, and where that happens."""
    log: list[Signal] = []
    open_: dict[str, Rule] = {}
    count, edited_at = draw(st.integers(2, 25)), 0
    edit = draw(st.integers(0, count - 1))
    for at in range(count):
        if at == edit:
            edited_at = len(log)
            gone = [firing for firing, rule in open_.items() if rule is A]
            log += [ends(at, EDITED, firing) for firing in gone]
            open_ = {firing: rule for firing, rule in open_.items() if rule is not A}
        if open_ and draw(st.integers(0, 2)) == 0:
            firing = draw(st.sampled_from(sorted(open_)))
            log.append(ends(at, open_.pop(firing), firing))
            continue
        rule = draw(st.sampled_from([EDITED if at >= edit else A, B]))
        open_[f"f{at}"] = rule
        log.append(opens(at, rule, f"f{at}"))
    return log, edited_at


@given(edits=edits(), data=st.data())
def test_whenever_the_second_stage_gets_an_edited_rule_it_comes_to_know_the_same(
    edits: tuple[list[Signal], int], data: st.DataObject
) -> None:
    log, edited_at = edits
    found = [
        swapped_at(log, place)
        for place in (edited_at, data.draw(st.integers(0, len(log)), label="its reload"))
    ]
    assert found[0] == found[1]


def swapped_at(log: list[Signal], place: int) -> tuple[list[str], list[str]]:
    """Return the firings and the open keys at the end of a log with a reload at `place`."""
    seen = second(A, B, PAIR).see(*log[:place])
    seen.swap(EDITED, B, PAIR).see(*log[place:]).to(60)
    return openings(seen), [one.rule for one in seen.evaluator.open()]


def openings(seen: Run) -> list[str]:
    """Return the ids of the firings of other evaluators that the second stage keeps."""
    kept = seen.evaluator._relay.correlator.openings
    return sorted(firing for firing, one in kept.items() if one.rule != PAIR.name)
