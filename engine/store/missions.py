"""Missions in the store: queued once, claimed by one worker, journaled, finished whole."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.delivery import Delivery
from engine.model.errors import Fenced, StoreError
from engine.model.instant import to_us
from engine.model.mission import MissionEvent, MissionRow, MissionState, move
from engine.model.report import Outcome, Report
from engine.store.audit import Note, append
from engine.store.database import Database, retried
from engine.store.deliveries import add_deliveries
from engine.store.dialect import insert_new, upsert
from engine.store.mission_rows import mission_row, mission_values
from engine.store.schema import journal, missions
from engine.store.unreadable import UNREADABLE, unread


class Missions(Database):
    """The part of the store that holds missions.

    Who claims a mission gets an epoch with it; with another one nothing can be written to it.
    """

    @retried
    def add_mission(self, row: MissionRow) -> bool:
        """Queue the mission of a person, which the audit tells of; return whether it is new."""
        with self.write() as connection:
            new = bool(insert_new(connection, missions, [mission_values(row)], "id"))
            if new and row.requester:
                append(connection, [_ordered(row)])
            return new

    def claim_mission(
        self, owner: str, now: datetime, mission: str | None = None
    ) -> MissionRow | None:
        """Take the mission queued for longest, or `mission`; None where there is none.

        `owner` is `PROCESS/NAME`, one that runs a single mission at a time: what it still has
        when it asks for another one is queued again. It never heard of that one, because the
        answer was lost, or could not release it.
        """
        waiting = select(missions).where(missions.c.state == MissionState.QUEUED.value)
        if mission is not None:
            waiting = waiting.where(missions.c.id == mission)
        with self.read() as connection:  # an idle worker shall not take the write lock
            left = connection.execute(_held_by(owner).limit(1)).first()
            new = connection.execute(waiting.limit(1)).first()
        if left is not None:
            self._let_go(owner)
        elif new is None:
            return None
        oldest = waiting.order_by(missions.c.seq).limit(1).with_for_update(skip_locked=True)
        return self._claim(oldest, owner, now)

    @retried
    def _claim(self, oldest: Select[Any], owner: str, now: datetime) -> MissionRow | None:
        with self.write() as connection:
            row = connection.execute(oldest).one_or_none()
            if row is None:
                return None
            state = move(MissionState(row.state), MissionEvent.CLAIM)
            taken = {"state": state, "owner": owner, "started_at": to_us(now)}
            _set(connection, row.id, **taken, epoch=row.epoch + 1)
            return mission_row(connection.execute(_one(row.id)).one())

    @retried
    def _let_go(self, owner: str) -> None:
        held = _held_by(owner).order_by(missions.c.seq).with_for_update()
        with self.write() as connection:
            for row in connection.execute(held).all():
                state = move(MissionState.RUNNING, MissionEvent.RELEASE)
                _set(connection, row.id, state=state, owner="", epoch=row.epoch + 1)

    @retried
    def release(self, mission: str, *, epoch: int) -> None:
        """Queue again a mission that its worker lets go of in good order; no crash is counted.

        One that is not running any more stays as it is.

        Raises:
            Fenced: somebody else has it now.
        """
        with self.write() as connection:
            row = connection.execute(_one(mission)).one_or_none()
            if row is not None and row.state == MissionState.RUNNING:
                owned(row, epoch)
                state = move(MissionState.RUNNING, MissionEvent.RELEASE)
                _set(connection, mission, state=state, owner="")

    def journal(self, mission: str) -> dict[str, Any]:
        """Return step -> result of the steps that `mission` has behind it."""
        query = select(journal.c.step, journal.c.result).where(journal.c.mission == mission)
        with self.read() as connection:
            return dict(connection.execute(query).all())

    @retried
    def record(self, mission: str, step: str, result: Any, *, epoch: int) -> None:
        """Keep the result of a step; it is durable on return.

        Raises:
            Fenced: somebody else has the mission now.
            StoreError: there is no such mission.
        """
        row = {"mission": mission, "step": step, "result": result, "at": self.now_us()}
        with failpoint.around(Point.STEP_JOURNALED), self.write() as connection:
            owned(_there(connection, mission), epoch)
            upsert(connection, journal, [row])

    @retried
    def finish(
        self,
        mission: str,
        report: Report,
        deliveries: Sequence[Delivery],
        now: datetime,
        *,
        epoch: int,
    ) -> None:
        """End `mission` with its report and what to tell of it, in one transaction.

        It is failed where the report's outcome is; the same report a second time changes
        nothing.

        Raises:
            Fenced: somebody else has it now.
            IllegalMove: it is not running.
            StoreError: there is no such mission, or the store refused.
        """
        failed = report.outcome is Outcome.FAILED
        text = report.model_dump_json()
        with self.write() as connection:
            row = _there(connection, mission)
            if row.state != MissionState.RUNNING and row.report == text:
                return
            owned(row, epoch)
            event = MissionEvent.FAIL if failed else MissionEvent.FINISH
            _set(
                connection,
                mission,
                state=move(MissionState(row.state), event),
                outcome=report.outcome,
                total_phases=max(report.total_phases, row.phase),
                reason=report.summary if failed else "",
                report=text,
                finished_at=to_us(now),
            )
            add_deliveries(connection, deliveries, to_us(now))

    def missions(
        self, *, states: Iterable[MissionState] = (), kind: str = "", limit: int = 50
    ) -> list[MissionRow]:
        """Return the newest missions, those in one of `states` and of `kind` where given.

        One that can not be read is left out, and told of in the log.
        """
        query = select(missions).order_by(missions.c.seq.desc()).limit(limit)
        if wanted := [state.value for state in states]:
            query = query.where(missions.c.state.in_(wanted))
        if kind:
            query = query.where(missions.c.kind == kind)
        with self.read() as connection:
            rows = connection.execute(query).all()
        return [found for row in rows if (found := _sound(row)) is not None]

    def ended(self, since: datetime) -> list[str]:
        """Return the ids of the missions that ended from `since` on, in that order."""
        at = missions.c.finished_at
        query = select(missions.c.id).where(at >= to_us(since)).order_by(at, missions.c.seq)
        with self.read() as connection:
            return list(connection.execute(query).scalars())

    def mission(self, mission: str) -> MissionRow | None:
        """Return one mission by its id."""
        query = select(missions).where(missions.c.id == mission)
        with self.read() as connection:
            row = connection.execute(query).one_or_none()
            return mission_row(row) if row else None


def _sound(row: Row[Any]) -> MissionRow | None:
    try:
        return mission_row(row)
    except UNREADABLE as error:
        unread("mission", row.id, error)
        return None


def _ordered(row: MissionRow) -> Note:
    where = ", ".join(row.clusters) or "the clusters of its targets"
    reason = f"{row.kind} in {where}, mode {row.mode}"
    return Note(row.state.value, row.requester, to_us(row.created), reason=reason, mission=row.id)


def _there(connection: Connection, mission: str) -> Row[Any]:
    """Return the row of `mission`, which nobody else writes before the transaction ends."""
    row = connection.execute(_one(mission)).one_or_none()
    if row is None:
        raise StoreError(f"there is no mission '{mission}'")
    return row


def owned(row: Row[Any], epoch: int) -> None:
    """Raise Fenced where the mission `row` has another epoch than `epoch`."""
    if row.epoch != epoch:
        raise Fenced(f"mission {row.id} has epoch {row.epoch}, this worker {epoch}: it lost it")


def _held_by(owner: str) -> Select[Any]:
    running = missions.c.state == MissionState.RUNNING.value
    return select(missions).where(running, missions.c.owner == owner)


def _one(mission: str) -> Select[Any]:
    return select(missions).where(missions.c.id == mission).with_for_update()


def _set(connection: Connection, mission: str, **values: Any) -> None:
    connection.execute(update(missions).where(missions.c.id == mission).values(values))
