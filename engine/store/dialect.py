"""The one spot that knows how databases differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def begin(connection: Connection) -> None:
    """Begin a transaction; one that writes takes SQLite's write lock before it reads.

    Otherwise another process may write between its reading and its writing.
    """
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose unique columns are new; leave the others as they are."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str
) -> list[str]:
    """Insert the rows whose unique column `key` is new; return those keys, in order."""
    if not rows:
        return []
    statement = _insert(connection, table).on_conflict_do_nothing().returning(table.c[key])
    new = set(connection.execute(statement, rows).scalars())
    return [name for name in dict.fromkeys(row[key] for row in rows) if name in new]


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
