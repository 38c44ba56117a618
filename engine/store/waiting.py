"""How much the store holds that nobody has begun, for the metrics."""

from sqlalchemy import func, select

from engine.model.change_state import ChangeState
from engine.model.firing import State
from engine.model.mission import MissionState
from engine.store.change_tables import changes
from engine.store.database import Database
from engine.store.schema import firings, missions


class Waiting(Database):
    """The part of the store that counts what waits."""

    def queued(self) -> int:
        """Return how many missions wait for a worker; only an index is read."""
        waiting = missions.c.state == MissionState.QUEUED.value
        with self.read() as connection:
            return connection.execute(select(func.count()).where(waiting)).scalar_one()

    def awaiting(self) -> int:
        """Return how many changes wait for a decision; only an index is read."""
        asked = changes.c.state == ChangeState.AWAITING.value
        with self.read() as connection:
            return connection.execute(select(func.count()).where(asked)).scalar_one()

    def open_firings(self) -> int:
        """Return how many firings are open, those held back included."""
        still = firings.c.state.in_([State.FIRING.value, State.SUPPRESSED.value])
        with self.read() as connection:
            return connection.execute(select(func.count()).where(still)).scalar_one()
