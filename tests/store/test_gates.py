"""Gates: a mission waits for its changes, goes on once, is cancelled, or begins anew."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from engine.model.change_row import Verdict
from engine.model.change_state import ChangeEvent as E
from engine.model.change_state import ChangeState as S
from engine.model.errors import Fenced, IllegalMove, Refused, StoreError
from engine.model.mission import MissionState
from engine.model.report import Outcome
from tests.store.answers import an_answer_lost
from tests.store.changes_of import (
    HOUR,
    TO_APPLYING,
    Scene,
    a_decision,
    a_draft,
    a_row,
    a_target,
    one_is_enough,
)
from tests.store.rows import NOON, SECOND, a_delivery, a_report, a_run

if TYPE_CHECKING:
    from engine.model.change_row import ChangeRow
    from engine.model.delivery import Delivery
    from engine.model.mission import MissionRow
    from engine.store.store import Store

WAITS = a_report().model_copy(update={"total_phases": 3, "outcome": Outcome.FINDINGS})


def rows(*names: str) -> list[ChangeRow]:
    return [a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names]


def mission(store: Store) -> MissionRow:
    row = store.mission("m-1")
    assert row is not None
    return row


def waiting(scene: Scene, told: list[Delivery]) -> None:
    """Let the mission wait for c-1, with the epoch that it was claimed with."""
    scene.store.wait("m-1", WAITS, rows("c-1"), told, NOON, NOON + HOUR, epoch=scene.run_epoch)


def test_a_mission_waits_with_its_report_so_far(store: Store) -> None:
    scene = Scene(store)
    wait = partial(waiting, scene, [a_delivery()])
    with pytest.raises(StoreError, match="lost"), an_answer_lost(side="before"):
        wait()
    assert (mission(store).state, store.changes()) == (MissionState.RUNNING, [])
    with pytest.raises(StoreError, match="lost"), an_answer_lost():
        wait()
    row = mission(store)
    wait()
    assert mission(store) == row
    assert (row.state, row.wake_at, row.finished) == (MissionState.WAITING, NOON + HOUR, None)
    assert (row.report, row.phase, row.total_phases, row.owner) == (WAITS, 1, 3, "")
    assert len(store.changes(mission="m-1")) == len(store.audit(mission="m-1")) == 1
    assert store.pending("web").waiting == 1


def test_a_repeated_wait_does_not_make_a_mission_wait_that_went_on(store: Store) -> None:
    scene = Scene(store)
    wait = partial(waiting, scene, [])
    wait()
    scene.move("c-1", E.REFUSE)
    wait()
    assert mission(store).state is MissionState.QUEUED
    row = store.claim_mission("v", NOON)
    assert row is not None
    assert row.phase == 2
    with pytest.raises(Fenced):
        wait()
    assert mission(store).state is MissionState.RUNNING


def test_only_the_worker_that_has_it_lets_a_mission_wait(store: Store) -> None:
    scene = Scene(store)
    with pytest.raises(Fenced):
        store.wait("m-1", WAITS, rows("c-1"), [], NOON, NOON, epoch=scene.run_epoch - 1)
    with pytest.raises(StoreError, match="no mission"):
        store.wait("m-9", WAITS, [], [], NOON, NOON, epoch=1)
    store.finish("m-1", a_report(), [], NOON, epoch=scene.run_epoch)
    with pytest.raises(IllegalMove):
        store.wait("m-1", WAITS, rows("c-1"), [], NOON, NOON, epoch=scene.run_epoch)
    assert store.changes() == []


def test_a_second_leg_may_end_with_the_words_of_the_first(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"))
    scene.move("c-1", E.REFUSE)
    row = store.claim_mission("v", NOON)
    assert row is not None
    store.finish("m-1", a_report(), [a_delivery()], NOON + SECOND, epoch=row.epoch)
    assert (mission(store).state, mission(store).total_phases) == (MissionState.DONE, 2)
    assert store.pending("web").waiting == 1


def test_a_deadline_lets_a_mission_go_on_and_ends_what_nobody_worked_out(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1", "c-2"), wake_at=NOON + HOUR)
    scene.awaiting("c-2")
    assert store.wake_due(NOON + HOUR - SECOND) == []
    assert store.wake_due(NOON + HOUR) == ["m-1"]
    assert store.wake_due(NOON + HOUR) == []
    row = mission(store)
    assert (row.state, row.phase, row.wake_at) == (MissionState.QUEUED, 2, None)
    assert [scene.at(name).state for name in ("c-1", "c-2")] == [S.EXPIRED, S.AWAITING]


def test_a_change_of_an_earlier_phase_does_not_open_a_later_gate(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"), wake_at=NOON)
    scene.awaiting("c-1")
    store.wake_due(NOON)
    row = store.claim_mission("v", NOON)
    assert row is not None
    later = WAITS.model_copy(update={"phase": 2})
    store.wait("m-1", later, rows("c-2"), [], NOON, NOON + HOUR, epoch=row.epoch)
    scene.move("c-1", E.EXPIRE)
    assert (mission(store).state, mission(store).phase) == (MissionState.WAITING, 2)
    scene.move("c-2", E.REFUSE)
    assert (mission(store).state, mission(store).phase) == (MissionState.QUEUED, 3)


def test_to_wait_on_for_what_is_under_way_is_no_phase(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"), wake_at=NOON)
    scene.applying("c-1")
    for number in range(5):
        at = NOON + number * HOUR
        assert store.wake_due(at) == ["m-1"]
        row = store.claim_mission("v", at)
        assert row is not None
        assert row.phase == 2
        store.wait("m-1", WAITS, [], [], at, at + HOUR, epoch=row.epoch)
        assert (mission(store).state, mission(store).phase) == (MissionState.WAITING, 1)
    for event in (E.APPLIED, E.VERIFY):
        scene.move("c-1", event)
    assert (mission(store).state, mission(store).phase) == (MissionState.QUEUED, 2)


def test_what_was_settled_while_a_leg_looked_is_not_waited_for(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"), wake_at=NOON)
    scene.applying("c-1")
    store.wake_due(NOON)
    row = store.claim_mission("v", NOON)
    assert row is not None
    for event in (E.APPLIED, E.VERIFY):
        scene.move("c-1", event)
    store.wait("m-1", WAITS, [], [], NOON, NOON + HOUR, epoch=row.epoch)
    assert (mission(store).state, mission(store).phase) == (MissionState.QUEUED, 2)


def test_many_that_look_wake_a_mission_once(store: Store, other: Store) -> None:
    Scene(store).waits_for(*rows("c-1"), wake_at=NOON)
    with ThreadPoolExecutor(8) as threads:
        woken = threads.map(lambda n: (store, other)[n % 2].wake_due(NOON), range(8))
        assert sum(map(len, woken)) == 1
    assert mission(store).phase == 2


def test_changes_that_are_settled_at_once_wake_their_mission_once(
    store: Store, other: Store
) -> None:
    scene = Scene(store)
    names = [f"c-{number}" for number in range(8)]
    scene.waits_for(*rows(*names))
    asked = [scene.awaiting(name) for name in names]

    def deny(number: int) -> None:
        given = a_decision(asked[number], verdict=Verdict.DENY)
        (store, other)[number % 2].decide(given, one_is_enough, NOON)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(deny, range(8)))
    assert (mission(store).state, mission(store).phase) == (MissionState.QUEUED, 2)


def test_a_plan_is_settled_once_it_is_worked_out(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(replace(a_row(), mode="plan"))
    scene.proposed()
    assert mission(store).state is MissionState.QUEUED


def test_a_mission_that_proposes_what_is_settled_goes_on_at_once(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"))
    scene.move("c-1", E.REFUSE)
    for _ in range(2):  # failed in its second leg, and resumed
        row = store.claim_mission("v", NOON)
        assert row is not None
        failed = a_report(outcome=Outcome.FAILED)
        store.finish("m-1", failed, [], NOON, epoch=row.epoch)
        store.resume_mission("m-1", "ann", NOON)
    row = store.claim_mission("v", NOON)
    assert row is not None
    new = rows("c-1")
    store.wait("m-1", WAITS, new, [], NOON, NOON + HOUR, epoch=row.epoch)
    assert mission(store).state is MissionState.QUEUED


def test_a_cancelled_mission_denies_its_changes_and_is_over(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1", "c-2", "c-3"))
    scene.awaiting("c-2")
    scene.approved("c-3")
    for event in TO_APPLYING[:2]:
        scene.move("c-3", event)
    row = store.cancel_mission("m-1", "ann", NOON + SECOND)
    assert (row.state, row.reason, row.finished, row.wake_at) == (
        MissionState.CANCELLED,
        "cancelled by ann",
        NOON + SECOND,
        None,
    )
    assert {one.state for one in store.changes(mission="m-1")} == {S.REJECTED}
    assert store.due_changes(NOON + HOUR) == []
    assert store.wake_due(NOON + 100 * HOUR) == []
    assert store.claim_mission("v", NOON) is None
    with pytest.raises(Refused, match="is cancelled already"):
        store.cancel_mission("m-1", "ann", NOON)
    with pytest.raises(Refused, match="only a failed one"):
        store.resume_mission("m-1", "ann", NOON)
    with pytest.raises(Refused, match="no mission 'm-9'"):
        store.cancel_mission("m-9", "ann", NOON)
    moved = [(one.frm, one.to) for one in store.audit(mission="m-1") if not one.change]
    assert moved == [("waiting", "cancelled")]
    assert store.verify_audit().fault == ""


@pytest.mark.parametrize("act", ["cancel_mission", "withdraw"])
def test_who_was_asked_hears_of_what_is_taken_back(store: Store, act: str) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1", "c-2", "c-3", "c-4"))
    scene.proposed("c-2")
    scene.awaiting("c-3")
    scene.approved("c-4")
    seen: list[ChangeRow] = []

    def tell(row: ChangeRow) -> list[Delivery]:
        seen.append(row)
        return [a_delivery(f"d-{row.id}")]

    with pytest.raises(StoreError, match="lost"), an_answer_lost(side="before"):
        getattr(store, act)("m-1", "ann", NOON, tell)
    assert store.pending("web").waiting == 0
    seen.clear()
    getattr(store, act)("m-1", "ann", NOON, tell)
    assert [(row.id, row.state) for row in seen] == [("c-3", S.REJECTED), ("c-4", S.REJECTED)]
    assert store.pending("web").waiting == 2


@pytest.mark.parametrize("events", [(), (E.APPLIED,), (E.FAIL,), (E.FAIL, E.ROLL_BACK)])
def test_what_is_being_written_is_not_cancelled(store: Store, events: tuple[E, ...]) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1", "c-2"))
    scene.applying("c-1")
    for event in events:
        scene.move("c-1", event)
    before = mission(store)
    with pytest.raises(Refused, match="it is seen through to its end"):
        store.cancel_mission("m-1", "ann", NOON)
    assert (mission(store), scene.at("c-2").state) == (before, S.DRAFT)


def test_the_worker_of_a_cancelled_mission_writes_nothing_more(store: Store) -> None:
    scene = Scene(store)
    store.cancel_mission("m-1", "ann", NOON)
    late = scene.run_epoch
    for act in (
        partial(store.record, "m-1", "collect", {}, epoch=late),
        partial(store.finish, "m-1", a_report(), [], NOON, epoch=late),
        partial(waiting, scene, []),
    ):
        with pytest.raises(Fenced):
            act()
    store.release("m-1", epoch=scene.run_epoch)
    assert mission(store).state is MissionState.CANCELLED
    assert not store.recover()


def test_a_cancelled_change_is_not_begun_by_a_writer_that_was_at_it(
    store: Store, other: Store
) -> None:
    """Either it is cancelled and never begun, or begun and never cancelled."""
    for number in range(6):
        scene = Scene(store, f"m-{number}")
        name = f"c-{number}"
        scene.waits_for(a_row(name, mission=f"m-{number}"))
        scene.approved(name)
        for event in TO_APPLYING[:2]:
            scene.move(name, event)

        def begin(scene: Scene = scene, name: str = name) -> bool:
            try:
                scene.move(name, E.APPLY)
            except IllegalMove:
                return False
            return True

        def cancel(mission: str = scene.mission) -> bool:
            try:
                other.cancel_mission(mission, "ann", NOON)
            except Refused:
                return False
            return True

        with ThreadPoolExecutor(2) as threads:
            begun, cancelled = threads.submit(begin), threads.submit(cancel)
            assert begun.result() is not cancelled.result()
        assert scene.at(name).state is (S.APPLYING if begun.result() else S.REJECTED)


def test_a_failed_mission_that_is_resumed_looks_afresh_at_the_same_targets(store: Store) -> None:
    scene = Scene(store)
    store.record("m-1", "targets", ["east"], epoch=scene.run_epoch)
    store.record("m-1", "collect", {"now": "x"}, epoch=scene.run_epoch)
    store.recover()
    row = store.claim_mission("v", NOON)
    assert row is not None
    report = a_report(outcome=Outcome.FAILED)
    store.finish("m-1", report, [], NOON, epoch=row.epoch)
    with pytest.raises(Refused, match="is failed already"):
        store.cancel_mission("m-1", "ann", NOON)
    row = store.resume_mission("m-1", "ann", NOON)
    assert (row.state, row.crashes, row.reason, row.finished) == (MissionState.QUEUED, 0, "", None)
    assert store.journal("m-1") == {"targets": ["east"]}
    with pytest.raises(Refused, match="is queued"):
        store.resume_mission("m-1", "ann", NOON)
    again = store.claim_mission("v", NOON)
    assert again is not None
    store.finish("m-1", report, [a_delivery()], NOON, epoch=again.epoch)
    assert mission(store).state is MissionState.FAILED
    assert store.pending("web").waiting == 1


def test_a_waiting_mission_survives_a_restart(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(*rows("c-1"))
    store.add_mission(a_run("m-2"))
    assert not store.recover()
    assert mission(store).state is MissionState.WAITING
    claimed = store.claim_mission("v", NOON)
    assert claimed is not None
    assert claimed.id == "m-2"
