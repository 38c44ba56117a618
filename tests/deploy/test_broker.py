"""The broker of deploy/compose.yaml starts as it is set there, and takes the topics of dogwatch."""

from __future__ import annotations

import asyncio
import re
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from engine.app.configured import load_config
from engine.app.opening import open_bus
from engine.bus.kafka import KafkaBus
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.deploy.scene import OURS, SERVICES, lay_out
from tests.testbeds.process import Server, eventually, reserve_port
from tests.testbeds.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Installed

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
BROKER = SERVICES["kafka"]
FOR_THE_IMAGE = {"CLUSTER_ID", "KAFKA_HEAP_OPTS"}
"""What is no setting of a broker."""


def settings_of(folder: Path, ports: dict[str, int]) -> str:
    """Return the properties that the image makes of the environment, moved to this machine."""
    told = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in BROKER["environment"].items()
        if name not in FOR_THE_IMAGE
    }
    text = "".join(f"{name}={value}\n" for name, value in told.items())
    for inside, port in ports.items():
        text = re.sub(rf":{inside}\b", f":{port}", text)
    return text.replace("kafka:", "127.0.0.1:").replace("/var/lib/kafka", str(folder))


@pytest.fixture
def bootstrap(kafka_installed: Installed, tmp_path: Path) -> Iterator[str]:
    with ExitStack() as held:
        ports = {told: reserve_port(held) for told in ("9092", "9093")}
        properties = tmp_path / "server.properties"
        properties.write_text(settings_of(tmp_path, ports))
        made = ["-t", BROKER["environment"]["CLUSTER_ID"], "-c", str(properties)]
        format_ = kafka_installed.command(128, "kafka.tools.StorageTool", "format", *made)
        subprocess.run(format_, check=True, timeout=60, capture_output=True)
        command = kafka_installed.command(512, "kafka.Kafka", str(properties))
        server = Server("broker", command, tmp_path / "broker.log")
        held.callback(server.stop)
        server.start()
        address = f"127.0.0.1:{ports['9092']}"
        assert eventually(lambda: Topics(address).serve() or None, 60), server.tail(20)
        yield address


def test_the_topics_that_scale_out_wants_are_made(bootstrap: str, tmp_path: Path) -> None:
    config = lay_out(tmp_path, OURS["worker"])
    config.write_text(config.read_text().replace("kafka:9092", bootstrap))
    settings = load_config(str(config), {})
    store = Store.open(tmp_path / "store.db", clock=SystemClock())

    async def declare() -> None:
        async with open_bus(settings, store, SystemClock()) as bus:
            assert isinstance(bus, KafkaBus)
            await bus.declare()
            await bus.declare()

    asyncio.run(declare())
    store.close()
    names = {"dogwatch.signals", "dogwatch.conditions", "dogwatch.quarantine"}
    assert names <= set(Topics(bootstrap).names())
