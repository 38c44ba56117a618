"""The bus on Kafka: records of one cluster each, durable on all replicas in sync."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Self

import structlog

from engine.bus.brokers import LATEST, Brokers
from engine.bus.codec import RECORD_LIMIT, Bad, batches
from engine.bus.connection import quiet, said
from engine.bus.declaring import declare
from engine.bus.producer import Message, Producer
from engine.bus.settings import KafkaConfig
from engine.bus.topics import Log, Topic
from engine.failpoint import Point, around
from engine.model.errors import DogwatchError, StoreError
from engine.model.signal import Signal

LOG = structlog.get_logger()
DELIVERY_S: Final = 15.0
"""How long an append is tried before it is refused."""
_HEADERS: Final = 32 << 10
"""Bytes of foreign headers that the archive keeps."""

Record = tuple[str, bytes]
"""(cluster, batch bytes)"""


class KafkaBus:
    """Appends to the topics; start it within a running loop, or use it as a context.

    `placed(cluster, partitions)` answers in which partition of `signals` a cluster lives; one
    never seen is given one of the `partitions` that there are. It is asked once for a cluster.

    `problem` says why the last append was refused; it is empty while all is well, and again
    once an append or a `check` succeeds.
    """

    def __init__(
        self,
        settings: KafkaConfig,
        placed: Callable[[str, int], Awaitable[int]],
        *,
        delivery_s: float = DELIVERY_S,
    ) -> None:
        quiet()
        self._delivery_s = delivery_s
        self.settings = settings
        self._placed = placed
        self._places: dict[str, int] = {}
        self._brokers = Brokers(settings, "dogwatch-bus")
        self._producer = Producer(settings)
        self.problem = ""

    async def start(self) -> None:
        """Connect; brokers that can not be used are a `problem`, and tried again later."""
        try:
            await self._producer.connect()
        except StoreError as error:
            self._refused(error)

    async def aclose(self) -> None:
        """Finish what was appended, and close the connections."""
        await self._producer.aclose()
        await self._brokers.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def append(self, signals: Sequence[Signal]) -> None:
        """Append `signals`, one record a cluster and 500 signals; return once all are durable.

        Raises:
            ValueError: a signal has no JSON form; nothing was appended.
            StoreError: the brokers refused, or did not answer within `delivery_s`. Some records
                may be durable all the same: the next call may repeat them.
        """
        await self.append_records(list(batches(signals)))

    async def append_records(self, records: Sequence[Record]) -> None:
        """Append records as `batches` yields them, each in the partition of its cluster.

        Raises:
            StoreError: see `append`.
        """
        await self._deliver(Point.SIGNAL_PRODUCED, records=records)

    async def append_to(self, topic: Topic, partition: int, signals: Sequence[Signal]) -> None:
        """Append `signals` to one partition, whatever clusters they are about.

        Raises:
            ValueError, StoreError: see `append`.
        """
        made = [
            Message(self._name(topic), partition, cluster.encode(), record)
            for cluster, record in batches(signals)
        ]
        published = topic is Topic.CONDITIONS
        await self._deliver(
            Point.CONDITIONS_PUBLISHED if published else Point.SIGNAL_PRODUCED, made
        )

    async def quarantine(
        self, partition: int, offset: int, bad: Sequence[Bad], headers: Mapping[str, str]
    ) -> None:
        """Keep the bytes of what could not be read, with its headers, reason and place.

        Args:
            partition: where it was, as the store counts partitions.
            offset: the record that it was part of.
            bad: what could not be read; of more than RECORD_LIMIT bytes the first are kept.
            headers: those of the record.

        Raises:
            StoreError: see `append`.
        """
        name = self._name(Topic.QUARANTINE)
        made = [
            Message(name, 0, b"", one.raw[:RECORD_LIMIT], _labels(partition, offset, one, headers))
            for one in bad
        ]
        await self._deliver(Point.RECORD_QUARANTINED, made)

    async def check(self) -> None:
        """Where there is a `problem`, see whether it is over; so the bus heals by itself.

        Raises:
            StoreError: it is not over; the message says what it is now.
        """
        if not self.problem:
            return
        try:
            await self._try_all()
        except DogwatchError as error:
            self._refused(error)
            raise
        self._well()

    async def ends(self) -> dict[Log, int]:
        """Return the offset that the next record of each log gets, without `quarantine`.

        Raises:
            StoreError: the brokers can not be asked now.
        """
        names = {self._name(topic): topic for topic in (Topic.SIGNALS, Topic.CONDITIONS)}
        there = await self._brokers.topics(names)
        places = [(name, number) for name, parts in there.items() for number in range(len(parts))]
        found = await self._brokers.offsets(places, LATEST)
        return {Log(names[name], number): end for (name, number), end in found.items()}

    async def declare(self) -> None:
        """Make the topics that are missing, and check all of them.

        Raises:
            StoreError: the brokers can not be used; a later call may succeed.
            ConfigError: topics that may not be made, or with settings that can lose records.
        """
        await declare(self.settings, self._brokers)

    async def lane(self, cluster: str) -> int:
        """Return the partition of `signals` that `cluster` lives in, now and for ever.

        Raises:
            StoreError: the brokers, or the store, can not be asked now.
        """
        if cluster not in self._places:
            there = await self._producer.partitions(self._name(Topic.SIGNALS))
            self._places[cluster] = await self._placed(cluster, there)
        return self._places[cluster]

    async def _deliver(
        self,
        point: Point,
        messages: Sequence[Message] = (),
        *,
        records: Sequence[Record] = (),
    ) -> None:
        handed_over = False
        try:
            async with asyncio.timeout(self._delivery_s):
                with around(point):
                    own = [await self._message(*one) for one in records]
                    handed_over = True
                    await self._producer.send([*messages, *own])
        except StoreError as error:
            self._refused(error)
            raise
        except OSError as error:
            if handed_over:
                # While a cluster is looked up the producer has done no wrong, and others use it.
                await self._producer.give_up(error)
            refused = await self._reason(error, handed_over=handed_over)
            self._refused(refused)
            raise refused from error
        self._well()

    async def _message(self, cluster: str, record: bytes) -> Message:
        headers: list[tuple[str, bytes]] = []
        if len(record) > RECORD_LIMIT:
            # One signal that is too large for any record: its beginning is shown as unreadable.
            headers = [("dogwatch-cut-bytes", str(len(record)).encode())]
            record = record[:RECORD_LIMIT]
        partition = await self.lane(cluster)
        return Message(self._name(Topic.SIGNALS), partition, cluster.encode(), record, headers)

    async def _reason(self, error: OSError, *, handed_over: bool) -> StoreError:
        """Return why nothing was delivered in time: the brokers say more than their silence."""
        try:
            await self._try_all()
        except DogwatchError as found:
            return StoreError(str(found))
        if isinstance(error, TimeoutError) and not handed_over:
            return StoreError(
                f"store: it did not say within {self._delivery_s:g} s where clusters live"
            )
        return StoreError(f"bus.kafka: {said(error)}")

    async def _try_all(self) -> None:
        """See whether records could be written now: leaders, and enough replicas in sync.

        Raises:
            DogwatchError: they could not.
        """
        names = [self._name(topic) for topic in Topic]
        there = await self._brokers.topics(names)
        missing = [name for name in names if name not in there]
        if missing:
            raise StoreError(f"bus.kafka: no topic {', '.join(missing)} on the brokers")
        for name, parts in there.items():
            for number, part in enumerate(parts):
                if part.leader < 0:
                    raise StoreError(f"bus.kafka: partition {number} of {name} has no leader")
                if len(part.in_sync) < min(self.settings.min_insync_replicas, len(part.replicas)):
                    raise StoreError(
                        f"bus.kafka: partition {number} of {name} has {len(part.in_sync)} "
                        f"replicas in sync, needed are {self.settings.min_insync_replicas}"
                    )

    def _name(self, topic: Topic) -> str:
        return self.settings.topic_prefix + topic

    def _refused(self, error: DogwatchError) -> None:
        if not self.problem:
            LOG.warning("bus refuses", error=str(error))
        self.problem = str(error)

    def _well(self) -> None:
        if self.problem:
            LOG.info("bus is well again")
        self.problem = ""


def _labels(
    partition: int, offset: int, bad: Bad, headers: Mapping[str, str]
) -> list[tuple[str, bytes]]:
    """Return the headers of an archived record: ours, then those it came with."""
    ours = {
        "dogwatch-reason": bad.reason,
        "dogwatch-detail": bad.detail,
        "dogwatch-partition": str(partition),
        "dogwatch-offset": str(offset),
        "dogwatch-bytes": str(len(bad.raw)),
    }
    labels = [(name, text.encode(errors="backslashreplace")) for name, text in ours.items()]
    left = _HEADERS
    for name, text in headers.items():
        value = text.encode(errors="backslashreplace")
        left -= len(name) + len(value)
        if left < 0:
            break
        labels.append((name, value))
    return labels
