"""What a Node object tells of the node's devices: resources, labels, drivers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from engine.analysis.quantity import parse
from engine.model.watch import Object

RESOURCES: Final[Mapping[str, tuple[str, ...]]] = {
    "gpu": (
        "nvidia.com/gpu",
        "nvidia.com/gpu.shared",
        "amd.com/gpu",
        "gpu.intel.com/i915",
        "gpu.intel.com/xe",
        "habana.ai/gaudi",
    ),
    "rdma": ("rdma/*",),
    "sriov": ("*/*sriov*",),
}
"""Resources of device plugins by kind of device, as globs."""
_FEATURE: Final = "feature.node.kubernetes.io/"
_DAEMON: Final = "spectrum-scale"
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "gpu": ("nvidia.com/gpu.present", f"{_FEATURE}pci-*10de.present", f"{_FEATURE}amd-gpu"),
    "infiniband": (f"{_FEATURE}pci-*15b3.present",),
    "rdma": (f"{_FEATURE}rdma.capable", f"{_FEATURE}rdma.available"),
    _DAEMON: ("scale.spectrum.ibm.com/*",),
    "sriov": (f"{_FEATURE}network-sriov.capable", f"{_FEATURE}pci-*.sriov.capable"),
    "ssd": (f"{_FEATURE}storage-nonrotationaldisk",),
}
"""Labels that say that there is a device of a kind, as globs; how many they do not say."""
BY_LABEL: Final = "/label"
"""What the kind ends with of which only the labels tell."""
_UPGRADE: Final = "nvidia.com/gpu-driver-upgrade-state"
_UPGRADES: Final = {
    "upgrade-done": "ready",
    "upgrade-required": "ready",  # it waits for its turn
    "upgrade-failed": "failed",
}
_MOFED_WAITS: Final = "network.nvidia.com/operator.mofed.wait"
_MOFED: Final = {"false": "ready", "true": "waiting"}
_REPLICAS: Final = "nvidia.com/gpu.replicas"
_MIG, _MIG_CONFIG = "nvidia.com/mig.strategy", "nvidia.com/mig.config"
_WHOLE: Final = {"", "all-disabled"}
_LEAVING: Final = frozenset(
    {
        "ToBeDeletedByClusterAutoscaler",
        "DeletionCandidateOfClusterAutoscaler",
        "karpenter.sh/disrupted",
        "karpenter.sh/disruption",
        "node.cloudprovider.kubernetes.io/shutdown",
    }
)
"""Taints of a node that is about to be taken away on purpose."""
_MOST: Final = 1 << 31
_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class NodeView:
    """One Node.

    Attributes:
        ready: its kubelet says that it is.
        leaving: it is cordoned, or marked for removal: that it goes is no news.
        counts: devices that can be used, by kind.
        held: kinds of which nothing can be said now.
        unhealthy: devices that their plugin holds back, by kind.
        model: product name of its GPUs.
        drivers: what inventories of the node say of its drivers.
        labels: its labels but those of the features of its hardware.
    """

    name: str
    uid: str
    ready: bool
    leaving: bool
    counts: dict[str, int] = field(default_factory=dict)
    unhealthy: dict[str, int] = field(default_factory=dict)
    model: str = ""
    drivers: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    held: frozenset[str] = frozenset()

    def number(self, kind: str) -> int | None:
        """Return how many devices of `kind` there are, None where nothing can be said now."""
        return None if kind in self.held else self.counts.get(kind, 0)


def see_node(node: Object) -> NodeView | None:
    """Return what a Node tells; None for one without a name or uid. Malformed parts are absent."""
    metadata, status = _mapping(node.get("metadata")), _mapping(node.get("status"))
    spec = _mapping(node.get("spec"))
    name, uid = metadata.get("name"), metadata.get("uid")
    if not isinstance(name, str) or not isinstance(uid, str) or not name or not uid:
        return None
    labels = {k: v for k, v in _mapping(metadata.get("labels")).items() if isinstance(v, str)}
    usable, all_ = _devices(status.get("allocatable")), _devices(status.get("capacity"))
    held = _held(labels)
    counts, whole = _counted(usable, labels), _counted(all_, labels)
    counts = {kind: count for kind, count in counts.items() if kind not in held}
    return NodeView(
        name,
        uid,
        ready=_ready(status.get("conditions")),
        leaving=bool(spec.get("unschedulable") or metadata.get("deletionTimestamp"))
        or not _LEAVING.isdisjoint(_keys(spec.get("taints"))),
        counts={**counts, **_present(labels)},
        unhealthy={kind: max(0, whole.get(kind, 0) - count) for kind, count in counts.items()},
        model=labels.get("nvidia.com/gpu.product", ""),
        drivers=_drivers(labels),
        labels={key: value for key, value in labels.items() if not key.startswith(_FEATURE)},
        held=held,
    )


def _devices(resources: Any) -> dict[str, int]:
    """Return the amounts of the resources of device plugins, which have a / in their names."""
    amounts = {k: parse(v) for k, v in _mapping(resources).items() if "/" in k}
    return {k: int(v) for k, v in amounts.items() if v is not None and 0 <= v < _MOST}


def _counted(amounts: Mapping[str, int], labels: Mapping[str, str]) -> dict[str, int]:
    """Return the number of devices by kind; one that is shared in time counts once."""
    text = labels.get(_REPLICAS, "")
    shared = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 1
    counts: dict[str, int] = {}
    for kind, globs in RESOURCES.items():
        for name, amount in amounts.items():
            if any(fnmatchcase(name, glob) for glob in globs):
                replicas = max(1, shared) if name.startswith("nvidia.com/gpu") else 1
                counts[kind] = counts.get(kind, 0) + -(-amount // replicas)
    return counts


def _held(labels: Mapping[str, str]) -> frozenset[str]:
    """Return the kinds of which nothing can be said.

    So GPUs while their driver is replaced, or while they are cut into instances (MIG). And where
    no feature is labelled at all, who labels them is gone, and not the devices.
    """
    held = set()
    cut = labels.get(_MIG) in {"single", "mixed"} and labels.get(_MIG_CONFIG, "") not in _WHOLE
    if cut or labels.get(_UPGRADE, "upgrade-done") not in _UPGRADES:
        held.add("gpu")
    if not any(key.startswith(_FEATURE) for key in labels):
        held |= {f"{kind}{BY_LABEL}" for kind in LABELS if kind != _DAEMON}
    return frozenset(held)


def _present(labels: Mapping[str, str]) -> dict[str, int]:
    """Return by kind whether labels tell of a device: 1, or 0."""
    found = {}
    for kind, globs in LABELS.items():
        here = (key for key in labels if any(fnmatchcase(key, glob) for glob in globs))
        found[f"{kind}{BY_LABEL}"] = int(any(labels[key] != "false" for key in here))
    return found


def _drivers(labels: Mapping[str, str]) -> dict[str, str]:
    drivers = {}
    if (upgrade := labels.get(_UPGRADE)) is not None:
        drivers["gpuDriver"] = _UPGRADES.get(upgrade, "upgrading")
    if (waits := _MOFED.get(labels.get(_MOFED_WAITS, ""))) is not None:
        drivers["networkDriver"] = waits
    return drivers


def _ready(conditions: Any) -> bool:
    return any(
        one.get("type") == "Ready" and one.get("status") == "True" for one in _of(conditions)
    )


def _keys(taints: Any) -> Iterable[str]:
    return (str(one.get("key")) for one in _of(taints))


def _of(items: Any) -> list[dict[str, Any]]:
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
