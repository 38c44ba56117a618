"""The worker on Kafka against a real broker: nothing skipped, nothing taken twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.bus.codec import decode
from engine.bus.kafka import KafkaBus
from engine.bus.topics import Log, Topic
from tests.bus.kafka_setup import Notes, Places, a_signal, running, settings, until

if TYPE_CHECKING:
    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.real

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
    notes = [Notes(store=store) for _ in range(3)]

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
