"""The one spot that knows how databases differ in what is asked of them."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Table,
    Text,
    bindparam,
    cast,
    func,
    literal,
    text,
)
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_LOCKS = 0x4457
"""First half of the keys of our advisory locks in a database that others may share."""
_SHARES = 64
"""Advisory locks in all, which names share: a server has room for some thousand."""
_NOW_US = func.floor(func.extract("epoch", func.clock_timestamp()) * 1_000_000).cast(BigInteger)


def begin(connection: Connection) -> None:
    """Begin a transaction; one that writes takes SQLite's write lock before it reads.

    Otherwise another process may write between its reading and its writing.
    """
    if connection.dialect.name == "sqlite":
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def served(connection: Connection) -> bool:
    """Whether a server lets several processes write at once; SQLite has one writer at a time."""
    return connection.dialect.name == "postgresql"


def hold(connection: Connection, *names: str) -> None:
    """Let no other transaction that holds one of `names` go on before this one ends."""
    if served(connection) and names:
        keys = sorted({crc32(name.encode()) % _SHARES for name in names})
        lock = "SELECT pg_advisory_xact_lock(:ours, key) FROM unnest(CAST(:keys AS int[])) AS key"
        connection.execute(text(lock), {"ours": _LOCKS, "keys": keys})


def listed(connection: Connection, names: Sequence[str]) -> FromClause:
    """Return `names` as a table with the column `value`."""
    if served(connection):
        given = cast(bindparam("names", list(names), type_=ARRAY(Text)), ARRAY(Text))
        return func.unnest(given).table_valued("value").render_derived()
    return func.json_each(json.dumps(list(names))).table_valued("value")


def now_us(connection: Connection, wall_us: int) -> ColumnElement[int]:
    """Return the instant in microseconds since 1970 that all users of the database agree on.

    On a server it is the server's clock; on SQLite, which one machine uses, it is `wall_us`.
    """
    return _NOW_US if served(connection) else literal(wall_us, BigInteger)


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose unique columns are new; leave the others as they are."""
    if rows:
        connection.execute(insert(connection, table).on_conflict_do_nothing(), rows)


def insert_new(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str
) -> list[str]:
    """Insert the rows whose unique column `key` is new; return those keys, in order."""
    if not rows:
        return []
    statement = insert(connection, table).on_conflict_do_nothing().returning(table.c[key])
    new = set(connection.execute(statement, rows).scalars())
    return [name for name in dict.fromkeys(row[key] for row in rows) if name in new]


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`; where the primary key exists, replace the other columns."""
    if not rows:
        return
    statement = insert(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


def insert(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """Return an insert into `table` that knows `on_conflict_do_update`."""
    if served(connection):
        # Not imported where SQLite is used: that starts quicker so.
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        return postgresql.insert(table)
    return sqlite.insert(table)
