"""Firings: one row an episode, moved by its transitions, with its latest history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.firing import State, Transition
from engine.model.instant import from_us
from engine.store.database import Database
from engine.store.dialect import insert_missing, insert_new
from engine.store.schema import firings, transitions

HISTORY = 50
"""Transitions kept of each firing, the newest."""
Labels = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class FiringRow:
    """One episode; instants are stream time, aware UTC."""

    id: str
    rule: str
    key: Mapping[str, str]
    state: State
    opened: datetime
    resolved: datetime | None
    value: Mapping[str, Any]
    reason: str
    cause: str
    members: tuple[str, ...]
    member_count: int
    node: str
    labels: Mapping[str, str]


class Firings(Database):
    """The firings of the store, for reading."""

    def firings(
        self, *, states: Iterable[State] = (), rule: str = "", limit: int = 100
    ) -> list[FiringRow]:
        """Return the newest firings, those in one of `states` and of `rule` where given."""
        query = select(firings).order_by(firings.c.opened_at.desc(), firings.c.id).limit(limit)
        if wanted := [state.value for state in states]:
            query = query.where(firings.c.state.in_(wanted))
        if rule:
            query = query.where(firings.c.rule == rule)
        with self.read() as connection:
            return [_firing(row) for row in connection.execute(query)]

    def firing(self, firing: str) -> FiringRow | None:
        """Return one firing by its id."""
        with self.read() as connection:
            row = connection.execute(select(firings).where(firings.c.id == firing)).one_or_none()
            return _firing(row) if row else None


def apply_transitions(
    connection: Connection, found: Sequence[Transition], labels: Labels
) -> list[str]:
    """Write the transitions that belong to an episode; return the ids of new firings.

    A transition that is not newer than its firing changes nothing but may lengthen the
    history: so a replay of an old part of the log leaves the firing as it became later.
    """
    own = [move for move in found if move.firing]
    first = {move.firing: move for move in reversed(own)}
    opened = [_row(move, labels.get(move.rule, {})) for move in reversed(first.values())]
    if not own:
        return []
    with failpoint.around(Point.FIRING_STORED):
        new = insert_new(connection, firings, opened, "id")
        for move in own:
            _move(connection, move)
        history = [_history(move) for move in own]
        insert_missing(connection, transitions, history)
        for firing in first:
            _shorten(connection, firing)
    return new


def _row(move: Transition, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": move.firing,
        "rule": move.rule,
        "key": dict(move.key),
        "state": move.state.value,
        "opened_at": move.at,
        "changed_at": move.at,
        "resolved_at": move.at if move.state is State.RESOLVED else None,
        "value": dict(move.value),
        "reason": move.reason,
        "cause": move.cause,
        "members": list(move.members),
        "member_count": move.member_count,
        "node": move.node,
        "labels": dict(labels),
    }


def _move(connection: Connection, move: Transition) -> None:
    resolved = move.state is State.RESOLVED
    values: dict[str, Any] = {
        "state": move.state.value,
        "changed_at": move.at,
        "resolved_at": move.at if resolved else None,
        "reason": move.reason,
    }
    if not resolved:  # what was true when it fired is what a person wants to read later
        values |= {
            "value": dict(move.value),
            "members": list(move.members),
            "member_count": move.member_count,
        }
    # Nothing follows an end: a replay comes again, or a mission of what is over is held back.
    newer = and_(firings.c.changed_at <= move.at, firings.c.state != State.RESOLVED.value)
    connection.execute(update(firings).where(firings.c.id == move.firing, newer).values(values))


def _history(move: Transition) -> dict[str, Any]:
    return {
        "firing": move.firing,
        "at": move.at,
        "state": move.state.value,
        "reason": move.reason,
        "value": dict(move.value),
        "cause": move.cause,
    }


def _shorten(connection: Connection, firing: str) -> None:
    own = transitions.c.firing == firing
    newest = select(transitions.c.seq).where(own).order_by(transitions.c.seq.desc())
    last = connection.execute(newest.offset(HISTORY).limit(1)).scalar()
    if last is not None:
        connection.execute(delete(transitions).where(own, transitions.c.seq <= last))


def _firing(row: Row[Any]) -> FiringRow:
    return FiringRow(
        id=row.id,
        rule=row.rule,
        key=row.key,
        state=State(row.state),
        opened=from_us(row.opened_at),
        resolved=None if row.resolved_at is None else from_us(row.resolved_at),
        value=row.value,
        reason=row.reason,
        cause=row.cause,
        members=tuple(row.members),
        member_count=row.member_count,
        node=row.node,
        labels=row.labels,
    )
