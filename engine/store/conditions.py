"""Conditions found in the first stage: kept with their firing until the bus has them."""

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from engine.store.database import Database, retried
from engine.store.dialect import insert_missing
from engine.store.partitions import owned
from engine.store.schema import conditions


class Conditions(Database):
    """The part of the store that holds what is to be published."""

    def unpublished(self, partition: int, limit: int) -> list[tuple[int, str, bytes]]:
        """Return (seq, id, record) of what `partition` found and did not publish, oldest first."""
        table = conditions.c
        query = (
            select(table.seq, table.id, table.record)
            .where(table.partition == partition)
            .order_by(table.seq)
            .limit(limit)
        )
        with self.read() as connection:
            return [(row.seq, row.id, row.record) for row in connection.execute(query)]

    @retried
    def published(self, partition: int, epoch: int, upto_seq: int) -> None:
        """Forget what `partition` found, up to and with `upto_seq`.

        Raises:
            Fenced: a newer epoch was claimed; nothing was forgotten.
        """
        with self.write() as connection:
            owned(connection, partition, epoch)
            done = (conditions.c.partition == partition) & (conditions.c.seq <= upto_seq)
            connection.execute(delete(conditions).where(done))


def add_conditions(connection: Connection, partition: int, found: Mapping[str, bytes]) -> None:
    """Keep (id -> record), in this order; an id that is there is left as it is."""
    rows = [{"partition": partition, "id": i, "record": r} for i, r in found.items()]
    insert_missing(connection, conditions, rows)
