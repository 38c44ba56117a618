"""Correlations: what they wait for, when they end, and how they go with everything else."""

from dataclasses import replace
from typing import Any

import pytest

from engine.model.firing import State
from engine.model.signal import Signal
from engine.rules.rule import Correlate, Rule, Selector
from engine.stream.evaluator import Evaluator
from engine.stream.explain import Witness, explain
from engine.stream.stage import Stage
from tests.stream.building import Run, a_beat, a_pod, a_rule, a_set, a_signal, in_order, seconds
from tests.stream.correlating import MEMBERS, a_condition, correlating

NODE = ("cluster", "node")
BOTH = Correlate(NODE, all=("a", "b"))


def opens(at: float, rule: str, firing: str, node: str = "n1") -> Signal:
    return a_condition(at, rule, firing, node=node)


def ends(at: float, rule: str, firing: str, node: str = "n1") -> Signal:
    return a_condition(at, rule, firing, opens=False, node=node)


def a_run(wanted: Correlate = BOTH, *more: Rule, **fields: Any) -> Run:
    seen = Run()
    rules = a_set(correlating("r", wanted, **fields), *MEMBERS, *more)
    seen.evaluator = Evaluator(rules, stage=Stage.SECOND)
    return seen


def ids(seen: Run, rule: str = "r") -> list[str]:
    told = in_order(seen.transitions)
    return [one.firing for one in told if one.rule == rule and one.state is State.FIRING]


def test_it_fires_while_all_are_open() -> None:
    seen = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2"), ends(9, "a", "f1")).to(60)
    assert seen.moves == [(5, "firing"), (9, "resolved")]


def test_a_second_firing_of_a_rule_holds_the_place_of_the_first() -> None:
    seen = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2"), opens(6, "a", "f3"))
    seen.see(ends(9, "a", "f1"), ends(12, "a", "f3")).to(60)
    assert seen.moves == [(5, "firing"), (12, "resolved")]


def test_other_nodes_are_other_keys() -> None:
    seen = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2", "n2"), opens(8, "a", "f3", "n2"))
    assert [dict(one.key) for one in seen.transitions] == [{"cluster": "c1", "node": "n2"}]


def test_a_firing_without_the_label_does_not_join() -> None:
    wanted = Correlate(("app",), all=("a", "b"))
    bare = tuple(replace(one, labels={}) for one in MEMBERS)
    seen = Run()
    seen.evaluator = Evaluator(a_set(correlating("r", wanted), *bare), stage=Stage.SECOND)
    seen.see(a_condition(0, "a", "f1", app="x"), opens(1, "b", "f2"))
    assert seen.moves == []
    assert seen.see(a_condition(2, "b", "f3", app="x")).moves == [(2, "firing")]


def test_one_of_any_is_enough_and_another_may_take_over() -> None:
    seen = a_run(Correlate(NODE, all=("a",), any=("b", "c")))
    seen.see(opens(0, "a", "f1"), opens(1, "c", "f2"), opens(2, "b", "f3"), ends(3, "c", "f2"))
    assert seen.see(ends(7, "b", "f3")).to(60).moves == [(1, "firing"), (7, "resolved")]


def test_none_ends_it_and_its_end_opens_it_anew() -> None:
    seen = a_run(Correlate(NODE, all=("a", "b"), none=("c", "d")))
    seen.see(opens(0, "a", "f1"), opens(1, "b", "f2"), opens(3, "c", "f3"), opens(4, "d", "f4"))
    seen.see(ends(6, "c", "f3"), ends(8, "d", "f4"), opens(9, "c", "f5"), ends(10, "c", "f5"))
    assert seen.moves == [
        (1, "firing"),
        (3, "resolved"),
        (8, "firing"),
        (9, "resolved"),
        (10, "firing"),
    ]
    assert len(set(ids(seen))) == 3


@pytest.mark.parametrize(("apart", "fires"), [(5, True), (6, False)])
def test_within_goes_by_the_openings(apart: float, fires: bool) -> None:
    seen = a_run(replace(BOTH, within_us=5_000_000))
    seen.see(opens(0, "b", "f1"), opens(apart, "a", "f2"))
    assert bool(seen.moves) is fires


def test_an_opening_that_is_told_late_counts_at_its_own_time() -> None:
    seen = a_run(replace(BOTH, within_us=5_000_000))
    seen.see(opens(0, "a", "f1"), a_signal(60, "clock", {}, cluster=""), opens(4, "b", "f2"))
    assert seen.moves == [(60, "firing")]


@pytest.mark.parametrize(("first", "fires"), [("a", True), ("b", False)])
def test_an_order_is_that_of_the_openings(first: str, fires: bool) -> None:
    second = "b" if first == "a" else "a"
    seen = a_run(replace(BOTH, ordered=True)).see(opens(0, first, "f1"), opens(1, second, "f2"))
    assert bool(seen.moves) is fires


def test_its_id_is_that_of_its_firings_whatever_came_first() -> None:
    one = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2"))
    two = a_run().see(opens(0, "b", "f2"), opens(7, "a", "f1"))
    other = a_run().see(opens(0, "b", "f2"), opens(7, "a", "f3"))
    assert ids(one) == ids(two) != ids(other)


def test_it_shows_its_firings_their_number_nodes_and_cause() -> None:
    seen = a_run(Correlate(("cluster",), all=("a", "b")))
    seen.see(opens(0, "a", "f1", "n1"), opens(1, "a", "f0", "n2"), opens(5, "b", "f2", "n2"))
    (told,) = seen.transitions
    assert (told.members, told.member_count, told.cause) == (("f1", "f0", "f2"), 3, "f2")
    assert (dict(told.value), told.reason, told.node) == ({"a": 2, "b": 1}, "correlated", "")


def test_its_mission_settles_cools_down_and_knows_key_and_counts() -> None:
    order = {"text": "{{ m.a }} of {{ key.node }}"}
    seen = a_run(mission=order, settle="10s", cooldown="1h")
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2"), ends(20, "b", "f2"), opens(30, "b", "f3"))
    seen.to(60)
    assert seen.launched == [15]
    assert seen.launches[0].params == {"text": "1 of n1"}
    assert seen.launches[0].clusters == ("c1",)
    assert seen.held_back == [(40, "cooldown")]


def test_for_and_keep_firing_for_hold() -> None:
    seen = a_run(BOTH, **{"for": "10s", "keep_firing_for": "20s"})
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2"), ends(8, "b", "f2"), opens(9, "b", "f3"))
    seen.see(ends(30, "a", "f1"), opens(40, "a", "f4"), ends(50, "a", "f4")).to(99)
    assert [one for one in seen.moves if one[1] != "inactive"] == [
        (5, "pending"),
        (9, "pending"),
        (19, "firing"),
        (70, "resolved"),
    ]


def test_a_rule_in_shadow_counts_and_one_that_correlates_in_shadow_tells_nothing() -> None:
    members = [replace(one, mode="shadow") for one in MEMBERS]
    seen = Run()
    rule = correlating("r", BOTH, mode="shadow", mission={}, settle="0")
    seen.evaluator = Evaluator(a_set(rule, *members), stage=Stage.SECOND)
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2")).to(60)
    assert (seen.moves, seen.launches, seen.told) == ([(5, "firing")], [], [])


def test_it_may_be_held_back_by_another_rule_of_the_second_stage() -> None:
    above = correlating("above", Correlate(NODE, all=("a", "c")))
    seen = a_run(BOTH, above, mission={}, inhibited_by=[("above", NODE)])
    seen.see(opens(0, "a", "f1"), opens(1, "c", "f2"), opens(2, "b", "f3")).to(60)
    assert (seen.launched, seen.held_back) == ([], [(32, "inhibited")])


def test_firings_of_both_stages_and_of_other_correlations_come_together() -> None:
    second = a_rule(
        "second", "condition", when='signal.data.rule == "a"', by=NODE, **{"for": "20s"}
    )
    third = correlating("third", Correlate(NODE, all=("second", "r")))
    seen = a_run(Correlate(NODE, all=("second", "b")), second, third)
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2"), ends(30, "b", "f2")).to(60)
    found = {rule: [one for one in seen.transitions if one.rule == rule] for rule in ("r", "third")}
    assert [seconds(one.at) for one in found["r"]] == [20, 30]
    assert [seconds(one.at) for one in found["third"]] == [20, 30]


def test_what_is_told_in_the_first_stage_comes_together_at_once() -> None:
    node = a_rule("down", when="!signal.data.ready", by=NODE, selectors=(_kind("Node"),))
    pods = a_rule("pods", when="!signal.data.ready", by=NODE, selectors=(_kind("Pod"),))
    both = correlating("r", Correlate(NODE, all=("down", "pods")))
    seen = Run(node, pods, both).see(
        a_pod(0, "n1", kind="Node", ready=False, depth=2), a_pod(3, ready=False), a_beat(9)
    )
    assert [(one.depth, seconds(one.at)) for one in seen.transitions if one.rule == "r"] == [(3, 3)]


def test_too_many_missions_on_the_way_start_nothing() -> None:
    seen = a_run().see(opens(0, "a", "f1"))
    deep = opens(1, "b", "f2")
    deep.data["depth"] = 6
    assert seen.see(deep).moves == []
    assert seen.count('too_deep{rule="r"}') == 1


def test_keys_beyond_max_keys_share_one_firing_that_ends_with_the_last() -> None:
    seen = a_run(max_keys=1)
    for node in ("n1", "n2", "n3"):
        seen.see(opens(0, "a", f"a{node}", node), opens(1, "b", f"b{node}", node))
    seen.see(ends(5, "a", "an2", "n2"), ends(6, "a", "an1", "n1"), ends(9, "b", "bn3", "n3"))
    seen.to(60)
    assert [(seconds(one.at), one.key["node"], one.state.value) for one in seen.transitions] == [
        (1, "n1", "firing"),
        (1, "*", "firing"),
        (6, "n1", "resolved"),
        (9, "*", "resolved"),
    ]


def test_an_edited_member_takes_its_firings_along() -> None:
    seen = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2"))
    edited = [replace(one, hash="other") if one.name == "a" else one for one in MEMBERS]
    seen.swap(correlating("r", BOTH), *edited).to(60)
    assert seen.moves == [(5, "firing"), (5, "resolved")]


def test_an_edited_correlation_begins_anew_with_what_is_open_and_launches_no_second_mission() -> (
    None
):
    seen = a_run(mission={}, settle="0", cooldown="1m")
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2")).to(6)
    edited = correlating("r", replace(BOTH, none=("d",)), mission={}, settle="0", cooldown="1m")
    seen.swap(edited, *MEMBERS).to(90)
    assert [state for _, state in seen.moves if state != "suppressed"] == [
        "firing",
        "resolved",
        "firing",
    ]
    assert len(set(ids(seen))) == 2
    assert len(seen.launched) == 1


def test_a_removed_correlation_ends() -> None:
    seen = a_run().see(opens(0, "a", "f1"), opens(5, "b", "f2")).swap(*MEMBERS)
    assert [(one.state, one.reason) for one in seen.transitions[1:]] == [
        ("resolved", "rule removed")
    ]


def test_what_was_never_open_ends_without_a_trace() -> None:
    seen = a_run().see(ends(0, "a", "f1"), opens(1, "b", "f2"), ends(2, "b", "f2"))
    assert seen.moves == []
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    assert not [name for name in state if "opening" in name or "cell" in name]


def test_a_storm_that_is_over_leaves_nothing() -> None:
    seen = a_run()
    for at in range(300):
        seen.see(opens(at, "a", f"a{at}", f"n{at}"), opens(at, "b", f"b{at}", f"n{at}"))
    for at in range(300):
        seen.see(ends(300 + at, "b", f"b{at}", f"n{at}"), ends(300 + at, "a", f"a{at}", f"n{at}"))
    state = {name for name, raw in seen.to(999).evaluator.changes().items() if raw is not None}
    assert not [name for name in state if "opening" in name or "cell" in name]
    assert len(ids(seen)) == 300
    correlator = seen.evaluator._relay.correlator
    assert (correlator.openings, correlator._groups) == ({}, {})


def test_explain_says_what_is_open_and_what_is_lacking() -> None:
    seen = a_run(Correlate(NODE, all=("a", "b"), none=("c",), within_us=60_000_000))
    seen.see(opens(0, "a", "f1"), opens(5, "b", "f2"), opens(6, "c", "f3"))
    reader = seen.evaluator.reader("r")
    assert reader is not None
    found = explain(seen.evaluator, "r", {}, Witness(reader))
    (gate,) = [one for one in found.gates if one.name == "correlate"]
    assert (gate.verdict, gate.says) == (
        "no",
        "all of a (1 open), b (1 open); none of c (1 open) on cluster, node within 1m",
    )


def _kind(kind: str) -> Selector:
    return Selector("k8s.object", kinds=(kind,))
