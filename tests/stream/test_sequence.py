"""Sequences: which steps make one, when it ends, and what is kept of it."""

from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.cel import compile as cel
from engine.rules.rule import Rule, Selector, Sequence, SequenceStep
from engine.stream.sequence import MOST_PARTIALS
from tests.stream.building import Run, a_pod, a_rule, a_signal, an_alert, run

SECOND = 1_000_000


def a_step(name: str, **fields: Any) -> SequenceStep:
    return SequenceStep(name, (Selector("alert"),), cel(f'signal.data.what == "{name}"'), **fields)


def a_sequence(
    *names: str, within: int = 60, rule: dict[str, Any] | None = None, **how: Any
) -> Rule:
    """Return a rule of alerts, one a step; a name that begins with `!` is negated."""
    steps = tuple(a_step(name.lstrip("!"), negated=name.startswith("!")) for name in names)
    given = {"on": "alert", "stale_after": "10s", **(rule or {})}
    return a_rule(sequence=Sequence(steps, within * SECOND, **how), **given)


def saw(*steps: tuple[float, str]) -> list[Signal]:
    return [an_alert(at, what=what) for at, what in steps]


def test_steps_in_order_fire_and_end_when_none_came_for_stale_after() -> None:
    rule = a_sequence("a", "b")
    assert run(rule, saw((0, "a"), (5, "b")), 60) == [(5, "firing"), (15, "resolved")]


def test_steps_in_another_order_do_not() -> None:
    assert run(a_sequence("a", "b"), saw((0, "b"), (5, "a")), 60) == []


def test_without_order_any_step_may_come_first() -> None:
    rule = a_sequence("a", "b", "c", ordered=False)
    assert run(rule, saw((0, "c"), (1, "a"), (2, "b")), 60)[0] == (2, "firing")
    assert run(rule, saw((0, "c"), (1, "c"), (2, "b")), 60) == []


def test_a_a_b_uses_the_earliest_a_and_consumes_it() -> None:
    rule = a_sequence("a", "b", within=20)
    seen = Run(rule).see(*saw((0, "a"), (15, "a"), (18, "b"), (30, "b"))).to(90)
    assert [at for at, state in seen.moves if state == "firing"] == [18, 30]
    again = Run(rule).see(*saw((0, "a"), (15, "a"), (18, "b"), (36, "b"))).to(90)
    assert [at for at, state in again.moves if state == "firing"] == [18]


def test_the_earliest_a_that_has_not_expired_is_used() -> None:
    rule = a_sequence("a", "b", within=20)
    seen = Run(rule).see(*saw((0, "a"), (15, "a"), (30, "b"), (32, "b"))).to(90)
    assert seen.moves == [(30, "firing"), (40, "resolved")]
    names = [one.id for one in saw((0, "a"))]
    assert len(seen.transitions[0].members) == 2
    assert names[0] not in seen.transitions[0].members


def test_with_overlap_a_signal_serves_every_sequence_that_waits_for_it() -> None:
    steps = saw((0, "a"), (1, "a"), (2, "b"), (8, "b"))
    assert run(a_sequence("a", "b"), steps, 60) == [(2, "firing"), (18, "resolved")]
    overlap = a_sequence("a", "b", overlap=True)
    assert run(overlap, steps, 60) == [(2, "firing"), (12, "resolved")]


def test_with_overlap_the_last_step_may_be_the_first_of_another_sequence() -> None:
    steps = saw((0, "a"), (20, "a"), (40, "a"))
    assert [at for at, state in run(a_sequence("a", "a"), steps, 90) if state == "firing"] == [20]
    twice = run(a_sequence("a", "a", overlap=True), steps, 90)
    assert [at for at, state in twice if state == "firing"] == [20, 40]


@pytest.mark.parametrize(("at", "fires"), [(20, True), (20.5, False)])
def test_a_step_counts_up_to_within_of_the_first(at: float, *, fires: bool) -> None:
    rule = a_sequence("a", "b", within=20)
    assert bool(run(rule, saw((0, "a"), (at, "b")), 60)) is fires


def test_a_negated_last_step_fires_at_the_time_out() -> None:
    rule = a_sequence("a", "!b", within=20)
    assert run(rule, saw((0, "a")), 60) == [(20, "firing"), (30, "resolved")]


@pytest.mark.parametrize("at", [5, 20])
def test_a_negated_step_that_came_in_time_ends_the_sequence(at: float) -> None:
    assert run(a_sequence("a", "!b", within=20), saw((0, "a"), (at, "b")), 60) == []


def test_a_firing_shows_the_signals_of_its_steps() -> None:
    signals = saw((0, "a"), (5, "b"))
    seen = Run(a_sequence("a", "b")).see(*signals)
    (fired,) = seen.transitions
    assert fired.members == tuple(one.id for one in signals)
    assert (fired.reason, fired.cause) == ("sequence", signals[1].id)


def test_steps_may_name_the_key_in_their_own_ways() -> None:
    steps = (
        SequenceStep("push", (Selector("alert"),), by=("cluster", "signal.data.image")),
        SequenceStep("crash", (Selector("k8s.object", kinds=("Pod",)),)),
    )
    rule = a_rule(
        selectors=(Selector("alert"), Selector("k8s.object")),
        by=("cluster", "workload"),
        sequence=Sequence(steps, 60 * SECOND),
    )
    push = a_signal(0, "alert", {"image": "web"})
    seen = Run(rule).see(push, a_pod(5, workload="api"), a_pod(9, workload="web"))
    assert seen.moves == [(9, "firing")]
    assert seen.transitions[0].key == {"cluster": "c1", "workload": "web"}


def test_a_synced_object_is_no_step() -> None:
    steps = (SequenceStep("seen", (Selector("k8s.object"),)), a_step("b"))
    rule = a_rule(
        selectors=(Selector("alert"), Selector("k8s.object")),
        sequence=Sequence(steps, 60 * SECOND),
    )
    assert run(rule, [a_pod(0, change="synced"), *saw((5, "b"))], 60) == []
    assert run(rule, [a_pod(0, change="added"), *saw((5, "b"))], 60)[0] == (5, "firing")


def test_clear_keeps_a_sequence_firing_until_it_is_true() -> None:
    rule = a_sequence("a", "b", rule={"clear": 'signal.data.what == "fine"'})
    steps = saw((0, "a"), (5, "b"))
    assert run(rule, steps, 300) == [(5, "firing")]
    assert run(rule, [*steps, *saw((60, "fine"))], 300) == [(5, "firing"), (60, "resolved")]
    assert run(rule, [*steps, *saw((9, "fine"))], 300) == [(5, "firing"), (15, "resolved")]


def test_a_step_out_of_order_inside_the_lateness_is_put_in_its_place() -> None:
    rule = a_sequence("a", "b", "c")
    a, b, c = saw((10, "a"), (10.5, "b"), (11, "c"))
    assert run(rule, [c, a, b], 15) == [(11, "firing")]
    assert run(rule, [b, c, a], 15) == [(11, "firing")]


def test_more_partial_sequences_than_are_kept_are_counted() -> None:
    rule = a_sequence("a", "b", within=3600)
    seen = Run(rule).see(*saw(*[(at, "a") for at in range(MOST_PARTIALS + 5)]))
    assert seen.count('sequence_full{rule="r"}') == 5


@pytest.mark.parametrize("names", [("a", "b"), ("a", "!b"), ("a", "b", "!c")])
def test_what_expired_is_forgotten(names: tuple[str, ...]) -> None:
    rule = a_sequence(*names, within=20)
    seen = Run(rule).see(*saw((0, "a"))).to(60)
    assert not seen.evaluator._folds["c1"].cells


def test_a_hold_begins_when_the_sequence_is_whole() -> None:
    rule = a_sequence("a", "b", rule={"for": "5s"})
    steps = saw((0, "a"), (5, "b"))
    assert run(rule, steps, 60) == [(5, "pending"), (10, "firing"), (15, "resolved")]
