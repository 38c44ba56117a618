"""Leases: what one process alone does at a time, and who takes it over when that one is gone."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import or_, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.instant import MICROS, from_us
from engine.store.database import Database, retried
from engine.store.dialect import insert, now_us
from engine.store.schema import leases

PROCESS: Final = "process/"
"""Before the id of a process that runs missions: its lease says that it lives."""


@dataclass(frozen=True)
class Lease:
    """Who holds `name`, until when by the clock of the database (aware UTC).

    `epoch` grows each time it changes hands.
    """

    name: str
    holder: str
    epoch: int
    until: datetime


class Leases(Database):
    """The part of the store that keeps processes apart.

    Time is the clock of the database server; on SQLite it is that of the machine.
    """

    def acquire(self, name: str, holder: str, ttl_s: float) -> int | None:
        """Take or renew the lease `name` for `ttl_s` seconds; None while another one has it.

        Returns:
            Its epoch: the same when renewed, one more when it changed hands.
        """
        with failpoint.around(Point.LEASE_RENEWED):
            epoch = self._renew(name, holder, ttl_s)
        if epoch is None:
            with failpoint.around(Point.LEASE_TAKEN):
                epoch = self._take(name, holder, ttl_s)
        return epoch

    @retried
    def give_back(self, name: str, holder: str) -> None:
        """End the lease `name` now, where `holder` has it: the next one need not wait."""
        with self.write() as connection:
            own = (leases.c.name == name) & (leases.c.holder == holder)
            now = now_us(connection, self.now_us())
            connection.execute(update(leases).where(own).values(holder="", until=now))

    def leases(self, prefix: str = "") -> list[Lease]:
        """Return the leases in force whose names start with `prefix`, by name."""
        named = leases.c.name.startswith(prefix, autoescape=True)
        with self.read() as connection:
            query = select(leases).where(named, leases.c.until > now_us(connection, self.now_us()))
            return [
                Lease(row.name, row.holder, row.epoch, from_us(row.until))
                for row in connection.execute(query.order_by(leases.c.name))
            ]

    @retried
    def _renew(self, name: str, holder: str, ttl_s: float) -> int | None:
        own = (leases.c.name == name) & (leases.c.holder == holder)
        with self.write() as connection:
            until = now_us(connection, self.now_us()) + int(ttl_s * MICROS)
            renewed = update(leases).where(own).values(until=until).returning(leases.c.epoch)
            return connection.execute(renewed).scalar()

    @retried
    def _take(self, name: str, holder: str, ttl_s: float) -> int | None:
        with self.write() as connection:
            now = now_us(connection, self.now_us())
            new = insert(connection, leases).values(
                name=name, holder=holder, epoch=1, until=now + int(ttl_s * MICROS)
            )
            # What is asked here is asked again once the row is ours, should another be quicker.
            free = or_(leases.c.until <= now, leases.c.holder == holder)
            taken = new.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={
                    "holder": holder,
                    "epoch": leases.c.epoch + 1,
                    "until": now + int(ttl_s * MICROS),
                },
                where=free,
            )
            return connection.execute(taken.returning(leases.c.epoch)).scalar()
