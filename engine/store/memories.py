"""What watchers remember over restarts: small values by cluster, watcher and key."""

from collections.abc import Collection, Mapping

from sqlalchemy import select

from engine.store.database import Database, retried
from engine.store.schema import memories


class Memories(Database):
    """The part of the store that watchers remember by."""

    def memories(self, cluster: str, watcher: str, keys: Collection[str] = ()) -> dict[str, bytes]:
        """Return what `watcher` of `cluster` remembers of `keys`; of all where none are named."""
        named = (memories.c.cluster == cluster) & (memories.c.watcher == watcher)
        if keys:
            named &= memories.c.key.in_(keys)
        with self.read() as connection:
            query = select(memories.c.key, memories.c.value).where(named)
            return {key: bytes(value) for key, value in connection.execute(query)}

    def remembering(self, watcher: str) -> list[str]:
        """Return the clusters of which `watcher` remembers something, in order."""
        named = memories.c.watcher == watcher
        with self.read() as connection:
            query = select(memories.c.cluster).where(named).distinct().order_by("cluster")
            return [cluster for (cluster,) in connection.execute(query)]

    @retried
    def remember(self, cluster: str, watcher: str, changes: Mapping[str, bytes | None]) -> None:
        """Keep `changes`; None forgets that key."""
        named = (memories.c.cluster == cluster) & (memories.c.watcher == watcher)
        rows = [
            {"cluster": cluster, "watcher": watcher, "key": key, "value": value}
            for key, value in changes.items()
            if value is not None
        ]
        with self.write() as connection:
            keys = list(changes)
            for start in range(0, len(keys), _AT_ONCE):
                these = memories.c.key.in_(keys[start : start + _AT_ONCE])
                connection.execute(memories.delete().where(named & these))
            if rows:
                connection.execute(memories.insert(), rows)

    @retried
    def rename_memories(self, before: str, after: str) -> None:
        """Let the watchers of the cluster `after` remember what those of `before` did."""
        with self.write() as connection:
            connection.execute(memories.delete().where(memories.c.cluster == after))
            renamed = memories.update().where(memories.c.cluster == before)
            connection.execute(renamed.values(cluster=after))

    @retried
    def forget_cluster(self, cluster: str) -> None:
        """Forget what every watcher of `cluster` remembers."""
        with self.write() as connection:
            connection.execute(memories.delete().where(memories.c.cluster == cluster))


_AT_ONCE = 500
"""Keys of one statement: the databases bound its parameters."""
