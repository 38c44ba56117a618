"""The row of a partition: who owns it, and how far its log was folded."""

import zlib
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select, update

from engine.model.errors import Fenced, StoreError
from engine.store.dialect import insert_missing
from engine.store.schema import partitions


class Position(NamedTuple):
    """Where a partition stands.

    Attributes:
        next_offset: the record to fold next.
        appended_us: when the record before `next_offset` came onto the bus, in microseconds
            since 1970; 0 before the first, or where the bus does not say.
        epoch: of the owner; 0 before the first.
        rules: digest of the rule set in force then.
    """

    next_offset: int = 0
    appended_us: int = 0
    epoch: int = 0
    rules: str = ""


def position(connection: Connection, partition: int) -> Position:
    """Return where `partition` stands, at the beginning where it was never claimed.

    Raises:
        StoreError: what is stored is not what was written.
    """
    query = select(partitions).where(partitions.c.partition == partition)
    row = connection.execute(query).one_or_none()
    return Position() if row is None else checked(connection, row)


def claimed(connection: Connection, partition: int) -> int:
    """Take `partition` until the transaction ends, and for good; return the new epoch."""
    insert_missing(connection, partitions, [_row(partition, Position())])
    at = _locked(connection, partition)
    move(connection, partition, at._replace(epoch=at.epoch + 1))
    return at.epoch + 1


def owned(connection: Connection, partition: int, epoch: int) -> Position:
    """Return where `partition` stands; nobody else claims it before the transaction ends.

    Raises:
        Fenced: another epoch than `epoch` is in force.
    """
    at = _locked(connection, partition)
    if at.epoch != epoch:
        raise Fenced(f"partition {partition} has epoch {at.epoch}, this writer {epoch}: it lost it")
    return at


def move(connection: Connection, partition: int, to: Position) -> None:
    """Let `partition` stand at `to`."""
    row = _row(partition, to)
    connection.execute(update(partitions).where(partitions.c.partition == partition).values(row))


def checked(connection: Connection, row: Row[Any]) -> Position:
    """Return the position in a row of the table. Raises StoreError where it is damaged."""
    if checksum(row.epoch, row.next_offset, row.rules) != row.checksum:
        place = connection.engine.url.database
        raise StoreError(f"{place}: checkpoint {row.partition} is damaged; restore a backup")
    return Position(row.next_offset, row.appended_us, row.epoch, row.rules)


def checksum(*parts: bytes | str | int) -> int:
    """Return a checksum of `parts` in their order."""
    total = 0
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        total = zlib.crc32(b"%d:" % len(content) + content, total)
    return total


def _locked(connection: Connection, partition: int) -> Position:
    query = select(partitions).where(partitions.c.partition == partition).with_for_update()
    row = connection.execute(query).one_or_none()
    return Position() if row is None else checked(connection, row)


def _row(partition: int, at: Position) -> dict[str, int | str]:
    return {
        "partition": partition,
        "epoch": at.epoch,
        "next_offset": at.next_offset,
        "rules": at.rules,
        "checksum": checksum(at.epoch, at.next_offset, at.rules),
        "appended_us": at.appended_us,
    }
