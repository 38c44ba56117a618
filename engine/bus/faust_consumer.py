"""What faust runs on: its consumer with our offsets, our limits and our way of failing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Any, ClassVar, Final, cast
from weakref import WeakSet

from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.app import App
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from engine.bus.faust_thread import Fetched, Thread

WAITING_BYTES: Final = 16 << 20
"""Bytes of records that may wait to be folded; beyond it nothing is taken from the consumer."""
WAITING_RECORDS: Final = 256
GET_S: Final = 0.5
IDLE_S: Final = 0.05


class Forgetful(dict[TP, "int | None"]):
    """Stands where faust remembers how far it read: it drops what comes again after a seek."""

    def __getitem__(self, tp: TP) -> int | None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        """Remember nothing."""


class Message(ConsumerMessage):
    """A record on its way to the agent, with the number of the seek before it."""

    turn: int = -1


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
