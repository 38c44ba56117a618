"""Trace and retention: any id shows the whole path, and old paths go together."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from engine.model.change_row import Step, Verdict
from engine.model.change_state import ChangeEvent
from engine.model.delivery import Occasion, Receipt
from engine.model.firing import State
from engine.model.report import Evidence, Finding, ObjectRef, Severity
from engine.store.change_tables import decisions, writes
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.store.changes_of import (
    Scene,
    a_decision,
    a_draft,
    a_row,
    a_target,
    a_write,
    two_are_needed,
)
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


@pytest.fixture
def acted(store: Store) -> Store:
    """A mission with a change that was applied, and one that was denied."""
    scene = Scene(store)
    scene.waits_for(a_row("c-1"), a_row("c-2", draft=a_draft("c-2", a_target("db").ref)))
    scene.applying("c-1")
    store.begin_write("c-1", a_write(), epoch=scene.epoch)
    store.end_write("c-1", Step.DO, 0, "done", {"spec": {}}, NOON, epoch=scene.epoch)
    scene.move("c-1", ChangeEvent.APPLIED)
    scene.move("c-1", ChangeEvent.VERIFY)
    row = scene.awaiting("c-2")
    for who, verdict in (("ann", Verdict.APPROVE), ("bob", Verdict.DENY)):
        store.decide(a_decision(row, who, verdict=verdict), two_are_needed, NOON)
    return store


@pytest.mark.parametrize("wanted", ["c-1", "c-2", "m-1"])
def test_a_change_is_shown_on_the_path_of_its_mission(acted: Store, wanted: str) -> None:
    path = acted.trace(wanted)
    nouns = [(one.noun, one.id, one.parent) for one in path if one.noun != "audit"]
    assert nouns == [
        ("mission", "m-1", ""),
        ("report", "m-1", "m-1"),
        ("change", "c-1", "m-1"),
        ("decision", "c-1", "c-1"),
        ("write", "c-1", "c-1"),
        ("change", "c-2", "m-1"),
        ("decision", "c-2", "c-2"),
        ("decision", "c-2", "c-2"),
    ]
    what = {(one.noun, one.id): one.what for one in path}
    assert what["change", "c-1"]["state"] == "verified"
    assert what["change", "c-1"]["target"] == "Deployment shop/web"
    assert what["decision", "c-2"]["who"] == "bob"
    assert what["write", "c-1"]["before"] == {"spec": {"replicas": 1}}
    assert what["write", "c-1"]["after"] == {"spec": {}}
    audited = [one.what["to"] for one in path if (one.noun, one.id) == ("audit", "c-2")]
    assert audited == ["draft", "proposed", "awaiting", "awaiting", "awaiting", "rejected"]


def test_a_mission_that_waits_shows_its_report_so_far(store: Store) -> None:
    Scene(store).waits_for(a_row())
    assert [one.noun for one in store.trace("m-1")] == ["mission", "report", "change", "audit"]


def test_changes_are_forgotten_with_their_mission_but_the_audit_stays(acted: Store) -> None:
    acted.cancel_mission("m-1", "ann", NOON)
    entries = acted.audit()
    later = NOON + timedelta(days=30)
    while acted.prune(later):
        pass
    assert (acted.changes(), acted.missions()) == ([], [])
    with acted.read() as connection:
        for table in (decisions, writes):
            assert connection.execute(select(table)).all() == []
    assert acted.audit() == entries
    assert acted.verify_audit().fault == ""
    assert [one.what["to"] for one in acted.trace("c-2")][-1] == "rejected"
    assert acted.trace("") == acted.trace("c-9") == []


def test_a_mission_with_an_open_change_is_not_forgotten(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.awaiting()
    store.wake_due(NOON + timedelta(days=1))
    row = store.claim_mission("w", NOON)
    assert row is not None
    store.finish("m-1", a_report(), [], NOON, epoch=row.epoch)
    later = NOON + timedelta(days=30)
    assert store.prune(later) == 0
    scene.move("c-1", ChangeEvent.EXPIRE)
    assert store.prune(later) == 2
    assert store.change("c-1") is None
