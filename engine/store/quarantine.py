"""Quarantine: bytes that were no signal, with the reason; the newest are kept, all counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, delete, select

from engine import failpoint
from engine.failpoint import Point
from engine.model.ids import digest
from engine.model.instant import from_us, to_us
from engine.store.database import Database, retried
from engine.store.dialect import insert, insert_new
from engine.store.schema import quarantine, quarantine_counts

KEEP = 10_000
"""Elements kept; of older ones only the count stays."""
RAW = 16 << 10
"""Bytes kept of one element."""
OUTSIDE = -1
"""The partition of what never came onto the bus: every arrival is a new one."""


@dataclass(frozen=True)
class Quarantined:
    """One element of the record at `offset` that was no signal.

    `reason` is a stable word, `detail` a sentence, `raw` its bytes, of which the store keeps
    the first RAW; `headers` those of its record; `at` and `partition` are set by the store.
    """

    offset: int
    reason: str
    detail: str
    raw: bytes
    at: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    partition: int = 0


class Quarantine(Database):
    """The part of the store that holds what could not be read."""

    @retried
    def quarantine(self, bad: Sequence[Quarantined], now: datetime) -> None:
        """Keep and count elements that never came onto the bus."""
        with self.write() as connection:
            add_quarantined(connection, OUTSIDE, bad, to_us(now))

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """Return the newest elements."""
        query = select(quarantine).order_by(quarantine.c.seq.desc()).limit(limit)
        with self.read() as connection:
            return [
                Quarantined(
                    row.offset,
                    row.reason,
                    row.detail,
                    row.raw,
                    from_us(row.at),
                    row.headers,
                    row.partition,
                )
                for row in connection.execute(query)
            ]

    def quarantine_counts(self) -> dict[str, int]:
        """Return reason -> elements ever quarantined, those no longer kept included."""
        query = select(quarantine_counts).order_by(quarantine_counts.c.reason)
        with self.read() as connection:
            return dict(connection.execute(query).all())


def add_quarantined(
    connection: Connection, partition: int, bad: Sequence[Quarantined], now_us: int
) -> None:
    """Keep and count the elements that are new."""
    rows = {}
    for number, one in enumerate(bad):
        arrival = [now_us, number] if partition == OUTSIDE else []
        content = sha256(one.raw).hexdigest()
        place = digest([partition, one.offset, one.reason, content, *arrival])
        rows[place] = {
            "id": place,
            "partition": partition,
            "offset": one.offset,
            "reason": one.reason,
            "detail": one.detail,
            "raw": one.raw[:RAW],
            "at": now_us,
            "headers": dict(one.headers),
        }
    if not rows:
        return
    with failpoint.around(Point.RECORD_QUARANTINED):
        _shorten(connection)  # before: a commit that comes again finds all its rows
        new = insert_new(connection, quarantine, list(rows.values()), "id")
        _count(connection, Counter(str(rows[place]["reason"]) for place in new))


def _count(connection: Connection, counted: Mapping[str, int]) -> None:
    if not counted:
        return
    more = insert(connection, quarantine_counts)
    total = quarantine_counts.c.count + more.excluded.count
    connection.execute(
        more.on_conflict_do_update(index_elements=["reason"], set_={"count": total}),
        [{"reason": word, "count": number} for word, number in sorted(counted.items())],
    )


def _shorten(connection: Connection) -> None:
    oldest = select(quarantine.c.seq).order_by(quarantine.c.seq.desc()).offset(KEEP).limit(1)
    last = connection.execute(oldest).scalar()
    if last is not None:
        connection.execute(delete(quarantine).where(quarantine.c.seq <= last))
