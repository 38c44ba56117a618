"""The worker on Kafka against a real broker: nothing skipped, nothing taken twice."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from engine.bus.codec import decode
from engine.bus.faust_worker import KafkaWorker, Record
from engine.bus.kafka import KafkaBus
from engine.bus.topics import Log, Topic
from tests.bus.kafka_setup import Notes, Places, a_signal, running, settings, until

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Cluster

# A consumer that is stopped while it opens a connection: aiokafka forgets to close that one, and
# the garbage collector does it, here and now, so that no other test hears of it.
pytestmark = [
    pytest.mark.real,
    pytest.mark.filterwarnings("ignore:Unclosed AIOKafkaConnection:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:loop is closed:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()


CLUSTERS = ("a", "b", "c", "d", "e", "f")


async def _fill(bus: KafkaBus, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        await bus.append([a_signal(name, number) for name in CLUSTERS])


def _ids(notes: Notes, log: Log) -> list[str]:
    return [signal.id for record in notes.taken[log] for signal in decode(record.value).signals]


async def _all_taken(bus: KafkaBus, notes: Notes) -> None:
    ends = {log: end for log, end in (await bus.ends()).items() if end}
    await until(lambda: all(notes.store.get(log, 0) >= end for log, end in ends.items()))


async def test_every_record_is_taken_once_in_the_order_of_its_log(kafka: Cluster) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 50)
        async with running(config, notes) as worker:
            await _fill(bus, 50, 50)
            await bus.append_to(Topic.CONDITIONS, 0, [a_signal("", 1)])
            await _all_taken(bus, notes)
            assert not worker.problem
    for name in CLUSTERS:
        own = [one for one in _ids(notes, Log(Topic.SIGNALS, places.kept[name])) if one[0] == name]
        assert own == [f"{name}-{number}" for number in range(100)]
    assert not notes.gaps()


async def test_a_record_is_handed_over_whole(kafka: Cluster) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    async with KafkaBus(config, places) as bus, running(config, notes):
        await bus.declare()
        await bus.append([a_signal("a", 7)])
        await until(notes.count)
    (record,) = notes.taken[Log(Topic.SIGNALS, places.kept["a"])]
    assert record.key == b"a"
    assert decode(record.value).signals == [a_signal("a", 7)]
    assert record.at_ms > 1_600_000_000_000


async def test_assigned_and_revoked_come_in_pairs(kafka: Cluster) -> None:
    config, first, second = settings(kafka), Notes(), Notes()
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        async with running(config, first, "one"):
            await until(lambda: len(first.holding) == 5)
            async with running(config, second, "two"):
                await until(lambda: second.holding)
                await until(lambda: len(first.holding) + len(second.holding) == 5)
                assert not first.holding & second.holding
            assert not second.holding
            await until(lambda: len(first.holding) == 5)
    assert not first.holding


async def test_a_log_that_comes_while_the_others_are_let_go_is_let_go_too(kafka: Cluster) -> None:
    class Late(Notes):
        async def revoked(self, logs: Collection[Log]) -> None:
            await super().revoked(logs)
            worker._holdings.assigned(more)
            more.clear()

    config, notes, more = settings(kafka), Late(), [Log(Topic.SIGNALS, 99)]
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        async with running(config, notes) as worker:
            await until(lambda: len(notes.holding) == 5)
    assert ("assigned", Log(Topic.SIGNALS, 99)) in notes.calls
    assert not notes.holding


async def test_a_member_that_leaves_is_followed_at_once(kafka: Cluster) -> None:
    config = settings(kafka, session_timeout_s=60)
    first, second = Notes(), Notes()
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        async with running(config, second, "two"):
            async with running(config, first, "one"):
                await until(lambda: first.holding)
            await until(lambda: len(second.holding) == 5, 30)


async def test_where_a_log_goes_on_is_what_the_store_says_and_not_what_kafka_keeps(
    kafka: Cluster,
) -> None:
    config, places = settings(kafka), Places()
    ahead = Notes()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 30)
        async with running(config, ahead):
            await _all_taken(bus, ahead)
            await asyncio.sleep(6)  # the hint is written every five seconds
        behind = Notes(store=dict.fromkeys(ahead.taken, 3))
        filling = asyncio.create_task(_fill(bus, 60, 30))
        async with running(config, behind):
            await filling
            await _all_taken(bus, behind)
    assert not behind.gaps()
    for log, records in behind.taken.items():
        assert [record.offset for record in records] == list(range(3, behind.store[log]))


async def test_nothing_is_lost_or_doubled_while_members_come_and_go(kafka: Cluster) -> None:
    config, places = settings(kafka), Places()
    store: dict[Log, int] = {}
    times: dict[Log, int] = {}
    notes = [Notes(store=store, times=times) for _ in range(3)]

    async def come_and_go(number: int) -> None:
        for _ in range(3):
            async with running(config, notes[number], f"m{number}"):
                await until(lambda: notes[number].holding)
                await asyncio.sleep(0.5 + number / 4)

    async with KafkaBus(config, places) as bus:
        await bus.declare()
        filling = asyncio.create_task(_fill(bus, 300))
        await asyncio.gather(*(come_and_go(number) for number in range(3)))
        await filling
        async with running(config, notes[0], "m0"):
            await _all_taken(bus, notes[0])
    assert not [gap for one in notes for gap in one.gaps()]
    for log, end in store.items():
        offsets = sorted(record.offset for one in notes for record in one.taken[log])
        assert offsets == list(range(end))


async def test_a_topic_made_again_while_it_runs_is_a_gap_and_folded_from_its_beginning(
    kafka: Cluster,
) -> None:
    config, places, notes = settings(kafka, partitions=1), Places(), Notes()
    log, name = Log(Topic.SIGNALS, 0), f"{config.topic_prefix}signals"
    async with KafkaBus(config, places) as bus, running(config, notes):
        await bus.declare()
        await _fill(bus, 3)
        await until(lambda: notes.store.get(log) == 18)
        await asyncio.to_thread(kafka.topics.delete, name)
        await bus.declare()
        await _fill(bus, 2, 100)
        await until(lambda: notes.store.get(log) == 12)
    assert notes.gaps() == [("gap", log, 18, 0)]
    assert _ids(notes, log)[18:] == [f"{n}-{i}" for i in (100, 101) for n in CLUSTERS]


async def test_a_topic_made_again_is_noticed_though_it_has_grown_beyond_the_offset(
    kafka: Cluster,
) -> None:
    config, places, notes = settings(kafka, partitions=1), Places(), Notes()
    log, name = Log(Topic.SIGNALS, 0), f"{config.topic_prefix}signals"
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 2)
        async with running(config, notes):
            await until(lambda: notes.store.get(log) == 12)
        await asyncio.to_thread(kafka.topics.delete, name)
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 4, 100)
        async with running(config, notes):
            await until(lambda: notes.store.get(log) == 24)
    assert notes.gaps() == [("gap", log, 12, 0)]


async def test_records_that_retention_took_are_a_gap(kafka: Cluster) -> None:
    config, places, notes = settings(kafka, partitions=1), Places(), Notes()
    log, name = Log(Topic.SIGNALS, 0), f"{config.topic_prefix}signals"
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 1)
        async with running(config, notes):
            await until(lambda: notes.store.get(log) == 6)
        await _fill(bus, 2, 1)
        await _trim(kafka, name, 10)
        async with running(config, notes):
            await until(lambda: notes.store.get(log) == 18)
    assert notes.gaps() == [("gap", log, 6, 10)]
    assert [record.offset for record in notes.taken[log]] == [*range(6), *range(10, 18)]


async def _trim(kafka: Cluster, name: str, before: int) -> None:
    """Delete the records below an offset, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    place = TopicPartition(name, 0)
    await admin.delete_records({place: RecordsToDelete(before_offset=before)})
    await admin.close()


async def test_a_log_whose_owner_can_not_take_it_is_asked_for_again_while_others_go_on(
    kafka: Cluster,
) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    async with KafkaBus(config, places) as bus:
        await bus.declare()
        await _fill(bus, 5)
        sick = Log(Topic.SIGNALS, places.kept["a"])
        notes.refuse.add(sick)
        others = {Log(Topic.SIGNALS, one) for one in places.kept.values()} - {sick}
        async with running(config, notes) as worker:
            await until(lambda: all(notes.taken[log] for log in others))
            await until(lambda: notes.calls.count(("assigned", sick)) > 2)
            assert worker.problem == "store: no route to host"
            assert not notes.taken[sick]
            notes.refuse.clear()
            await _all_taken(bus, notes)
            assert not worker.problem


async def test_a_log_that_somebody_else_took_is_taken_over_again(kafka: Cluster) -> None:
    config, places, notes = settings(kafka, session_timeout_s=1), Places(), Notes()
    async with KafkaBus(config, places) as bus, running(config, notes) as worker:
        await bus.declare()
        await _fill(bus, 2)
        log = Log(Topic.SIGNALS, places.kept["a"])
        await until(lambda: notes.taken[log])
        notes.fence.add(log)
        await _fill(bus, 2, 2)
        await until(lambda: notes.calls.count(("assigned", log)) == 2)
        await _all_taken(bus, notes)
        notes.holding.discard(log)
        worker.lost(log)
        await until(lambda: notes.calls.count(("assigned", log)) == 3)
        await _fill(bus, 2, 4)
        await _all_taken(bus, notes)
    assert [record.offset for record in notes.taken[log]] == list(range(notes.store[log]))


async def test_records_that_no_one_can_read_pass_through(kafka: Cluster) -> None:
    config, places, notes = settings(kafka, partitions=1), Places(), Notes()
    log = Log(Topic.SIGNALS, 0)
    poison = [b"", b"\xff" * 9, b"[" * 10_000, b"x" * (4 << 20), b'[{"a":1,"a":2}]', b"\x00"]
    async with KafkaBus(config, places) as bus, running(config, notes):
        await bus.declare()
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, max_request_size=5 << 20, acks="all"
        )
        await producer.start()
        name = f"{config.topic_prefix}signals"
        for value in poison:
            await producer.send_and_wait(name, value, key=b"\xfe", headers=[("h", b"\xff")])
        await producer.send_and_wait(name, None, key=b"tombstone")
        await producer.send_and_wait(name, b"[]", key=None)
        await producer.stop()
        await bus.append([a_signal("a", 1)])
        await until(lambda: notes.store.get(log) == 9)
    assert [record.value for record in notes.taken[log]][:8] == [*poison, b"", b"[]"]
    assert notes.taken[log][0].headers == (("h", b"\xff"),)
    assert not notes.gaps()


async def test_partitions_that_are_added_are_folded_too(kafka: Cluster) -> None:
    config, places, notes = settings(kafka, partitions=2), Places(), Notes()
    async with KafkaBus(config, places) as bus, running(config, notes):
        await bus.declare()
        await until(lambda: len(notes.holding) == 3)
        async with KafkaBus(config.model_copy(update={"partitions": 6}), places) as grown:
            await grown.declare()
        await until(lambda: len(notes.holding) == 7)
        await bus.append_to(Topic.SIGNALS, 5, [a_signal("late", 1)])
        await until(lambda: notes.taken[Log(Topic.SIGNALS, 5)])


async def test_a_slow_owner_keeps_its_logs(kafka: Cluster) -> None:
    config, places = settings(kafka, session_timeout_s=1, partitions=1), Places()
    notes = Notes(slow_s=4)
    async with KafkaBus(config, places) as bus, running(config, notes):
        await bus.declare()
        await _fill(bus, 1)
        await until(lambda: notes.count() == 2)
    assert notes.calls.count(("assigned", Log(Topic.SIGNALS, 0))) == 1


async def test_brokers_that_go_and_come_are_a_problem_meanwhile_and_nothing_is_lost(
    kafka: Cluster,
) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    async with KafkaBus(config, places) as bus, running(config, notes) as worker:
        await bus.declare()
        await _fill(bus, 5)
        await _all_taken(bus, notes)
        await asyncio.to_thread(kafka.kill)
        await until(lambda: worker.problem)
        assert worker.problem == f"bus.kafka: {kafka.bootstrap}: connection refused"
        await asyncio.to_thread(kafka.start)
        await _fill(bus, 5, 5)
        await _all_taken(bus, notes)
        await until(lambda: not worker.problem)
    assert not notes.gaps()
    for log, records in notes.taken.items():
        assert [record.offset for record in records] == list(range(notes.store[log]))


async def test_brokers_that_are_away_at_the_start_are_joined_when_they_come(
    kafka: Cluster,
) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    await asyncio.to_thread(kafka.stop)
    async with running(config, notes) as worker:
        await until(lambda: worker.problem)
        assert worker.problem == f"bus.kafka: {kafka.bootstrap}: connection refused"
        await asyncio.to_thread(kafka.start)
        async with KafkaBus(config, places) as bus:
            await bus.declare()
            await _fill(bus, 1)
            await _all_taken(bus, notes)
            await until(lambda: not worker.problem)


async def test_topics_that_are_missing_are_a_problem_until_they_are_made(kafka: Cluster) -> None:
    config, places, notes = settings(kafka), Places(), Notes()
    async with running(config, notes) as worker:
        await until(lambda: worker.problem)
        name = f"{config.topic_prefix}signals"
        assert worker.problem.startswith(f"bus.kafka: no topic {name}")
        async with KafkaBus(config, places) as bus:
            await bus.declare()
            await _fill(bus, 1)
            await _all_taken(bus, notes)
            await until(lambda: not worker.problem)


async def test_a_wrong_password_is_a_problem_without_it(kafka: Cluster, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("a wrong password\n")
    sasl = {"username": "dogwatch", "password_file": str(tmp_path / "password")}
    brokers = kafka.sasl_bootstrap.split(",")
    config, notes = settings(kafka, brokers=brokers, sasl=sasl), Notes()
    async with running(config, notes) as worker:
        await until(lambda: worker.problem)
        assert worker.problem == (
            f"bus.kafka: {brokers[0]}: user 'dogwatch' or its password was refused"
        )
        (tmp_path / "password").write_text("correct-horse\n")
        async with KafkaBus(config, Places()) as bus:
            await bus.declare()
            await bus.append([a_signal("a")])
            await until(notes.count)


async def test_what_an_owner_raises_that_is_no_refusal_ends_the_run(kafka: Cluster) -> None:
    class Broken(Notes):
        async def take(self, log: Log, record: Record) -> None:
            raise ZeroDivisionError(str(log))

    config = settings(kafka)
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        with pytest.raises(ZeroDivisionError):
            await KafkaWorker(config, Broken(), member="a").run()
