"""Deliver: one task a sink takes its due deliveries from the outbox, in order."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from engine import meters
from engine.app.calling import called
from engine.failpoint import Point, around
from engine.model.delivery import Delivery, Occasion
from engine.model.errors import DogwatchError, IllegalMove, Retryable, StoreError
from engine.model.ids import delivery_key
from engine.model.ports import Clock, Sink
from engine.store.store import Store

LOG = structlog.get_logger()
AT_ONCE = 20
LOOK_S = 1.0
"""Seconds between looks when nobody called: retries fall due by the clock."""
ATTEMPT_S = 30.0
"""The bound of one attempt, whatever the sink does."""
DOWN_S = 1.0
"""Seconds between attempts at a sink whose last attempt failed."""
GAVE_UP = "dead-letter"
"""The rule named in a notice about a delivery that was given up."""


class Courier:
    """Sends what waits for one sink; a slow or dead sink delays no other."""

    def __init__(self, name: str, sink: Sink, store: Store, clock: Clock) -> None:
        self.name = name
        self._sink = sink
        self._store = store
        self._clock = clock
        self._called = asyncio.Event()
        self.notice: Callable[[Delivery, str], Sequence[Delivery]] = lambda _lost, _why: ()
        self.gave_up: Callable[[], None] = lambda: None

    def call(self) -> None:
        """Say that something may be due."""
        self._called.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            busy = False
            try:
                busy = await self._round()
            except StoreError as error:
                LOG.warning("store refuses", of="outbox", sink=self.name, error=str(error))
                await asyncio.sleep(DOWN_S)
            if not busy:
                await called(self._called, LOOK_S)

    async def _round(self) -> bool:
        """Attempt what is due, once each; return whether there was anything."""
        due = await asyncio.to_thread(self._store.due, self.name, self._clock.now(), AT_ONCE)
        for delivery in due:
            try:
                up = await self._attempt(delivery)
            except IllegalMove as error:
                # This process stood still, and another one took over what it was at.
                LOG.warning("ended elsewhere", sink=self.name, key=delivery.key, why=str(error))
                return True
            if not up:
                await asyncio.sleep(DOWN_S)
                break
        backlog = await asyncio.to_thread(self._store.pending, self.name)
        meters.OUTBOX_PENDING.labels(self.name).set(backlog.waiting)
        since = backlog.oldest
        age = (self._clock.now() - since).total_seconds() if since else 0.0
        meters.OUTBOX_OLDEST.labels(self.name).set(age)
        return bool(due)

    async def _attempt(self, delivery: Delivery) -> bool:
        """Try once and write down what came of it; return False when the sink seems down."""
        thread = await asyncio.to_thread(self._store.thread, self.name, delivery.incident)
        try:
            async with asyncio.timeout(ATTEMPT_S):
                with around(Point.SINK_ATTEMPT):
                    receipt = await self._sink.send(delivery, thread)
        except (Retryable, TimeoutError) as error:
            await self._later(delivery, error)
            return False
        except DogwatchError as error:
            await self._never(delivery, str(error))
            return True
        except Exception as error:  # noqa: BLE001 - one delivery must not end all, at every start anew
            await self._never(delivery, f"a fault of its own: {type(error).__name__}: {error}")
            return True
        await asyncio.to_thread(self._store.sent, delivery.key, receipt, self._clock.now())
        meters.DELIVERIES.labels(self.name, "sent").inc()
        LOG.info("delivered", sink=self.name, key=delivery.key, change=delivery.change.value)
        return True

    async def _later(self, delivery: Delivery, error: Exception) -> None:
        why = str(error) or f"no answer within {ATTEMPT_S:g} s"
        after_s = error.retry_after_s if isinstance(error, Retryable) else None
        now = self._clock.now()
        lost = f"not taken for too long: {why}"
        given_up = await asyncio.to_thread(
            self._store.retry,
            delivery.key,
            now,
            why,
            retry_after_s=after_s,
            tell=self.notice(delivery, lost),
        )
        meters.DELIVERIES.labels(self.name, "retried").inc()
        LOG.warning("delivery later", sink=self.name, key=delivery.key, error=why)
        if given_up:
            self._ended(delivery, lost)

    async def _never(self, delivery: Delivery, why: str) -> None:
        await asyncio.to_thread(
            self._store.give_up,
            delivery.key,
            why,
            self._clock.now(),
            tell=self.notice(delivery, why),
        )
        self._ended(delivery, why)

    def _ended(self, delivery: Delivery, why: str) -> None:
        meters.DELIVERIES.labels(self.name, "given_up").inc()
        LOG.error("delivery given up", sink=self.name, key=delivery.key, error=why)
        self.gave_up()


def tell_of_dead_letter(
    lost: Delivery, why: str, sinks: Sequence[str], now: datetime
) -> Sequence[Delivery]:
    """Return the notice about `lost` to the first of `sinks`; none about a notice."""
    if not sinks or lost.rule == GAVE_UP:
        return ()
    notice = Delivery(
        key=delivery_key(lost.key, GAVE_UP, sinks[0]),
        sink=sinks[0],
        change=Occasion.FIRE,
        incident=lost.key,
        rule=GAVE_UP,
        group={"sink": lost.sink},
        at=now,
        title=f"Sink {lost.sink} did not take a delivery: {lost.title}",
        severity="high",
        text=f"{why}. See `dogwatch dlq list`; key {lost.key}.",
    )
    return (notice,)
