"""What the Prometheus of a large cluster answers: series of all nodes, pods and GPUs, in motion."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import msgspec

from tests.bench.large_objects import (
    GPU_NODES,
    GPUS_OF_NODE,
    NODES,
    PODS,
    WORKLOADS,
    namespace_of,
    node_name,
    pod_name,
)
from watchers.gpu_series import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Labels = dict[str, str]
_PART: Final = PODS // WORKLOADS
_MODELS: Final = 40
_ENDS: Final = (*(f"{2.0**n / 1000:g}" for n in range(18)), "+Inf")
_DAY: Final = 24
_SWING: Final = 0.1
_DCGM: Final[Mapping[str, float]] = {
    "DCGM_FI_DEV_GPU_UTIL": 70.0,
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.7,
    "DCGM_FI_DEV_FB_USED": 40_000.0,
    "DCGM_FI_DEV_FB_FREE": 40_000.0,
    "DCGM_FI_DEV_POWER_USAGE": 500.0,
    "DCGM_FI_DEV_GPU_TEMP": 60.0,
    "DCGM_FI_DEV_XID_ERRORS": 0.0,
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 0.0,
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": 0.0,
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": 0.0,
    "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": 0.0,
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": 0.4,
}
assert _DCGM.keys() <= COLUMNS.keys()


def _nodes() -> Iterator[tuple[Labels, float]]:
    for number in range(NODES):
        address = f"172.16.{number >> 8}.{number & 255}:9100"
        yield {"instance": address, "job": "node", "nodename": node_name(number)}, 0.4


def _mounts() -> Iterator[tuple[Labels, float]]:
    for labels, _ in _nodes():
        for mount in ("/", "/var/lib/data"):
            yield {**labels, "mountpoint": mount}, 0.5


def _pods() -> Iterator[tuple[Labels, float]]:
    for number in range(PODS):
        yield {"namespace": namespace_of(number // _PART), "pod": pod_name(number)}, 0.12


def _containers() -> Iterator[tuple[Labels, float]]:
    for number, (labels, _) in enumerate(_pods()):
        yield {**labels, "container": "main"}, 200.0 * 2**20
        if number % 5 == 0:
            yield {**labels, "container": "proxy"}, 30.0 * 2**20


def _claims() -> Iterator[tuple[Labels, float]]:
    for number in range(1_000):
        name = f"data-{number:04d}"
        yield {"namespace": namespace_of(number), "persistentvolumeclaim": name}, 0.6


def _model(number: int) -> Labels:
    labels = {"namespace": namespace_of(number // _PART), "pod": pod_name(number)}
    return {**labels, "job": "vllm", "model_name": "a-model"}


def _buckets() -> Iterator[tuple[Labels, float]]:
    for number in range(_MODELS):
        for place, end in enumerate(_ENDS):
            yield {**_model(number), "le": end}, 1.0 + place


def _caches() -> Iterator[tuple[Labels, float]]:
    return ((_model(number), 0.5) for number in range(_MODELS))


def _gpus() -> Iterator[tuple[Labels, float]]:
    for number in range(GPU_NODES * GPUS_OF_NODE):
        node = node_name(number // GPUS_OF_NODE)
        labels = {
            "UUID": f"GPU-{number:032x}",
            "gpu": str(number % GPUS_OF_NODE),
            "device": f"nvidia{number % GPUS_OF_NODE}",
            "modelName": "NVIDIA H100 80GB HBM3",
            "Hostname": node,
            "DCGM_FI_DRIVER_VERSION": "570.86.15",
            "pci_bus_id": f"00000000:{number % GPUS_OF_NODE:02X}:00.0",
            "job": "dcgm-exporter",
            "instance": f"10.9.{number // GPUS_OF_NODE}.1:9400",
            "exported_namespace": namespace_of(number // _PART),
            "exported_pod": pod_name(number),
            "exported_container": "main",
        }
        for name, value in _DCGM.items():
            yield {"__name__": name, **labels}, value


_SERIES: Final = {
    "DCGM_FI_DEV_GPU_UTIL": _gpus,
    "time_to_first_token_seconds_bucket": _buckets,
    "kv_cache_usage_perc": _caches,
    "kubelet_volume_stats_available_bytes": _claims,
    "node_filesystem_avail_bytes": _mounts,
    "node_cpu_seconds_total": _nodes,
    "node_memory_MemAvailable_bytes": _nodes,
    "container_memory_working_set_bytes": _containers,
    "container_cpu_usage_seconds_total": _pods,
}
"""By what an expression asks for."""


class Served:
    """Answers each expression as it was written; counts of errors stand still."""

    def __init__(self) -> None:
        self._heads = {
            key: [(b'{"metric":' + msgspec.json.encode(labels), value) for labels, value in made()]
            for key, made in _SERIES.items()
        }

    def answer(self, expression: str, *, ranged: bool) -> bytes:
        """Return the body of the answer now, or over the last day."""
        key = next((key for key in self._heads if key in expression), "")
        now, heads = time.time(), self._heads.get(key, [])
        shape = b"matrix" if ranged else b"vector"
        items = (
            _item(head, base * (1 + _SWING * math.sin(now / 300 + place)), now, ranged=ranged)
            for place, (head, base) in enumerate(heads)
        )
        start = b'{"status":"success","data":{"resultType":"' + shape + b'","result":['
        return start + b",".join(items) + b"]}}"


def _item(head: bytes, value: float, now: float, *, ranged: bool) -> bytes:
    if not ranged:
        return head + f',"value":[{now:.3f},"{value:.17g}"]}}'.encode()
    hours = ",".join(f'[{now - n * 3600:.3f},"{value:.17g}"]' for n in range(_DAY, -1, -1))
    return head + f',"values":[{hours}]}}'.encode()
