"""The outbox in the store: what waits for which sink, in order, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select, update

from engine import failpoint
from engine.failpoint import Point
from engine.model.delivery import Delivery, Receipt
from engine.model.errors import StoreError
from engine.model.instant import from_us, to_us
from engine.store.batches import batch_of, due_at, foremost, ripe, seal_due
from engine.store.database import Database, retried
from engine.store.dialect import hold, insert_new
from engine.store.outbox import (
    GIVE_UP_AFTER,
    Backlog,
    DeliveryEvent,
    DeliveryRow,
    DeliveryState,
    backoff_us,
    move,
)
from engine.store.schema import deliveries

_complete = (deliveries.c.batch == "") | (deliveries.c.letter != "")
_content = func.coalesce(func.nullif(deliveries.c.letter, ""), deliveries.c.body)


class Outbox(Database):
    """The part of the store that holds deliveries."""

    def due(self, sink: str, now: datetime, limit: int = 20) -> list[Delivery]:
        """Return what may be tried now, oldest first, at most one of an incident.

        The earliest waiting delivery of an incident holds back its later ones. Deliveries that
        share a message come as one (see engine.store.batches); its key stands for all of them.
        """
        self._seal(sink, to_us(now))
        ready = (deliveries.c.next_at <= to_us(now)) & _complete
        with self.read() as connection:
            first = foremost(connection, sink, deliveries.c.message, ready, limit)
            query = select(_content).where(deliveries.c.seq.in_(first)).order_by(deliveries.c.seq)
            found = connection.execute(query).scalars() if first else ()
            return [Delivery.model_validate_json(letter) for letter in found]

    @retried
    def _seal(self, sink: str, now_us: int) -> None:
        """Make the messages whose time has come; the store is written only where there are any."""
        with self.read() as connection:
            if connection.execute(ripe(sink, now_us).limit(1)).first() is None:
                return
        with self.write() as connection:
            seal_due(connection, sink, now_us)

    @retried
    def enqueue(self, new: Sequence[Delivery]) -> list[str]:
        """Let the deliveries that are new wait; return their keys."""
        with self.write() as connection:
            return add_deliveries(connection, new, self.now_us())

    @retried
    def sent(self, key: str, receipt: Receipt, now: datetime) -> None:
        """Mark that the receiver said yes.

        Raises:
            IllegalMove: the delivery does not wait.
        """
        with failpoint.around(Point.SINK_MARKED), self.write() as connection:
            for row in _of_message(connection, key):
                _set(
                    connection,
                    row.key,
                    state=move(DeliveryState(row.state), DeliveryEvent.ACCEPTED),
                    attempts=row.attempts + 1,
                    ended_at=to_us(now),
                    error="",
                    detail=receipt.detail,
                    thread=receipt.thread,
                )

    @retried
    def retry(
        self,
        key: str,
        now: datetime,
        error: str,
        retry_after_s: float | None = None,
        *,
        tell: Sequence[Delivery] = (),
    ) -> bool:
        """Let a delivery wait for its next attempt, or give it up 72 hours after it began.

        With its end `tell` waits: who hears of it hears for sure.

        Returns:
            Whether it was given up.
        """
        with self.write() as connection:
            rows = _of_message(connection, key)
            if now - from_us(rows[0].since) >= GIVE_UP_AFTER:
                hours = GIVE_UP_AFTER.total_seconds() / 3600
                error = f"not taken within {hours:g} h; last: {error}"
                _end(connection, rows, DeliveryEvent.EXPIRED, error, now)
                add_deliveries(connection, tell, self.now_us())
                return True
            wait = backoff_us(rows[0].attempts + 1, self._chance(), retry_after_s)
            for row in rows:
                _set(
                    connection,
                    row.key,
                    state=move(DeliveryState(row.state), DeliveryEvent.RETRYABLE),
                    attempts=row.attempts + 1,
                    error=error,
                    next_at=to_us(now) + wait,
                )
        return False

    @retried
    def give_up(
        self, key: str, reason: str, now: datetime, *, tell: Sequence[Delivery] = ()
    ) -> None:
        """Make a delivery that was rejected a dead letter; one that is stays as it is.

        With its end `tell` waits: who hears of it hears for sure.
        """
        with self.write() as connection:
            rows = _of_message(connection, key)
            if rows[0].state == DeliveryState.GIVEN_UP:
                return
            _end(connection, rows, DeliveryEvent.REJECTED, reason, now)
            add_deliveries(connection, tell, self.now_us())

    def dead_letters(self, limit: int = 100) -> list[DeliveryRow]:
        """Return what was given up and not dropped, the newest first."""
        query = (
            select(deliveries)
            .where(
                deliveries.c.state == DeliveryState.GIVEN_UP.value,
                deliveries.c.dropped_at.is_(None),
            )
            .order_by(deliveries.c.seq.desc())
            .limit(limit)
        )
        with self.read() as connection:
            return [_delivery(row) for row in connection.execute(query)]

    @retried
    def replay(self, key: str) -> None:
        """Let a dead letter wait again, with 72 new hours, and the same key if it goes alone."""
        now = self.now_us()
        with self.write() as connection:
            row = _held(connection, key)
            _set(
                connection,
                key,
                state=move(DeliveryState(row.state), DeliveryEvent.REPLAYED),
                since=now,
                next_at=now,
                attempts=0,
                ended_at=None,
                dropped_at=None,
                message="" if row.batch else key,
                letter="",
            )

    @retried
    def drop(self, key: str) -> None:
        """Put a dead letter away for good.

        Raises:
            StoreError: there is no such delivery, or it is no dead letter.
        """
        with self.write() as connection:
            state = _held(connection, key).state
            if state != DeliveryState.GIVEN_UP:
                raise StoreError(f"delivery '{key}' is {state}; only a dead letter can be dropped")
            _set(connection, key, dropped_at=self.now_us())

    def pending(self, sink: str) -> Backlog:
        """Return how much waits for `sink`, and since when."""
        sizes = _waiting(sink).with_only_columns(func.count(), func.min(deliveries.c.created_at))
        with self.read() as connection:
            waiting, oldest = connection.execute(sizes).one()
        return Backlog(waiting, None if oldest is None else from_us(oldest))

    def thread(self, sink: str, incident: str) -> dict[str, Any] | None:
        """Return what the deliveries of `incident` that `sink` took gave for the next ones.

        Of two that gave the same name the first one counts; None where none gave any.
        """
        query = (
            select(deliveries.c.thread)
            .where(
                deliveries.c.incident == incident,
                deliveries.c.sink == sink,
                deliveries.c.state == DeliveryState.SENT.value,
            )
            .order_by(deliveries.c.seq.desc())
        )
        merged: dict[str, Any] = {}
        with self.read() as connection:
            for thread in connection.execute(query).scalars():
                merged |= thread or {}
        return merged or None


def add_deliveries(connection: Connection, new: Sequence[Delivery], now_us: int) -> list[str]:
    """Let the deliveries that are new wait; return their keys."""
    if not new:
        return []
    batches = sorted({batch_of(delivery) for delivery in new} - {""})
    hold(connection, *batches)
    due = {"": now_us, **due_at(connection, batches, now_us)}
    rows: list[dict[str, Any]] = []
    for delivery in new:
        batch = batch_of(delivery)
        row: dict[str, Any] = {
            "key": delivery.key,
            "sink": delivery.sink,
            "change": delivery.change.value,
            "incident": delivery.incident,
            "mission": delivery.mission or "",
            "body": delivery.model_dump_json(),
            "state": DeliveryState.WAITING.value,
            "attempts": 0,
            "created_at": now_us,
            "since": now_us,
            "next_at": due[batch],
            "error": "",
            "detail": "",
            "thread": {},
            "batch": batch,
            "message": "" if batch else delivery.key,
            "thread_of": "",
            "letter": "",
        }
        rows.append(row)
    with failpoint.around(Point.OUTBOX_ROW):
        return insert_new(connection, deliveries, rows, "key")


def _waiting(sink: str) -> Select[Any]:
    return select(deliveries).where(
        deliveries.c.state == DeliveryState.WAITING.value, deliveries.c.sink == sink
    )


def _of_message(connection: Connection, key: str) -> Sequence[Row[Any]]:
    """Return the deliveries that go as the message `key`, oldest first; at least one."""
    query = select(deliveries).where(deliveries.c.message == key).order_by(deliveries.c.seq)
    rows = connection.execute(query.with_for_update()).all()
    if not rows:
        raise StoreError(f"there is no delivery '{key}'")
    return rows


def _held(connection: Connection, key: str) -> Row[Any]:
    query = select(deliveries).where(deliveries.c.key == key).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        raise StoreError(f"there is no delivery '{key}'")
    return row


def _end(
    connection: Connection,
    rows: Sequence[Row[Any]],
    event: DeliveryEvent,
    error: str,
    now: datetime,
) -> None:
    """Make dead letters of the deliveries of one message."""
    with failpoint.around(Point.DEAD_LETTERED):
        for row in rows:
            state = move(DeliveryState(row.state), event)
            values = {"state": state, "error": error, "ended_at": to_us(now)}
            _set(connection, row.key, **values, attempts=row.attempts + 1)


def _set(connection: Connection, key: str, **values: Any) -> None:
    connection.execute(update(deliveries).where(deliveries.c.key == key).values(values))


def _delivery(row: Row[Any]) -> DeliveryRow:
    return DeliveryRow(
        delivery=Delivery.model_validate_json(row.body),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created=from_us(row.created_at),
        since=from_us(row.since),
        due=from_us(row.next_at),
        ended=None if row.ended_at is None else from_us(row.ended_at),
        error=row.error,
        receipt=Receipt(detail=row.detail, thread=row.thread),
    )
