"""A producer that is made anew after each failure: it never delivers what was given up."""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from engine.bus.brokers import CLIENT_ERRORS
from engine.bus.connection import connection, said, trouble
from engine.bus.declaring import RECORD_SPACE
from engine.bus.settings import KafkaConfig
from engine.model.errors import ConfigError, StoreError

START_S: Final = 10.0
CLOSE_S: Final = 5.0
BATCH_BYTES: Final = 1 << 20
"""Messages that wait for the same partition share a request up to this size."""


class Message(NamedTuple):
    """One record on its way to a partition of the topic `name`."""

    name: str
    partition: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Producer:
    """Sends messages so that each is durable on all replicas in sync, once and in order.

    Raises (`partitions` and `send`):
        StoreError: the brokers refused, or can not be used, in one line. What was sent may be
            durable all the same; nothing of it comes later.
    """

    def __init__(self, settings: KafkaConfig) -> None:
        self._settings = settings
        self._open: AIOKafkaProducer | None = None
        self._dropped: asyncio.Future[BaseException] | None = None
        self._changing = asyncio.Lock()
        self._closed = False

    async def partitions(self, name: str) -> int:
        """Return how many partitions the topic `name` has, as of METADATA_MS ago at most."""
        producer = await self._connected()
        try:
            return len(await producer.partitions_for(name))
        except CLIENT_ERRORS as error:
            raise await self._given_up(producer, error) from error

    async def send(self, messages: Sequence[Message]) -> None:
        """Send `messages`; those of one partition stand in it in this order.

        Raises:
            StoreError: see the class.
            TimeoutError: a time-out of the caller is over; it should `give_up` then.
        """
        producer = await self._connected()
        dropped = self._dropped
        try:
            sent = [await self._handed_over(producer, one) for one in messages]
            await _all(sent, dropped)
        except CLIENT_ERRORS as error:
            raise await self._given_up(producer, error) from error

    async def give_up(self, error: BaseException) -> None:
        """Let go of what is not sent yet."""
        await self._let_go(self._open, error)

    async def connect(self) -> None:
        """Connect where that is not done yet. Raises StoreError."""
        await self._connected()

    async def aclose(self) -> None:
        """Send what is waiting, then close."""
        async with self._changing:
            self._closed = True
            producer, self._open = self._open, None
            if producer is not None:
                await _close(producer)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._changing:
            if self._closed:
                raise StoreError("bus.kafka: the bus is closed")
            if self._open is None:
                self._open = await self._opened()
                self._dropped = asyncio.get_running_loop().create_future()
            return self._open

    async def _opened(self) -> AIOKafkaProducer:
        try:
            given = connection(self._settings, "dogwatch-producer")
        except ConfigError as error:
            raise StoreError(str(error)) from error
        producer = AIOKafkaProducer(
            **given,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=RECORD_SPACE,
        )
        try:
            async with asyncio.timeout(START_S):
                await producer.start()
        except BaseException as error:
            await _close(producer)
            if isinstance(error, CLIENT_ERRORS):
                raise StoreError(await trouble(self._settings, error)) from error
            raise
        return producer

    async def _handed_over(
        self, producer: AIOKafkaProducer, message: Message
    ) -> "asyncio.Future[object]":
        if message.partition not in await producer.partitions_for(message.name):
            # It may have been added a moment ago, by somebody who knew of it before us.
            await producer.client.force_metadata_update()
            there = await producer.partitions_for(message.name)
            if message.partition not in there:
                raise StoreError(
                    f"bus.kafka: topic {message.name} has no partition {message.partition}, only "
                    f"{len(there)}: it was made again with fewer; grow it"
                )
        sent: asyncio.Future[object] = await producer.send(
            message.name,
            message.value,
            key=message.key,
            partition=message.partition,
            headers=list(message.headers),
        )
        return sent

    async def _given_up(self, producer: AIOKafkaProducer, error: BaseException) -> StoreError:
        await self._let_go(producer, error)
        return StoreError(await trouble(self._settings, error))

    async def _let_go(self, producer: AIOKafkaProducer | None, error: BaseException) -> None:
        """Let go of `producer`, which would go on trying for ever, so that nothing comes late.

        The next call makes a new one, which finds brokers that moved and reads the password
        anew. Others that wait for the old one are refused with this error.
        """
        async with self._changing:
            if producer is not None and self._open is producer:
                self._open = None
                if self._dropped is not None:
                    self._dropped.set_result(error)
                await _drop(producer)


async def _all(
    sent: "Sequence[asyncio.Future[object]]", dropped: "asyncio.Future[BaseException] | None"
) -> None:
    """Wait until all of `sent` are durable. Raises what one failed of, or why all were dropped."""
    waiting: set[asyncio.Future[object]] = set(sent)
    ends: set[asyncio.Future[object]] = {dropped} if dropped is not None else set()  # type: ignore[arg-type] # read only
    while waiting:
        done, _ = await asyncio.wait(waiting | ends, return_when=asyncio.FIRST_COMPLETED)
        for one in done & waiting:
            one.result()
        waiting -= done
        if waiting and dropped is not None and dropped.done():
            raise KafkaError(said(dropped.result()))


async def _drop(producer: AIOKafkaProducer) -> None:
    """Close `producer` without sending what waits; there is no public way for it."""
    try:
        async with asyncio.timeout(CLOSE_S):
            await producer._sender.close()  # noqa: SLF001
    except CLIENT_ERRORS:
        pass
    producer._closed = True  # noqa: SLF001
    await producer.client.close()


async def _close(producer: AIOKafkaProducer) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await producer.stop()
    except CLIENT_ERRORS:
        await producer.client.close()
