"""What is told of GPUs: devices with who holds them, and how much of all is used. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.model.schema_metrics import METRICS
from watchers.gpu_claims import Claim, Device, Key
from watchers.gpu_places import Places, PodSeen
from watchers.gpu_series import Gpu, throttled
from watchers.gpu_use import allocation, used
from watchers.owners import Owners
from watchers.polling import Fact

PROMETHEUS: Final = "prometheus"
ENDPOINTS: Final = "dcgm-exporter"
NODES: Final = "nodes"
SLICES: Final = "resourceslices.resource.k8s.io"
CLAIMS: Final = "resourceclaims.resource.k8s.io"

_Holders = list[tuple[str, PodSeen]]
_TYPES: Final[Mapping[str, Callable[[float], Any]]] = {
    "xid": int,
    "eccCorrectable": int,
    "eccUncorrectable": int,
    "remappedRows": int,
    "nvlinkErrors": int,
    "rowRemapFailed": bool,
    "throttled": throttled,
}
"""Of the fields that are no numbers with a fraction."""


class Claimed(NamedTuple):
    """What dynamic resource allocation says: GPUs that drivers offer, claims of them."""

    devices: Mapping[Key, Device] = {}
    claims: Mapping[tuple[str, str], Claim] = {}


class GpuFacts:
    """The facts of one look."""

    def __init__(self, places: Places, claimed: Claimed, owners: Owners, source: str) -> None:
        """Take what was seen; `source` is where the series were read."""
        self._places = places
        self._devices, self._claims = claimed
        self._owners = owners
        self._source = source

    def of_devices(self, gpus: Iterable[Gpu]) -> Iterator[Fact]:
        """Yield what is known of each GPU of this cluster, by its series or its driver.

        Where series name no pod at all they do not say that nobody holds a GPU.
        """
        found = [(gpu, self._places.holders(gpu.holders)) for gpu in gpus]
        naming = any(holders for _, holders in found)
        claimants = self._claimants()
        told = set()
        for gpu, holders in found:
            node = self._places.node(gpu.labels)
            if node is None:
                continue
            told.add(gpu.uid)
            data = self._data(gpu.uid, gpu.name, node, gpu.model)
            by = holders or claimants.get(gpu.uid, [])
            if naming or by:
                data |= self._held(by)
            data |= {name: _TYPES.get(name, float)(value) for name, value in gpu.values.items()}
            yield Fact("hardware", gpu.uid, data, self._source, sampled=True)
        for device in self._devices.values():
            if device.uid in told or device.node not in self._places.nodes:
                continue
            data = self._data(device.uid, device.name, device.node, device.model)
            data |= self._held(claimants.get(device.uid, []))
            if device.memory is not None:
                data["memoryTotal"] = device.memory
            yield Fact("hardware", device.uid, data, SLICES)

    def of_use(self, gpus: Iterable[Gpu]) -> Iterator[Fact]:
        """Yield how much of the GPUs of this cluster is used, and of those of each model."""
        here = [gpu for gpu in gpus if self._places.node(gpu.labels) is not None]
        for model, ratio in used(here).items():
            if model:
                yield _metric("gpu_model_used_ratio", {"model": model}, ratio, self._source)
            else:
                yield _metric("gpu_cluster_used_ratio", {}, ratio, self._source)

    def of_allocation(self) -> Iterator[Fact]:
        """Yield how much of the GPUs is given away; nothing where there are none and none wanted.

        Only where all nodes and pods are known.
        """
        share = allocation(self._places, self._devices, self._claims)
        if share.ratio is not None:
            yield _metric("gpu_allocated_ratio", {}, share.ratio, NODES)
        if share.offered or share.pending:
            yield _metric("gpu_pending_pods", {}, float(share.pending), NODES)

    def _claimants(self) -> dict[str, _Holders]:
        """Return by uid of a GPU the pods that hold it by a claim."""
        seen = dict(self._places.pods.values())
        found: dict[str, _Holders] = {}
        for claim in self._claims.values():
            pods = [(uid, seen[uid]) for uid in claim.pods if uid in seen]
            for key in claim.devices:
                if device := self._devices.get(key):
                    found.setdefault(device.uid, []).extend(pods)
        return found

    def _held(self, holders: _Holders) -> dict[str, Any]:
        """Return who holds a device; of several pods only which they are."""
        if not holders:
            return {"namespace": "", "pod": "", "workload": ""}
        if len(holders) > 1:
            return {"pods": sorted(f"{pod.namespace}/{pod.name}" for _, pod in holders)}
        uid, pod = holders[0]
        owner = self._owners.of(uid)
        workload = owner.name if owner else pod.name
        return {"namespace": pod.namespace, "pod": pod.name, "workload": workload}

    def _data(self, uid: str, name: str, node: str, model: str) -> dict[str, Any]:
        data: dict[str, Any] = {"kind": "gpu", "name": name, "uid": uid, "node": node}
        if model:
            data["model"] = model
        if seen := self._places.nodes.get(node):
            data["labels"] = seen.labels
        return data


def _metric(name: str, labels: dict[str, str], value: float, source: str) -> Fact:
    data = {"metric": name, "labels": labels, "value": value, "unit": METRICS[name].unit}
    return Fact("metric", "/".join([name, *labels.values()]), data, source, level=False)
