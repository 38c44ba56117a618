"""The path of a change: what it is, who decided, what was written, and the audit of it all."""

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select

from engine.model.change import Draft
from engine.model.instant import from_us
from engine.store.change_tables import audit, changes, decisions, writes
from engine.store.record import Record, fields, iso
from engine.store.unreadable import UNREADABLE, unread


def mission_of(connection: Connection, change: str) -> str:
    """Return the id of the mission that proposed `change`, empty where there is no such change."""
    query = select(changes.c.mission).where(changes.c.id == change)
    return str(connection.execute(query).scalar() or "")


def changes_of(connection: Connection, mission: str) -> Iterator[Record]:
    """Yield what `mission` proposed, each change with all that became of it."""
    mine = (audit.c.mission == mission) & (audit.c.change == "")
    yield from _audited(connection, mine, mission)
    query = select(changes).where(changes.c.mission == mission).order_by(changes.c.seq)
    for row in connection.execute(query).all():
        yield _change(row)
        yield from _decided(connection, row.id)
        yield from _written(connection, row.id)
        yield from _audited(connection, audit.c.change == row.id, row.id)


def forgotten(connection: Connection, wanted: str) -> Iterator[Record]:
    """Yield what the audit tells of a mission or change that is forgotten itself."""
    if wanted:
        told = (audit.c.mission == wanted) | (audit.c.change == wanted)
        yield from _audited(connection, told, "")


def _change(row: Row[Any]) -> Record:
    what = {
        **fields(row, "state", "reason", "actor", "template", "mode", "digest", "requester"),
        "expires": iso(row.expires_at),
        "changed": iso(row.changed_at),
        **_read(row),
    }
    return Record("change", row.id, row.mission, from_us(row.created_at), what)


def _read(row: Row[Any]) -> dict[str, Any]:
    """Return what is to be read in a change; where it can not be, only that it is so."""
    try:
        draft = Draft.model_validate_json(row.draft)
        body = json.loads(row.body) if row.body else {}
        results = json.loads(row.results)
    except UNREADABLE as error:
        return {"title": unread("change", row.id, error)}
    return {
        "title": draft.title,
        "target": str(draft.target),
        "risk": body.get("risk", ""),
        "lines": body.get("lines", []),
        "results": results,
    }


def _decided(connection: Connection, change: str) -> Iterator[Record]:
    query = select(decisions).where(decisions.c.change == change).order_by(decisions.c.seq)
    for row in connection.execute(query).all():
        what = fields(row, "who", "verdict", "via", "stage", "typed", "comment", "digest")
        yield Record("decision", change, change, from_us(row.at), what)


def _written(connection: Connection, change: str) -> Iterator[Record]:
    query = select(writes).where(writes.c.change == change).order_by(writes.c.seq)
    for row in connection.execute(query).all():
        what = {
            "step": f"{row.step} {row.number}",
            "outcome": row.outcome,
            "version": row.version,
            "before": json.loads(row.before),
            "after": json.loads(row.after) if row.after is not None else None,
            "ended": iso(row.ended_at),
        }
        yield Record("write", change, change, from_us(row.at), what)


def _audited(connection: Connection, which: ColumnElement[bool], parent: str) -> Iterator[Record]:
    for row in connection.execute(select(audit).where(which).order_by(audit.c.seq)).all():
        what = fields(row, "seq", "frm", "to", "actor", "reason", "digest", "hash")
        yield Record("audit", row.change or row.mission, parent, from_us(row.at), what)
