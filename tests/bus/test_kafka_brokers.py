"""What brokers and stores of others do: marks of transactions, secrets renewed, long silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from aiokafka import AIOKafkaProducer

from engine.bus.brokers import Brokers
from engine.bus.kafka import KafkaBus
from engine.bus.settings import KafkaConfig
from engine.bus.topics import Log, Topic
from engine.model.errors import StoreError
from tests.bus.kafka_setup import Notes, Places, a_signal, running, settings, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kafka import Cluster


@pytest.mark.real
async def test_marks_of_transactions_are_passed_over(kafka: Cluster) -> None:
    config, notes = settings(kafka, partitions=1), Notes()
    name, log = f"{config.topic_prefix}signals", Log(Topic.SIGNALS, 0)
    brokers = Brokers(config, "test")
    async with KafkaBus(config, Places()) as bus:
        await bus.declare()
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=config.group
        ) as other:
            for _ in range(2):
                async with other.transaction():
                    await other.send_and_wait(name, b"[]", key=b"a", partition=0)
        with pytest.raises(StoreError, match=r"no record of .* from offset 3 on"):
            await brokers.stands((name, 0), 3)
        await bus.append([a_signal("a")])
        found = [(await brokers.stands((name, 0), offset))[0] for offset in range(5)]
        async with running(config, notes):
            await until(lambda: notes.store.get(log) == 5)
    await brokers.aclose()
    assert found == [0, 2, 2, 4, 4]
    assert [record.offset for record in notes.taken[log]] == [0, 2, 4]


@pytest.mark.real
async def test_a_store_that_hangs_refuses_the_new_cluster_and_leaves_the_producer_alone(
    kafka: Cluster,
) -> None:
    answers = asyncio.Event()

    class Hanging(Places):
        async def __call__(self, cluster: str, partitions: int) -> int:
            if cluster == "new":
                await answers.wait()
            return await super().__call__(cluster, partitions)

    async with KafkaBus(settings(kafka), Hanging(), delivery_s=1) as bus:
        await bus.declare()
        await bus.append([a_signal("a")])
        producer = bus._producer._open
        with pytest.raises(StoreError, match="store: it did not say within 1 s where"):
            await bus.append([a_signal("new")])
        assert bus._producer._open is producer
        answers.set()
        await bus.append([a_signal("new")])
        assert not bus.problem


async def test_a_secret_that_can_not_be_read_now_is_a_refusal_and_ends_nothing(
    tmp_path: Path,
) -> None:
    sasl = {"username": "dogwatch", "password_file": str(tmp_path / "password")}
    config = KafkaConfig(brokers=["127.0.0.1:1"], sasl=sasl)
    (tmp_path / "password").write_text("")
    bus = KafkaBus(config, Places())
    for asked in (bus.ends, bus.declare, lambda: bus.append([a_signal("a")]), bus.check):
        with pytest.raises(StoreError, match="password is empty"):
            await asked()
    await bus.aclose()
