"""`dogwatch quarantine replay` with a bus on Kafka: what is replayed goes where its cluster is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from engine.app.configured import load_config
from engine.app.opening import open_bus, open_store
from engine.bus.kafka import KafkaBus
from engine.cli import app
from engine.model.errors import StoreError
from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.quarantine import Quarantined
from tests.testbeds.topics import Topics

if TYPE_CHECKING:
    from pathlib import Path

    from engine.app.config import AppConfig
    from engine.store.store import Store
    from tests.testbeds.kafka import Cluster

EVENT = {
    "specversion": "1.0",
    "id": "a-1",
    "source": "sensor",
    "type": "alert",
    "cluster": "lab",
    "time": "2026-01-01T00:00:00Z",
    "data": {},
}


def configured(folder: Path, **kafka: Any) -> AppConfig:
    unsafe = ["replication_factor", "min_insync_replicas"]
    one = {"replication_factor": 1, "min_insync_replicas": 1, "allow_unsafe": unsafe, **kafka}
    (folder / "dogwatch.yaml").write_text(json.dumps({"data_dir": ".", "bus": {"kafka": one}}))
    return load_config(str(folder / "dogwatch.yaml"), {})


def put_aside(settings: AppConfig) -> Store:
    store = open_store(settings, SystemClock())
    misplaced = Quarantined(5, "misplaced", "elsewhere", json.dumps([EVENT]).encode())
    store.commit(0, store.claim(0), Commit(0, quarantined=[misplaced]))
    return store


def replay(folder: Path) -> Any:
    config = ("--config", str(folder / "dogwatch.yaml"))
    return CliRunner().invoke(app, ["quarantine", "replay", "--all", *config])


@pytest.mark.real
def test_a_misplaced_signal_goes_to_the_partition_of_its_cluster(
    kafka: Cluster, tmp_path: Path
) -> None:
    prefix = kafka.topic_prefix()
    brokers = kafka.bootstrap.split(",")
    settings = configured(tmp_path, brokers=brokers, topic_prefix=prefix, partitions=4)
    store = put_aside(settings)

    async def declare() -> None:
        async with open_bus(settings, store, SystemClock()) as bus:
            assert isinstance(bus, KafkaBus)
            await bus.declare()

    asyncio.run(declare())
    assert store.place("lab", 3) == 3
    done = replay(tmp_path)
    assert (done.exit_code, done.stdout) == (0, "1 replayed (1 signals)\n"), done.exception
    assert Topics(kafka.bootstrap).ends(f"{prefix}signals") == {0: 0, 1: 0, 2: 0, 3: 1}
    assert store.quarantined() == []
    store.close()


def test_without_brokers_nothing_leaves_quarantine_and_a_line_says_why(tmp_path: Path) -> None:
    store = put_aside(configured(tmp_path, brokers=["127.0.0.1:1"]))
    done = replay(tmp_path)
    assert isinstance(done.exception, StoreError)
    assert "127.0.0.1:1" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert len(store.quarantined()) == 1
    store.close()
