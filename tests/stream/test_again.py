"""`reevaluate`: what was true or false of a signal is asked again as time goes on."""

from dataclasses import replace
from typing import Any

from engine.model.signal import Signal
from engine.rules.rule import Rule
from engine.stream.again import following
from tests.stream.building import (
    Run,
    a_beat,
    a_measure,
    a_metric,
    a_pod,
    a_rule,
    a_signal,
    run,
    us,
)

EXPIRES = "now > timestamp(signal.data.notAfter) - duration('30s')"


def a_certificate(at: float, ends: float, name: str = "tls", **data: Any) -> Signal:
    """Return a certificate that ends `ends` seconds after the start."""
    body = {"name": name, "namespace": "shop", "workload": "web", "notAfter": instant(ends), **data}
    return a_signal(at, "certificate", body)


def instant(seconds: float) -> str:
    return f"2026-01-01T00:{int(seconds) // 60:02}:{int(seconds) % 60:02}Z"


def rule(**fields: Any) -> Rule:
    return a_rule(on="certificate", **{"when": EXPIRES, "reevaluate": "10s", **fields})


def test_a_level_that_was_false_is_asked_again_at_its_time_and_multiples_of_the_interval() -> None:
    assert run(rule(), [a_certificate(3, 100)], 200) == [(73, "firing")]
    assert run(rule(reevaluate="0s"), [a_certificate(3, 100)], 200) == []


def test_a_level_that_was_true_ends_when_it_is_false_at_a_later_instant() -> None:
    young = rule(when="now < signal.time + duration('25s')")
    assert run(young, [a_certificate(0, 0)], 200) == [(0, "firing"), (30, "resolved")]


def test_the_latest_signal_of_an_object_is_the_one_that_is_asked() -> None:
    renewed = [a_certificate(3, 100), a_certificate(70, 900)]
    assert run(rule(), renewed, 400) == []
    assert run(rule(), [a_certificate(3, 900), a_certificate(71, 100)], 400) == [(71, "firing")]


def test_each_object_is_asked_at_instants_of_its_own() -> None:
    seen = Run(rule(by=("cluster", "name"))).see(a_certificate(3, 100, "a"))
    seen.see(a_certificate(4, 100, "b")).to(200)
    assert [(one.key["name"], one.at - us(0)) for one in seen.transitions] == [
        ("a", 73_000_000),
        ("b", 74_000_000),
    ]


def test_a_deleted_object_is_not_asked_again_and_its_key_is_forgotten() -> None:
    kept = a_rule(when="now > signal.time + duration('25s')", reevaluate="10s")
    seen = Run(kept).see(a_pod(0), a_pod(20, change="deleted")).to(99)
    assert seen.moves == []
    assert seen.evaluator._folds["c1"].cells == {}
    assert seen.evaluator._folds["c1"]._holders == {}


def test_an_object_that_moved_is_asked_under_its_new_key_only() -> None:
    kept = a_rule(
        when="now > signal.time + duration('25s')", reevaluate="10s", by=("cluster", "node")
    )
    seen = Run(kept).see(a_pod(0, node="n1"), a_pod(5, node="n2")).to(99)
    assert [(one.key["node"], one.at - us(0)) for one in seen.transitions] == [("n2", 35_000_000)]


def test_for_and_keep_firing_for_run_from_the_instant_that_was_asked() -> None:
    held = rule(
        when="now > signal.time + duration('15s') && now < signal.time + duration('45s')",
        keep_firing_for="7s",
        **{"for": "12s"},
    )
    moves = run(held, [a_certificate(0, 0)], 200)
    assert moves == [(20, "pending"), (32, "firing"), (57, "resolved")]


def test_clear_is_asked_again_beside_when() -> None:
    lasting = rule(
        when="now < signal.time + duration('15s')", clear="now > signal.time + duration('35s')"
    )
    assert run(lasting, [a_certificate(0, 0)], 200) == [(0, "firing"), (40, "resolved")]


def test_tie_a_signal_at_the_instant_of_asking_decides_instead() -> None:
    renewed = [a_certificate(3, 100), a_certificate(73, 900)]
    assert run(rule(), renewed, 200) == []
    both = [a_certificate(3, 100, "a"), a_certificate(73, 900, "a"), a_certificate(73, 900, "b")]
    assert run(rule(), both, 200) == []


def test_an_error_at_a_later_instant_neither_fires_nor_resolves() -> None:
    failing = rule(when="10 / (now.getSeconds() - 10) < 100", reevaluate="10s")
    seen = Run(failing).see(a_certificate(0, 0)).to(15)
    assert seen.moves == [(0, "firing")]
    assert seen.count('errors{rule="r"}') == 1


def test_a_signal_with_an_error_is_the_latest_one_and_is_asked_again() -> None:
    failing = rule(when="10 / signal.data.n > 1 && now > signal.time + duration('15s')")
    assert run(failing, [a_certificate(0, 0, n=5), a_certificate(5, 0, n=0)], 99) == []


def test_a_late_signal_takes_back_what_was_asked_and_time_asks_again() -> None:
    signals = [a_certificate(3, 100), a_metric(74, 0), a_certificate(72.5, 900)]
    assert run(rule(), signals, 200) == []
    other = [a_certificate(3, 100), a_certificate(74, 90, "b"), a_certificate(72.5, 80, "c")]
    seen = Run(rule(by=("cluster", "name"))).see(*other).to(80)
    assert sorted(one.key["name"] for one in seen.transitions) == ["b", "c", "tls"]


def test_a_late_signal_of_another_object_loses_no_instant_of_asking() -> None:
    slow = rule(when="now > signal.time + duration('8s')", reevaluate="2s", by=("cluster", "name"))
    late = [a_certificate(1, 0, "a"), a_certificate(6.5, 0, "b"), a_certificate(4.9, 0, "c")]
    seen = Run(slow).see(*late).to(12)
    assert [(one.key["name"], one.at - us(0)) for one in seen.transitions] == [("a", 11_000_000)]
    together = replace(slow, by=("cluster",))
    assert run(together, late, 12) == [(11, "firing")]


def test_tie_what_was_asked_before_a_signal_of_its_instant_is_taken_back() -> None:
    lasting = rule(clear="signal.data.ok")
    signals = [
        a_certificate(3, 100, "a", ok=False),
        a_certificate(70, 90, "b", ok=False),
        a_certificate(73, 900, "c", ok=False),
        a_certificate(73, 900, "a", ok=False),
        a_certificate(79, 900, "b", ok=True),
    ]
    assert run(lasting, signals, 200) == [(70, "firing"), (79, "resolved")]


def test_only_the_fields_that_the_rule_asks_for_are_remembered() -> None:
    seen = Run(rule()).see(a_certificate(3, 900, blob="x" * 9_000), a_beat(60))
    (raw,) = [raw for name, raw in seen.evaluator.changes().items() if name.startswith('["cell"')]
    assert raw is not None
    assert len(raw) < 1_024


def test_a_window_is_asked_again_while_there_is_something_in_it() -> None:
    late = a_rule(
        over="60s",
        measure=a_measure("count"),
        having=f"m.n > 0 && now > timestamp('{instant(25)}')",
        reevaluate="10s",
    )
    assert run(late, [a_pod(3)], 200) == [(33, "firing"), (63, "resolved")]
    assert run(replace(late, reevaluate_us=0), [a_pod(3)], 200) == []


def test_an_edit_of_the_interval_counts_from_the_signal_and_asks_nothing_twice() -> None:
    seen = Run(rule()).see(a_certificate(3, 100), a_beat(50)).swap(rule(reevaluate="7s"))
    assert seen.to(200).moves == [(73, "firing")]
    seen = Run(rule()).see(a_certificate(3, 100), a_beat(74)).swap(rule(reevaluate="7s"))
    assert seen.to(200).moves == [(73, "firing")]


def test_instants_follow_the_start_by_whole_intervals() -> None:
    assert [following(10, 5, now) for now in (0, 10, 14, 15, 16)] == [15, 15, 15, 20, 20]
