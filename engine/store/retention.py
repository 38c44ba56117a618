"""Retention: what ended long ago goes, a bounded part at a time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.mission import MissionState
from engine.store.database import Database, retried
from engine.store.leases import PROCESS
from engine.store.outbox import DeliveryState
from engine.store.schema import deliveries, firings, journal, leases, missions, signals, transitions

ROWS = 1000
"""Rows of each table deleted in one call."""
_ENDED = (MissionState.DONE.value, MissionState.FAILED.value)


class Retention(Database):
    """The part of the store that forgets."""

    @retried
    def prune(self, before: datetime) -> int:
        """Delete some of what ended before `before`; return how many rows, 0 when none is left.

        An open firing keeps all that belongs to it; so does a mission or a delivery that has
        not ended. Dead letters stay until they are dropped. Call it again while it returns
        more than 0.
        """
        with self.write() as connection:
            return sum(_delete(connection, column, old) for column, old in _old(to_us(before)))


def _old(before: int) -> Iterator[tuple[Any, Select[Any]]]:
    """Yield (key column, query of the keys to delete), children before parents."""
    live = select(firings.c.id).where(firings.c.state != State.RESOLVED.value)
    yield (
        deliveries.c.key,
        select(deliveries.c.key).where(_told(before), deliveries.c.incident.not_in(live)),
    )
    waited_for = select(deliveries.c.mission).distinct()
    ended = (missions.c.state.in_(_ENDED), missions.c.finished_at < before)
    own = missions.c.firing.not_in(live), missions.c.id.not_in(waited_for)
    yield missions.c.id, select(missions.c.id).where(*ended, *own)
    yield (
        journal.c.mission,
        select(journal.c.mission).where(
            journal.c.at < before, journal.c.mission.not_in(select(missions.c.id))
        ),
    )
    used = select(missions.c.firing).union(select(deliveries.c.incident))
    yield (
        firings.c.id,
        select(firings.c.id).where(firings.c.resolved_at < before, firings.c.id.not_in(used)),
    )
    yield (
        transitions.c.seq,
        select(transitions.c.seq).where(
            transitions.c.at < before, transitions.c.firing.not_in(select(firings.c.id))
        ),
    )
    causes = select(firings.c.cause).union(select(transitions.c.cause))
    yield (
        signals.c.id,
        select(signals.c.id).where(signals.c.kept_at < before, signals.c.id.not_in(causes)),
    )
    gone = leases.c.name.startswith(PROCESS) & (leases.c.until < before)
    yield leases.c.name, select(leases.c.name).where(gone)


def _told(before: int) -> ColumnElement[bool]:
    dropped = deliveries.c.dropped_at < before
    sent = (deliveries.c.state == DeliveryState.SENT.value) & (deliveries.c.ended_at < before)
    return sent | dropped


def _delete(connection: Connection, column: Any, old: Select[Any]) -> int:
    """Delete rows that are `old`, and stay so: one that another process works on is let be."""
    table: Table = column.table
    mine = old.limit(ROWS).with_for_update(skip_locked=True, of=table)
    keys = list(connection.execute(mine).scalars())
    return connection.execute(delete(table).where(column.in_(keys))).rowcount if keys else 0
