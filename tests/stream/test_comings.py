"""Clusters that join, leave, are renamed and made anew; watchers that end: all from the log."""

from typing import Any

import pytest

from engine.model.firing import State
from engine.model.signal import NEWS, ROSTER, Signal
from engine.rules.rule import Absent
from engine.stream.evaluator import Evaluator
from engine.stream.stage import Stage
from tests.stream.building import Run, a_beat, a_pod, a_rule, a_set, a_signal, seconds

DOWN = a_rule("down", when='signal.data.phase == "Bad"')
FLEET = a_rule("fleet", on="cluster", by=("cluster", "signal.data.change"))
SILENT = a_rule(
    "silent",
    on="condition",
    when='signal.data.rule == "watcher-silent"',
    by=("cluster", "name"),
)
EVENTS = "watchers/events/c1"


def bad(at: float, **data: Any) -> Signal:
    return a_pod(at, phase="Bad", **data)


def news(at: float, change: Any, cluster: str = "c1", **about: Any) -> Signal:
    source = f"watchers/fleet/{cluster}"
    return a_signal(at, NEWS, {"change": change, **about}, source=source, cluster=cluster)


def roster(at: float, *watchers: Any, cluster: str = "c1") -> Signal:
    return a_signal(at, ROSTER, {"watchers": list(watchers)}, cluster=cluster)


def clock(at: float) -> Signal:
    return a_signal(at, "clock", {}, cluster="")


def told_of(seen: Run, rule: str) -> list[tuple[float, str]]:
    found = [one for one in seen.transitions if one.rule == rule]
    return sorted((seconds(one.at), one.state.value) for one in found)


def of_the_fleet(seen: Run) -> list[tuple[str, str]]:
    """(cluster, change) of every signal about a cluster."""
    opened = [o for o in seen.transitions if o.rule == "fleet" and o.state is State.FIRING]
    return [(one.key["cluster"], one.key["signal.data.change"]) for one in opened]


def reasons(seen: Run, rule: str) -> set[str]:
    return {o.reason for o in seen.transitions if o.rule == rule and o.state is State.RESOLVED}


def test_what_fires_in_a_cluster_that_left_resolves_for_that_reason() -> None:
    seen = Run(DOWN, FLEET).see(a_beat(0), bad(1), a_beat(5), news(9, "left"))
    assert told_of(seen, "down") == [(1, "firing"), (3, "resolved")]
    assert reasons(seen, "down") == {"cluster left"}
    assert of_the_fleet(seen) == [("c1", "joined"), ("c1", "left")]


def test_a_cluster_leaves_after_all_that_it_held_has_ended() -> None:
    stage = Evaluator(a_set(DOWN), stage=Stage.FIRST)
    step = stage.step([a_beat(0), bad(1), news(9, "left")])
    told = [(one.type, one.data.get("state") or one.data["change"]) for one in step.conditions]
    assert told == [
        ("cluster", "joined"),
        ("condition", "firing"),
        ("condition", "resolved"),
        ("cluster", "left"),
    ]


def test_what_waits_for_its_mission_in_a_cluster_that_left_launches_none() -> None:
    rule = a_rule("down", when='signal.data.phase == "Bad"', settle="30s", mission={})
    seen = Run(rule).see(a_beat(0), bad(1), news(9, "left")).to(600)
    assert seen.launches == []


def test_news_that_are_none_change_nothing() -> None:
    seen = Run(DOWN, FLEET).see(news(0, "left"), news(0, "joined"), bad(1), news(2, "joined"))
    seen.see(news(3, "left"), news(4, "left"), news(5, "moved"))
    assert of_the_fleet(seen) == [("c1", "joined"), ("c1", "left")]


def test_a_cluster_that_comes_back_joins_again() -> None:
    seen = Run(FLEET).see(a_beat(0), news(9, "left"), a_beat(900))
    assert of_the_fleet(seen) == [("c1", "joined"), ("c1", "left"), ("c1", "joined")]


def test_what_others_still_send_of_a_cluster_that_left_is_no_return() -> None:
    alert = a_signal(60, "alert", {"alert": "x"}, source="alertmanager")
    seen = Run(FLEET).see(a_beat(0), news(9, "left"), alert)
    assert of_the_fleet(seen) == [("c1", "joined"), ("c1", "left")]


def test_what_others_still_send_of_a_cluster_that_left_opens_nothing_until_it_is_back() -> None:
    def posted(at: float, uid: str) -> Signal:
        return bad(at, uid=uid, name=uid, source="watchers/node-report/c1")

    by_name = a_rule("down", when='signal.data.phase == "Bad"', by=("cluster", "name"))
    seen = Run(by_name).see(a_beat(0), posted(1, "a"), a_beat(5), news(9, "left"), posted(12, "b"))
    assert reasons(seen, "down") == {"cluster left"}
    assert (list(seen.evaluator.open()), seen.count("left")) == ([], 1)
    after = Run(by_name)
    kept = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    after.evaluator = Evaluator(a_set(by_name), kept)
    after.see(posted(20, "c"), a_beat(30), posted(31, "d"))
    assert [one.key["name"] for one in after.transitions] == ["d"]


def test_a_cluster_known_only_by_what_others_send_goes_on() -> None:
    seen = Run(DOWN).see(bad(1), bad(5), bad(60, name="other", uid="other"))
    assert (seen.count("left"), told_of(seen, "down")[0]) == (0, (1, "firing"))


def test_a_cluster_that_was_never_reached_has_not_joined_yet() -> None:
    unread = {"watcher": "cluster", "resource": "", "state": "unread", "reason": "unreachable"}
    seen = Run(FLEET).see(a_signal(0, "watcher", unread), roster(0, "objects"))
    assert of_the_fleet(seen) == []
    assert of_the_fleet(seen.see(a_beat(60))) == [("c1", "joined")]


def test_news_say_who_joined() -> None:
    stage = Evaluator(a_set(), stage=Stage.FIRST)
    step = stage.step([news(0, "joined", uid="u1", server="https://eu", source="argocd")])
    (told,) = step.conditions
    assert told.data == {
        "cluster": "c1",
        "change": "joined",
        "uid": "u1",
        "server": "https://eu",
        "source": "argocd",
    }


def test_a_renamed_cluster_neither_joins_nor_leaves() -> None:
    seen = Run(DOWN, FLEET).see(a_beat(0), bad(1), a_beat(5))
    seen.see(news(10, "renamed", "c2", before="c1", uid="u"), a_beat(11, cluster="c2"))
    seen.see(bad(12, cluster="c2"), news(13, "moved", after="c2"))
    assert of_the_fleet(seen) == [("c1", "joined"), ("c2", "renamed")]
    assert reasons(seen, "down") == {"cluster renamed"}
    assert [key.cluster for key in seen.evaluator.open() if key.rule == "down"] == ["c2"]


def test_a_cluster_made_anew_under_its_name_begins_anew() -> None:
    seen = Run(DOWN, FLEET).see(a_beat(0), bad(1), a_beat(5))
    seen.see(news(600, "recreated", uid="u2", uidBefore="u1"), a_beat(610))
    assert told_of(seen, "down") == [(1, "firing"), (3, "resolved")]
    assert reasons(seen, "down") == {"cluster re-created"}
    assert of_the_fleet(seen) == [("c1", "joined"), ("c1", "joined")]


@pytest.mark.parametrize("change", [None, 7, "", "exploded", ["left"], {"a": 1}])
def test_news_without_sense_change_nothing(change: Any) -> None:
    seen = Run(DOWN, FLEET).see(a_beat(0), bad(1), news(9, change, uid=["x"], before=3))
    assert told_of(seen, "down") == [(1, "firing")]
    assert of_the_fleet(seen) == [("c1", "joined")]


def test_a_rule_that_fails_in_a_cluster_that_left_is_no_longer_degraded() -> None:
    when = 'signal.data.state == "degraded"'
    watch = a_rule("watch", on="condition", when=when, by=("cluster", "signal.data.rule"))
    fails = a_rule("fails", when="signal.data.n / signal.data.zero > 1")
    seen = Run(fails, watch).see(*[a_pod(at, n=1, zero=0) for at in range(5)], news(9, "left"))
    seen.to(90)
    assert [state for _, state in told_of(seen, "watch")] == ["firing", "resolved"]


def missing_events(until: int) -> list[Signal]:
    """Return a log in which the watcher of events is silent after ten seconds."""
    beats = [a_beat(at) for at in range(0, until, 5)]
    others = [a_beat(at, source=EVENTS) for at in (0, 5, 10)]
    ticks = [clock(at) for at in range(5, until, 5)]
    return sorted([*beats, *others, *ticks], key=lambda one: one.time)


@pytest.mark.parametrize("until", [100, 4000])
def test_a_watcher_that_is_off_the_roster_is_missed_no_longer(until: int) -> None:
    seen = Run(SILENT).see(*missing_events(until))
    assert told_of(seen, "silent") == [(45, "firing")]
    seen.see(roster(until, "objects"), clock(until + 20))
    assert told_of(seen, "silent") == [(45, "firing"), (until, "resolved")]


def test_a_watcher_that_is_missed_is_known_over_a_restart_however_long_it_is_silent() -> None:
    seen = Run(SILENT).see(*missing_events(4000))
    kept = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    after = Run(SILENT)
    after.evaluator = Evaluator(a_set(SILENT), kept)
    after.see(roster(4000, "objects"), clock(4005))
    assert told_of(after, "silent") == [(4000, "resolved")]


def test_watchers_on_the_roster_and_senders_of_others_stay() -> None:
    seen = Run(SILENT).see(a_beat(0), a_beat(0, source="sensors/1"), roster(1, "objects", 7))
    seen.see(clock(60))
    assert {one.key["name"] for one in seen.transitions} == {"watchers/objects/c1", "sensors/1"}


def test_the_watchers_of_a_cluster_that_left_are_missed_no_longer() -> None:
    seen = Run(SILENT).see(*missing_events(100), news(100, "left"), clock(200))
    assert told_of(seen, "silent") == [(45, "firing"), (100, "resolved")]


def test_a_watcher_that_ended_holds_time_no_longer() -> None:
    held = a_rule("held", when='signal.data.phase == "Bad"', **{"for": "5s"})
    seen = Run(held).see(a_beat(0), a_beat(0, source=EVENTS), bad(1), roster(2, "objects"))
    seen.see(a_beat(10))
    assert seen.moves == [(1, "pending"), (6, "firing")]


def test_what_a_watcher_that_ended_told_of_is_not_absent() -> None:
    rule = a_rule("gone", on="alert", by=("cluster", "name"), absent=Absent("seen", 20_000_000, 0))
    alert = a_signal(5, "alert", {"name": "x"}, source=EVENTS)
    beats = [a_beat(at) for at in range(12, 200, 5)]
    seen = Run(rule).see(a_beat(0), a_beat(0, source=EVENTS), alert, a_beat(10), roster(11))
    assert seen.see(*beats).moves == []
