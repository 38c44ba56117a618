"""Trace and retention: any id shows the whole path, and old paths go together."""

from datetime import timedelta

import pytest

from engine.model.delivery import Occasion, Receipt
from engine.model.firing import State
from engine.model.report import Evidence, Finding, ObjectRef, Severity
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.store.rows import NOON, Hand, a_commit, a_delivery, a_report, a_run, a_transition

FINDING = Finding(
    id="x-1",
    check="crash-loop",
    severity=Severity.HIGH,
    object=ObjectRef(cluster="east", kind="Pod", name="web-1"),
    title="web-1 crashes",
    observed="6 restarts",
    expected="none",
    evidence=[Evidence(id="e-1", source="status", value="CrashLoopBackOff")],
    confidence=1,
)


@pytest.fixture
def lived(store: Store) -> Store:
    """A firing with its whole path, and another beside it."""
    epoch = store.claim(0)
    store.commit(0, epoch, a_commit(1))
    store.commit(0, epoch, a_commit(2))
    store.claim_mission("w", NOON)
    store.record("m-1", "collect", {"now": "x"}, epoch=1)
    report = a_report().model_copy(update={"findings": [FINDING]})
    told = a_delivery("d-r", mission="m-1", change=Occasion.RESULT)
    store.finish("m-1", report, [told], NOON, epoch=1)
    return store


@pytest.mark.parametrize("wanted", ["s-1", "f-1", "m-1", "d-1", "d-r", "x-1"])
def test_any_id_shows_the_whole_path_causes_first(lived: Store, wanted: str) -> None:
    path = [(record.noun, record.id, record.parent) for record in lived.trace(wanted)]
    assert path == [
        ("signal", "s-1", ""),
        ("firing", "f-1", "s-1"),
        ("transition", "f-1", "f-1"),
        ("delivery", "d-1", "f-1"),
        ("mission", "m-1", "f-1"),
        ("step", "m-1", "m-1"),
        ("report", "m-1", "m-1"),
        ("delivery", "d-r", "m-1"),
    ]


@pytest.mark.parametrize("wanted", ["f-1", "d-r", "d-notice"])
def test_the_notice_of_a_lost_delivery_stands_below_it(lived: Store, wanted: str) -> None:
    notice = a_delivery("d-notice", sink="mail", incident="d-r")
    lived.give_up("d-r", "400", NOON, tell=[notice])
    path = [(record.noun, record.id, record.parent) for record in lived.trace(wanted)]
    assert path[0] == ("signal", "s-1", "")
    assert path[-2:] == [("delivery", "d-r", "m-1"), ("delivery", "d-notice", "d-r")]


def test_an_unknown_id_shows_nothing(lived: Store) -> None:
    for wanted in ("f-9", "", "x-9", "%", "x-%"):
        assert lived.trace(wanted) == []


def test_the_signal_is_shown_as_it_came(lived: Store) -> None:
    signal = lived.trace("f-1")[0]
    assert signal.what["id"] == "s-1"
    assert signal.at == NOON


def test_a_signal_that_resolved_a_firing_shows_its_path_too(store: Store) -> None:
    end = a_transition(state=State.RESOLVED, at=9, cause="s-2", reason="cleared")
    record = b'[{"id":"s-2","time":"2026-01-31T12:00:00Z"}]'
    store.commit(0, store.claim(0), a_commit(1))
    store.commit(0, store.claim(0), Commit(3, transitions=[end], signals={"s-2": record}))
    assert [r.id for r in store.trace("s-2") if r.noun in {"signal", "firing"}] == [
        "s-1",
        "s-2",
        "f-1",
    ]


def test_a_persons_mission_has_a_path_of_its_own(store: Store) -> None:
    store.add_mission(a_run())
    store.claim_mission("w", NOON)
    store.finish("m-1", a_report(), [a_delivery(mission="m-1", incident="m-1")], NOON, epoch=1)
    for wanted in ("m-1", "d-1"):
        assert [r.noun for r in store.trace(wanted)] == ["mission", "report", "delivery"]


def test_pruning_keeps_what_is_open_and_takes_ended_paths_whole(lived: Store, clock: Hand) -> None:
    later = NOON + timedelta(days=8)
    assert lived.prune(later) == 0  # the open firing keeps all
    epoch = lived.claim(0)
    end = a_transition("f-1", state=State.RESOLVED, at=2_000)
    lived.commit(0, epoch, Commit(4, transitions=[end]))
    assert lived.prune(NOON - timedelta(days=365 * 60)) == 0
    for key in ("d-1", "d-r"):
        lived.sent(key, Receipt(), NOON)
    while lived.prune(later):
        pass
    assert lived.trace("f-1") == []
    assert lived.trace("s-1") == []
    assert [record.noun for record in lived.trace("f-2")] == [
        "signal",
        "firing",
        "transition",
        "delivery",
        "mission",
    ]


def test_a_waiting_delivery_and_a_dead_letter_are_never_pruned(store: Store) -> None:
    store.enqueue([a_delivery("d-1"), a_delivery("d-2", incident="f-2")])
    store.give_up("d-2", "400", NOON)
    assert store.prune(NOON + timedelta(days=365)) == 0
    assert store.pending("web").waiting == 1
    assert len(store.dead_letters()) == 1
