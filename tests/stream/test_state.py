"""State as bytes: small, only what was touched, refused when it is not ours."""

from typing import Any

import pytest

from engine.model.errors import StoreError
from engine.model.signal import Signal
from engine.stream.evaluator import Evaluator
from engine.stream.state import VERSION
from tests.stream.building import Run, a_beat, a_measure, a_pod, a_rule, a_set, us

BAD = 'signal.data.phase == "Bad"'


def bad(at: float, name: str = "web-1", **data: Any) -> Signal:
    return a_pod(at, name, phase="Bad", **data)


def cells(changes: dict[str, bytes | None]) -> list[str]:
    return [name for name in changes if name.startswith('["cell"')]


def test_only_what_was_touched_is_given() -> None:
    seen = Run(a_rule(when=BAD)).see(bad(0, workload="a"), bad(1, "b", workload="b"), a_beat(30))
    assert len(cells(seen.evaluator.changes())) == 2
    assert seen.evaluator.changes() == {}
    seen.see(bad(31, "b", workload="b"))
    assert cells(seen.evaluator.changes()) == ['["cell","r","c1",["c1","shop","b"]]']


def test_a_healthy_object_leaves_no_cell() -> None:
    seen = Run(a_rule(when=BAD)).see(a_pod(0, phase="Good"))
    assert cells(seen.evaluator.changes()) == []


def test_a_checkpoint_writes_no_id_again() -> None:
    seen = Run(a_rule(when=BAD))
    written = []
    for number in range(9):
        seen.see(a_pod(number / 10, f"pod-{number}", phase="Good"))
        changes = seen.evaluator.changes()
        written += [raw for name, raw in changes.items() if name.startswith('["recent","c1"')]
    assert [(raw or b"").count(b"uid-pod") for raw in written] == [1] * 9


def test_a_restart_between_two_checkpoints_of_one_second_forgets_nothing() -> None:
    rule = a_rule(when=BAD)
    seen, state = Run(rule), dict[str, bytes | None]()
    first, second = a_pod(0.1, phase="Good"), a_pod(0.3, phase="Good")
    for signal in (first, second):
        state |= seen.see(signal).evaluator.changes()
    kept = {name: raw for name, raw in state.items() if raw is not None}
    after = Run(rule)
    after.evaluator = Evaluator(a_set(rule), kept)
    after.see(first, second, bad(0.2)).to(30)
    assert after.count("duplicate") == 2
    assert after.moves == [(0.2, "firing"), (0.3, "resolved")]


def test_ids_are_let_go_of() -> None:
    seen = Run(a_rule(when=BAD)).see(a_pod(0, phase="Good"), a_beat(1))
    (name,) = [one for one in seen.evaluator.changes() if '"recent","c1"' in one]
    seen.see(a_beat(60))
    assert seen.evaluator.changes()[name] is None


def test_a_member_that_left_for_good_leaves_nothing() -> None:
    seen = Run(a_rule(when=BAD, by=("cluster",)))
    seen.see(bad(0, "stays"), *[bad(1 + at, f"p{at}") for at in range(9)])
    seen.see(*[a_pod(20 + at, f"p{at}", change="deleted") for at in range(9)], a_beat(60))
    fold = seen.evaluator._folds["c1"]
    assert set(fold._holders) == {"uid-stays"}


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ('["cluster","c1"]', b"\x63\x93", f"version 99; this engine reads {VERSION}"),
        ('["cluster","c1"]', b"", "version nothing"),
        ('["cluster","c1"]', bytes([VERSION]) + b"\xc1", "StreamTimeState does not read"),
        (
            '["cell","r","c1",["c1","shop","web"]]',
            b"\x01\x93",
            f"version 1; this engine reads {VERSION}",
        ),
        (
            '["cell","r","c1",["c1","shop","web"]]',
            bytes([VERSION]) + b"\x91\xa1h",
            "CellState does not read",
        ),
        ("nonsense", b"\x02", "foreign key 'nonsense'"),
    ],
)
def test_foreign_or_damaged_state_is_refused_with_the_way_out(
    name: str, raw: bytes, message: str
) -> None:
    with pytest.raises(StoreError, match=message) as refused:
        Evaluator(a_set(a_rule()), {name: raw})
    assert "move dogwatch.db and signals.db away together" in str(refused.value)


@pytest.mark.parametrize("kept", ["cell", "recent"])
def test_state_without_the_entry_of_its_cluster_is_refused(kept: str) -> None:
    rule = a_rule(when="signal.data.restarts > 3")
    state = Run(rule).see(a_pod(0, restarts=9)).evaluator.changes()
    of_c1 = f'["{kept}",' if kept == "cell" else f'["{kept}","c1"'
    entries = {name: raw for name, raw in state.items() if raw and name.startswith(of_c1)}
    with pytest.raises(StoreError, match=r"no entry of cluster 'c1'.* start anew"):
        Evaluator(a_set(rule), entries)


def test_a_sample_at_the_very_mark_is_stored_whole_for_it_may_still_be_undone() -> None:
    rule = a_rule(over="60s", measure=a_measure("increase", "signal.data.n"), having="m.n == 4")
    seen = Run(rule).see(a_pod(10, n=1), a_pod(12, n=5))
    state = {name: raw for name, raw in seen.evaluator.changes().items() if raw is not None}
    after = Run(rule)
    after.evaluator = Evaluator(a_set(rule), state)
    after.see(a_pod(10, "web-2", n=7), a_pod(12.5, "web-2", n=7)).to(30)
    assert after.moves == []
    assert [one.state for one in after.evaluator.open()] == ["firing"]


@pytest.mark.parametrize("fn", ["count", "increase"])
def test_the_state_of_a_key_with_ten_samples_is_under_a_kibibyte(fn: str) -> None:
    measure = a_measure(fn, "signal.data.restarts" if fn == "increase" else "")
    rule = a_rule(over="10m", measure=measure, having="m.n > 3", hash="f" * 64)
    uid, name = "6f1c2a1e-0000-4000-8000-000000000000", "web-7d4b9c6f5d-xk2lp"
    node = "gke-production-pool-1-abcdef"
    pods = [a_pod(10 * at, name, uid=uid, node=node, restarts=at) for at in range(10)]
    (raw,) = [
        raw for place, raw in Run(rule).see(*pods).evaluator.changes().items() if '"cell"' in place
    ]
    assert raw is not None
    assert len(raw) <= 1_024


def test_open_keys_are_told_as_they_stand() -> None:
    hold = a_rule("hold", when=BAD, **{"for": "1h"})
    seen = Run(a_rule("now", when=BAD), hold).see(bad(0))
    hold_key, now_key = seen.evaluator.open()
    assert (hold_key.rule, hold_key.state, hold_key.since) == ("hold", "pending", us(0))
    assert (now_key.rule, now_key.state, now_key.members) == ("now", "firing", ("web-1",))
    assert now_key.firing == seen.transitions[-1].firing or now_key.firing
    assert seen.see(a_pod(5, phase="Good"), a_beat(60)).evaluator.open() == []
