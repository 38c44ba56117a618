"""How much of a cluster's GPUs is used, and how much is given away. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from watchers.gpu_claims import Claim, Device, Key
from watchers.gpu_places import Places
from watchers.gpu_series import Gpu


class Allocation(NamedTuple):
    """GPUs that nodes offer, GPUs that pods on nodes asked for, and pods that wait for some."""

    offered: float
    taken: float
    pending: int

    @property
    def ratio(self) -> float | None:
        """What is taken of what is offered; None where nothing is offered."""
        return self.taken / self.offered if self.offered > 0 else None


def used(gpus: Iterable[Gpu]) -> dict[str, float]:
    """Return the mean use of all boards, under an empty name, and of those of each model.

    As ratios; a board that is divided counts once, its instances by their parts of it. What does
    not tell its use is left out.
    """
    boards: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for gpu in gpus:
        if "utilization" in gpu.values:
            boards[gpu.board, gpu.model].append((gpu.values["utilization"] / 100, gpu.share))
    means: dict[str, list[float]] = defaultdict(list)
    for (_, model), parts in boards.items():
        mean = sum(use * share for use, share in parts) / sum(share for _, share in parts)
        for name in {"", model}:
            means[name].append(mean)
    return {name: sum(found) / len(found) for name, found in means.items()}


def allocation(
    places: Places,
    devices: Mapping[Key, Device],
    claims: Mapping[tuple[str, str], Claim],
) -> Allocation:
    """Return what is offered and taken, by resources of nodes and by claims.

    A node that offers GPUs as a resource is not counted again by what a driver offers there.
    """
    nodes = places.nodes
    free = {key for key, one in devices.items() if one.node in nodes and not nodes[one.node].gpus}
    claimed = {key for claim in claims.values() for key in claim.devices} & free
    pods = [pod for _, pod in places.pods.values()]
    return Allocation(
        offered=sum(node.gpus for node in nodes.values()) + len(free),
        taken=sum(pod.gpus for pod in pods if pod.node in nodes) + len(claimed),
        pending=sum(
            pod.gpus > 0 or any(_wants(claims, pod.namespace, name) for name in pod.claims)
            for pod in pods
            if pod.pending
        ),
    )


def _wants(claims: Mapping[tuple[str, str], Claim], namespace: str, name: str) -> bool:
    claim = claims.get((namespace, name))
    return claim is not None and claim.gpus
