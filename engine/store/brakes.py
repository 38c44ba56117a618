"""Brakes: what is locked, what is frozen, and what was done lately."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, or_, select

from engine.failpoint import Point, around
from engine.model.change_row import ChangeRow, Freeze, Usage
from engine.model.change_state import ChangeState
from engine.model.errors import Frozen, IllegalMove
from engine.model.instant import from_us, to_us
from engine.store.audit import Note, append
from engine.store.change_moves import fence, held
from engine.store.change_rows import object_of, optional_us
from engine.store.change_tables import changes, freezes, locks
from engine.store.database import Database, retried
from engine.store.dialect import hold, insert_missing, upsert
from engine.store.schema import meta

HOUR: Final = timedelta(hours=1)
FAILURES_WITHIN: Final = timedelta(hours=48)
ALL: Final = "all"
"""The scope of a freeze that stops everything."""
CLUSTER: Final = "cluster/"
"""What the scope of a freeze of one cluster begins with."""
FROZEN, THAWED = "frozen", "thawed"
_THAWED: Final = "thawed-all"
"""Where `meta` keeps when everything was thawed last: what was rolled back before is forgiven."""


class Brakes(Database):
    """The part of the store that says what may not be done now."""

    def usage(self, row: ChangeRow, now: datetime) -> Usage:
        """Return what was done lately that counts for `row`, itself left out."""
        begun, target = changes.c.begun_at, row.draft.target
        others = changes.c.id != row.id
        own = (changes.c.object == object_of(target)) & others
        budget = select(func.count()).where(
            others, changes.c.cluster == target.cluster, begun > to_us(now - HOUR)
        )
        same = select(func.max(begun)).where(own, changes.c.template == row.draft.template)
        with self.read() as connection:
            last = connection.execute(same).scalar()
            return Usage(
                begun=connection.execute(budget).scalar_one(),
                rolled_back=_rolled_back(connection, now),
                failures=_failures(connection, own & (changes.c.rule == row.rule), now),
                same=None if last is None else from_us(last),
                freezes=tuple(_in_force(connection, now)),
            )

    @retried
    def take_locks(self, change: str, names: Sequence[str], *, epoch: int) -> str:
        """Let `change` alone work on what `names` stand for until it ends: on all, or on none.

        Returns:
            The id of another change that has one of them; empty where all are taken.

        Raises:
            Fenced: somebody else is the writer now.
            IllegalMove: it has ended, and would never let go.
            StoreError: there is no such change.
        """
        with around(Point.LOCK_TAKEN), self.write() as connection:
            fence(connection, epoch)
            row = held(connection, change)
            if ChangeState(row.state).final:
                raise IllegalMove(f"change {change} is {row.state}: it takes no locks")
            hold(connection, "locks")
            taken = (locks.c.name.in_(names)) & (locks.c.change != change)
            others = select(locks.c.change).where(taken).order_by(locks.c.name).limit(1)
            if (other := connection.execute(others).scalar()) is not None:
                return str(other)
            new = [{"name": name, "change": change} for name in sorted(set(names))]
            insert_missing(connection, locks, new)
            return ""

    @retried
    def freeze(self, freeze: Freeze) -> None:
        """Stop new changes in `freeze.scope`; one of the same person there is replaced."""
        since = to_us(freeze.since)
        row = {
            "scope": freeze.scope,
            "who": freeze.who,
            "reason": freeze.reason,
            "since": since,
            "until": optional_us(freeze.until),
        }
        until = f" until {freeze.until.isoformat()}" if freeze.until else ""
        reason = f"{freeze.scope}{until}: {freeze.reason}"
        with self.write() as connection:
            upsert(connection, freezes, [row])
            append(connection, [Note(FROZEN, freeze.who, since, reason=reason)])

    @retried
    def thaw(self, scope: str, who: str, now: datetime) -> bool:
        """End every freeze of exactly `scope`; return whether there was one."""
        at = to_us(now)
        with self.write() as connection:
            own = freezes.c.scope == scope
            gone = connection.execute(delete(freezes).where(own)).rowcount
            if not gone:
                return False
            if scope == ALL:
                upsert(connection, meta, [{"key": _THAWED, "value": str(at)}])
            append(connection, [Note(THAWED, who, at, frm=FROZEN, reason=scope)])
            return True

    def freezes(self, now: datetime) -> list[Freeze]:
        """Return the freezes in force, the oldest first."""
        with self.read() as connection:
            return _in_force(connection, now)


def let_pass(connection: Connection, cluster: str, at_us: int) -> None:
    """Raise Frozen where a freeze stops writes to `cluster` at `at_us`.

    A scope that is not understood stops everything.
    """
    for one in _in_force(connection, from_us(at_us)):
        elsewhere = one.scope.startswith(CLUSTER) and one.scope != CLUSTER + cluster
        if not elsewhere:
            raise Frozen(f"{one.scope} is frozen by {one.who}: {one.reason}")


def _in_force(connection: Connection, now: datetime) -> list[Freeze]:
    lasts = or_(freezes.c.until.is_(None), freezes.c.until > to_us(now))
    query = select(freezes).where(lasts).order_by(freezes.c.since, freezes.c.scope, freezes.c.who)
    return [_freeze(row) for row in connection.execute(query)]


def _freeze(row: Row[Any]) -> Freeze:
    until = None if row.until is None else from_us(row.until)
    return Freeze(row.scope, row.who, row.reason, from_us(row.since), until)


def _rolled_back(connection: Connection, now: datetime) -> int:
    """Return how many roll-backs began in the last hour, and since everything was thawed."""
    thawed = connection.execute(select(meta.c.value).where(meta.c.key == _THAWED)).scalar()
    since = max(to_us(now - HOUR), int(thawed or 0))
    query = select(func.count()).where(changes.c.undone_at > since)
    return connection.execute(query).scalar_one()


def _failures(connection: Connection, own: Any, now: datetime) -> tuple[datetime, ...]:
    at = changes.c.failed_at
    query = select(at).where(own, at > to_us(now - FAILURES_WITHIN)).order_by(at.desc())
    return tuple(from_us(one) for one in connection.execute(query).scalars())
