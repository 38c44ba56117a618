"""The thread of faust in which the client of aiokafka runs: its settings, fetches and seeks."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from engine.bus.brokers import CLIENT_ERRORS
from engine.model.errors import StoreError

if TYPE_CHECKING:
    from engine.bus.faust_consumer import Consumer, OurApp

FETCH_BYTES: Final = 16 << 20
"""Most bytes of one answer of a broker."""
PARTITION_BYTES: Final = 1 << 20
"""Most bytes of one partition in it; a larger record comes alone."""
FETCH_WAIT_MS: Final = 100
"""How long a broker may wait for records: those of a partition that got none wait as long."""
POLL_S: Final = 60.0
"""A process whose loop stands still for so long gives up its partitions."""
REJOIN_S: Final = 20.0
"""How long members may take to let go of their partitions."""
LOOK_S: Final = 0.1
CLOSED: Final = "bus.kafka: the consumer is closed"


class Fetched(dict[TP, list[Any]]):
    """Records by partition; `turns` says after which seek each was fetched."""

    turns: Mapping[TP, int] = {}


class Thread(AIOKafkaConsumerThread):
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
            raise StoreError(CLOSED)
        asked = asyncio.run_coroutine_threadsafe(within(), self.thread_loop)
        answer = asyncio.wrap_future(asked)
        try:
            async with asyncio.timeout(REJOIN_S):
                # A thread that ends answers no more; who waits for it shall not keep the group.
                while not answer.done() and self.thread_loop.is_running():
                    await asyncio.wait({answer}, timeout=LOOK_S)
            if not answer.done() or answer.cancelled():
                raise StoreError(CLOSED)
            return answer.result()
        except TimeoutError as error:
            raise StoreError(f"bus.kafka: no answer of the client in {REJOIN_S:g} s") from error
        except CLIENT_ERRORS as error:
            raise StoreError(f"bus.kafka: {error}") from error
        finally:
            if self.thread_loop.is_running():
                asked.cancel()
