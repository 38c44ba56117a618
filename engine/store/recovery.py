"""Missions whose worker died: they go on with another one, or end."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from engine.model.mission import MAX_CRASHES, MissionEvent, MissionRow, MissionState, move
from engine.store.database import Database, retried
from engine.store.dialect import now_us
from engine.store.leases import PROCESS
from engine.store.mission_rows import mission_row
from engine.store.schema import leases, missions

_RUNNING = missions.c.state == MissionState.RUNNING.value


@dataclass(frozen=True)
class Recovered:
    """Missions whose worker died: `queued` go on, `spent` crashed too often to be run again."""

    queued: tuple[str, ...] = ()
    spent: tuple[MissionRow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.queued or self.spent)


class Recovery(Database):
    """The part of the store that takes missions from the dead.

    One that crashed `MAX_CRASHES` times stays running: finish it, with the epoch that its row
    here has, with a failed report.
    """

    def recover(self, *, shared: bool = False) -> Recovered:
        """Queue again what the dead left running.

        Where the store is not shared, the only process that uses it calls this first, and takes
        everything that runs. Where it is, any process may call it, as often as it likes, and
        takes what processes left that hold no lease `process/PROCESS`.
        """
        alive = self._alive if shared else lambda _: set[str]()
        with self.read() as connection:
            query = select(missions.c.owner).where(_RUNNING).distinct()
            owners = set(connection.execute(query).scalars())
            spared = alive(connection)
        dead = {owner for owner in owners if _process(owner) not in spared}
        return self._crash(dead, alive) if dead else Recovered()

    @retried
    def _crash(self, owners: Collection[str], alive: Callable[[Connection], set[str]]) -> Recovered:
        queued, spent = [], []
        held = select(missions).where(_RUNNING, missions.c.owner.in_(owners))
        with self.write() as connection:
            locked = held.order_by(missions.c.seq).with_for_update(skip_locked=True)
            rows = connection.execute(locked).all()
            # Read after the missions: who runs one of these took its lease before it.
            spared = alive(connection)
            for row in rows:
                if _process(row.owner) in spared:
                    continue
                crashed = _crashed(row)
                own = missions.c.id == row.id
                connection.execute(update(missions).where(own).values(crashed))
                if row.crashes + 1 < MAX_CRASHES:
                    queued.append(row.id)
                else:
                    spent.append(replace(mission_row(row), **crashed))
        return Recovered(tuple(queued), tuple(spent))

    def _alive(self, connection: Connection) -> set[str]:
        """Return the ids of the processes that hold their lease."""
        now = now_us(connection, self.now_us())
        query = select(leases.c.name).where(leases.c.name.startswith(PROCESS), leases.c.until > now)
        return {name.removeprefix(PROCESS) for name in connection.execute(query).scalars()}


def _process(owner: str) -> str:
    return owner.partition("/")[0]


def _crashed(row: Row[Any]) -> dict[str, Any]:
    """Return what one crash more changes; the epoch refuses a worker that was only slow."""
    crash = {"crashes": row.crashes + 1, "epoch": row.epoch + 1}
    if row.crashes + 1 >= MAX_CRASHES:
        return crash
    return {**crash, "state": move(MissionState.RUNNING, MissionEvent.CRASH), "owner": ""}
