"""Replay gives the engine's own transitions as lines; diff tells two replays apart."""

from typing import Any

from engine.app.replaying import replay, replay_both
from engine.model.ids import firing_id, mission_id
from engine.model.signal import Signal
from engine.stream.replay import Summary, diff
from tests.stream.building import a_pod, a_rule, a_set, us

BAD = 'signal.data.phase == "Bad"'


def bad(at: float, **data: Any) -> Signal:
    return a_pod(at, phase="Bad", **data)


def test_a_line_has_every_field_and_a_firing_its_missions() -> None:
    rule = a_rule(when=BAD, mission={"n": 1}, settle="30s")
    (line,) = replay(a_set(rule), [[bad(0)], [bad(60)]])
    key = {"cluster": "c1", "namespace": "shop", "workload": "web"}
    firing = firing_id("r", key, us(0))
    assert line == {
        "at": "2026-01-01T00:00:00Z",
        "rule": "r",
        "key": key,
        "state": "firing",
        "value": {},
        "firing": firing,
        "missions": [mission_id(firing, "incident-response", {"n": 1})],
        "reason": "threshold",
    }


def test_time_stops_at_the_end_of_the_log_unless_told_how_far_to_go_on() -> None:
    rule = a_rule(when=BAD, **{"for": "60s"})
    assert [one["state"] for one in replay(a_set(rule), [[bad(0)]])] == ["pending"]
    lines = list(replay(a_set(rule), [[bad(0)]], until=us(60)))
    assert [one["at"] for one in lines] == ["2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z"]


def test_signals_after_until_are_passed_over() -> None:
    later = a_pod(50, phase="Good")
    lines = list(replay(a_set(a_rule(when=BAD)), [[bad(0), later]], until=us(40)))
    assert [one["state"] for one in lines] == ["firing"]


def test_start_leaves_out_earlier_lines_but_not_earlier_signals() -> None:
    log = [[bad(0)], [a_pod(50, phase="Good")]]
    lines = list(replay(a_set(a_rule(when=BAD)), log, start=us(10), until=us(99)))
    assert [one["state"] for one in lines] == ["resolved"]


def test_lines_of_several_clusters_are_in_order_of_time() -> None:
    log = [[bad(30)], [bad(5, cluster="c2")], [bad(10, cluster="c3")]]
    lines = list(replay(a_set(a_rule(when=BAD)), log))
    assert [one["key"]["cluster"] for one in lines] == ["c2", "c3", "c1"]


def test_a_diff_of_equal_replays_is_empty() -> None:
    log = [[bad(0)], [a_pod(50, phase="Good")]]
    lines = list(replay(a_set(a_rule(when=BAD)), log, until=us(99)))
    assert list(diff(lines, list(lines))) == []


def test_a_diff_names_the_side_of_each_line() -> None:
    log = [[bad(0)], [a_pod(50, phase="Good")]]
    one = list(replay(a_set(a_rule(when=BAD)), log, until=us(99)))
    two = list(replay(a_set(a_rule(when=BAD, keep_firing_for="9s")), log, until=us(99)))
    found = [(line["side"], line["state"], line["at"][-3:]) for line in diff(one, two)]
    assert found == [("-", "resolved", "50Z"), ("+", "resolved", "59Z")]


def test_two_rule_sets_are_told_apart_in_one_pass_over_the_log() -> None:
    log = iter([[bad(0)], [a_pod(50, phase="Good")]])
    sets = (a_set(a_rule(when=BAD)), a_set(a_rule(when=BAD, keep_firing_for="9s")))
    found = list(replay_both(sets, log, until=us(99)))
    assert [(one["side"], one["state"]) for one in found] == [("-", "resolved"), ("+", "resolved")]
    summary = Summary()
    assert str(summary) == "both rule sets do the same"
    for line in found:
        summary.take(line)
    assert str(summary) == "1 lines less (0 firings), 1 more (0 firings), of 1 rules: r"


def test_a_diff_counts_a_line_as_often_as_it_is_there() -> None:
    one, two = replay(a_set(a_rule(when=BAD)), [[bad(0)], [a_pod(5, phase="Good")]], until=us(9))
    assert list(diff([one, one, two], [one, two, two])) == [
        {**one, "side": "-"},
        {**two, "side": "+"},
    ]


def test_missions_of_a_firing_stand_on_its_line_however_late_they_go() -> None:
    rule = a_rule(when=BAD, mission={}, inhibited_by=[("other", ("cluster",))], settle="10s")
    log = [[bad(0)], [bad(1, name="x", kind="Node")], [a_pod(5000, "x", kind="Node")]]
    other = a_rule("other", when=BAD + ' && signal.kind == "Node"', by=("cluster",))
    opened, inhibitor, held_back, *_ = replay(a_set(rule, other), log, until=us(9000))
    assert [one["state"] for one in (opened, held_back)] == ["firing", "suppressed"]
    assert inhibitor["rule"] == "other"
    assert [len(one["missions"]) for one in (opened, inhibitor, held_back)] == [1, 0, 0]
