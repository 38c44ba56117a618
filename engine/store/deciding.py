"""Decisions: the first terminal one wins, one person counts once, a late one changes nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from engine.failpoint import Point, around
from engine.model.change import Change, Risk
from engine.model.change_row import ChangeRow, Decision, Judgement, Verdict
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.errors import Refused
from engine.model.instant import from_us, rfc3339, to_us
from engine.model.moved import Tell, nobody
from engine.store.audit import Note, append
from engine.store.change_moves import held, held_mission, shift
from engine.store.change_rows import change_rows, the_change
from engine.store.change_tables import changes, decisions
from engine.store.database import Database, retried
from engine.store.deliveries import add_deliveries

_OPEN = frozenset({ChangeState.PROPOSED, ChangeState.AWAITING})
_APPROVAL, _CONFIRMATION = "approval", "confirmation"
"""A person decides once in each."""
_EVENTS = {Verdict.APPROVE: ChangeEvent.APPROVE, Verdict.DENY: ChangeEvent.DENY}
_UNDENIED = {
    ChangeState.DRAFT: (ChangeEvent.DENY,),
    ChangeState.PROPOSED: (ChangeEvent.DENY,),
    ChangeState.AWAITING: (ChangeEvent.DENY,),
    ChangeState.APPROVED: (ChangeEvent.DENY,),
    ChangeState.PRECHECKING: (ChangeEvent.HOLD, ChangeEvent.DENY),
    ChangeState.DRY_RUN_OK: (ChangeEvent.HOLD, ChangeEvent.DENY),
}
"""How a change that nothing was written of yet is taken back."""


_UNASKED = frozenset({ChangeState.DRAFT, ChangeState.PROPOSED})
"""Nobody was asked about it yet, so that nobody need hear that it is over."""


class Deciding(Database):
    """The part of the store in which people decide."""

    def decide(
        self,
        decision: Decision,
        judge: Callable[[ChangeRow], Judgement],
        now: datetime,
        deliveries: Tell = nobody,
    ) -> ChangeRow:
        """Keep `decision`, and do what the decisions so far amount to, in one transaction.

        One that comes after `expires` ends the change instead, for good: a clock that is set
        back later revives nothing. A lockout-capable change that is being verified is confirmed,
        or not, by the same people: it does not move, and its writer looks at once.

        Args:
            decision: of one person, on one digest.
            judge: says what the decisions of a change amount to; may be asked twice.
            now: the wall clock.
            deliveries: who is told of the change as it is afterwards; may be asked twice.

        Returns:
            The change as it is afterwards.

        Raises:
            Refused: it does not count; says why.
        """
        with around(Point.APPROVAL_RECEIVED):
            row = self._decide(decision, judge, now, deliveries)
        if row.state is ChangeState.EXPIRED:
            raise Refused(f"change {row.id} is expired: {row.reason}")
        return row

    @retried
    def _decide(
        self,
        decision: Decision,
        judge: Callable[[ChangeRow], Judgement],
        now: datetime,
        deliveries: Tell,
    ) -> ChangeRow:
        with self.write() as connection:
            row = _open(connection, decision)
            if row.state == ChangeState.VERIFYING:
                notes = [_confirm(connection, row, decision, now)]
            elif row.expires_at is not None and row.expires_at <= to_us(now):
                notes = [_expire(connection, row, now)]
            else:
                notes = _count(connection, row, decision, judge, now)
            after = the_change(connection, row.id)
            add_deliveries(connection, deliveries(after), to_us(now))
            append(connection, notes)
            return after

    @retried
    def withdraw(self, mission: str, who: str, now: datetime, deliveries: Tell = nobody) -> int:
        """Deny all changes of `mission` of which nothing can have been written; return how many.

        Who was asked about one is told, by `deliveries`, in the same transaction.
        """
        note = Note("", who, to_us(now), reason="withdrawn")
        with self.write() as connection:
            held_mission(connection, mission)
            notes = deny_all(connection, mission, note, deliveries)
            append(connection, notes)
            return sum(note.to == ChangeState.REJECTED for note in notes)


def deny_all(connection: Connection, mission: str, note: Note, deliveries: Tell) -> list[Note]:
    """Take back the changes of `mission`, which is held; return what the audit is to say.

    `deliveries` says who is told of one about which somebody was asked.
    """
    before = changes.c.state.in_([state.value for state in _UNDENIED])
    query = select(changes).where(changes.c.mission == mission, before)
    notes = []
    for row in connection.execute(query.order_by(changes.c.seq).with_for_update()).all():
        for event in _UNDENIED[ChangeState(row.state)]:
            now = connection.execute(select(changes).where(changes.c.id == row.id)).one()
            notes.append(shift(connection, now, event, note))
        if row.state not in _UNASKED:
            (after,) = change_rows(connection, select(changes).where(changes.c.id == row.id))
            add_deliveries(connection, deliveries(after), note.at)
    return notes


def _open(connection: Connection, decision: Decision) -> Row[Any]:
    """Return the row that `decision` is about, held. Raises Refused where it can not count."""
    if not connection.execute(select(exists().where(changes.c.id == decision.change))).scalar():
        raise Refused(f"there is no change '{decision.change}'")
    row = held(connection, decision.change)
    if row.state not in _OPEN and not _is_confirmed(row):
        raise Refused(f"change {row.id} is {row.state} already{_by(row)}; nothing was done")
    if row.digest != decision.digest:
        raise Refused(
            f"change {row.id} is not the one that you saw (digest {decision.digest[:12]}, it has "
            f"{row.digest[:12]}); look at it again"
        )
    own = (decisions.c.change == row.id) & (decisions.c.who == decision.who)
    stage = decisions.c.stage == _stage(row)
    earlier = connection.execute(select(decisions).where(own, stage)).one_or_none()
    if earlier is not None:
        at = rfc3339(earlier.at)
        raise Refused(f"{decision.who} decided on change {row.id} at {at}: {earlier.verdict}")
    return row


def _is_confirmed(row: Row[Any]) -> bool:
    """Whether people are asked again while it is verified: did it lock them out?"""
    if row.state != ChangeState.VERIFYING:
        return False
    return Change.model_validate_json(row.body).risk is Risk.LOCKOUT


def _stage(row: Row[Any]) -> str:
    return _CONFIRMATION if row.state == ChangeState.VERIFYING else _APPROVAL


def _by(row: Row[Any]) -> str:
    at = f" at {rfc3339(row.changed_at)}" if row.changed_at else ""
    return f" ({row.actor}{at}{f': {row.reason}' if row.reason else ''})"


def _expire(connection: Connection, row: Row[Any], now: datetime) -> Note:
    reason = f"no decision before {from_us(row.expires_at).isoformat()}"
    note = Note("", "clock", to_us(now), reason=reason)
    return shift(connection, row, ChangeEvent.EXPIRE, note)


def _count(
    connection: Connection,
    row: Row[Any],
    decision: Decision,
    judge: Callable[[ChangeRow], Judgement],
    now: datetime,
) -> list[Note]:
    """Keep `decision`, and move the change where it decides; return what the audit is to say."""
    who, at = decision.who, to_us(now)
    notes = [_keep(connection, row, decision, at)]
    judged = judge(the_change(connection, row.id))
    if judged.verdict is not None:
        event, note = _EVENTS[judged.verdict], Note("", who, at, reason=judged.reason)
        notes.append(shift(connection, row, event, note, next_at=at))
    return notes


def _confirm(connection: Connection, row: Row[Any], decision: Decision, now: datetime) -> Note:
    """Keep `decision` for the writer to read; return what the audit is to say."""
    soon = {"next_at": to_us(now), "due_at": to_us(now)}
    connection.execute(update(changes).where(changes.c.id == row.id).values(soon))
    return _keep(connection, row, decision, to_us(now))


def _keep(connection: Connection, row: Row[Any], decision: Decision, now_us: int) -> Note:
    connection.execute(decisions.insert(), [_vote(decision, _stage(row))])
    said = f"{decision.verdict} by {decision.via}"
    return Note(
        row.state,
        decision.who,
        now_us,
        frm=row.state,
        reason=f"{said}: {decision.comment}" if decision.comment else said,
        mission=row.mission,
        change=row.id,
        digest=row.digest,
    )


def _vote(decision: Decision, stage: str) -> dict[str, Any]:
    return {
        "change": decision.change,
        "stage": stage,
        "digest": decision.digest,
        "who": decision.who,
        "verdict": decision.verdict.value,
        "via": decision.via,
        "at": to_us(decision.at),
        "typed": decision.typed,
        "comment": decision.comment,
    }
