"""Brokers that make every topic they are asked about: none of ours comes to be that way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.bus.kafka import KafkaBus
from engine.model.errors import StoreError
from tests.bus.kafka_setup import Notes, Places, a_signal, running, settings, until
from tests.testbeds.kafka import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Installed

pytestmark = pytest.mark.real


@pytest.fixture
def automatic(tmp_path: Path, kafka_installed: Installed) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path / "kafka", kafka_installed, brokers=1)
    place = cluster.brokers[1].node.folder / "server.properties"
    off = place.read_text()
    place.write_text(
        on := off.replace("auto.create.topics.enable=false", "auto.create.topics.enable=true")
    )
    assert on != off
    with cluster:
        yield cluster


async def test_a_topic_that_is_missing_is_made_by_its_declaration_alone(
    automatic: Cluster,
) -> None:
    config, places = settings(automatic), Places()
    name = f"{config.topic_prefix}signals"
    async with KafkaBus(config, places, delivery_s=2) as bus, running(config, Notes()) as worker:
        with pytest.raises(StoreError, match="no topic"):
            await bus.append([a_signal("a")])
        await until(lambda: "no topic" in worker.problem)
        assert not [one for one in automatic.topics.names() if one.startswith(config.topic_prefix)]
        assert not places.asked
        await bus.declare()
        await bus.append([a_signal("a")])
        await until(lambda: not worker.problem)
        await asyncio.to_thread(automatic.topics.delete, name)
        with pytest.raises(StoreError, match="no topic"):
            await bus.append([a_signal("a", 1)])
        await until(lambda: "no topic" in worker.problem)
        assert name not in automatic.topics.names()
