"""Changes in the store: where each stands, moved by one writer at a time, and what it wrote."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from engine.failpoint import Point, around
from engine.model.change import ProbeResult
from engine.model.change_row import ChangeRow, Step, Written
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.delivery import Delivery
from engine.model.errors import IllegalMove, StoreError
from engine.model.instant import to_us
from engine.model.moved import Moved
from engine.store.audit import Note, append
from engine.store.brakes import let_pass
from engine.store.change_moves import fence, held, shift
from engine.store.change_rows import (
    ahead,
    change_rows,
    due_at,
    json_text,
    optional_us,
    results_text,
    sound_rows,
    the_change,
)
from engine.store.change_tables import changes, writes
from engine.store.database import Database, retried
from engine.store.deliveries import add_deliveries
from engine.store.write_marks import WRITER, mark

_DECIDED = (ChangeEvent.APPROVE, ChangeEvent.DENY)
_WRITES_IN = {Step.DO: ChangeState.APPLYING, Step.UNDO: ChangeState.ROLLING_BACK}
DONE = "done"
"""Outcome of a write that the server took."""


class Changes(Database):
    """The part of the store that holds changes.

    `epoch` is that of the lease `writer`: who lost it writes nothing (Fenced). People decide
    without one: see engine.store.deciding.
    """

    def changes(
        self, *, states: Iterable[ChangeState] = (), mission: str = "", limit: int = 50
    ) -> list[ChangeRow]:
        """Return the newest changes, those in one of `states` and of `mission` where given."""
        query = select(changes).order_by(changes.c.seq.desc()).limit(limit)
        if wanted := [state.value for state in states]:
            query = query.where(changes.c.state.in_(wanted))
        if mission:
            query = query.where(changes.c.mission == mission)
        with self.read() as connection:
            return change_rows(connection, query)

    def change(self, change: str) -> ChangeRow | None:
        """Return one change by its id, with its decisions and writes."""
        with self.read() as connection:
            found = change_rows(connection, select(changes).where(changes.c.id == change))
            return found[0] if found else None

    def due_changes(
        self, now: datetime, limit: int = 100, exclude: Iterable[str] = ()
    ) -> list[ChangeRow]:
        """Return what the writer has to look at, oldest first; only an index is read for it.

        `exclude` are ids of those that it has at hand, or lets rest: they stand in nobody's way.
        What a clock that was set back since would put off for long is looked at, too; what can not
        be read is left alone, and in nobody's way.
        """
        open_ = changes.c.due_at >= 0
        ripe = select(changes).where(open_, (changes.c.due_at <= to_us(now)) | ahead(now))
        if at_hand := list(exclude):
            ripe = ripe.where(changes.c.id.not_in(at_hand))
        with self.read() as connection:
            oldest_first = ripe.order_by(changes.c.due_at, changes.c.seq)
            return sound_rows(connection, oldest_first.limit(limit))

    @retried
    def move_change(  # noqa: PLR0913 - the contract of the writer
        self,
        change: str,
        frm: ChangeState,
        event: ChangeEvent,
        moved: Moved,
        now: datetime,
        *,
        epoch: int,
    ) -> ChangeRow:
        """Move `change` from `frm` by `event`, and tell of it, in one transaction.

        Returns:
            The change as it is now.

        Raises:
            Fenced: somebody else is the writer now.
            IllegalMove: it is not in `frm` any more, or the table has no such move; only
                `decide` approves and denies.
            StoreError: there is no such change.
        """
        if event in _DECIDED:
            raise IllegalMove(f"change {change}: '{event}' is a decision, see `decide`")
        if event is ChangeEvent.PROPOSE and moved.change is None:
            raise IllegalMove(f"change {change}: it is worked out with 'propose'")
        with self.write() as connection:
            fence(connection, epoch)
            row = _standing(held(connection, change), frm)
            _decided_on(row, moved)
            note = Note("", moved.actor, to_us(now), reason=moved.reason)
            said = shift(connection, row, event, note, **_brought(moved))
            add_deliveries(connection, moved.deliveries, to_us(now))
            append(connection, [said])
            return the_change(connection, change)

    @retried
    def touch_change(  # noqa: PLR0913 - the contract of the writer
        self,
        change: str,
        frm: ChangeState,
        *,
        next_at: datetime | None,
        results: Sequence[ProbeResult] | None = None,
        deliveries: Sequence[Delivery] = (),
        epoch: int,
    ) -> None:
        """Say when the writer looks at `change` again, which stays in `frm`.

        One that came to `frm` later than it is now, by a clock that was set back, came now.

        Raises:
            Fenced: somebody else is the writer now.
            IllegalMove: it is not in `frm` any more: a decision may have come.
            StoreError: there is no such change.
        """
        with self.write() as connection:
            fence(connection, epoch)
            row = _standing(held(connection, change), frm)
            new: dict[str, Any] = {"next_at": optional_us(next_at)}
            if row.changed_at is not None:
                new["changed_at"] = min(row.changed_at, self.now_us())
            if results is not None:
                new["results"] = results_text(results)
            new["due_at"] = due_at({**row._mapping, **new})  # noqa: SLF001 - the public name
            connection.execute(update(changes).where(changes.c.id == change).values(new))
            add_deliveries(connection, deliveries, self.now_us())

    @retried
    def begin_write(self, change: str, written: Written, *, epoch: int) -> None:
        """Keep what is about to be written, and what was there; it is durable on return.

        One that failed, or was found not to be done, may be begun again, and replaces it. What
        undoes something is begun while all is frozen, too.

        Raises:
            Fenced: somebody else is the writer now.
            Frozen: a freeze of everything, or of the cluster, is in force.
            IllegalMove: the change is not being applied (or rolled back), or this operation
                is done already.
            StoreError: there is no such change.
        """
        own = _operation(change, written.step, written.number)
        with around(Point.PRE_IMAGE_STORED), self.write() as connection:
            fence(connection, epoch)
            row = _standing(held(connection, change), _WRITES_IN[written.step])
            if written.step is Step.DO:
                let_pass(connection, row.cluster, to_us(written.at))
            before = connection.execute(select(writes.c.outcome).where(own)).scalar()
            if before == DONE:
                raise IllegalMove(f"change {change}: {_named(written)} is done already")
            connection.execute(delete(writes).where(own))
            new = {
                "change": change,
                "step": written.step.value,
                "number": written.number,
                "version": written.version,
                "before": json_text(written.before),
                "at": to_us(written.at),
                "outcome": "",
            }
            connection.execute(writes.insert(), [new])
            append(connection, [_marked(connection, row, own, to_us(written.at))])

    @retried
    def end_write(  # noqa: PLR0913, PLR0917 - the contract of the writer
        self,
        change: str,
        step: Step,
        number: int,
        outcome: str,
        after: Mapping[str, Any] | None,
        now: datetime,
        *,
        epoch: int,
    ) -> None:
        """Keep what became of a write that was begun: `done`, or `failed: WHY`.

        Raises:
            Fenced: somebody else is the writer now.
            IllegalMove: another outcome stands already.
            StoreError: it was never begun.
        """
        own = _operation(change, step, number)
        new = {"outcome": outcome, "after": json_text(after), "ended_at": to_us(now)}
        with self.write() as connection:
            fence(connection, epoch)
            row = held(connection, change)
            before = connection.execute(select(writes.c.outcome).where(own)).scalar()
            if before is None:
                raise StoreError(f"change {change}: {step} {number} was never begun")
            if before not in {"", outcome}:
                raise IllegalMove(f"change {change}: {step} {number} ended as '{before}'")
            connection.execute(update(writes).where(own).values(new))
            append(connection, [_marked(connection, row, own, to_us(now))])


def _standing(row: Row[Any], frm: ChangeState) -> Row[Any]:
    if row.state != frm:
        raise IllegalMove(f"change {row.id} is {row.state}, not {frm}")
    return row


def _decided_on(row: Row[Any], moved: Moved) -> None:
    """Let nothing take the place of what people decide on, or have decided on."""
    drafted = row.state == ChangeState.DRAFT
    if moved.change is not None and not drafted and moved.change.digest != row.digest:
        raise IllegalMove(f"change {row.id}: another digest than the one that was decided on")


def _brought(moved: Moved) -> dict[str, Any]:
    new: dict[str, Any] = {"next_at": optional_us(moved.next_at)}
    if moved.change is not None:
        new |= {"body": moved.change.model_dump_json(), "digest": moved.change.digest}
    if moved.expires is not None:
        new["expires_at"] = to_us(moved.expires)
    if moved.verify_from is not None:
        new["verify_from"] = to_us(moved.verify_from)
    if moved.results is not None:
        new["results"] = results_text(moved.results)
    return new


def _operation(change: str, step: Step, number: int) -> Any:
    of_change = (writes.c.change == change) & (writes.c.step == step.value)
    return of_change & (writes.c.number == number)


def _marked(connection: Connection, row: Row[Any], own: Any, at: int) -> Note:
    """Return what the audit is to say of the write `own` of the change `row`, which stays."""
    write = connection.execute(select(writes).where(own)).one()
    return Note(
        to=row.state,
        actor=WRITER,
        at=at,
        frm=row.state,
        reason=mark(write._asdict()),
        mission=row.mission,
        change=row.id,
        digest=row.digest,
    )


def _named(written: Written) -> str:
    return f"{written.step} {written.number}"
