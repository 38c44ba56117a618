"""Settle, inhibition, cooldown: which missions a firing launches, and when."""

from dataclasses import replace
from typing import Any

from engine.model.ids import mission_id
from engine.model.signal import Signal
from engine.rules.rule import MissionOrder, Rule
from tests.stream.building import Run, a_pod, a_rule, a_signal, seconds

BAD = 'signal.data.phase == "Bad"'
CRASH: dict[str, Any] = {
    "when": BAD,
    "by": ("cluster", "workload"),
    "mission": {"text": "{{ key.workload }}"},
}


def pod(at: float, phase: str = "Bad", name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase=phase, **data)


def node(at: float, ready: bool, name: str = "n1") -> Signal:
    return a_pod(at, name, kind="Node", node=name, ready=ready, workload=name)


def node_rule() -> Rule:
    return a_rule("node-not-ready", when="!signal.data.ready", by=("cluster", "node"))


def held(name: str = "crash", **fields: Any) -> Rule:
    return a_rule(name, inhibited_by=[("node-not-ready", ("cluster", "node"))], **CRASH, **fields)


def suppressed(seen: Run) -> list[tuple[float, str]]:
    return [(seconds(one.at), one.reason) for one in seen.transitions if one.state == "suppressed"]


def test_a_mission_waits_until_it_has_settled() -> None:
    seen = Run(a_rule(settle="30s", **CRASH)).see(pod(0)).to(29.9)
    assert seen.launched == []
    assert seen.to(30).launched == [30]


def test_without_settle_a_mission_goes_with_the_firing() -> None:
    seen = Run(a_rule(settle="0", **CRASH)).see(pod(0))
    assert seen.launched == [0]


def test_a_launch_bears_the_firing_and_its_rendered_params() -> None:
    seen = Run(a_rule(settle="0", **CRASH)).see(pod(0))
    (launch,) = seen.launches
    assert launch.firing == seen.transitions[0].firing
    assert launch.params == {"text": "web"}
    assert launch.mission == mission_id(launch.firing, "incident-response", {"text": "web"})
    assert launch.clusters == ("c1",)


def test_a_param_that_cannot_be_rendered_stands_as_written_and_is_counted() -> None:
    fields = {**CRASH, "mission": {"text": "{{ m.nothing }}"}}
    seen = Run(a_rule(settle="0", **fields)).see(pod(0))
    assert seen.launches[0].params == {"text": "{{ m.nothing }}"}
    assert seen.count('bad_params{rule="r"}') == 1


def test_a_firing_that_ended_while_it_settled_still_launches() -> None:
    seen = Run(a_rule(settle="30s", **CRASH)).see(pod(0), pod(5, "Good")).to(60)
    assert seen.moves == [(0, "firing"), (5, "resolved")]
    assert seen.launched == [30]


def test_an_inhibitor_that_arrives_while_it_settles_suppresses_the_mission() -> None:
    seen = Run(held(settle="30s"), node_rule()).see(pod(0), node(20, ready=False)).to(300)
    assert suppressed(seen) == [(30, "inhibited")]
    assert seen.launched == []
    assert seen.count('suppressed{rule="crash",reason="inhibited"}') == 1


def test_an_inhibitor_of_another_node_suppresses_nothing() -> None:
    seen = Run(held(settle="30s"), node_rule()).see(pod(0), node(20, ready=False, name="n2"))
    assert seen.to(300).launched == [30]


def test_an_inhibitor_that_began_after_the_mission_was_due_is_too_late() -> None:
    seen = Run(held(settle="30s"), node_rule()).see(pod(0), node(30.5, ready=False)).to(99)
    assert seen.launched == [30]


def test_a_firing_on_two_nodes_is_held_back_only_when_both_are_explained() -> None:
    rule = held(settle="30s", **{"for": "2s"})
    start = [pod(0, name="a", node="n1"), pod(1, name="b", node="n2"), node(9, ready=False)]
    assert Run(rule, node_rule()).see(*start).to(99).launched == [32]
    both = Run(rule, node_rule()).see(*start, node(9.5, ready=False, name="n2")).to(99)
    assert suppressed(both) == [(32, "inhibited")]


def test_when_the_inhibitor_ends_an_open_firing_settles_anew_and_launches() -> None:
    seen = Run(held(settle="30s"), node_rule()).see(pod(0), node(20, ready=False))
    assert seen.see(node(100, ready=True)).to(300).launched == [130]


def test_when_the_inhibitor_ends_after_the_firing_nothing_is_launched() -> None:
    seen = Run(held(settle="30s"), node_rule()).see(pod(0), node(20, ready=False))
    assert seen.see(pod(90, "Good"), node(100, ready=True)).to(300).launched == []
    assert seen.moves[-2:] == [(90, "resolved"), (100, "resolved")]


def test_cooldown_runs_from_the_launch_and_a_held_back_mission_is_dropped_and_told() -> None:
    rule = a_rule(settle="30s", cooldown="60s", **CRASH)
    seen = Run(rule).see(pod(0), pod(1, "Good"), pod(59), pod(61, "Good"), pod(90.0)).to(300)
    assert seen.launched == [30, 120]
    assert suppressed(seen) == [(89, "cooldown")]


def test_cooldown_is_over_at_its_exact_end() -> None:
    rule = a_rule(settle="30s", cooldown="60s", **CRASH)
    seen = Run(rule).see(pod(0), pod(1, "Good"), pod(60)).to(300)
    assert seen.launched == [30, 90]


def test_what_was_only_tried_starts_no_cooldown() -> None:
    seen = Run(held(settle="0", cooldown="1h"), node_rule())
    seen.see(node(0, ready=False), pod(1), pod(5, "Good"), node(6, ready=True), pod(9)).to(20)
    assert suppressed(seen) == [(1, "inhibited")]
    assert seen.launched == [9]


def test_cooldown_is_per_key() -> None:
    rule = a_rule(settle="0", cooldown="1h", **CRASH)
    seen = Run(rule).see(pod(0, workload="a"), pod(1, name="b", workload="b"))
    assert seen.launched == [0, 1]


def test_a_resolve_passes_whatever_holds_the_mission_back() -> None:
    seen = Run(held(settle="0"), node_rule()).see(node(0, ready=False), pod(1), pod(5, "Good"))
    seen.to(9)
    assert ("crash", "resolved") in [(one.rule, one.state) for one in seen.transitions]


def test_a_launch_bears_what_its_mission_may_do_and_where() -> None:
    order = MissionOrder(
        "incident-response", mode="apply", approval="policy", targets={"all": True}, advise="rank"
    )
    (launch,) = Run(a_rule(settle="0", **{**CRASH, "mission": order})).see(pod(0)).launches
    assert (launch.mode, launch.approval, launch.advise) == ("apply", "policy", "rank")
    assert (launch.clusters, launch.targets) == ((), {"all": True})


ACTS = MissionOrder("incident-response", mode="apply", approval="policy")


def test_what_another_mission_brought_about_is_changed_with_a_person_only() -> None:
    end = {"outcome": "findings", "depth": 1}
    rule = a_rule(on="mission", when='signal.data.outcome == "findings"', by=(), mission=ACTS)
    chained = Run(replace(rule, settle_us=0))
    (launch,) = chained.see(
        a_signal(0, "mission", end, cluster="", identity="mission/m-1/1")
    ).launches
    assert (launch.depth, launch.approval) == (2, "person")
    deep = a_rule(settle="0", ignore_self=False, **{**CRASH, "mission": ACTS})
    assert Run(deep).see(pod(0, depth=2)).launches[0].approval == "person"


def test_a_rule_over_firings_is_no_chain() -> None:
    over = a_rule("over", on="condition", when="true", by=(), settle="0", mission=ACTS)
    (launch,) = Run(a_rule(when=BAD), over).see(pod(0)).launches
    assert (launch.depth, launch.parent, launch.approval) == (2, "", "policy")


def test_a_launch_names_the_mission_whose_end_made_the_rule_fire() -> None:
    rule = a_rule(
        on="mission", when="signal.data.outcome == 'findings'", by=(), settle="0", mission={}
    )
    end = a_signal(0, "mission", {"outcome": "findings"}, cluster="", identity="mission/m-1/3")
    (launch,) = Run(rule).see(end).launches
    assert launch.parent == "m-1"


SHARED = MissionOrder("incident-response", dedup_key="{{ key.namespace }}")


def deduped(**fields: Any) -> Rule:
    by = ("cluster", "namespace", "workload")
    return a_rule(settle="0", **{**CRASH, "by": by, "mission": SHARED}, **fields)


def test_missions_with_one_dedup_key_are_one_within_the_cooldown() -> None:
    rule = deduped(cooldown="60s")
    spaces = {"a": (0, "shop"), "b": (10, "shop"), "c": (20, "bank"), "d": (60, "shop")}
    pods = [pod(at, name=n, workload=n, namespace=space) for n, (at, space) in spaces.items()]
    seen = Run(rule).see(*pods).to(99)
    assert seen.launched == [0, 20, 60]
    assert suppressed(seen) == [(10, "duplicate")]


def test_a_dedup_key_is_of_one_cluster() -> None:
    seen = Run(deduped(cooldown="60s")).see(pod(0), pod(1, cluster="c2")).to(9)
    assert seen.launched == [0, 1]
