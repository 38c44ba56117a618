"""Gates: a mission waits for its changes, goes on, is cancelled, or begins anew."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, select, update

from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.delivery import Delivery
from engine.model.errors import Refused, StoreError
from engine.model.instant import to_us
from engine.model.mission import MissionEvent, MissionRow, MissionState, move
from engine.model.moved import Tell, nobody
from engine.model.report import Report
from engine.store.audit import Note, append
from engine.store.change_moves import held_mission, shift, wake, wake_if_settled
from engine.store.change_rows import new_values, settled
from engine.store.change_tables import changes
from engine.store.database import Database, retried
from engine.store.deciding import deny_all
from engine.store.deliveries import add_deliveries
from engine.store.dialect import insert_new
from engine.store.mission_rows import mission_row
from engine.store.missions import owned
from engine.store.schema import journal, missions

TARGETS: Final = "targets"
"""The step that says which clusters a mission is for; they are those of its start."""
_BEGUN = frozenset(
    {
        ChangeState.APPLYING,
        ChangeState.VERIFYING,
        ChangeState.VERIFY_FAILED,
        ChangeState.ROLLING_BACK,
    }
)


class Gates(Database):
    """The part of the store in which missions wait, and people stop them."""

    @retried
    def wait(  # noqa: PLR0913, PLR0917 - the contract of the runner
        self,
        mission: str,
        report: Report,
        rows: Sequence[ChangeRow],
        deliveries: Sequence[Delivery],
        now: datetime,
        wake_at: datetime,
        *,
        epoch: int,
    ) -> None:
        """End a leg of `mission` at a gate: its report so far, its drafts, what to tell of it.

        It goes on when all of `rows` are settled, at `wake_at` at the latest. Without `rows` it
        waits on for those of the phase before, as if it had not begun this one. The same call a
        second time changes nothing.

        Raises:
            Fenced: somebody else has it now.
            IllegalMove: it is not running.
            StoreError: there is no such mission, or the store refused.
        """
        text = report.model_dump_json()
        with self.write() as connection:
            row = held_mission(connection, mission)
            if row is None:
                raise StoreError(f"there is no mission '{mission}'")
            if row.state != MissionState.RUNNING and row.report == text:
                return
            owned(row, epoch)
            phase = row.phase if rows else _under_way(connection, row)
            new = {
                "state": move(MissionState(row.state), MissionEvent.WAIT),
                "report": text,
                "outcome": report.outcome,
                "phase": phase,
                "total_phases": max(report.total_phases, phase),
                "wake_at": to_us(wake_at),
                "owner": "",
            }
            _set(connection, mission, new)
            notes = _add_drafts(connection, rows, row.phase, to_us(now))
            add_deliveries(connection, deliveries, to_us(now))
            wake_if_settled(connection, mission, phase)
            append(connection, notes)

    def wake_due(self, now: datetime) -> list[str]:
        """Let the missions go on whose deadline has come; return which.

        A draft of theirs that nobody worked out is expired: a writer that starts later is not
        to begin with it.
        """
        waits = (missions.c.state == MissionState.WAITING.value) & (
            missions.c.wake_at <= to_us(now)
        )
        with self.read() as connection:  # who looks every second shall not take the write lock
            query = select(missions.c.id).where(waits).order_by(missions.c.wake_at).limit(100)
            found = connection.execute(query).scalars().all()
        return [mission for mission in found if self._wake(mission, now)]

    @retried
    def _wake(self, mission: str, now: datetime) -> bool:
        with self.write() as connection:
            row = held_mission(connection, mission)
            if row is None or row.wake_at is None or row.wake_at > to_us(now):
                return False
            wake(connection, row)
            append(connection, _expire_drafts(connection, row, to_us(now)))
            return True

    @retried
    def cancel_mission(
        self, mission: str, who: str, now: datetime, deliveries: Tell = nobody
    ) -> MissionRow:
        """End `mission`, and deny its changes; its worker writes nothing of it any more.

        Who was asked about one of them is told, by `deliveries`, in the same transaction.

        Raises:
            Refused: there is none, it has ended, or one of its changes is being written.
        """
        note = Note("", who, to_us(now), reason="the mission was cancelled")
        with self.write() as connection:
            row = _ordered(connection, mission)
            state = MissionState(row.state)
            if state in {MissionState.DONE, MissionState.FAILED, MissionState.CANCELLED}:
                raise Refused(f"mission {mission} is {state} already")
            _not_begun(connection, mission)
            new = {
                "state": move(state, MissionEvent.CANCEL),
                "reason": f"cancelled by {who}",
                "finished_at": to_us(now),
                "wake_at": None,
                "owner": "",
                "epoch": row.epoch + 1,
            }
            _set(connection, mission, new)
            denied = deny_all(connection, mission, note, deliveries)
            said = _moved(row, MissionState.CANCELLED, note.actor, note.at)
            append(connection, [said, *denied])
            return mission_row(_ordered(connection, mission))

    @retried
    def resume_mission(self, mission: str, who: str, now: datetime) -> MissionRow:
        """Queue a failed mission again, to look afresh at the same targets, its crashes forgiven.

        Raises:
            Refused: there is none, or it has not failed.
        """
        with self.write() as connection:
            row = _ordered(connection, mission)
            if row.state != MissionState.FAILED:
                raise Refused(f"mission {mission} is {row.state}; only a failed one is resumed")
            state = move(MissionState.FAILED, MissionEvent.RESUME)
            new = {
                "state": state,
                "reason": "",
                "outcome": "",
                "crashes": 0,
                "finished_at": None,
                "owner": "",
            }
            _set(connection, mission, new)
            seen = (journal.c.mission == mission) & (journal.c.step != TARGETS)
            connection.execute(delete(journal).where(seen))
            append(connection, [_moved(row, state, who, to_us(now))])
            return mission_row(_ordered(connection, mission))


def _under_way(connection: Connection, row: Row[Any]) -> int:
    """Return the phase whose changes the mission still waits for; the one before if for none."""
    open_ = (changes.c.mission == row.id) & ~settled
    latest = select(func.max(changes.c.phase)).where(open_)
    found: int | None = connection.execute(latest).scalar()
    return found or max(1, row.phase - 1)


def _add_drafts(
    connection: Connection, rows: Sequence[ChangeRow], phase: int, now_us: int
) -> list[Note]:
    """Keep the drafts that are new; return what the audit is to say."""
    values = [new_values(row, phase) for row in rows]
    new = set(insert_new(connection, changes, values, "id"))
    return [
        Note(
            ChangeState.DRAFT.value,
            row.requester,
            now_us,
            reason=row.draft.title,
            mission=row.mission,
            change=row.id,
        )
        for row in rows
        if row.id in new
    ]


def _expire_drafts(connection: Connection, row: Row[Any], now_us: int) -> list[Note]:
    drafts = (changes.c.mission == row.id) & (changes.c.state == ChangeState.DRAFT.value)
    note = Note("", "clock", now_us, reason="no writer worked it out before the deadline")
    found = connection.execute(select(changes).where(drafts).with_for_update()).all()
    return [shift(connection, draft, ChangeEvent.EXPIRE, note) for draft in found]


def _not_begun(connection: Connection, mission: str) -> None:
    begun = changes.c.state.in_([state.value for state in _BEGUN])
    query = select(changes).where(changes.c.mission == mission, begun).limit(1).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is not None:
        raise Refused(
            f"change {row.id} of mission {mission} is {row.state}: it is seen through to its end; "
            "cancel it afterwards, or freeze what follows"
        )


def _ordered(connection: Connection, mission: str) -> Row[Any]:
    row = held_mission(connection, mission)
    if row is None:
        raise Refused(f"there is no mission '{mission}'")
    return row


def _moved(row: Row[Any], to: MissionState, who: str, now_us: int) -> Note:
    return Note(to.value, who, now_us, frm=row.state, mission=row.id)


def _set(connection: Connection, mission: str, new: dict[str, Any]) -> None:
    connection.execute(update(missions).where(missions.c.id == mission).values(new))
