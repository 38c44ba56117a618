"""What each node has and should have, listed and reset, over a real store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from engine.analysis.inventory import Count, Holding, Known
from engine.app.devices import devices_of, reset_devices
from engine.model.errors import DogwatchError, StoreError
from engine.model.ports import SystemClock
from engine.store.store import Store
from watchers.device_memory import AGENT, MEMORY, NODE, AgentRecord, NodeRecord

if TYPE_CHECKING:
    from pathlib import Path

GPUS = Holding({"a": Known("gpu-0", 1, settled=True), "b": Known("gpu-1", 1, True, 5)}, 2, 9)


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A dogwatch that knows three nodes of two clusters."""
    path = tmp_path / "dogwatch.yaml"
    path.write_text(yaml.safe_dump({"data_dir": "data"}))
    with_gpus = msgspec.json.encode(AgentRecord("u", "u", 1, {"gpu": GPUS}))
    counted = NodeRecord("u", {"gpu": Count(8, 7, 7, None, 1, 3, 1), "sriov/label": Count(1, 1, 1)})
    gone = NodeRecord("u", {}, missed=3, gone=1)
    store = Store.open(tmp_path / "data" / "dogwatch.db", clock=SystemClock())
    store.remember(
        "west", MEMORY, {AGENT + "n1": with_gpus, NODE + "n2": msgspec.json.encode(counted)}
    )
    store.remember("east", MEMORY, {NODE + "n3": msgspec.json.encode(gone), NODE + "odd": b"\xff"})
    store.close()
    return str(path)


def test_all_that_is_known_is_listed(config: str) -> None:
    assert [str(line) for line in devices_of(config)] == [
        "east  n3  node  0 of 1  missing: n3",
        "west  n1  gpu  1 of 2  missing: gpu-1",
        "west  n2  gpu  7 of 8",
        "west  n2  sriov  1 of 1",
    ]
    assert [line.by for line in devices_of(config, "n1")] == ["agent"]
    assert devices_of(config, "n1", "east") == []
    assert devices_of(config, "n1")[0].plain()["missing"] == ["gpu-1"]


def test_a_reset_takes_what_a_node_has_as_what_it_should_have(config: str) -> None:
    assert [str(line) for line in reset_devices(config, "n1")] == ["west  n1  gpu  1 of 1"]
    assert [str(line) for line in reset_devices(config, "n2", "gpu")] == ["west  n2  gpu  7 of 7"]
    assert [line.baseline for line in devices_of(config)] == [1, 1, 7, 1]


def test_a_kind_that_only_labels_tell_of_is_reset_by_its_name(config: str) -> None:
    assert [str(line) for line in reset_devices(config, "n2", "sriov")] == [
        "west  n2  sriov  1 of 1"
    ]


def test_what_is_not_known_is_refused_with_the_nearest(config: str) -> None:
    with pytest.raises(DogwatchError, match="nothing is known of node 'n11'; did you mean 'n1'"):
        reset_devices(config, "n11")
    with pytest.raises(DogwatchError, match="devices of kind 'nvme' of node 'n1'"):
        reset_devices(config, "n1", "nvme")


def test_without_a_store_it_says_so(tmp_path: Path) -> None:
    path = tmp_path / "dogwatch.yaml"
    path.write_text("{}")
    with pytest.raises(StoreError, match="nothing stored yet"):
        devices_of(str(path))
