"""Missions in the store: queued once, claimed by one worker, journaled, finished whole."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, select, update

from engine.model.delivery import Delivery
from engine.model.errors import StoreError
from engine.model.firing import Launch
from engine.model.instant import from_us, to_us
from engine.model.mission import MAX_CRASHES, MissionEvent, MissionRow, MissionState, move
from engine.model.report import Outcome, Report
from engine.store.database import Database
from engine.store.deliveries import add_deliveries
from engine.store.dialect import insert_new, upsert
from engine.store.schema import journal, missions


@dataclass(frozen=True)
class Recovered:
    """Missions whose worker died: `queued` go on, `spent` crashed too often to be run again."""

    queued: tuple[str, ...] = ()
    spent: tuple[MissionRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.queued or self.spent)


class Missions(Database):
    """The part of the store that holds missions."""

    def add_mission(self, row: MissionRow) -> bool:
        """Queue the mission of a person; return whether it is new."""
        with self.write() as connection:
            return bool(insert_new(connection, missions, [_values(row)], "id"))

    def claim_mission(
        self, owner: str, now: datetime, mission: str | None = None
    ) -> MissionRow | None:
        """Take the mission queued for longest, or `mission`; None where there is none."""
        waiting = select(missions).where(missions.c.state == MissionState.QUEUED.value)
        if mission is not None:
            waiting = waiting.where(missions.c.id == mission)
        oldest = waiting.order_by(missions.c.seq).limit(1).with_for_update(skip_locked=True)
        with self.read() as connection:  # an idle worker shall not take the write lock
            if connection.execute(waiting.limit(1)).first() is None:
                return None
        with self.write() as connection:
            row = connection.execute(oldest).one_or_none()
            if row is None:
                return None
            state = move(MissionState(row.state), MissionEvent.CLAIM)
            _set(connection, row.id, state=state, owner=owner, started_at=to_us(now))
            return _mission(connection.execute(_one(row.id)).one())

    def release(self, mission: str) -> None:
        """Queue again a mission that its worker lets go of in good order; no crash is counted.

        One that is not running any more stays as it is.
        """
        with self.write() as connection:
            row = connection.execute(_one(mission)).one_or_none()
            if row is not None and row.state == MissionState.RUNNING:
                state = move(MissionState.RUNNING, MissionEvent.RELEASE)
                _set(connection, mission, state=state, owner="")

    def recover(self) -> Recovered:
        """Queue again what a dead process left running; the owner of the store calls it first.

        One that crashed `MAX_CRASHES` times stays running: finish it with a failed report.
        """
        queued, spent = [], []
        running = select(missions).where(missions.c.state == MissionState.RUNNING.value)
        with self.write() as connection:
            for row in connection.execute(running.order_by(missions.c.seq)).all():
                crashes = row.crashes + 1
                if crashes < MAX_CRASHES:
                    state = move(MissionState.RUNNING, MissionEvent.CRASH)
                    _set(connection, row.id, state=state, owner="", crashes=crashes)
                    queued.append(row.id)
                else:
                    _set(connection, row.id, crashes=crashes)
                    spent.append(replace(_mission(row), crashes=crashes))
        return Recovered(tuple(queued), tuple(spent))

    def journal(self, mission: str) -> dict[str, Any]:
        """Return step -> result of the steps that `mission` has behind it."""
        query = select(journal.c.step, journal.c.result).where(journal.c.mission == mission)
        with self.read() as connection:
            return dict(connection.execute(query).all())

    def record(self, mission: str, step: str, result: Any) -> None:
        """Keep the result of a step; it is durable on return."""
        row = {"mission": mission, "step": step, "result": result, "at": self.now_us()}
        with self.write() as connection:
            upsert(connection, journal, [row])

    def finish(
        self, mission: str, report: Report, deliveries: Sequence[Delivery], now: datetime
    ) -> None:
        """End `mission` with its report and what to tell of it, in one transaction.

        It is failed where the report's outcome is; the same report a second time changes
        nothing.

        Raises:
            IllegalMove: it is not running.
            StoreError: there is no such mission, or the store refused; nothing was written.
        """
        failed = report.outcome is Outcome.FAILED
        text = report.model_dump_json()
        with self.write() as connection:
            row = connection.execute(_one(mission)).one_or_none()
            if row is None:
                raise StoreError(f"there is no mission '{mission}'")
            if row.report == text:
                return
            event = MissionEvent.FAIL if failed else MissionEvent.FINISH
            _set(
                connection,
                mission,
                state=move(MissionState(row.state), event),
                outcome=report.outcome,
                reason=report.summary if failed else "",
                report=text,
                finished_at=to_us(now),
            )
            add_deliveries(connection, deliveries, to_us(now))

    def missions(
        self, *, states: Iterable[MissionState] = (), kind: str = "", limit: int = 50
    ) -> list[MissionRow]:
        """Return the newest missions, those in one of `states` and of `kind` where given."""
        query = select(missions).order_by(missions.c.seq.desc()).limit(limit)
        if wanted := [state.value for state in states]:
            query = query.where(missions.c.state.in_(wanted))
        if kind:
            query = query.where(missions.c.kind == kind)
        with self.read() as connection:
            return [_mission(row) for row in connection.execute(query)]

    def ended(self, since: datetime) -> list[str]:
        """Return the ids of the missions that ended from `since` on, in that order."""
        at = missions.c.finished_at
        query = select(missions.c.id).where(at >= to_us(since)).order_by(at, missions.c.seq)
        with self.read() as connection:
            return list(connection.execute(query).scalars())

    def mission(self, mission: str) -> MissionRow | None:
        """Return one mission by its id."""
        with self.read() as connection:
            row = connection.execute(_one(mission)).one_or_none()
            return _mission(row) if row else None


def add_launches(connection: Connection, launches: Iterable[Launch], now_us: int) -> list[str]:
    """Queue the missions that are new; return their ids."""
    rows = [
        _values(
            MissionRow(
                id=launch.mission,
                kind=launch.kind,
                params=launch.params,
                created=from_us(now_us),
                rule=launch.rule,
                firing=launch.firing,
                key=launch.key,
                clusters=launch.clusters,
                depth=launch.depth,
            )
        )
        for launch in launches
    ]
    return insert_new(connection, missions, rows, "id")


def _one(mission: str) -> Select[Any]:
    return select(missions).where(missions.c.id == mission).with_for_update()


def _set(connection: Connection, mission: str, **values: Any) -> None:
    connection.execute(update(missions).where(missions.c.id == mission).values(values))


def _values(row: MissionRow) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "params": dict(row.params),
        "rule": row.rule,
        "firing": row.firing,
        "key": dict(row.key),
        "clusters": list(row.clusters),
        "state": row.state.value,
        "outcome": row.outcome,
        "reason": row.reason,
        "crashes": row.crashes,
        "depth": row.depth,
        "owner": row.owner,
        "created_at": to_us(row.created),
    }


def _mission(row: Row[Any]) -> MissionRow:
    return MissionRow(
        id=row.id,
        kind=row.kind,
        params=row.params,
        created=from_us(row.created_at),
        rule=row.rule,
        firing=row.firing,
        key=row.key,
        clusters=tuple(row.clusters),
        state=MissionState(row.state),
        outcome=row.outcome,
        reason=row.reason,
        crashes=row.crashes,
        depth=row.depth,
        owner=row.owner,
        started=None if row.started_at is None else from_us(row.started_at),
        finished=None if row.finished_at is None else from_us(row.finished_at),
        report=None if row.report is None else Report.model_validate_json(row.report),
    )
