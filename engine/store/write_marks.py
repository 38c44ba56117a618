"""Marks: the audit holds a hash of what was there before and after each write, and finds edits."""

import re
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from engine.model.ids import digest
from engine.model.moved import Moved
from engine.store.change_tables import changes, writes

WRITER: Final = Moved().actor
"""Who marks writes."""
_COVERED: Final = [column.name for column in writes.columns if column.name != "seq"]
_MARK: Final = re.compile(r"(do|undo) (\d+), sha256 ([0-9a-f]{64})")
Key = tuple[str, str, int]
"""Change, step and number of a write."""


def mark(write: Mapping[str, Any]) -> str:
    """Return the reason with which the audit marks `write`, one whole row."""
    return f"{write['step']} {write['number']}, sha256 {_hash(write)}"


def marked(entry: Row[Any]) -> tuple[Key, str] | None:
    """Return the write that an entry of the audit is about, and its hash; None for any other."""
    found = _MARK.fullmatch(entry.reason)
    if found is None or entry.actor != WRITER or entry.frm != entry.to:
        return None
    step, number, hashed = found.groups()
    return (entry.change, step, int(number)), hashed


def edited(connection: Connection, marks: Mapping[Key, str]) -> str:
    """Return the first write that is not as its last mark says, in words; empty where all are.

    What is forgotten with its change is not missed.
    """
    left = dict(marks)
    query = select(writes).order_by(writes.c.seq).execution_options(yield_per=100)
    with connection.execute(query) as rows:
        for row in rows:
            key = (row.change, row.step, row.number)
            if left.pop(key, "") != _hash(row._asdict()):
                return f"{_named(key)} is not as it was written"
    known = set(connection.execute(select(changes.c.id)).scalars()) if left else set()
    return next((f"{_named(key)} is missing" for key in left if key[0] in known), "")


def _hash(write: Mapping[str, Any]) -> str:
    return digest({name: write[name] for name in _COVERED})


def _named(key: Key) -> str:
    change, step, number = key
    return f"what was kept of the write '{step} {number}' of change {change}"
