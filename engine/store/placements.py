"""Placements: which partition the signals of a cluster go to, for good."""

from sqlalchemy import BigInteger, Text, cast, select

from engine.store.database import Database, retried
from engine.store.dialect import insert, insert_missing
from engine.store.schema import meta, placements

_RELIST = "relist/"


class Placements(Database):
    """The part of the store that knows where clusters are, and what watchers are asked for."""

    @retried
    def place(self, cluster: str, partition: int) -> int:
        """Put `cluster` into `partition` if it is nowhere yet; return where it is."""
        with self.write() as connection:
            insert_missing(connection, placements, [{"cluster": cluster, "partition": partition}])
            own = select(placements.c.partition).where(placements.c.cluster == cluster)
            return int(connection.execute(own).scalar_one())

    def placements(self) -> dict[str, int]:
        """Return cluster -> partition of every cluster ever seen."""
        with self.read() as connection:
            query = select(placements.c.cluster, placements.c.partition)
            return dict(connection.execute(query.order_by(placements.c.cluster)).all())

    @retried
    def ask_relist(self, partition: int) -> None:
        """Ask the watchers of the clusters in `partition` to list everything again."""
        with self.write() as connection:
            first = insert(connection, meta).values(key=f"{_RELIST}{partition}", value="1")
            more = cast(cast(meta.c.value, BigInteger) + 1, Text)
            connection.execute(
                first.on_conflict_do_update(index_elements=[meta.c.key], set_={"value": more})
            )

    def relists(self) -> dict[int, int]:
        """Return partition -> how often its watchers were asked to list again."""
        asked = meta.c.key.startswith(_RELIST, autoescape=True)
        with self.read() as connection:
            rows = connection.execute(select(meta.c.key, meta.c.value).where(asked)).all()
        return {int(key.removeprefix(_RELIST)): int(value) for key, value in rows}
