"""Quarantine: bytes that were no signal, with the reason; the newest are kept, all counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection, delete, select

from engine.model.ids import digest
from engine.model.instant import from_us, to_us
from engine.store.database import Database
from engine.store.dialect import insert_new, upsert
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
    the first RAW; `at` is set by the store.
    """

    offset: int
    reason: str
    detail: str
    raw: bytes
    at: datetime | None = None


class Quarantine(Database):
    """The part of the store that holds what could not be read."""

    def quarantine(self, bad: Sequence[Quarantined], now: datetime) -> None:
        """Keep and count elements that never came onto the bus."""
        with self.write() as connection:
            add_quarantined(connection, OUTSIDE, bad, to_us(now))

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """Return the newest elements."""
        query = select(quarantine).order_by(quarantine.c.seq.desc()).limit(limit)
        with self.read() as connection:
            return [
                Quarantined(row.offset, row.reason, row.detail, row.raw, from_us(row.at))
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
        }
    if not rows:
        return
    new = insert_new(connection, quarantine, list(rows.values()), "id")
    counted = Counter(str(rows[place]["reason"]) for place in new)
    held: dict[str, int] = dict(connection.execute(select(quarantine_counts)).all())
    upsert(
        connection,
        quarantine_counts,
        [{"reason": word, "count": held.get(word, 0) + n} for word, n in counted.items()],
    )
    oldest = select(quarantine.c.seq).order_by(quarantine.c.seq.desc()).offset(KEEP).limit(1)
    last = connection.execute(oldest).scalar()
    if last is not None:
        connection.execute(delete(quarantine).where(quarantine.c.seq <= last))
