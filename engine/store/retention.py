"""Retention: what ended long ago goes, a bounded part at a time."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, exists, func, select

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.mission import MissionState
from engine.store.change_rows import settled
from engine.store.change_tables import changes, decisions, writes
from engine.store.database import Database, retried
from engine.store.leases import PROCESS
from engine.store.outbox import DeliveryState
from engine.store.schema import deliveries, firings, journal, leases, missions, signals, transitions

ROWS = 1000
"""Rows of each table deleted in one call."""
_ENDED = (MissionState.DONE.value, MissionState.FAILED.value, MissionState.CANCELLED.value)


class Retention(Database):
    """The part of the store that forgets."""

    @retried
    def prune(self, before: datetime) -> int:
        """Delete some of what ended before `before`; return how many rows, 0 when none is left.

        An open firing keeps all that belongs to it; so does a mission or a delivery that has
        not ended, a mission one of whose changes is open included. Dead letters stay until
        they are dropped, the audit for ever. Call it again while it returns more than 0.
        """
        with self.write() as connection:
            return sum(_delete(connection, column, old) for column, old in _old(to_us(before)))


def _old(before: int) -> Iterator[tuple[Any, Select[Any]]]:
    """Yield (key column, query of the keys to delete), children before parents."""
    live = firings.c.state != State.RESOLVED.value
    told = _told(before) & ~_any(firings.c.id == deliveries.c.incident, live)
    yield deliveries.c.key, select(deliveries.c.key).where(told)
    ended = missions.c.state.in_(_ENDED) & (missions.c.finished_at < before)
    own = ~_any(firings.c.id == missions.c.firing, live)
    waited_for = _any(deliveries.c.mission == missions.c.id)
    acts = _any(changes.c.mission == missions.c.id, ~settled)
    yield missions.c.id, select(missions.c.id).where(ended, own, ~waited_for, ~acts)
    yield from _old_changes(before)
    left = ~_any(missions.c.id == journal.c.mission)
    yield journal.c.mission, select(journal.c.mission).where(journal.c.at < before, left)
    used = _any(missions.c.firing == firings.c.id) | _any(deliveries.c.incident == firings.c.id)
    yield firings.c.id, select(firings.c.id).where(firings.c.resolved_at < before, ~used)
    left = ~_any(firings.c.id == transitions.c.firing)
    yield transitions.c.seq, select(transitions.c.seq).where(transitions.c.at < before, left)
    cause = _any(firings.c.cause == signals.c.id) | _any(transitions.c.cause == signals.c.id)
    yield signals.c.id, select(signals.c.id).where(signals.c.kept_at < before, ~cause)
    gone = leases.c.name.startswith(PROCESS) & (leases.c.until < before)
    yield leases.c.name, select(leases.c.name).where(gone)


def _old_changes(before: int) -> Iterator[tuple[Any, Select[Any]]]:
    left = ~_any(missions.c.id == changes.c.mission)
    old = func.coalesce(changes.c.changed_at, changes.c.created_at) < before
    yield changes.c.id, select(changes.c.id).where(old, left)
    for table in (decisions, writes):
        left = ~_any(changes.c.id == table.c.change)
        yield table.c.seq, select(table.c.seq).where(table.c.at < before, left)


def _any(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether some row of the other table is as `where` says; each is found by an index."""
    return exists().where(*where)


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
