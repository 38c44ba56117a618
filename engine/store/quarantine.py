"""Quarantine: bytes that were no signal, with the reason; the newest are kept, all counted."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, delete, func, or_, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.ids import digest
from engine.model.instant import from_us, to_us
from engine.store.database import Database, retried
from engine.store.dialect import insert, insert_new
from engine.store.schema import quarantine, quarantine_counts

KEEP = 10_000
"""Elements kept; of older ones only the count stays."""
KEEP_BYTES = 256 << 20
"""Bytes kept of all of them."""
RAW = 4 << 20
"""Bytes kept of one element: the longest record that the bus takes."""
OUTSIDE = -1
"""The partition of what never came onto the bus: every arrival is a new one."""
_PART = 500


@dataclass(frozen=True)
class Quarantined:
    """One element of the record at `offset` that was no signal.

    `reason` is a stable word, `detail` a sentence, `raw` its bytes, of which the store keeps
    the first RAW; `headers` those of its record. `id`, `at`, `partition` and `size`, the bytes
    that it had, are set by the store.
    """

    offset: int
    reason: str
    detail: str
    raw: bytes
    at: datetime | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    partition: int = 0
    id: str = ""
    size: int = 0

    @property
    def is_cut(self) -> bool:
        """Whether only the first of its bytes are kept."""
        return self.size > len(self.raw)


class Quarantine(Database):
    """The part of the store that holds what could not be read."""

    @retried
    def quarantine(self, bad: Sequence[Quarantined], now: datetime) -> None:
        """Keep and count elements that never came onto the bus."""
        with self.write() as connection:
            add_quarantined(connection, OUTSIDE, bad, to_us(now))

    def quarantined(self, limit: int = 100, reason: str = "") -> list[Quarantined]:
        """Return the newest elements, all or those of one `reason`."""
        query = select(quarantine).order_by(quarantine.c.seq.desc()).limit(limit)
        if reason:
            query = query.where(quarantine.c.reason == reason)
        with self.read() as connection:
            return [_element(row) for row in connection.execute(query)]

    def quarantined_one(self, name: str) -> Quarantined | None:
        """Return the element with the id `name`, None where there is none."""
        with self.read() as connection:
            row = connection.execute(select(quarantine).where(quarantine.c.id == name)).first()
        return _element(row) if row is not None else None

    def quarantined_ids(self, reason: str = "") -> list[str]:
        """Return the ids of all elements kept, or of those of one `reason`, the oldest first."""
        query = select(quarantine.c.id).order_by(quarantine.c.seq)
        if reason:
            query = query.where(quarantine.c.reason == reason)
        with self.read() as connection:
            return list(connection.execute(query).scalars())

    def quarantine_kept(self) -> dict[str, int]:
        """Return reason -> elements that are kept now."""
        query = select(quarantine.c.reason, func.count()).group_by(quarantine.c.reason)
        with self.read() as connection:
            return dict(connection.execute(query).all())

    def quarantine_counts(self) -> dict[str, int]:
        """Return reason -> elements ever quarantined, those no longer kept included."""
        query = select(quarantine_counts).order_by(quarantine_counts.c.reason)
        with self.read() as connection:
            return dict(connection.execute(query).all())

    @retried
    def drop_quarantined(self, names: Sequence[str]) -> int:
        """Forget elements; return how many there were of them."""
        total = 0
        with self.write() as connection:
            for start in range(0, len(names), _PART):
                part = names[start : start + _PART]
                gone = connection.execute(delete(quarantine).where(quarantine.c.id.in_(part)))
                total += gone.rowcount
        return total

    @retried
    def judge_quarantined(
        self, judged: Sequence[tuple[Quarantined, Sequence[Quarantined]]]
    ) -> None:
        """Let what is bad of elements that were looked at again take their places.

        An element that is bad as a whole keeps its id; one of which parts are good goes, and
        each bad part is an element of its own. One that is gone by now does not come back.
        """
        now = self.now_us()
        with self.write() as connection:
            for before, bad in judged:
                _judge(connection, before, bad, now)


def _judge(
    connection: Connection, before: Quarantined, bad: Sequence[Quarantined], now_us: int
) -> None:
    row = quarantine.c.id == before.id
    if len(bad) == 1 and bad[0].raw == before.raw:
        verdict = {"reason": bad[0].reason, "detail": bad[0].detail}
        found = connection.execute(update(quarantine).where(row).values(verdict)).rowcount
        if found and bad[0].reason != before.reason:
            _count(connection, {bad[0].reason: 1})
    elif connection.execute(delete(quarantine).where(row)).rowcount:
        at = to_us(before.at) if before.at else now_us
        add_quarantined(connection, before.partition, bad, at)


def add_quarantined(
    connection: Connection, partition: int, bad: Sequence[Quarantined], now_us: int
) -> None:
    """Keep and count the elements that are new."""
    rows = {}
    for number, one in enumerate(bad):
        arrival = [now_us, number] if partition == OUTSIDE else []
        content = sha256(one.raw).hexdigest()
        place = "q-" + digest([partition, one.offset, one.reason, content, *arrival])[:24]
        rows[place] = {
            "id": place,
            "partition": partition,
            "offset": one.offset,
            "reason": one.reason,
            "detail": one.detail,
            "raw": one.raw[:RAW],
            "at": now_us,
            "headers": dict(one.headers),
            "size": max(one.size, len(one.raw)),
        }
    if not rows:
        return
    with failpoint.around(Point.RECORD_QUARANTINED):
        # Before: a commit that comes again finds all its rows.
        _shorten(connection, max(len(one.raw) for one in bad))
        new = insert_new(connection, quarantine, list(rows.values()), "id")
        _count(connection, Counter(str(rows[place]["reason"]) for place in new))


def _element(row: Row[Any]) -> Quarantined:
    return Quarantined(
        row.offset,
        row.reason,
        row.detail,
        row.raw,
        from_us(row.at),
        row.headers,
        row.partition,
        row.id,
        row.size,
    )


def _count(connection: Connection, counted: Mapping[str, int]) -> None:
    if not counted:
        return
    more = insert(connection, quarantine_counts)
    total = quarantine_counts.c.count + more.excluded.count
    connection.execute(
        more.on_conflict_do_update(index_elements=["reason"], set_={"count": total}),
        [{"reason": word, "count": number} for word, number in sorted(counted.items())],
    )


def _shorten(connection: Connection, adding: int) -> None:
    """Let go of the oldest elements where there are too many, or too many of their bytes.

    The bytes are added up only where elements of a size come (`adding`, the largest of them)
    of which fewer than KEEP may be too much: else each commit in a flood would do it.
    """
    number = connection.execute(select(func.count()).select_from(quarantine)).scalar_one()
    if number <= KEEP and adding * KEEP <= KEEP_BYTES // 2:
        return
    newest = quarantine.c.seq.desc()
    each = select(
        quarantine.c.seq,
        func.row_number().over(order_by=newest).label("number"),
        func.sum(func.length(quarantine.c.raw)).over(order_by=newest).label("bytes"),
    ).subquery()
    spare = KEEP // 10 if number > KEEP else 0  # so that not each further one comes here again
    over = or_(each.c.number > KEEP - spare, each.c.bytes > KEEP_BYTES)
    last = connection.execute(select(func.max(each.c.seq)).where(over)).scalar()
    if last is not None:
        connection.execute(delete(quarantine).where(quarantine.c.seq <= last))
