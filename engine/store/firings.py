"""Firings: one row an episode, moved by its transitions, with its latest history."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.firing import State, Transition
from engine.model.instant import from_us
from engine.store.database import Database
from engine.store.dialect import insert_missing, insert_new
from engine.store.schema import firings, transitions

HISTORY = 50
"""Transitions kept of each firing, the newest."""
PART = 500
"""Firings asked for in one query."""
Labels = Mapping[str, Mapping[str, str]]

_END = (
    update(firings)
    # Nothing follows an end: a replay comes again, or a mission of what is over is held back.
    .where(firings.c.id == bindparam("firing"), firings.c.state != State.RESOLVED.value)
    .where(firings.c.changed_at <= bindparam("at"))
    .values(state=bindparam("to"), reason=bindparam("why"), changed_at=bindparam("at"))
    .values(resolved_at=bindparam("at"))
)
# What was true when it fired is what a person wants to read after its end.
_MOVE = _END.values(
    value=bindparam("was"), members=bindparam("of"), member_count=bindparam("count")
).values(resolved_at=None)


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
        for resolved, moves in groupby(own, key=lambda move: move.state is State.RESOLVED):
            connection.execute(_END if resolved else _MOVE, [_moved(move) for move in moves])
        history = [_history(move) for move in own]
        insert_missing(connection, transitions, history)
        _shorten(connection, list(first))
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


def _moved(move: Transition) -> dict[str, Any]:
    """Return the parameters of _MOVE or _END."""
    moved = {"firing": move.firing, "at": move.at, "to": move.state.value, "why": move.reason}
    if move.state is State.RESOLVED:
        return moved
    members = {"of": list(move.members), "count": move.member_count}
    return {**moved, **members, "was": dict(move.value)}


def _history(move: Transition) -> dict[str, Any]:
    return {
        "firing": move.firing,
        "at": move.at,
        "state": move.state.value,
        "reason": move.reason,
        "value": dict(move.value),
        "cause": move.cause,
    }


def _shorten(connection: Connection, touched: Sequence[str]) -> None:
    """Forget the oldest transitions of those that have more than HISTORY."""
    own = transitions.c.firing
    for start in range(0, len(touched), PART):
        some = own.in_(touched[start : start + PART])
        long = select(own).where(some).group_by(own).having(func.count() > HISTORY)
        for firing in connection.execute(long).scalars().all():
            newest = select(transitions.c.seq).where(own == firing)
            last = newest.order_by(transitions.c.seq.desc()).offset(HISTORY).limit(1)
            connection.execute(
                delete(transitions).where(
                    own == firing, transitions.c.seq <= last.scalar_subquery()
                )
            )


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
