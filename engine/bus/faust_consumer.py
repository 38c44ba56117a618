"""What faust runs on: its consumer with our offsets, our limits and our way of failing."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, Final, cast
from weakref import WeakSet

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import (
    IllegalStateError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
)
from faust.app import App
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from engine.bus.brokers import CLIENT_ERRORS
from engine.model.errors import StoreError

FETCH_BYTES: Final = 16 << 20
"""Most bytes of one answer of a broker."""
PARTITION_BYTES: Final = 1 << 20
"""Most bytes of one partition in it; a larger record comes alone."""
WAITING_BYTES: Final = 16 << 20
"""Bytes of records that may wait to be folded; beyond it nothing is taken from the consumer."""
WAITING_RECORDS: Final = 256
FETCH_WAIT_MS: Final = 100
"""How long a broker may wait for records: those of a partition that got none wait as long."""
POLL_S: Final = 60.0
"""A process whose loop stands still for so long gives up its partitions."""
REJOIN_S: Final = 20.0
"""How long members may take to let go of their partitions."""
GET_S: Final = 0.5
IDLE_S: Final = 0.05


class Fetched(dict[TP, list[Any]]):
    """Records by partition; `turns` says after which seek each was fetched."""

    turns: Mapping[TP, int] = {}


class Forgetful(dict[TP, "int | None"]):
    """Stands where faust remembers how far it read: it drops what comes again after a seek."""

    def __getitem__(self, tp: TP) -> int | None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Remember nothing."""


class Message(ConsumerMessage):
    """A record on its way to the agent, with the number of the seek before it."""

    turn: int = -1


class Thread(driver.AIOKafkaConsumerThread):
    """Owns the client of aiokafka; its methods with `_` first run in the thread."""

    def __init__(self, consumer: "Consumer", **given: Any) -> None:
        super().__init__(consumer, **given)
        self._turns: defaultdict[TP, int] = defaultdict(int)

    def on_crash(self, msg: str, *fmt: Any, **given: Any) -> None:
        """Print nothing: the reason is kept, and told by the worker."""

    async def on_thread_stop(self) -> None:
        """Leave the group, and close every connection, also one that was just being opened."""
        try:
            await super().on_thread_stop()
        finally:
            await self._gather_remaining_tasks()
            if self._consumer is not None:
                await self._consumer._client.close()  # noqa: SLF001

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        del transport
        return AIOKafkaConsumer(
            **cast("OurApp", self.app).client,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_interval_ms=round(POLL_S * 1000),
            rebalance_timeout_ms=round(REJOIN_S * 1000),
            fetch_max_bytes=FETCH_BYTES,
            max_partition_fetch_bytes=PARTITION_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
        )

    async def _fetch_records(
        self,
        consumer: AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - faust calls it so
        max_records: int | None = None,
    ) -> Fetched:
        # Faults of the group are kept until they are asked for, and the group stands still.
        consumer._coordinator.check_errors()  # noqa: SLF001
        found = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        # Nothing else runs in this thread since they left the buffer: no seek is in between.
        fetched = Fetched(found)
        fetched.turns = {tp: self._turns[tp] for tp in fetched}
        return fetched

    async def seek_to(self, place: TP, offset: int) -> int:
        """Go on at `offset`; return the number of this seek. Raises StoreError."""

        async def work(consumer: AIOKafkaConsumer) -> int:
            consumer.seek(TopicPartition(*place), offset)
            self._turns[place] += 1
            return self._turns[place]

        return int(await self._in_thread(work))

    async def note(self, offsets: Mapping[TP, int]) -> None:
        """Tell the brokers how far we are: a hint for people. Raises StoreError."""

        async def work(consumer: AIOKafkaConsumer) -> None:
            mine = consumer.assignment()
            told = {TopicPartition(*tp): at for tp, at in offsets.items()}
            told = {tp: at for tp, at in told.items() if tp in mine}
            if told:
                await consumer.commit(told)

        await self._in_thread(work)

    def touch(self) -> None:
        """Say that our loop turns, also while it takes no records."""

        def work() -> None:
            if self._consumer is not None:
                with self._consumer._subscription.fetch_context():  # noqa: SLF001
                    pass

        if self.thread_loop.is_running():
            self.thread_loop.call_soon_threadsafe(work)

    def end_of(self, place: TP) -> int:
        """Return the offset that the next record of `place` gets as far as is known, or 0."""
        if self._consumer is None:
            return 0
        try:
            return self._consumer.highwater(TopicPartition(*place)) or 0
        except (AssertionError, IllegalStateError):
            return 0

    async def _in_thread(self, work: Callable[[AIOKafkaConsumer], Awaitable[Any]]) -> Any:
        """Do `work` in the thread, beside the calls that faust queues there."""

        async def within() -> Any:
            return await work(self._ensure_consumer())

        if not self.thread_loop.is_running():
            raise StoreError("bus.kafka: the consumer is closed")
        try:
            asked = asyncio.run_coroutine_threadsafe(within(), self.thread_loop)
            async with asyncio.timeout(REJOIN_S):
                return await asyncio.wrap_future(asked)
        except CLIENT_ERRORS as error:
            raise StoreError(f"bus.kafka: {error}") from error


class Consumer(driver.Consumer):
    """Faust's consumer; where each partition goes on is decided by the holdings of the app."""

    _thread: Thread

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._read_offset = Forgetful()
        self._waiting: WeakSet[Message] = WeakSet()
        self._waiting_bytes = 0
        self._taken = asyncio.Event()

    @property
    def ours(self) -> "OurApp":
        """The app that this consumer works for."""
        return cast("OurApp", self.app)

    @property
    def thread(self) -> Thread:
        """The thread of the client."""
        return self._thread

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    def taken(self, message: Message) -> None:
        """Make room: `message` waits no longer."""
        if message in self._waiting:
            self._waiting.discard(message)
            self._waiting_bytes -= len(message.value or b"")
            self._taken.set()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Let the owner take over what was assigned; each partition flows once it was sought."""
        mine = self.assignment()
        self.pause_partitions(mine)
        self.ours.assigned(mine)
        return {}

    async def seek_to(self, place: TP, offset: int) -> int:
        """Go on at `offset`, and let the partition flow. Raises StoreError."""
        turn = await self._thread.seek_to(place, offset)
        self.resume_partitions({place})
        return turn

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, then let the owner write what is pending."""
        await super().on_partitions_revoked(revoked)
        await self.ours.revoked(revoked)

    async def getmany(
        self,
        timeout: float,  # noqa: ASYNC109 - faust calls it so
    ) -> AsyncIterator[tuple[TP, Message]]:
        """Yield what was fetched, and fetch nothing more while too many bytes wait."""
        del timeout
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        active = self._get_active_partitions()
        if not active:
            await self.sleep(IDLE_S)
            return
        fetched = await self._getmany(active, GET_S)
        generation = self.app.consumer_generation_id
        for tp, record in self.scheduler.iterate(fetched):
            message = self._message(tp, record, fetched.turns[tp])
            await self._room()
            if not self.flow_active or generation != self.app.consumer_generation_id:
                return
            self._waiting.add(message)
            self._waiting_bytes += len(record.value or b"")
            yield tp, message

    def close(self) -> None:
        """Leave closing to the stop that follows: faust would do it from another loop."""

    async def verify_all_partitions_active(self) -> None:
        """Complain of nothing: a quiet partition is no fault, and lag is measured elsewhere."""

    async def _getmany(
        self,
        active_partitions: set[TP] | None,
        timeout: float,  # noqa: ASYNC109 - faust calls it so
    ) -> Fetched:
        try:
            return cast("Fetched", await self._thread.getmany(active_partitions, timeout))
        except NoOffsetForPartitionError:
            # It was just assigned, and is not sought yet.
            await self.sleep(IDLE_S)
        except OffsetOutOfRangeError as error:
            self.ours.out_of_range(TP(*tp) for tp in error.args[0])
        return Fetched()

    def _message(self, tp: TP, record: Any, turn: int) -> Message:
        message = Message(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.timestamp_type,
            record.headers,
            record.key,
            record.value,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )
        message.turn = turn
        return message

    async def _room(self) -> None:
        while self._waiting_bytes > WAITING_BYTES and self.flow_active:
            self._taken.clear()
            try:
                async with asyncio.timeout(GET_S):
                    await self._taken.wait()
            except TimeoutError:
                # Some may have been dropped on the way, when the group was rebalanced.
                self._waiting_bytes = sum(len(one.value or b"") for one in self._waiting)


class Transport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer: ClassVar[Any] = Consumer


class OurApp(App):
    """The app of faust: no folders, no web, no tables, no producer; bound to one worker."""

    client: Mapping[str, Any]
    assigned: Callable[[Collection[TP]], None]
    revoked: Callable[[Collection[TP]], Awaitable[None]]
    out_of_range: Callable[[Any], None]

    async def on_first_start(self) -> None:
        """Make no folders."""

    @property
    def ours(self) -> Consumer:
        """The consumer."""
        return cast("Consumer", self.consumer)
