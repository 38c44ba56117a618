"""The one spot that knows how databases differ."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

ROWS_AT_ONCE = 500
"""Rows of one statement; a statement takes a bounded number of parameters."""


def begin(connection: Connection) -> None:
    """Begin a transaction; one that writes takes SQLite's write lock before it reads.

    Otherwise another process may write between its reading and its writing.
    """
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_new(
    connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]], returning: Column[Any]
) -> list[Any]:
    """Insert the rows whose key is new; return `returning` of those, in the order of `rows`."""
    new: list[Any] = []
    given = list(rows)
    for start in range(0, len(given), ROWS_AT_ONCE):
        part = given[start : start + ROWS_AT_ONCE]
        statement = _insert(connection, table).values(part)
        found = connection.execute(statement.on_conflict_do_nothing().returning(returning))
        new.extend(found.scalars())
    return new


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`; where the primary key exists, replace the other columns."""
    if not rows:
        return
    statement = _insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return (
        postgresql.insert(table)
        if connection.dialect.name == "postgresql"
        else sqlite.insert(table)
    )
