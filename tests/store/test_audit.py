"""The audit: a chain that shows every edit, also when many write it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert, select, update

from engine.model.change_row import Freeze, Step
from engine.model.errors import StoreError
from engine.model.report import Outcome
from engine.store.audit import Note, _hash, append
from engine.store.change_tables import audit, changes, writes
from engine.store.schema import meta
from tests.store.changes_of import TO_APPLYING, Scene, a_row, a_write
from tests.store.rows import NOON, SECOND, a_report, a_run

if TYPE_CHECKING:
    from typing import Any

    from engine.store.store import Store


@pytest.fixture
def audited(store: Store) -> Store:
    """A store with five entries."""
    scene = Scene(store)
    scene.waits_for(a_row())
    scene.approved()
    return store


def do(store: Store, statement: Any) -> None:
    with store.write() as connection:
        connection.execute(statement)


def test_every_move_is_one_entry_that_names_the_one_before_it(audited: Store) -> None:
    entries = audited.audit()
    assert [one.seq for one in entries] == [1, 2, 3, 4, 5]
    assert [one.prev for one in entries] == ["", *(one.hash for one in entries[:-1])]
    assert [(one.frm, one.to, one.actor) for one in entries] == [
        ("", "draft", "rule:crash-loop"),
        ("draft", "proposed", "writer"),
        ("proposed", "awaiting", "writer"),
        ("awaiting", "awaiting", "ann"),
        ("awaiting", "approved", "ann"),
    ]
    assert {(one.mission, one.change, one.at) for one in entries} == {("m-1", "c-1", NOON)}
    state = audited.verify_audit()
    assert (state.count, state.fault, state.head) == (5, "", entries[-1].hash)


def test_who_queues_cancels_or_resumes_a_mission_is_told(store: Store) -> None:
    for _ in range(2):  # the same order again is no second one
        store.add_mission(a_run("m-1", requester="ann", clusters=("east",), mode="apply"))
    store.add_mission(a_run("m-2"))  # nobody's
    row = store.claim_mission("v", NOON, "m-1")
    assert row is not None
    store.finish("m-1", a_report(outcome=Outcome.FAILED), [], NOON, epoch=row.epoch)
    store.resume_mission("m-1", "bob", NOON)
    store.cancel_mission("m-1", "eve", NOON)
    assert [(one.mission, one.frm, one.to, one.actor, one.reason) for one in store.audit()] == [
        ("m-1", "", "queued", "ann", "incident-response in east, mode apply"),
        ("m-1", "failed", "queued", "bob", ""),
        ("m-1", "queued", "cancelled", "eve", ""),
    ]
    assert store.verify_audit().fault == ""


def test_an_empty_chain_is_whole(store: Store) -> None:
    state = store.verify_audit()
    assert (state.count, state.fault, state.head) == (0, "", "")


def test_entries_are_found_by_what_they_are_about(audited: Store) -> None:
    audited.freeze(Freeze("all", "ann", "a sale", NOON))
    assert len(audited.audit(change="c-1")) == len(audited.audit(mission="m-1")) == 5
    assert [one.seq for one in audited.audit(limit=2)] == [5, 6]
    assert audited.audit(mission="m-2") == audited.audit(change="c-2") == []


EDITS = {
    "seq": 9,
    "mission": "m-2",
    "change": "c-2",
    "frm": "draft",
    "to": "rejected",
    "actor": "eve",
    "at": 0,
    "digest": "0" * 64,
    "reason": "no reason",
    "prev": "0" * 64,
    "hash": "0" * 64,
}


@pytest.mark.parametrize("seq", [1, 3, 5])
@pytest.mark.parametrize("column", EDITS)
def test_an_edit_of_any_column_of_any_entry_is_found(audited: Store, column: str, seq: int) -> None:
    do(audited, update(audit).where(audit.c.seq == seq).values({column: EDITS[column]}))
    assert audited.verify_audit().fault


def test_every_column_is_edited_above() -> None:
    assert set(EDITS) == {column.name for column in audit.columns}


def test_an_edit_whose_hash_was_made_anew_is_found_at_the_next_entry(audited: Store) -> None:
    with audited.write() as connection:
        row = dict(connection.execute(select(audit).where(audit.c.seq == 3)).one()._mapping)
        row["actor"] = "eve"
        row["hash"] = _hash(row)
        connection.execute(update(audit).where(audit.c.seq == 3).values(row))
    assert audited.verify_audit().fault.startswith("entry 4 does not follow")


@pytest.mark.parametrize("seq", [1, 3])
def test_a_removed_entry_is_found(audited: Store, seq: int) -> None:
    do(audited, delete(audit).where(audit.c.seq == seq))
    assert audited.verify_audit().fault == f"entry {seq} is missing"


@pytest.mark.parametrize("left", [0, 4])
def test_a_tail_that_is_cut_off_is_found(audited: Store, left: int) -> None:
    do(audited, delete(audit).where(audit.c.seq > left))
    assert audited.verify_audit().fault == (
        f"the chain was left at entry 5, and ends now at entry {left}"
    )


def test_two_entries_that_changed_places_are_found(audited: Store) -> None:
    for frm, to in ((3, 99), (4, 3), (99, 4)):
        do(audited, update(audit).where(audit.c.seq == frm).values(seq=to))
    assert audited.verify_audit().fault == "entry 3 (2026-01-31T12:00:00+00:00) was edited"


def test_an_entry_that_was_added_is_found(audited: Store) -> None:
    with audited.write() as connection:
        last = dict(connection.execute(select(audit).where(audit.c.seq == 5)).one()._mapping)
        forged = {**last, "seq": 6, "prev": last["hash"], "to": "verified"}
        forged["hash"] = _hash(forged)
        connection.execute(insert(audit).values(forged))
    assert audited.verify_audit().fault == "the chain was left at entry 5, and ends now at entry 6"


def test_a_head_that_was_removed_is_found_and_stops_all_changes(audited: Store) -> None:
    do(audited, delete(meta).where(meta.c.key == "audit-head"))
    assert audited.verify_audit().fault.startswith("the chain was left at entry 0")
    with pytest.raises(StoreError):
        audited.freeze(Freeze("all", "ann", "a sale", NOON))


def test_many_that_write_at_once_write_one_chain(audited: Store, other: Store) -> None:
    def act(number: int) -> None:
        at = (audited, other)[number % 2]
        at.freeze(Freeze(f"cluster/c-{number}", "ann", "a sale", NOON + number * SECOND))
        if number % 3 == 0:
            at.thaw(f"cluster/c-{number}", "ann", NOON)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(act, range(24)))
    state = other.verify_audit()
    assert (state.count, state.fault) == (5 + 24 + 8, "")


WRITES = {
    "change": "c-2",
    "step": "undo",
    "number": 9,
    "version": "8",
    "before": '{"spec":{"replicas":2}}',
    "at": 0,
    "outcome": "failed: no",
    "after": None,
    "ended_at": 0,
}


@pytest.fixture
def written(audited: Store) -> Store:
    """The same, and one write was begun twice, and done; of a second one nothing is known."""
    scene = Scene(audited, "m-2")
    for event in TO_APPLYING:
        scene.move("c-1", event)
    for outcome in ("failed: conflict", "done"):
        audited.begin_write("c-1", a_write(), epoch=scene.epoch)
        after = {"spec": {"replicas": 3, "note": "\x00"}}
        audited.end_write("c-1", Step.DO, 0, outcome, after, NOON, epoch=scene.epoch)
    audited.begin_write("c-1", a_write(number=1, before={"x": "\x00"}), epoch=scene.epoch)
    assert audited.verify_audit().fault == ""
    assert [one.to for one in audited.audit(change="c-1")[-5:]] == ["applying"] * 5
    return audited


@pytest.mark.parametrize("column", WRITES)
def test_an_edit_of_what_is_kept_of_a_write_is_found(written: Store, column: str) -> None:
    do(written, update(writes).where(writes.c.number == 0).values({column: WRITES[column]}))
    assert written.verify_audit().fault.startswith("what was kept of the write ")


def test_every_column_of_a_write_is_edited_above() -> None:
    assert {*WRITES, "seq"} == {column.name for column in writes.columns}


@pytest.mark.parametrize("number", [0, 1])
def test_a_write_that_is_not_kept_any_more_is_found(written: Store, number: int) -> None:
    do(written, delete(writes).where(writes.c.number == number))
    fault = f"what was kept of the write 'do {number}' of change c-1 is missing"
    assert written.verify_audit().fault == fault


def test_a_write_that_was_added_is_found(written: Store) -> None:
    with written.write() as connection:
        one = dict(connection.execute(select(writes).where(writes.c.number == 0)).one()._mapping)
        del one["seq"]
        connection.execute(insert(writes).values({**one, "number": 7}))
    assert written.verify_audit().fault == (
        "what was kept of the write 'do 7' of change c-1 is not as it was written"
    )


def test_what_was_forgotten_with_its_change_is_not_missed(written: Store) -> None:
    do(written, delete(changes))
    do(written, delete(writes))
    assert written.verify_audit().fault == ""


def test_text_of_any_kind_keeps_the_chain_whole(audited: Store) -> None:
    for reason in ("\x00", "\x01", "\x010", "ü\u2028", "'; DROP TABLE audit; --", "x" * 10_000):
        audited.freeze(Freeze("all", f"ann {reason}"[:500], reason, NOON))
    state = audited.verify_audit()
    assert (state.count, state.fault) == (11, "")


def test_a_long_chain_is_read_in_parts(audited: Store) -> None:
    notes = [Note("frozen", "ann", number, reason=str(number)) for number in range(3000)]
    with audited.write() as connection:
        append(connection, notes)
    assert audited.verify_audit().count == 3005
    do(audited, delete(audit).where(audit.c.seq == 2500))
    assert audited.verify_audit().fault == "entry 2500 is missing"
