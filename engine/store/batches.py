"""Deliveries that share a message: they wait for one another, then go as one, and stay one.

A batch is what one sink is told of one rule for equal labels (`group_by`). The first delivery of
a batch waits WAIT_US, and those that come meanwhile go with it; the next message of the batch
goes EVERY_US after the one before at the earliest. A message is sealed before it is tried: its
key, its content and whom it is about stand in the store from then on, so every attempt sends
the same. The rows of its deliveries stay, and end together.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, select, update

from engine.model.delivery import Delivery, Occasion
from engine.model.ids import delivery_key, digest
from engine.model.instant import MICROS
from engine.report.shared import Envelope, share
from engine.store.dialect import hold, listed
from engine.store.outbox import DeliveryState
from engine.store.schema import deliveries, firings

WAIT_US: Final = 30 * MICROS
EVERY_US: Final = 300 * MICROS
MOST: Final = 200
"""Deliveries in a message; the rest goes in the next one."""
_waits = deliveries.c.state == DeliveryState.WAITING.value
OTHERS: Final = 500
"""Deliveries before that a message looks back on, the newest."""
_sent = deliveries.c.state == DeliveryState.SENT.value
_sealed = deliveries.c.message != ""


def batch_of(delivery: Delivery) -> str:
    """Return the batch that `delivery` belongs to, empty for one that goes alone."""
    if not delivery.shared:
        return ""
    return digest([delivery.sink, delivery.rule, delivery.shared])[:24]


def due_at(connection: Connection, batches: Sequence[str], now_us: int) -> dict[str, int]:
    """Return batch -> when a delivery that joins it now goes."""
    if not batches:
        return {}
    given = listed(connection, batches)
    own = deliveries.c.batch == given.c.value
    next_at = select(func.min(deliveries.c.next_at)).where(own, _waits, ~_sealed)
    ended = select(func.coalesce(deliveries.c.ended_at, now_us)).where(own, _sealed)
    last = ended.order_by(deliveries.c.seq.desc()).limit(1)
    query = select(given.c.value, next_at.scalar_subquery(), last.scalar_subquery())
    return {
        batch: max(now_us + WAIT_US, 0 if before is None else before + EVERY_US)
        if waiting is None
        else waiting
        for batch, waiting, before in connection.execute(query)
    }


def ripe(sink: str, now_us: int) -> Select[Any]:
    """Return the query for the batches of `sink` whose time has come, none of them on its way."""
    own = (deliveries.c.sink == sink, deliveries.c.batch != "", _waits)
    due = deliveries.c.next_at <= now_us
    on_its_way = select(deliveries.c.batch).where(*own, _sealed)
    return select(deliveries.c.batch).where(
        *own, ~_sealed, due, deliveries.c.batch.not_in(on_its_way)
    )


def foremost(
    connection: Connection,
    sink: str,
    column: ColumnElement[str],
    fit: ColumnElement[bool],
    most: int,
) -> list[int]:
    """Return the oldest deliveries waiting for `sink` that are `fit`, by their seq.

    None of them has one of another `column` before it in its incident. All that waits is looked
    at once: asking for each one whether another is before it may go by the wrong index where
    the server's statistics are old, and take hours.
    """
    before = func.min(column), func.max(column)
    least, greatest = (
        one.over(partition_by=deliveries.c.incident, order_by=deliveries.c.seq) for one in before
    )
    alone = (least == column) & (greatest == column)
    all_ = select(deliveries.c.seq, (alone & fit).label("good"))
    every = all_.where(deliveries.c.sink == sink, _waits).subquery()
    query = select(every.c.seq).where(every.c.good).order_by(every.c.seq).limit(most)
    return list(connection.execute(query).scalars())


def seal_due(connection: Connection, sink: str, now_us: int) -> None:
    """Make a message of each batch of `sink` whose time has come."""
    for batch in sorted(set(connection.execute(ripe(sink, now_us)).scalars())):
        hold(connection, batch)
        # Another process may have been quicker.
        still = ripe(sink, now_us).where(deliveries.c.batch == batch)
        if connection.execute(still.limit(1)).first() is not None:
            _seal(connection, sink, batch)


def _seal(connection: Connection, sink: str, batch: str) -> None:
    free = (deliveries.c.batch == batch) & ~_sealed
    # Nothing may go now that a delivery outside of the batch holds back.
    places = foremost(connection, sink, deliveries.c.batch, free, MOST)
    query = select(deliveries).where(deliveries.c.seq.in_(places)).order_by(deliveries.c.seq)
    rows = connection.execute(query).all()
    if not rows:
        return
    told = [Delivery.model_validate_json(row.body) for row in rows]
    thread_of = _thread_of(connection, batch, told)
    others = _others(connection, batch, thread_of, told) if thread_of else []
    if len(told) == 1 and not thread_of:
        key, letter = rows[0].key, rows[0].body
    else:
        key = delivery_key(batch, digest([row.key for row in rows]), told[0].sink)
        envelope = Envelope(key, thread_of or told[0].incident)
        letter = share(envelope, told, others).model_dump_json()
    sealed = {"message": key, "thread_of": thread_of or told[0].incident}
    connection.execute(update(deliveries).where(deliveries.c.seq.in_(places)).values(sealed))
    first = update(deliveries).where(deliveries.c.seq == places[0])
    connection.execute(first.values(letter=letter))


def _thread_of(connection: Connection, batch: str, told: Sequence[Delivery]) -> str:
    """Return the incident whose thread goes on: while a firing told there is open, or ends now."""
    mine = deliveries.c.incident.in_({one.incident for one in told})
    query = (
        select(deliveries.c.thread_of)
        .outerjoin(firings, firings.c.id == deliveries.c.incident)
        .where(deliveries.c.batch == batch, _sent, mine | firings.c.resolved_at.is_(None))
        .where(firings.c.id.is_not(None) | mine)
        .order_by(deliveries.c.seq.desc())
        .limit(1)
    )
    return str(connection.execute(query).scalar() or "")


def _others(
    connection: Connection, batch: str, thread_of: str, told: Sequence[Delivery]
) -> list[Delivery]:
    """Return what the thread told last of other firings: openings that last, and ends."""
    opens = deliveries.c.change == Occasion.FIRE.value
    ends = deliveries.c.change == Occasion.RESOLVE.value
    query = (
        select(deliveries.c.incident, deliveries.c.body)
        .join(firings, firings.c.id == deliveries.c.incident)
        .where(
            deliveries.c.batch == batch,
            deliveries.c.thread_of == thread_of,
            (ends | (opens & firings.c.resolved_at.is_(None))),
            deliveries.c.incident.not_in({one.incident for one in told}),
            _sent,
        )
        .order_by(deliveries.c.seq.desc())
        .limit(OTHERS)
    )
    last: dict[str, Delivery] = {}
    for row in reversed(connection.execute(query).all()):
        last[row.incident] = Delivery.model_validate_json(row.body)
    return list(last.values())
