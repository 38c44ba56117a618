"""Absences: which keys are known, how long they may be silent, and when nothing is decided."""

from typing import Any

import pytest

from engine.model.signal import Signal
from engine.rules.rule import Absent, Rule, Selector
from tests.stream.building import Run, a_beat, a_metric, a_pod, a_rule, a_signal, an_alert, run

SECOND = 1_000_000


def absent(within: int = 60, after: int = 0, expect: str = "seen", **fields: Any) -> Rule:
    given = {"on": "alert", **fields}
    return a_rule(absent=Absent(expect, within * SECOND, after * SECOND), **given)


def a_deployment(at: float, name: str = "web", **data: Any) -> Signal:
    return a_pod(at, name, kind="Deployment", workload=name, **data)


def test_a_key_that_was_seen_fires_after_within_until_it_is_heard_again() -> None:
    seen = Run(absent()).see(an_alert(0), an_alert(100)).to(130)
    assert seen.moves == [(60, "firing"), (100, "resolved")]
    assert [one.reason for one in seen.transitions] == ["absent", "cleared"]
    assert seen.transitions[0].value == {"last": "2026-01-01T00:00:00Z"}


def test_a_signal_at_the_last_instant_is_in_time() -> None:
    assert run(absent(), [an_alert(0), an_alert(60)], 90) == []


def test_silence_counts_once_the_key_is_known_for_long_enough() -> None:
    assert run(absent(60, after=300), [an_alert(0), an_alert(30)], 400) == [(300, "firing")]


def test_a_key_that_was_never_seen_is_not_missed() -> None:
    assert run(absent(), [an_alert(0, workload="other")], 30) == []


def test_a_key_whose_last_object_was_deleted_is_forgotten() -> None:
    rule = absent(on="k8s.object")
    gone = a_pod(10, "b", change="deleted")
    assert run(rule, [a_pod(0, "a"), a_pod(5, "b"), gone], 300) == [(70, "firing")]
    whole = Run(rule).see(a_pod(0, "b"), gone).to(300)
    assert whole.moves == []
    assert not whole.evaluator._folds["c1"].cells


def test_deletion_ends_an_absence() -> None:
    seen = Run(absent(on="k8s.object")).see(a_pod(0), a_pod(100, change="deleted")).to(130)
    assert seen.moves == [(60, "firing"), (100, "resolved")]
    assert seen.transitions[-1].reason == "deleted"


def test_an_object_that_moved_to_another_key_is_missed_there_only() -> None:
    rule = absent(on="k8s.object", by=("cluster", "node"))
    seen = Run(rule).see(a_pod(0, node="n1"), a_pod(30, node="n2")).to(300)
    assert [(one.key["node"], one.state.value) for one in seen.transitions] == [("n2", "firing")]


def test_a_deletion_that_arrives_before_what_it_deletes_counts() -> None:
    rule = absent(on="k8s.object")
    assert run(rule, [a_pod(10.5, change="deleted"), a_pod(10)], 300) == []


def test_the_inventory_knows_keys_that_were_never_heard_of() -> None:
    rule = absent(60, expect="inventory", on="metric", by=("cluster", "namespace", "workload"))
    seen = Run(rule).see(a_deployment(0), a_metric(50, 1)).to(300)
    assert seen.moves == [(110, "firing")]
    never = Run(rule).see(a_deployment(0, "quiet")).to(300)
    assert never.moves == [(60, "firing")]


def test_what_is_in_no_inventory_is_not_missed() -> None:
    rule = absent(60, expect="inventory", on="metric", by=("cluster", "namespace", "workload"))
    seen = Run(rule).see(a_metric(0, 1), a_pod(1, kind="ReplicaSet")).to(300)
    assert seen.moves == []
    assert not seen.evaluator._folds["c1"].cells


def test_an_object_that_goes_leaves_the_inventory() -> None:
    rule = absent(60, expect="inventory", on="metric", by=("cluster", "namespace", "workload"))
    assert run(rule, [a_deployment(0), a_deployment(30, change="deleted")], 300) == []


@pytest.mark.parametrize(
    ("by", "kind", "named"),
    [
        (("cluster", "node"), "Node", "node"),
        (("cluster", "namespace"), "Namespace", "namespace"),
        (("cluster", "namespace", "workload"), "StatefulSet", "workload"),
        (("cluster", "namespace", "name"), "CronJob", "name"),
    ],
)
def test_the_finest_part_of_the_key_says_which_objects_count(
    by: tuple[str, ...], kind: str, named: str
) -> None:
    on = (Selector("metric", kinds=("CronJob",)),)
    rule = absent(60, expect="inventory", selectors=on, by=by)
    others = [a_pod(0, "p", kind=other) for other in ("Pod", "ConfigMap")]
    seen = Run(rule).see(*others, a_pod(0, "x", kind=kind)).to(90)
    assert [one.key[named] for one in seen.transitions] == ["x"]


def test_the_inventory_is_kept_where_the_rule_looks() -> None:
    on = (Selector("metric", namespaces=("prod-*",), exclude={"namespaces": ("prod-x",)}),)
    rule = absent(60, expect="inventory", selectors=on, by=("cluster", "namespace"))
    names = ("prod-a", "prod-x", "dev")
    found = [a_pod(0, name, kind="Namespace", namespace="") for name in names]
    seen = Run(rule).see(*found).to(90)
    assert [one.key["namespace"] for one in seen.transitions] == ["prod-a"]


def beats(source: str, *spans: tuple[int, int]) -> list[Signal]:
    return [a_beat(at, source=source) for a, b in spans for at in range(a, b + 1, 5)]


def in_order(*signals: list[Signal]) -> list[Signal]:
    return sorted((one for some in signals for one in some), key=lambda one: one.time)


def fed(at: float, source: str, workload: str = "web") -> Signal:
    return a_signal(at, "alert", {"namespace": "shop", "workload": workload}, source=source)


def test_nothing_is_decided_while_the_source_is_silent() -> None:
    log = in_order([fed(1, "w1")], beats("w1", (0, 30)), beats("w2", (0, 300)))
    assert Run(absent()).see(*log).moves == []


def test_the_time_allowed_starts_anew_when_the_source_comes_back() -> None:
    log = in_order([fed(1, "w1")], beats("w1", (0, 30), (200, 400)), beats("w2", (0, 400)))
    assert Run(absent()).see(*log).moves == [(260, "firing")]


def test_what_another_source_feeds_is_decided_meanwhile() -> None:
    log = in_order([fed(1, "w2")], beats("w1", (0, 30)), beats("w2", (0, 300)))
    assert Run(absent()).see(*log).moves == [(61, "firing")]


def test_what_was_decided_before_the_silence_stays() -> None:
    log = in_order([fed(1, "w1")], beats("w1", (0, 65), (200, 300)), beats("w2", (0, 300)))
    assert Run(absent()).see(*log).moves == [(61, "firing")]


def test_time_in_which_nobody_watched_does_not_count() -> None:
    log = in_order([fed(1, "w1")], beats("w1", (0, 30), (3600, 3700)))
    assert Run(absent()).see(*log).moves == [(3660, "firing")]


def test_a_key_that_was_never_heard_of_waits_for_any_watcher() -> None:
    rule = absent(60, expect="inventory", on="metric", by=("cluster", "namespace", "workload"))
    log = in_order([a_deployment(1)], beats("w1", (0, 30), (3600, 3700)))
    assert Run(rule).see(*log).moves == [(3660, "firing")]


def test_clear_keeps_an_absence_firing_until_it_is_true() -> None:
    rule = absent(60, clear="signal.data.ready")
    log = [an_alert(0, ready=True), an_alert(100, ready=False), an_alert(110, ready=True)]
    assert run(rule, log, 150) == [(60, "firing"), (110, "resolved")]
