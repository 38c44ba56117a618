"""How much the store holds that nobody has begun, for the metrics."""

from sqlalchemy import func, select

from engine.model.mission import MissionState
from engine.store.database import Database
from engine.store.schema import missions


class Waiting(Database):
    """The part of the store that counts what waits."""

    def queued(self) -> int:
        """Return how many missions wait for a worker; only an index is read."""
        waiting = missions.c.state == MissionState.QUEUED.value
        with self.read() as connection:
            return connection.execute(select(func.count()).where(waiting)).scalar_one()
