"""The one way through which a change moves, with all that hangs on it.

Who moves one holds, in this order: the writer's lease (where it must be its own), the row of the
mission, that of the change, and last the audit. So the last change of a mission to be settled
sees all others, and nobody waits for each other.
"""

from typing import Any, Final

from sqlalchemy import Connection, Row, delete, exists, select, update

from engine.model.change_state import ChangeEvent, ChangeState, move
from engine.model.errors import Fenced, StoreError
from engine.model.mission import MissionEvent, MissionState
from engine.model.mission import move as move_mission
from engine.store.audit import Note
from engine.store.change_rows import due_at, settled
from engine.store.change_tables import changes, locks
from engine.store.schema import leases, missions

WRITER: Final = "writer"
"""Name of the lease whose holder alone writes to clusters."""
_MARKS: Final = {
    ChangeEvent.APPLY: "begun_at",
    ChangeEvent.FAIL: "failed_at",
    ChangeEvent.ROLL_BACK: "undone_at",
}
"""Moves whose instants the budgets and the breaker ask for."""


def fence(connection: Connection, epoch: int) -> None:
    """Let nobody else become the writer before the transaction ends.

    Raises:
        Fenced: somebody has, since the caller did.
    """
    mine = select(leases.c.epoch).where(leases.c.name == WRITER).with_for_update(read=True)
    now = connection.execute(mine).scalar()
    if now != epoch:
        raise Fenced(f"the lease '{WRITER}' has epoch {now}, this writer {epoch}: it lost it")


def held(connection: Connection, change: str) -> Row[Any]:
    """Return the row of `change`; nobody else moves it, or its mission, before the end.

    Raises:
        StoreError: there is no such change.
    """
    mission = connection.execute(
        select(changes.c.mission).where(changes.c.id == change)
    ).scalar_one_or_none()
    if mission is None:
        raise StoreError(f"there is no change '{change}'")
    held_mission(connection, mission)
    return connection.execute(select(changes).where(changes.c.id == change).with_for_update()).one()


def held_mission(connection: Connection, mission: str) -> Row[Any] | None:
    """Return the row of `mission`, which nobody else writes before the end; None if it is gone."""
    query = select(missions).where(missions.c.id == mission).with_for_update()
    return connection.execute(query).one_or_none()


def shift(
    connection: Connection, row: Row[Any], event: ChangeEvent, note: Note, **values: Any
) -> Note:
    """Move the change `row`, which is held, by `event`; return what the audit is to say.

    Where that ends it, or puts it off with nothing written, its locks are free; where it was the
    last one that its mission waits for, the mission is queued for its next phase.

    Args:
        connection: of the transaction.
        row: as it is.
        event: what happens to it.
        note: who moves it, when, and why; the rest is filled in.
        values: further columns.

    Raises:
        IllegalMove: the table has no such move.
    """
    to = move(ChangeState(row.state), event)
    new = {"state": to.value, "actor": note.actor, "reason": note.reason, **values}
    new["changed_at"] = note.at
    if event in _MARKS:
        new[_MARKS[event]] = note.at
    if to.final:
        new["next_at"] = None
    after = {**row._mapping, **new}  # noqa: SLF001 - the public name of it
    new["due_at"] = due_at(after)
    connection.execute(update(changes).where(changes.c.id == row.id).values(new))
    if to.final or event is ChangeEvent.HOLD:
        connection.execute(delete(locks).where(locks.c.change == row.id))
    wake_if_settled(connection, row.mission, row.phase)
    return Note(
        to=to.value,
        actor=note.actor,
        at=note.at,
        frm=row.state,
        reason=note.reason,
        mission=row.mission,
        change=row.id,
        digest=after["digest"],
    )


def wake_if_settled(connection: Connection, mission: str, phase: int) -> None:
    """Queue `mission` for its next phase where it waits for nothing more of `phase`."""
    row = held_mission(connection, mission)
    if row is None or row.state != MissionState.WAITING or row.phase != phase:
        return
    own = (changes.c.mission == mission) & (changes.c.phase == phase)
    if not connection.execute(select(exists().where(own, ~settled))).scalar():
        wake(connection, row)


def wake(connection: Connection, row: Row[Any]) -> None:
    """Queue the mission `row`, which waits and is held, for its next phase."""
    new = {
        "state": move_mission(MissionState(row.state), MissionEvent.WAKE),
        "phase": row.phase + 1,
        "wake_at": None,
        "owner": "",
    }
    connection.execute(update(missions).where(missions.c.id == row.id).values(new))
