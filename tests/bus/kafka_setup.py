"""What tests of the bus on Kafka share: a configuration, signals, and an owner that notes calls."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.bus.faust_worker import KafkaWorker, Record, Start
from engine.bus.settings import KafkaConfig
from engine.model.errors import Fenced, StoreError
from engine.model.signal import Signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from engine.bus.topics import Log
    from tests.testbeds.kafka import Cluster

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE_S = 60.0
ONE_BROKER: dict[str, Any] = {
    "replication_factor": 1,
    "min_insync_replicas": 1,
    "allow_unsafe": ["replication_factor", "min_insync_replicas"],
}


def settings(kafka: Cluster, **other: Any) -> KafkaConfig:
    """Return a configuration with topics and a group that nobody else has."""
    prefix = kafka.topic_prefix()
    return KafkaConfig(
        **{
            "brokers": kafka.bootstrap.split(","),
            "topic_prefix": prefix,
            "group": f"{prefix}group",
            "partitions": 4,
            "session_timeout_s": 3,
            **ONE_BROKER,
            **other,
        }
    )


def a_signal(cluster: str, number: int = 0, **data: Any) -> Signal:
    return Signal(
        id=f"{cluster}-{number}",
        source="test",
        type="metric",
        time=NOON,
        cluster=cluster,
        data={"metric": "m", "value": float(number), **data},
    )


class Places:
    """The placements of a store: the first answer stays."""

    def __init__(self) -> None:
        self.kept: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, cluster: str, partitions: int) -> int:
        self.asked.append((cluster, partitions))
        return self.kept.setdefault(cluster, zlib.crc32(cluster.encode()) % partitions)


@dataclass
class Notes:
    """An owner over a store in memory, which several owners may share."""

    store: dict[Log, int] = field(default_factory=dict)
    times: dict[Log, int] = field(default_factory=dict)
    refuse: set[Log] = field(default_factory=set)
    fence: set[Log] = field(default_factory=set)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    taken: dict[Log, list[Record]] = field(default_factory=lambda: defaultdict(list))
    slow_s: float = 0.0
    holding: set[Log] = field(default_factory=set)

    async def assigned(self, log: Log) -> Start:
        self.calls.append(("assigned", log))
        if log in self.refuse:
            raise StoreError("store: no route to host")
        assert log not in self.holding
        self.holding.add(log)
        return Start(self.store.get(log, 0), self.times.get(log, 0))

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        self.calls.append(("gap", log, wanted, found))
        self.store[log] = found
        self.times[log] = 0

    async def take(self, log: Log, record: Record) -> None:
        if log in self.fence:
            self.fence.discard(log)
            self.holding.discard(log)
            raise Fenced("somebody else owns it")
        assert log in self.holding
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        assert record.offset == self.store.get(log, 0)
        self.store[log] = record.offset + 1
        self.times[log] = record.at_ms
        self.taken[log].append(record)

    async def revoked(self, logs: Collection[Log]) -> None:
        self.calls.append(("revoked", *logs))
        self.holding.difference_update(logs)

    def count(self) -> int:
        return sum(len(records) for records in self.taken.values())

    def gaps(self) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == "gap"]


@asynccontextmanager
async def running(
    config: KafkaConfig, notes: Notes, member: str = "a"
) -> AsyncIterator[KafkaWorker]:
    """Run a worker; what it raises comes out at the end."""
    worker = KafkaWorker(config, notes, member=member)
    work = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def until(met: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until `met`; fail when that takes too long."""
    async with asyncio.timeout(patience_s):
        while not met():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
