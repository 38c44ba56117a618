"""Topics of a broker of the test beds, by calls that wait: for tests with and without a loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    NotControllerError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    for_code,
)

from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

T = TypeVar("T")
# A broker names one that died as controller until the dead one's session ends, and the client
# asks that one alone for as long as this: so ask for a short time, and anew.
_TIMEOUT_MS = 10_000
# The client picked a node that is down, or asked one that no longer leads: ask another one.
_UNSENT = (
    NodeNotReadyError,
    KafkaConnectionError,
    NotControllerError,
    RequestTimedOutError,
    TimeoutError,
)

# A loop of its own: the caller may be inside one that runs.
_loops = ThreadPoolExecutor(max_workers=1, thread_name_prefix="topics")


class Topics:
    """What an operator does to topics; errors of the broker are raised as aiokafka names them."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def create(self, name: str, partitions: int = 1, replicas: int = 1, **settings: str) -> None:
        """Create a topic; names of settings have `_` for `.`."""
        topic = NewTopic(name, partitions, replicas, topic_configs=_dotted(settings))

        asked = 0

        async def call(admin: AIOKafkaAdminClient) -> None:
            nonlocal asked
            asked += 1
            answer = await admin.create_topics([topic])
            try:
                _check((error[1], error[0]) for error in answer.topic_errors)
            except TopicAlreadyExistsError:
                if asked == 1:  # otherwise the answer to an earlier call was lost
                    raise

        self._call(call)
        eventually(lambda: self.led(name, partitions) or None)

    def delete(self, *names: str) -> None:
        """Delete topics; returns when the broker shows them no more."""

        async def call(admin: AIOKafkaAdminClient) -> None:
            answer = await admin.delete_topics(list(names))
            _check((error[1], error[0]) for error in answer.topic_error_codes)

        self._call(call)
        eventually(lambda: not set(names) & set(self.names()) or None)

    def grow(self, name: str, partitions: int) -> None:
        """Give a topic more partitions; the number is that of all of them."""
        wanted = {name: NewPartitions(total_count=partitions)}
        self._call(lambda admin: admin.create_partitions(wanted))
        eventually(lambda: self.led(name, partitions) or None)

    def configure(self, name: str, **settings: str) -> None:
        """Set the topic's own settings to exactly these; names have `_` for `.`."""
        resource = ConfigResource(ConfigResourceType.TOPIC, name, configs=_dotted(settings))

        async def call(admin: AIOKafkaAdminClient) -> None:
            for answer in await admin.alter_configs([resource]):
                _check((one[0], one[3]) for one in answer.resources)

        self._call(call)

    def names(self) -> list[str]:
        """Return the names of all topics, the broker's own among them."""
        return self._call(lambda admin: admin.list_topics())

    def leaders(self, name: str) -> dict[int, int]:
        """Return the leading node of each partition; -1 where there is none now."""
        found = self._call(lambda admin: admin.describe_topics([name]))
        return {one["partition"]: one["leader"] for one in found[0]["partitions"]}

    def replicas(self, name: str) -> dict[int, set[int]]:
        """Return the nodes that are in step with the leader, for each partition."""
        found = self._call(lambda admin: admin.describe_topics([name]))
        return {one["partition"]: set(one["isr"]) for one in found[0]["partitions"]}

    def led(self, name: str, partitions: int) -> bool:
        """Whether the topic has that many partitions, and each a leader."""
        leaders = self.leaders(name)
        return len(leaders) == partitions and -1 not in leaders.values()

    def nodes(self) -> set[int]:
        """Return the ids of the brokers that serve; empty while nobody answers."""
        try:
            found = self._call(lambda admin: admin.describe_cluster(), 0)
        except KafkaError:
            return set()
        return {one["node_id"] for one in found["brokers"]}

    def serve(self) -> bool:
        """Whether each partition of each topic has a leader."""
        try:
            found = self._call(lambda admin: admin.describe_topics(), 0)
        except KafkaError:
            return False
        return all(one["leader"] != -1 for topic in found for one in topic["partitions"])

    def ends(self, name: str) -> dict[int, int]:
        """Return the end offset of each partition of a topic."""
        return _wait(_ends(self._bootstrap, name, self.leaders(name)))

    def _call(
        self, ask: Callable[[AIOKafkaAdminClient], Awaitable[T]], patience_s: float = 40.0
    ) -> T:
        deadline = monotonic() + patience_s
        while True:
            try:
                return _wait(_with_admin(self._bootstrap, ask))
            except _UNSENT:
                if monotonic() > deadline:
                    raise


async def _with_admin(bootstrap: str, ask: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS)
    try:
        await admin.start()
        return await ask(admin)
    finally:
        await admin.close()


async def _ends(bootstrap: str, name: str, partitions: Iterable[int]) -> dict[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=_TIMEOUT_MS)
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(name, one) for one in partitions])
        return {one.partition: end for one, end in found.items()}
    finally:
        await consumer.stop()


def _wait(work: Coroutine[Any, Any, T]) -> T:
    return _loops.submit(asyncio.run, work).result()


def _dotted(settings: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in settings.items()}


def _check(errors: Iterable[tuple[int, str]]) -> None:
    for code, what in errors:
        if code:
            raise for_code(code)(what)
