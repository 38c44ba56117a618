"""GPUs of real exporters' pages by HTTP, and of a real API server's dynamic allocation."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.ports import SystemClock
from tests.cluster.readers import a_reader, as_persona
from tests.testbeds.prometheus import Exporter, Exporters
from tests.watchers.gpus import H100, util
from tests.watchers.sources import Script
from watchers.cluster import watch
from watchers.gpu import GpuConfig, watch_gpu
from watchers.objects import ObjectsConfig
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.model.signal import Signal
    from tests.testbeds.kube import Kube


@pytest.fixture
def exporters() -> Iterator[tuple[Exporter, Exporter]]:
    """Two pages by HTTP."""
    server = Exporters()
    yield server.add(), server.add()
    server.close()


async def looked(*urls: str, **config: Any) -> list[Signal]:
    """Return what is told of the first look at `urls`."""
    scene = Scene(Script(), "uid", SystemClock())
    stream = watch_gpu(GpuConfig(endpoints=urls, **config), scene)
    async with asyncio.timeout(20), contextlib.aclosing(stream) as batches:
        async for batch in batches:
            return batch
    raise AssertionError("the stream ended")


def devices(signals: list[Signal]) -> dict[str, Any]:
    return {s.data["uid"]: s.data for s in signals if s.type == "hardware"}


def faults(signals: list[Signal]) -> list[tuple[str | None, str]]:
    return [(s.subject, s.data["reason"]) for s in signals if s.type == "watcher"]


async def test_pages_of_exporters_are_read_without_a_prometheus(
    exporters: tuple[Exporter, Exporter],
) -> None:
    first, second = exporters
    first.page = util(40) + "go_threads 7\n" + "broken{ 1\n"
    second.page = util(60, 1, Hostname="n2")
    signals = await looked(first.url, second.url)
    found = devices(signals)
    assert {uid: data["utilization"] for uid, data in found.items()} == {"GPU-0": 40, "GPU-1": 60}
    assert found["GPU-1"]["node"] == "n2"
    assert faults(signals) == []


async def test_one_exporter_that_is_down_is_a_gap_and_all_of_them_are_a_fault(
    exporters: tuple[Exporter, Exporter],
) -> None:
    first, second = exporters
    first.page = util(40)
    second.status = 500
    signals = await looked(first.url, second.url)
    assert set(devices(signals)) == {"GPU-0"}
    assert faults(signals) == []
    first.status = 500
    assert faults(await looked(first.url, second.url)) == [("dcgm-exporter", "unavailable")]


@pytest.mark.real
async def test_gpus_of_a_real_api_server_are_told(
    kube: Kube,
) -> None:
    node = kube.node("dra")
    device = {
        "name": "gpu-0",
        "attributes": {
            "type": {"string": "gpu"},
            "uuid": {"string": f"GPU-{node}"},
            "productName": {"string": H100},
        },
        "capacity": {"memory": {"value": "80Gi"}},
    }
    slice_ = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": node},
        "spec": {
            "driver": "gpu.nvidia.com",
            "nodeName": node,
            "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
            "devices": [device],
        },
    }
    kube.request("POST", "/apis/resource.k8s.io/v1/resourceslices", json=slice_)
    try:
        found = (await first_look(kube))[f"GPU-{node}"]
    finally:
        kube.request("DELETE", f"/apis/resource.k8s.io/v1/resourceslices/{node}")
    assert (found["name"], found["node"], found["model"]) == ("gpu-0", node, H100)
    assert found["memoryTotal"] == 80 * 2.0**30
    assert (found["pod"], found["namespace"]) == ("", "")


async def first_look(kube: Kube) -> dict[str, Any]:
    configs = {
        "objects": ObjectsConfig(resources=("nodes", "pods")),
        "gpu": GpuConfig(allocation=True),
    }
    async with a_reader(as_persona(kube)) as reader:
        stream = watch(reader, SystemClock(), configs)
        async with asyncio.timeout(30), contextlib.aclosing(stream) as batches:
            async for batch in batches:
                told = [one for one in batch if one.source.startswith("watchers/gpu/")]
                if devices(told):
                    return devices(told)
    raise AssertionError("the stream ended")
