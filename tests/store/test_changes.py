"""Changes: moved by the one writer, from where they are, with all that hangs on it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event as events
from sqlalchemy import text

from engine.failpoint import Point
from engine.model.change_row import Step
from engine.model.change_state import ChangeEvent as E
from engine.model.change_state import ChangeState as S
from engine.model.errors import Fenced, IllegalMove, StoreError
from engine.model.mission import MissionState
from engine.model.moved import Moved
from tests.store.answers import an_answer_lost
from tests.store.changes_of import (
    HOUR,
    Scene,
    a_change,
    a_decision,
    a_draft,
    a_row,
    a_target,
    a_write,
    one_is_enough,
)
from tests.store.rows import NOON, SECOND, a_delivery
from tests.store.test_leases import run_out

if TYPE_CHECKING:
    from engine.store.store import Store
    from tests.store.rows import Hand


def test_a_draft_is_kept_whole_and_due_at_once(store: Store) -> None:
    scene = Scene(store)
    row = a_row(sinks=("ops",), mode="plan", approval="policy", firing="f-1")
    scene.waits_for(row)
    assert store.change("c-1") == row
    assert store.due_changes(NOON) == [row]
    assert store.change("c-2") is None


def test_a_change_goes_its_way_and_tells_who_moved_it(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    row = scene.proposed(reason="worked out")
    assert (row.state, row.actor, row.reason, row.changed) == (
        S.PROPOSED,
        "writer",
        "worked out",
        NOON,
    )
    assert row.change == a_change(a_draft())
    assert row.digest == a_change(a_draft()).digest
    assert row.expires == NOON + 4 * HOUR
    told = a_delivery("d-ask")
    row = scene.move("c-1", E.ASK, next_at=NOON + HOUR, deliveries=[told])
    assert (row.state, row.next_at) == (S.AWAITING, NOON + HOUR)
    assert store.pending("web").waiting == 1
    row = store.decide(a_decision(row), one_is_enough, NOON + SECOND)
    assert (row.state, row.actor, row.next_at) == (S.APPROVED, "ann", NOON + SECOND)
    for event in (E.BEGIN, E.DRY_RUN, E.APPLY, E.APPLIED, E.VERIFY):
        row = scene.move("c-1", event, verify_from=NOON)
    assert (row.state, row.next_at, row.verify_from) == (S.VERIFIED, None, NOON)
    assert [one.state for one in store.changes(states=[S.VERIFIED], mission="m-1")] == [row.state]
    assert store.changes(states=[S.EXPIRED]) == store.changes(mission="m-2") == []


def test_a_change_moves_only_from_where_it_is(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    row = scene.awaiting()
    for frm, event in ((S.PROPOSED, E.ASK), (S.APPROVED, E.BEGIN), (S.AWAITING, E.BEGIN)):
        with pytest.raises(IllegalMove):
            store.move_change("c-1", frm, event, Moved(), NOON, epoch=scene.epoch)
    with pytest.raises(StoreError, match="no change 'c-9'"):
        store.move_change("c-9", S.DRAFT, E.EXPIRE, Moved(), NOON, epoch=scene.epoch)
    assert scene.at("c-1") == row


@pytest.mark.parametrize("event", [E.APPROVE, E.DENY])
def test_the_writer_neither_approves_nor_denies(store: Store, event: E) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.awaiting()
    with pytest.raises(IllegalMove, match="is a decision"):
        scene.move("c-1", event)


def test_what_was_approved_is_not_replaced_afterwards(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    with pytest.raises(IllegalMove, match="worked out with 'propose'"):
        scene.move("c-1", E.PROPOSE)
    scene.approved()
    with pytest.raises(IllegalMove, match="another digest"):
        scene.move("c-1", E.BEGIN, change=a_change(a_draft(), replicas=9))
    same = a_change(a_draft()).model_copy(update={"notes": ["seen anew"]})
    scene.move("c-1", E.BEGIN, change=same)
    row = scene.at("c-1")
    assert (row.change, row.digest) == (same, a_change(a_draft()).digest)


def test_a_draft_that_is_refused_may_show_what_it_would_have_been(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    row = scene.move("c-1", E.CONFLICT, change=a_change(a_draft()))
    assert (row.state, row.change) == (S.CONFLICT, a_change(a_draft()))


def test_who_lost_the_lease_writes_nothing(store: Store, other: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row("c-1"), a_row("c-2", draft=a_draft("c-2", a_target("db").ref)))
    scene.applying("c-1")
    store.begin_write("c-1", a_write(), epoch=scene.epoch)
    before, audited = store.changes(), store.audit()
    run_out(store, "writer")
    assert other.acquire("writer", "v", 30) == scene.epoch + 1
    late = scene.epoch
    told = [a_delivery()]
    for act in (
        lambda: store.move_change(
            "c-2", S.DRAFT, E.EXPIRE, Moved(deliveries=told), NOON, epoch=late
        ),
        lambda: store.touch_change("c-1", S.APPLYING, next_at=NOON, deliveries=told, epoch=late),
        lambda: store.begin_write("c-1", a_write(number=1), epoch=late),
        lambda: store.end_write("c-1", Step.DO, 0, "done", {}, NOON, epoch=late),
    ):
        with pytest.raises(Fenced, match="this writer 1"):
            act()
    assert (store.changes(), store.audit()) == (before, audited)
    assert store.pending("web").waiting == 0


def test_without_a_lease_nobody_is_the_writer(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    with store.write() as connection:
        connection.execute(text("DELETE FROM leases"))
    with pytest.raises(Fenced):
        scene.proposed()


def test_what_is_not_due_is_not_looked_at(store: Store) -> None:
    scene = Scene(store)
    names = ["c-1", "c-2", "c-3"]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    scene.awaiting("c-2")
    scene.approved("c-3")
    for event in (E.BEGIN, E.REFUSE):
        scene.move("c-3", event)
    assert [row.id for row in store.due_changes(NOON)] == ["c-1"]
    assert [row.id for row in store.due_changes(NOON + 2 * HOUR)] == ["c-1", "c-2"]
    assert [row.id for row in store.due_changes(NOON + 2 * HOUR, limit=1)] == ["c-1"]


def test_what_is_at_hand_stands_in_nobodys_way(store: Store) -> None:
    scene = Scene(store)
    names = [f"c-{number}" for number in range(4)]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    found = store.due_changes(NOON, 2, {"c-0", "c-1", "c-9"})
    assert [row.id for row in found] == ["c-2", "c-3"]
    assert store.due_changes(NOON, exclude=iter(names)) == []


def test_a_clock_that_is_set_back_a_day_puts_off_no_look(store: Store, clock: Hand) -> None:
    scene = Scene(store)
    names = ["c-1", "c-2", "c-3"]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    clock.at = back = NOON - 24 * HOUR
    touch = partial(store.touch_change, epoch=scene.epoch)
    touch("c-1", S.DRAFT, next_at=NOON + 60 * SECOND)
    scene.awaiting("c-2")
    assert [row.id for row in store.due_changes(back)] == ["c-3", "c-1", "c-2"]
    touch("c-1", S.DRAFT, next_at=back + 60 * SECOND)
    touch("c-2", S.AWAITING, next_at=NOON + 2 * HOUR)
    touch("c-3", S.DRAFT, next_at=back + 60 * SECOND)
    assert store.due_changes(back) == []
    assert scene.at("c-2").changed == back
    assert [row.id for row in store.due_changes(back + 60 * SECOND)] == ["c-1", "c-3"]


def test_a_plan_is_looked_at_again_only_when_it_expires(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row(mode="plan"))
    assert scene.proposed().settled
    assert store.due_changes(NOON + 3 * HOUR) == []
    assert [row.id for row in store.due_changes(NOON + 4 * HOUR)] == ["c-1"]


def test_a_touch_puts_off_and_keeps_what_was_seen(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.awaiting()
    told = [a_delivery()]
    store.touch_change("c-1", S.AWAITING, next_at=NOON + HOUR, deliveries=told, epoch=scene.epoch)
    assert scene.at("c-1").next_at == NOON + HOUR
    assert store.pending("web").waiting == 1
    assert len(store.audit(change="c-1")) == 3


def test_a_touch_that_comes_after_a_decision_puts_nothing_off(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.approved()
    with pytest.raises(IllegalMove, match="is approved, not awaiting"):
        store.touch_change("c-1", S.AWAITING, next_at=NOON + HOUR, epoch=scene.epoch)
    assert [row.id for row in store.due_changes(NOON)] == ["c-1"]


def test_the_intent_is_durable_before_and_the_outcome_after(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.applying()
    intent = a_write()
    store.begin_write("c-1", intent, epoch=scene.epoch)
    assert scene.at("c-1").written == (intent,)
    after = {"spec": {"replicas": 3}}
    for _ in range(2):  # the answer may have been lost
        store.end_write("c-1", Step.DO, 0, "done", after, NOON + SECOND, epoch=scene.epoch)
    (done,) = scene.at("c-1").written
    assert (done.outcome, done.after, done.ended) == ("done", after, NOON + SECOND)
    with pytest.raises(IllegalMove, match="ended as 'done'"):
        store.end_write("c-1", Step.DO, 0, "failed: no", None, NOON, epoch=scene.epoch)
    with pytest.raises(StoreError, match="never begun"):
        store.end_write("c-1", Step.DO, 1, "done", None, NOON, epoch=scene.epoch)


def test_what_is_done_is_not_begun_again_but_what_failed_is(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.applying()
    for version, outcome in (("7", "failed: conflict"), ("8", ""), ("9", "done")):
        store.begin_write("c-1", a_write(version=version), epoch=scene.epoch)
        if outcome:
            store.end_write("c-1", Step.DO, 0, outcome, None, NOON, epoch=scene.epoch)
    with pytest.raises(IllegalMove, match="do 0 is done already"):
        store.begin_write("c-1", a_write(), epoch=scene.epoch)
    assert [(one.version, one.outcome) for one in scene.at("c-1").written] == [("9", "done")]


def test_nothing_is_begun_outside_of_applying_and_rolling_back(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.approved()
    for event in (E.BEGIN, E.DRY_RUN):
        with pytest.raises(IllegalMove):
            store.begin_write("c-1", a_write(), epoch=scene.epoch)
        scene.move("c-1", event)
    scene.move("c-1", E.APPLY)
    with pytest.raises(IllegalMove):
        store.begin_write("c-1", a_write(Step.UNDO), epoch=scene.epoch)
    for event in (E.APPLIED, E.FAIL, E.ROLL_BACK):
        scene.move("c-1", event)
    with pytest.raises(IllegalMove):
        store.begin_write("c-1", a_write(), epoch=scene.epoch)
    store.begin_write("c-1", a_write(Step.UNDO), epoch=scene.epoch)
    scene.move("c-1", E.ROLLED_BACK)
    with pytest.raises(IllegalMove):
        store.begin_write("c-1", a_write(Step.UNDO, 1), epoch=scene.epoch)


def test_the_last_change_to_be_settled_wakes_the_mission(store: Store) -> None:
    scene = Scene(store)
    names = ["c-1", "c-2"]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    scene.move("c-1", E.REFUSE)
    row = store.mission("m-1")
    assert row is not None
    assert (row.state, row.phase, row.wake_at) == (MissionState.WAITING, 1, NOON + 10 * HOUR)
    scene.move("c-2", E.CONFLICT)
    row = store.mission("m-1")
    assert row is not None
    assert (row.state, row.phase, row.wake_at) == (MissionState.QUEUED, 2, None)


def test_a_move_whose_answer_is_lost_was_made_once(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    with pytest.raises(StoreError, match="lost"), an_answer_lost():
        scene.proposed()
    assert scene.at("c-1").state is S.PROPOSED
    with pytest.raises(StoreError, match="lost"), an_answer_lost(side="before"):
        scene.move("c-1", E.ASK)
    assert scene.at("c-1").state is S.PROPOSED
    assert [one.to for one in store.audit(change="c-1")] == ["draft", "proposed"]


def test_a_pre_image_is_stored_or_it_is_not(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.applying()
    for side in ("before", "after"):
        with pytest.raises(StoreError), an_answer_lost(Point.PRE_IMAGE_STORED, side):
            store.begin_write("c-1", a_write(), epoch=scene.epoch)
        assert len(scene.at("c-1").written) == (side == "after")


def test_what_is_due_is_found_by_an_index_among_100_000_that_ended(store: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    columns = "mission, phase, rule, firing, cluster, object, template, draft, digest, reason, actor, mode, approval, requester, results, sinks, created_at"  # noqa: E501
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        f"INSERT INTO changes (id, state, {columns}) "
        f"SELECT 'o-' || i, 'verified', {columns} FROM n, changes WHERE id = 'c-1'"
    )
    with store.write() as connection:
        connection.execute(text(numbers))
    asked: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        asked.append((given[2], given[3]))

    events.listen(store._reading, "before_cursor_execute", note)
    assert [row.id for row in store.due_changes(NOON)] == ["c-1"]
    events.remove(store._reading, "before_cursor_execute", note)
    statement, given = next(one for one in asked if "due_at <=" in one[0])
    word = "EXPLAIN" if store._served else "EXPLAIN QUERY PLAN"
    with store.write() as connection:
        connection.execute(text("ANALYZE changes"))
    with store.read() as connection:
        plan = str(connection.exec_driver_sql(f"{word} {statement}", given).all())
    assert "ix_changes_due_at" in plan
