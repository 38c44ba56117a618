"""The audit: one chain of hashes over all that was decided and done, and its check."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, select

from engine.model.change_row import Entry
from engine.model.ids import digest
from engine.model.instant import from_us
from engine.store.change_tables import audit
from engine.store.database import Database
from engine.store.dialect import hold, upsert
from engine.store.schema import meta
from engine.store.write_marks import Key, edited, marked

_HEAD: Final = "audit-head"
"""Where `meta` keeps the last entry's seq and hash, apart from the entries."""


@dataclass(frozen=True)
class Note:
    """What an entry is made of; instants in microseconds since 1970."""

    to: str
    actor: str
    at: int
    frm: str = ""
    reason: str = ""
    mission: str = ""
    change: str = ""
    digest: str = ""


class Head(NamedTuple):
    """The last entry of the chain; the first one follows seq 0 and an empty hash."""

    seq: int = 0
    hash: str = ""


@dataclass(frozen=True)
class AuditState:
    """What a check of the chain found.

    Attributes:
        count: entries that were read.
        fault: the first thing that is wrong, in words; empty for a chain that is whole.
        head: hash of the last entry. Who kept it elsewhere can tell that all was written anew.
    """

    count: int
    fault: str
    head: str


class Audit(Database):
    """The part of the store that can be checked for edits."""

    def audit(self, *, mission: str = "", change: str = "", limit: int = 1000) -> list[Entry]:
        """Return the newest entries, of `mission` or `change` where given, oldest first."""
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        if mission:
            query = query.where(audit.c.mission == mission)
        if change:
            query = query.where(audit.c.change == change)
        with self.read() as connection:
            return [entry(row) for row in connection.execute(query)][::-1]

    def verify_audit(self) -> AuditState:
        """Read the whole chain; an entry that was edited, removed, added or moved is found.

        So is an edit of what is kept of a write: what was there before it, and what came of it.
        """
        with self.read() as connection:
            head = _head(connection)
            query = select(audit).order_by(audit.c.seq).execution_options(yield_per=1000)
            marks: dict[Key, str] = {}
            with connection.execute(query) as rows:
                count, fault = _checked(rows, head, marks)
            return AuditState(count, fault or edited(connection, marks), head.hash)


def append(connection: Connection, notes: Sequence[Note]) -> None:
    """Add `notes` to the chain. Call it last: nobody else appends before the transaction ends."""
    if not notes:
        return
    hold(connection, _HEAD)
    rows = list(_chained(_head(connection), notes))
    connection.execute(audit.insert(), rows)
    head = f"{rows[-1]['seq']}:{rows[-1]['hash']}"
    upsert(connection, meta, [{"key": _HEAD, "value": head}])


def entry(row: Row[Any]) -> Entry:
    """Return a row of the table as what it stands for."""
    return Entry(
        seq=row.seq,
        mission=row.mission,
        change=row.change,
        frm=row.frm,
        to=row.to,
        actor=row.actor,
        at=from_us(row.at),
        digest=row.digest,
        reason=row.reason,
        prev=row.prev,
        hash=row.hash,
    )


def _head(connection: Connection) -> Head:
    value = connection.execute(select(meta.c.value).where(meta.c.key == _HEAD)).scalar()
    seq, _, last = (value or "0:").partition(":")
    return Head(int(seq), last)


def _chained(head: Head, notes: Iterable[Note]) -> Iterator[dict[str, Any]]:
    for note in notes:
        row = {**vars(note), "seq": head.seq + 1, "prev": head.hash}
        head = Head(head.seq + 1, _hash(row))
        yield {**row, "hash": head.hash}


def _hash(row: dict[str, Any]) -> str:
    return digest({name: value for name, value in row.items() if name != "hash"})


def _checked(rows: Iterable[Row[Any]], head: Head, marks: dict[Key, str]) -> tuple[int, str]:
    """Return how many rows there are up to the first fault, and that fault.

    The last mark of each write goes into `marks`.
    """
    last, count = Head(), 0
    for row in rows:
        count += 1
        if fault := _fault(row, last):
            return count, fault
        if (mark := marked(row)) is not None:
            marks[mark[0]] = mark[1]
        last = Head(row.seq, row.hash)
    if last != head:
        return count, f"the chain was left at entry {head.seq}, and ends now at entry {last.seq}"
    return count, ""


def _fault(row: Row[Any], last: Head) -> str:
    if row.seq != last.seq + 1:
        return f"entry {last.seq + 1} is missing"
    if _hash(dict(row._mapping)) != row.hash:  # noqa: SLF001 - the public name of it
        return f"entry {row.seq} ({from_us(row.at).isoformat()}) was edited"
    if row.prev != last.hash:
        return f"entry {row.seq} does not follow the one before it: that one was edited"
    return ""
