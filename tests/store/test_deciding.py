"""Decisions: exactly one terminal one, one person counts once, none after the end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.failpoint import Point
from engine.model.change import Risk
from engine.model.change_row import Decision, Judgement, Verdict
from engine.model.change_state import ChangeEvent as E
from engine.model.change_state import ChangeState as S
from engine.model.errors import DogwatchError, IllegalMove, Refused, StoreError
from engine.model.mission import MissionState
from engine.model.moved import Moved
from tests.store.answers import an_answer_lost
from tests.store.changes_of import (
    HOUR,
    TO_APPLYING,
    Scene,
    a_change,
    a_decision,
    a_draft,
    a_row,
    a_target,
    one_is_enough,
    two_are_needed,
)
from tests.store.rows import NOON, SECOND, a_delivery

if TYPE_CHECKING:
    from engine.model.change_row import ChangeRow
    from engine.store.store import Store


@pytest.fixture
def scene(store: Store) -> Scene:
    scene = Scene(store)
    scene.waits_for(a_row())
    return scene


def test_a_decision_is_kept_with_who_said_what_and_why(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    given = a_decision(row, via="slack", typed="web", comment="go on")
    after = store.decide(given, one_is_enough, NOON + SECOND)
    assert (after.state, after.actor, after.reason) == (S.APPROVED, "ann", "ann said so")
    assert after.decisions == (given,)
    assert after.next_at == NOON + SECOND
    said = [(one.frm, one.to, one.actor, one.reason) for one in store.audit(change="c-1")]
    assert said[-2:] == [
        ("awaiting", "awaiting", "ann", "approve by slack: go on"),
        ("awaiting", "approved", "ann", "ann said so"),
    ]
    assert {one.digest for one in store.audit(change="c-1")[1:]} == {row.digest}


def test_two_distinct_people_are_two(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    waits = store.decide(a_decision(row, "ann"), two_are_needed, NOON)
    assert (waits.state, waits.next_at) == (S.AWAITING, row.next_at)
    with pytest.raises(Refused, match=r"ann decided on change c-1 at .*: approve"):
        store.decide(a_decision(row, "ann"), two_are_needed, NOON)
    after = store.decide(a_decision(row, "bob"), two_are_needed, NOON)
    assert after.state is S.APPROVED
    assert [one.who for one in after.decisions] == ["ann", "bob"]


def test_a_denial_ends_it_and_wakes_the_mission(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    no = a_decision(row, verdict=Verdict.DENY)
    assert store.decide(no, one_is_enough, NOON).state is S.REJECTED
    mission = store.mission("m-1")
    assert mission is not None
    assert (mission.state, mission.phase) == (MissionState.QUEUED, 2)


def test_what_was_not_seen_is_not_decided(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    for wrong, words in (
        ({"change": "c-9"}, "there is no change 'c-9'"),
        ({"digest": "0" * 64}, "not the one that you saw"),
        ({"digest": ""}, "not the one that you saw"),
    ):
        with pytest.raises(Refused, match=words):
            store.decide(a_decision(row, **wrong), one_is_enough, NOON)
    assert scene.at("c-1").decisions == ()


def test_a_draft_is_not_decided(store: Store, scene: Scene) -> None:
    with pytest.raises(Refused, match="is draft"):
        store.decide(a_decision(scene.at("c-1")), one_is_enough, NOON)


def test_a_late_click_sees_what_became_of_it(store: Store, scene: Scene) -> None:
    row = scene.approved()
    with pytest.raises(Refused, match=r"c-1 is approved already \(ann at 2026-01-31T12:00:00Z"):
        store.decide(a_decision(row, "bob", verdict=Verdict.DENY), one_is_enough, NOON)
    for event in TO_APPLYING:
        scene.move("c-1", event)
    with pytest.raises(Refused, match="is applying already"):
        store.decide(a_decision(row, "bob"), one_is_enough, NOON)


def test_after_its_time_nothing_counts_even_when_the_clock_goes_back(
    store: Store, scene: Scene
) -> None:
    row = scene.awaiting()
    assert row.expires is not None

    def tell(row: ChangeRow) -> list[object]:
        return [a_delivery(f"d-{row.state}")]

    with pytest.raises(Refused, match="c-1 is expired: no decision before"):
        store.decide(a_decision(row), one_is_enough, row.expires, tell)  # type: ignore[arg-type]
    for early in (NOON, NOON - timedelta(days=1), row.expires - SECOND):
        with pytest.raises(Refused, match="is expired already"):
            store.decide(a_decision(row, "bob"), one_is_enough, early)
    after = scene.at("c-1")
    assert (after.state, after.actor, after.decisions) == (S.EXPIRED, "clock", ())
    assert store.pending("web").waiting == 1
    mission = store.mission("m-1")
    assert mission is not None
    assert mission.state is MissionState.QUEUED


def test_a_moment_before_its_time_it_counts(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    assert row.expires is not None
    late = row.expires - timedelta(microseconds=1)
    assert store.decide(a_decision(row), one_is_enough, late).state is S.APPROVED


def test_what_the_writer_expired_is_not_revived(store: Store, scene: Scene) -> None:
    row = scene.awaiting()
    scene.move("c-1", E.EXPIRE, NOON + 4 * HOUR)
    with pytest.raises(Refused, match="is expired already"):
        store.decide(a_decision(row), one_is_enough, NOON)
    for event in E:
        with pytest.raises(IllegalMove):
            store.move_change("c-1", S.EXPIRED, event, Moved(), NOON, epoch=scene.epoch)


def test_of_many_that_decide_at_once_one_decision_stands(store: Store, other: Store) -> None:
    scene = Scene(store)
    names = [f"c-{number}" for number in range(6)]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    for name in names:
        row = scene.awaiting(name)

        def act(number: int, row: ChangeRow = row) -> str:
            at = (store, other)[number % 2]
            verdict = (Verdict.APPROVE, Verdict.DENY)[number % 2]
            try:
                if number % 4 == 3:
                    moved = at.move_change(
                        row.id, S.AWAITING, E.EXPIRE, Moved(), NOON, epoch=scene.epoch
                    )
                    return moved.state.value
                who = f"p-{number // 4}"
                given = a_decision(row, who, verdict=verdict)
                return at.decide(given, one_is_enough, NOON).state.value
            except (Refused, IllegalMove):
                return ""

        with ThreadPoolExecutor(8) as threads:
            said = [one for one in threads.map(act, range(8)) if one]
        after = scene.at(name)
        assert said == [after.state.value]
        assert len(after.decisions) == (after.state is not S.EXPIRED)
        moves = [one for one in store.audit(change=name) if one.frm == "awaiting" != one.to]
        assert [one.to for one in moves] == [after.state.value]
    assert store.verify_audit().fault == ""


def test_one_person_who_clicks_everywhere_at_once_is_one(store: Store, other: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    row = scene.awaiting()

    def click(number: int) -> bool:
        given = a_decision(row, "ann", via=("web", "slack")[number % 2])
        try:
            (store, other)[number % 2].decide(given, two_are_needed, NOON)
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(click, range(16))) == 1
    after = scene.at("c-1")
    assert (after.state, len(after.decisions)) == (S.AWAITING, 1)


def test_an_approval_is_used_once_by_many_that_begin(store: Store, other: Store) -> None:
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.approved()
    begun = []

    def begin(number: int) -> None:
        at = (store, other)[number % 2]
        frm = S.APPROVED
        try:
            for event in TO_APPLYING:
                row = at.move_change("c-1", frm, event, Moved(), NOON, epoch=scene.epoch)
                frm = row.state
        except DogwatchError:
            return
        begun.append(number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(begin, range(8)))
    assert len(begun) == 1
    for event in (E.APPLIED, E.VERIFY):
        scene.move("c-1", event)
    with pytest.raises(IllegalMove):
        scene.move("c-1", E.BEGIN)


def test_who_judges_sees_the_new_decision_and_a_fault_of_it_leaves_nothing(
    store: Store, scene: Scene
) -> None:
    row = scene.awaiting()
    seen: list[tuple[Decision, ...]] = []

    def judge(row: ChangeRow) -> Judgement:
        seen.append(row.decisions)
        raise StoreError("the groups can not be read")

    with pytest.raises(StoreError, match="groups"):
        store.decide(a_decision(row), judge, NOON)
    assert seen == [(a_decision(row),)]
    assert scene.at("c-1") == row
    assert store.verify_audit().count == 3


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("point", [Point.APPROVAL_RECEIVED, Point.COMMIT])
def test_a_decision_whose_answer_is_lost_counts_once(
    store: Store, scene: Scene, point: Point, side: str
) -> None:
    row = scene.awaiting()
    with pytest.raises(StoreError), an_answer_lost(point, side):
        store.decide(a_decision(row), one_is_enough, NOON)
    if side == "after":
        with pytest.raises(Refused, match="approved already"):
            store.decide(a_decision(row), one_is_enough, NOON)
    else:
        store.decide(a_decision(row), one_is_enough, NOON)
    after = scene.at("c-1")
    assert (after.state, len(after.decisions)) == (S.APPROVED, 1)


def test_withdrawn_is_what_was_not_begun(store: Store) -> None:
    scene = Scene(store)
    names = [f"c-{number}" for number in range(7)]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    scene.proposed("c-1")
    scene.awaiting("c-2")
    for name, events in (("c-3", 0), ("c-4", 1), ("c-5", 2), ("c-6", 3)):
        scene.approved(name)
        for event in TO_APPLYING[:events]:
            scene.move(name, event)
    assert store.withdraw("m-1", "engine", NOON) == 6
    assert [scene.at(name).state for name in names] == [S.REJECTED] * 6 + [S.APPLYING]
    assert scene.at("c-5").actor == "engine"
    assert store.withdraw("m-1", "engine", NOON) == 0
    mission = store.mission("m-1")
    assert mission is not None
    assert mission.state is MissionState.WAITING
    assert store.verify_audit().fault == ""


def test_what_may_lock_people_out_is_confirmed_by_those_who_approved_it(store: Store) -> None:
    scene = Scene(store)
    names = ["c-1", "c-2"]
    scene.waits_for(*(a_row(n, draft=a_draft(n, a_target(n).ref)) for n in names))
    for name, risk in (("c-1", Risk.LOCKOUT), ("c-2", Risk.DISRUPTIVE)):
        scene.approved(name, change=a_change(scene.at(name).draft, risk=risk))
        for event in (*TO_APPLYING, E.APPLIED):
            scene.move(name, event, next_at=NOON + 5.5 * HOUR)
    late = NOON + 5 * HOUR  # past the time of the approval
    row = store.decide(a_decision(scene.at("c-1"), at=late), two_are_needed, late)
    assert (row.state, row.next_at) == (S.VERIFYING, late)
    assert [(one.who, one.at) for one in row.decisions] == [("ann", NOON), ("ann", late)]
    assert [one.id for one in store.due_changes(late)] == ["c-1"]
    with pytest.raises(Refused, match="ann decided"):
        store.decide(a_decision(row), one_is_enough, late)
    with pytest.raises(Refused, match="is verifying already"):
        store.decide(a_decision(scene.at("c-2"), "bob"), one_is_enough, late)
