"""The second stage: rules over what first-stage rules told, over missions, clusters and time."""

from typing import Any

from engine.model.firing import State
from engine.model.signal import Signal
from engine.rules.rule import Rule, Selector
from tests.stream.building import Run, a_beat, a_measure, a_pod, a_rule, a_signal, seconds

BAD = 'signal.data.phase == "Bad"'
MANY = a_measure("distinct", "signal.data.cluster")


def bad(at: float, **data: Any) -> Signal:
    return a_pod(at, phase="Bad", **data)


def good(at: float, **data: Any) -> Signal:
    return a_pod(at, phase="Good", **data)


def everywhere(**fields: Any) -> Rule:
    """Return a rule that fires where `down` fires in two clusters within a minute."""
    opens = 'signal.data.rule == "down" && signal.data.state == "firing"'
    return a_rule(
        "everywhere",
        on="condition",
        when=opens,
        by=("namespace", "workload"),
        over="1m",
        measure=MANY,
        having="m.n >= 2",
        **fields,
    )


def told_of(seen: Run, rule: str) -> list[tuple[float, str]]:
    found = [one for one in seen.transitions if one.rule == rule]
    return sorted((seconds(one.at), one.state.value) for one in found)


def test_a_firing_is_a_condition_until_it_resolves() -> None:
    watch = a_rule("watch", on="condition", when='signal.data.rule == "down"', by=("cluster",))
    seen = Run(a_rule("down", when=BAD), watch).see(bad(0), a_beat(5), good(9), a_beat(60)).to(90)
    assert told_of(seen, "watch") == [(0, "firing"), (9, "resolved")]
    (opened,) = [
        one for one in seen.transitions if one.rule == "watch" and one.state is State.FIRING
    ]
    (down,) = [one for one in seen.transitions if one.rule == "down" and one.state is State.FIRING]
    assert opened.key == {"cluster": "c1"}
    assert opened.cause == down.firing


def test_conditions_of_two_clusters_come_together() -> None:
    seen = Run(a_rule("down", when=BAD), everywhere())
    seen.see(bad(0, cluster="c1"), bad(30, cluster="c2"))
    assert told_of(seen, "everywhere") == [(30, "firing")]
    assert dict(seen.transitions[-1].key) == {"namespace": "shop", "workload": "web"}


def test_conditions_too_far_apart_do_not() -> None:
    seen = Run(a_rule("down", when=BAD), everywhere())
    seen.see(bad(0, cluster="c1"), bad(90, cluster="c2"))
    assert told_of(seen, "everywhere") == []


def test_second_stage_rules_make_no_conditions() -> None:
    every = a_rule("every", on="condition", by=("cluster",))
    more = a_rule("more", on="condition", when='signal.data.rule == "every"', by=("cluster",))
    seen = Run(a_rule("down", when=BAD), every, more).see(bad(0), a_beat(60))
    assert told_of(seen, "every") == [(0, "firing")]
    assert told_of(seen, "more") == []


def test_what_comes_of_a_firing_is_one_deeper() -> None:
    watch = a_rule("watch", on="condition", by=("cluster",), when='signal.data.rule == "down"')
    seen = Run(a_rule("down", when=BAD), watch).see(bad(0, depth=2))
    assert {one.rule: one.depth for one in seen.transitions} == {"down": 2, "watch": 3}


def test_a_rule_in_shadow_says_so_in_its_conditions() -> None:
    watch = a_rule("watch", on="condition", when="signal.data.shadow", by=("cluster",))
    seen = Run(a_rule("down", when=BAD, mode="shadow"), watch).see(bad(0))
    assert told_of(seen, "watch") == [(0, "firing")]


def test_a_cluster_joins_with_its_first_signal_once() -> None:
    rule = a_rule("joined", on="cluster", by=("cluster",), mission={})
    seen = Run(rule).see(a_beat(0), a_beat(10), a_beat(20, cluster="c2")).to(90)
    firing = [one for one in seen.transitions if one.state is State.FIRING]
    assert [(seconds(one.at), one.key["cluster"]) for one in firing] == [(0, "c1"), (20, "c2")]
    assert [one.clusters for one in seen.launches] == [("c1",), ("c2",)]


def test_a_degraded_rule_is_a_condition_until_it_is_healthy() -> None:
    when = 'signal.data.state == "degraded"'
    watch = a_rule("watch", on="condition", when=when, by=("signal.data.rule",))
    fails = a_rule("fails", when="signal.data.n / signal.data.zero > 1")
    seen = Run(fails, watch).see(
        *[a_pod(at, n=1, zero=0) for at in range(5)], a_pod(9, n=1, zero=1)
    )
    seen.to(90)
    assert told_of(seen, "watch") == [(4, "firing"), (9, "resolved")]


def test_a_silent_watcher_is_a_condition_until_it_is_heard_again() -> None:
    when = 'signal.data.rule == "watcher-silent"'
    rule = a_rule("down", on="condition", when=when, by=("cluster", "name"), **{"for": "1m"})
    ticks = [a_signal(at, "clock", {}, cluster="") for at in range(5, 301, 5)]
    beats = [a_beat(at, source="w1") for at in (0, 5, 10, *range(201, 301, 5))]
    others = [a_beat(at, source="w2") for at in range(0, 301, 5)]
    seen = Run(rule).see(*sorted([*beats, *others, *ticks], key=lambda one: one.time))
    assert told_of(seen, "down") == [(45, "pending"), (105, "firing"), (205, "resolved")]
    assert {one.key["name"] for one in seen.transitions} == {"w1"}


def test_a_cluster_of_which_nothing_is_heard_is_silent_too() -> None:
    when = 'signal.data.rule == "watcher-silent"'
    rule = a_rule("down", on="condition", when=when, by=("cluster",))
    ticks = [a_signal(at, "clock", {}, cluster="") for at in range(5, 61, 5)]
    seen = Run(rule).see(a_beat(0), *ticks)
    assert told_of(seen, "down") == [(35, "firing")]


def test_missions_are_occurrences_of_the_second_stage() -> None:
    when = 'signal.kind == "incident-response" && signal.data.verified'
    rule = a_rule("closed", on="mission", when=when, by=("signal.data.mission",))
    done = {"mission": "m-1", "kind": "incident-response", "verified": True}
    seen = Run(rule).see(a_signal(0, "mission", done, cluster=""))
    assert seen.moves == [(0, "firing")]


def test_a_mission_told_again_after_a_restart_is_a_duplicate() -> None:
    rule = a_rule("closed", on="mission", by=("signal.data.mission",))
    done = a_signal(0, "mission", {"mission": "m-1"}, cluster="")
    seen = Run(rule).see(done, a_signal(3600, "clock", {}, cluster=""), done)
    assert seen.moves == [(0, "firing"), (300, "resolved")]
    assert seen.count("duplicate") == 1


def test_nothing_of_the_second_stage_is_late() -> None:
    rule = a_rule("closed", on="mission", by=("signal.data.mission",))
    clock = a_signal(60, "clock", {}, cluster="")
    seen = Run(rule).see(clock, a_signal(10, "mission", {"mission": "m-1"}, cluster=""))
    assert seen.moves == [(60, "firing")]


def test_a_signal_of_the_wrong_stage_is_counted() -> None:
    rule = a_rule("closed", on="mission", by=("signal.data.mission",))
    pods = a_rule("pods", when="true", by=("namespace",))
    seen = Run(rule, pods).see(
        a_signal(0, "mission", {"mission": "m-1"}), a_pod(1, phase="Bad", cluster="")
    )
    assert seen.moves == []
    assert seen.count("misplaced") == 2


def test_a_rule_that_goes_closes_its_conditions() -> None:
    watch = a_rule("watch", on="condition", when='signal.data.rule == "down"', by=("cluster",))
    seen = Run(a_rule("down", when=BAD), watch)
    seen.see(a_beat(0), bad(0), a_beat(10)).swap(watch).to(90)
    assert told_of(seen, "watch") == [(0, "firing"), (8, "resolved")]


def test_clusters_of_a_selector_are_those_that_the_signal_is_about() -> None:
    on = (Selector("condition", clusters=("c2",)),)
    watch = a_rule("watch", selectors=on, by=("cluster",))
    seen = Run(a_rule("down", when=BAD), watch).see(bad(0), bad(1, cluster="c2"))
    assert told_of(seen, "watch") == [(1, "firing")]
