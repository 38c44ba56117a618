"""A connection of its own to the brokers: which topics there are, and how far they go."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.admin import DescribeConfigsRequest, DescribeGroupsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import LeaveGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.record.memory_records import MemoryRecords

from engine.bus.connection import connection, said, trouble
from engine.bus.settings import KafkaConfig
from engine.model.errors import ConfigError, StoreError

EARLIEST: Final = -2
LATEST: Final = -1
CLIENT_ERRORS: Final = (OSError, errors.KafkaError)
"""What the client raises when brokers can not be used; time-outs are among them."""
READ_MS: Final = 1000
_SMALLEST: Final = 1
"""Bytes to ask for where one record is enough: brokers send a whole one in any case."""
_ANY_REPLICA: Final = -1
_COMMITTED_OR_NOT: Final = 0
_A_TOPIC: Final = 2
_MISSING: Final = errors.UnknownTopicOrPartitionError.errno

Place = tuple[str, int]
"""(name of the topic, partition)"""


@dataclass(frozen=True)
class Partition:
    """One partition as the brokers tell it: ids of brokers, `leader` -1 where there is none."""

    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


class Brokers:
    """Asks the brokers; connects when it is first asked, and anew after a failure.

    Raises (every method):
        StoreError: the brokers, or a file of `tls` or `sasl`, can not be used, in one line; the
            next call may succeed.
    """

    def __init__(self, settings: KafkaConfig, client: str) -> None:
        self._settings = settings
        self._name = client
        self._client: AIOKafkaClient | None = None
        self._connecting = asyncio.Lock()

    async def topics(self, names: Iterable[str]) -> Mapping[str, tuple[Partition, ...]]:
        """Return the partitions of those of `names` that exist, by number.

        Never makes a topic, also where brokers make those that are asked for.
        """
        request = MetadataRequest(sorted(names), allow_auto_topic_creation=False)
        answer = await self._ask(request)
        found: dict[str, tuple[Partition, ...]] = {}
        for code, name, _, parts in answer.topics:
            if code == _MISSING:
                continue
            if code:
                raise StoreError(f"bus.kafka: topic {name}: {said(errors.for_code(code)())}")
            by_number = sorted(parts, key=lambda part: part[1])
            found[name] = tuple(
                Partition(leader, tuple(replicas), tuple(in_sync))
                for _, _, leader, replicas, in_sync, *_ in by_number
            )
        return found

    async def offsets(self, places: Iterable[Place], at: int) -> Mapping[Place, int]:
        """Return the offset EARLIEST or LATEST of each place that exists and has a leader."""
        wanted = set(places)
        topics = await self.topics({name for name, _ in wanted}) if wanted else {}
        by_leader: defaultdict[int, dict[str, list[tuple[int, int]]]] = defaultdict(dict)
        for name, number in wanted:
            parts = topics.get(name, ())
            if number < len(parts) and parts[number].leader >= 0:
                by_leader[parts[number].leader].setdefault(name, []).append((number, at))
        found: dict[Place, int] = {}
        for leader, asked in by_leader.items():
            request = OffsetRequest(_ANY_REPLICA, _COMMITTED_OR_NOT, list(asked.items()))
            answer = await self._ask(request, leader)
            for name, parts in answer.topics:
                for number, code, _, offset in parts:
                    if not code:
                        found[name, number] = offset
        return found

    async def stands(self, place: Place, offset: int) -> tuple[int, int]:
        """Return offset and time (ms) of the first record of `place` from `offset` on.

        It is read from the log itself. Raises StoreError too where there is none.
        """
        name, number = place
        parts = (await self.topics([name])).get(name, ())
        if number >= len(parts) or parts[number].leader < 0:
            raise StoreError(f"bus.kafka: partition {number} of {name} has no leader")
        leader = parts[number].leader
        at = offset
        while True:
            batches = MemoryRecords(await self._fetched(place, at, leader))
            if not batches.has_next():
                raise StoreError(f"bus.kafka: no record of {name}/{number} from offset {offset} on")
            while batches.has_next():
                batch = batches.next_batch()
                at = batch.next_offset
                if batch.is_control_batch:
                    # The mark of a transaction: no consumer is given it.
                    continue
                for record in batch:
                    if record.offset >= offset:
                        return record.offset, record.timestamp

    async def _fetched(self, place: Place, offset: int, leader: int) -> bytes:
        """Return the batch of `place` that holds `offset`, or the one after it; empty: none."""
        name, number = place
        asked = [(name, [(number, offset, _SMALLEST)])]
        request = FetchRequest(READ_MS, 1, _SMALLEST, _COMMITTED_OR_NOT, asked)
        answer = await self._ask(request, leader)
        ((_, ((_, code, *_, data),)),) = answer.topics
        if code:
            raise StoreError(f"bus.kafka: {name}/{number}: {said(errors.for_code(code)())}")
        return bytes(data or b"")

    async def count(self) -> int:
        """Return how many brokers are up."""
        await self.topics(())
        return len((await self._connected()).cluster.brokers())

    async def send(self, request: Any) -> Any:
        """Send a request that changes topics to the broker that takes these; return its answer."""
        answer = await self._ask(MetadataRequest([], allow_auto_topic_creation=False))
        return await self._ask(request, answer.controller_id)

    async def settings_of(self, names: Iterable[str]) -> Mapping[str, Mapping[str, str]]:
        """Return the settings of each topic by name; a topic that we may not ask is left out."""
        asked = [(_A_TOPIC, name, None) for name in names]
        answer = await self._ask(DescribeConfigsRequest(asked))
        return {
            name: {entry[0]: entry[1] for entry in entries}
            for code, _, _, name, entries in answer.resources
            if not code
        }

    async def evict(self, group: str, client: str) -> int:
        """Let the members of `group` that call themselves `client` leave it; return how many.

        So the one process that does it all, `local`, takes over at once from its killed self.
        """
        found = await self._ask(FindCoordinatorRequest(group, CoordinationType.GROUP))
        if found.error_code:
            return 0
        node = found.coordinator_id
        answer = await self._ask(DescribeGroupsRequest([group]), node)
        gone = [member[0] for one in answer.groups for member in one[5] if member[1] == client]
        for member in gone:
            await self._ask(LeaveGroupRequest(group, member), node)
        return len(gone)

    async def aclose(self) -> None:
        """Close the connection; a later call opens another one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, request: Any, node: int | None = None) -> Any:
        try:
            return await self._sent(request, node)
        except CLIENT_ERRORS:
            # The broker asked may just have gone: connecting anew finds one that is there.
            await self.aclose()
        try:
            return await self._sent(request, node)
        except CLIENT_ERRORS as error:
            await self.aclose()
            raise StoreError(await trouble(self._settings, error)) from error

    async def _sent(self, request: Any, node: int | None) -> Any:
        client = await self._connected()
        chosen = client.get_random_node() if node is None else node
        if chosen is None:
            raise errors.NodeNotReadyError("no broker is known")
        return await client.send(chosen, request)

    async def _connected(self) -> AIOKafkaClient:
        async with self._connecting:
            if self._client is None:
                try:
                    client = AIOKafkaClient(**connection(self._settings, self._name))
                except ConfigError as error:
                    # Secrets are renewed while we run: a file may be empty for a moment.
                    raise StoreError(str(error)) from error
                try:
                    await client.bootstrap()
                except BaseException:
                    await client.close()
                    raise
                self._client = client
            return self._client
