"""How fast a worker on Kafka folds, beside a bare client that feeds the same evaluator.

Run `python -m tests.bench.kafka [RECORDS]`; a broker of the test beds is started for it. Records
hold 500 signals each, in two partitions, one evaluator with 100 rules for each. Each figure is
the best of three, taken in turns, from the first record to the last: `bare` is a loop round
aiokafka, `worker` is our KafkaWorker. Then one worker process for both partitions, against two.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from engine.app.collector import settle_memory
from engine.app.rule_files import check_texts, good
from engine.bus.codec import decode
from engine.bus.faust_worker import KafkaWorker, Record, Start
from engine.bus.holding import RETRY_S
from engine.bus.settings import KafkaConfig
from engine.bus.topics import Log, Topic
from engine.model.errors import StoreError
from engine.stream.evaluator import Evaluator
from engine.stream.stage import Stage
from tests.bench.many_rules import rule_files
from tests.bench.traffic import CLUSTERS, RECORD, mixed, records
from tests.bus.kafka_setup import ONE_BROKER
from tests.testbeds import jars
from tests.testbeds.build import BuildError
from tests.testbeds.kafka import Cluster, Installed

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.rules.rule import RuleSet

RECORDS: Final = 300
RULES: Final = 100
ROUNDS: Final = 3
PARTITIONS: Final = 2
CHECKPOINT: Final = 5_000
TARGET: Final = 0.85


@dataclass
class Folding:
    """One evaluator for each log, and when it was busy."""

    rules: RuleSet
    evaluators: dict[int, Evaluator] = field(default_factory=dict)
    pending: dict[int, int] = field(default_factory=dict)
    records: int = 0
    first: float = 0.0
    last: float = 0.0
    cpu: float = 0.0

    def fold(self, partition: int, value: bytes) -> None:
        """Fold one record, with a checkpoint every so often, as the engine does."""
        if not self.records:
            self.first, self.cpu = monotonic(), process_time()
        evaluator = self.evaluators.get(partition)
        if evaluator is None:
            evaluator = self.evaluators[partition] = Evaluator(self.rules, stage=Stage.FIRST)
        evaluator.step(decode(value).signals)
        self.records += 1
        self.pending[partition] = self.pending.get(partition, 0) + RECORD
        if self.pending[partition] >= CHECKPOINT:
            evaluator.changes()
            self.pending[partition] = 0
        self.last = monotonic()

    def speed(self) -> tuple[float, float]:
        """Return signals a second of time, and of processor time."""
        signals = self.records * RECORD
        return signals / (self.last - self.first), signals / (process_time() - self.cpu)


class Waiting:
    """An owner that holds every log back until it may go, and folds then."""

    def __init__(self, folding: Folding, go: Path | None = None) -> None:
        self.folding = folding
        self.go = go
        self.asked: dict[Log, float] = {}
        self.grown = asyncio.Event()

    async def assigned(self, log: Log) -> Start:
        self.asked[log] = monotonic()
        if self.go is not None and not self.go.exists():
            raise StoreError("not yet")
        return Start(0)

    def held(self) -> int:
        """Return how many logs of signals were asked for lately."""
        return sum(
            log.topic is Topic.SIGNALS and monotonic() - at < 2 * RETRY_S
            for log, at in self.asked.items()
        )

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        raise AssertionError(f"{log}: {wanted}, {found}")

    async def take(self, log: Log, record: Record) -> None:
        self.folding.fold(log.partition, record.value)
        self.grown.set()

    async def revoked(self, logs: Collection[Log]) -> None:
        """Keep what was folded: it is only counted."""


def main(count: int) -> None:
    """Print the figures."""
    try:
        java, libs = jars.java(), jars.find()
    except BuildError as error:
        _say(f"no figures of Kafka: {error}")
        return
    if libs is None:
        _say("no figures of Kafka: run make testbeds first")
        return
    with (
        TemporaryDirectory() as folder,
        Cluster(Path(folder, "kafka"), Installed(java, libs), brokers=1) as kafka,
    ):
        asyncio.run(_measure(kafka, Path(folder), count))


async def _measure(kafka: Cluster, folder: Path, count: int) -> None:
    rules = good(check_texts(rule_files(RULES)))
    config = _config(kafka.bootstrap, "bench.")
    name = f"{config.topic_prefix}signals"
    kafka.topics.create(name, PARTITIONS)
    kafka.topics.create(f"{config.topic_prefix}conditions", 1)
    log = list(records(mixed, count * RECORD))
    await _fill(kafka.bootstrap, name, log)
    size = sum(map(len, log)) / len(log) / RECORD
    _say(f"{count * RECORD:,} signals of {size:.0f} bytes in {count} records, {RULES} rules")
    bare, worker = [], []
    for number in range(ROUNDS):
        bare.append(await _bare(kafka.bootstrap, name, Folding(rules), count))
        member = config.model_copy(update={"group": f"round-{number}"})
        worker.append(await _worked(member, Folding(rules), count))
    _compare("bare", bare, bare)
    _compare("worker", worker, bare)
    one = await _processes(config, folder, 1, count)
    two = await _processes(config, folder, 2, count)
    _say(f"one process {one:>9,.0f}/s   two processes {two:>9,.0f}/s, {two / one:.2f} x")


def _compare(
    name: str, found: list[tuple[float, float]], beside: list[tuple[float, float]]
) -> None:
    wall, cpu = max(one for one, _ in found), max(one for _, one in found)
    of_wall, of_cpu = (wall / max(one for one, _ in beside), cpu / max(one for _, one in beside))
    verdict = (
        "" if found is beside else f" (>= {TARGET}: {'met' if of_wall >= TARGET else 'MISSED'})"
    )
    _say(
        f"{name:<7} {wall:>9,.0f}/s, {of_wall:.2f} x bare{verdict}; "
        f"by processor time {cpu:>9,.0f}/s, {of_cpu:.2f} x"
    )


async def _fill(bootstrap: str, name: str, log: list[bytes]) -> None:
    """Put the clusters in turns into the partitions."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1 << 20)
    await producer.start()
    try:
        for number, value in enumerate(log):
            await producer.send(name, value, partition=number % CLUSTERS % PARTITIONS)
        await producer.flush()
    finally:
        await producer.stop()


async def _bare(bootstrap: str, name: str, folding: Folding, count: int) -> tuple[float, float]:
    settle_memory()
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await reader.start()
    try:
        places = [TopicPartition(name, number) for number in range(PARTITIONS)]
        reader.assign(places)
        for place in places:
            reader.seek(place, 0)
        while folding.records < count:
            message = await reader.getone()
            folding.fold(message.partition, message.value)
        return folding.speed()
    finally:
        await reader.stop()


async def _worked(config: KafkaConfig, folding: Folding, count: int) -> tuple[float, float]:
    settle_memory()
    owner = Waiting(folding)
    work = asyncio.create_task(KafkaWorker(config, owner, member="bench").run())
    try:
        while folding.records < count and not work.done():
            owner.grown.clear()
            await owner.grown.wait()
        return folding.speed()
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def _processes(config: KafkaConfig, folder: Path, number: int, count: int) -> float:
    """Return signals a second of `number` worker processes together."""
    go = folder / f"go-{number}"
    arguments = [config.brokers[0], f"processes-{number}", str(go), str(number)]
    children = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.kafka", "worker", *arguments, f"m{each}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for each in range(number)
    ]
    for child in children:
        await _line(child, b"ready")
    go.touch()
    times: list[dict[str, Any]] = []
    done = 0
    for child in children:
        found = json.loads(await _line(child, b"{"))
        times.append(found)
        done += found["records"]
    for child in children:
        child.terminate()
        await child.wait()
    assert done == count, f"{done} of {count} records"
    spent = float(max(one["last"] for one in times) - min(one["first"] for one in times))
    return done * RECORD / spent


async def _line(child: asyncio.subprocess.Process, start: bytes) -> bytes:
    """Return the next line that begins with `start`; what is logged is passed over."""
    assert child.stdout is not None
    while line := await child.stdout.readline():
        if line.startswith(start):
            return line
    raise RuntimeError("a worker process ended early")


async def _child(broker: str, group: str, go: str, number: str, member: str) -> None:
    """Be one worker: say `ready` when every member has its logs, and the times at the end."""
    config = _config(broker, "bench.").model_copy(update={"group": group})
    folding = Folding(good(check_texts(rule_files(RULES))))
    owner = Waiting(folding, Path(go))
    work = asyncio.create_task(KafkaWorker(config, owner, member=member).run())
    expected = -(-PARTITIONS // int(number))
    since = monotonic()
    while monotonic() - since < 2 * RETRY_S:
        await asyncio.sleep(0.05)
        if owner.held() != expected:
            since = monotonic()
    _say("ready")
    quiet_since, seen = monotonic(), -1
    while folding.records == 0 or monotonic() - quiet_since < 2:
        await asyncio.sleep(0.1)
        if folding.records != seen:
            quiet_since, seen = monotonic(), folding.records
    _say(json.dumps({"records": seen, "first": folding.first, "last": folding.last}))
    await work


def _config(bootstrap: str, prefix: str) -> KafkaConfig:
    return KafkaConfig(
        brokers=bootstrap.split(","),
        topic_prefix=prefix,
        group="bench",
        partitions=PARTITIONS,
        session_timeout_s=10,
        **ONE_BROKER,
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        asyncio.run(_child(*sys.argv[2:]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS)
