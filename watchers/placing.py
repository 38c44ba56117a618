"""Where samples belong: pods with their workloads, nodes with their names. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, Final, NamedTuple

from engine.analysis.field import at, mappings, text
from engine.analysis.pod import is_done
from engine.analysis.quantity import parse
from engine.analysis.scheduling import requests
from engine.model.watch import Object
from watchers.owners import Owners


class PodView(NamedTuple):
    """A pod that is not done: its requests in cores and bytes, its containers and their limits.

    `limits` are those of memory, in bytes, by container.
    """

    namespace: str
    name: str
    node: str
    requests: Mapping[str, float]
    containers: int
    unlimited: int
    limits: Mapping[str, float]


class NodeView(NamedTuple):
    """A node: what it is known by, and what it has, in cores and bytes."""

    name: str
    addresses: tuple[str, ...]
    capacity: Mapping[str, float]


RESOURCES: Final = ("cpu", "memory")
_MOST: Final = 10**30


def pod_view(pod: Object) -> PodView | None:
    """Return what is kept of a pod, None of one that is done."""
    if is_done(pod):
        return None
    spec = at(pod, "spec")
    asked = requests(spec)
    working = mappings(pod, "spec", "containers")
    return PodView(
        text(pod, "metadata", "namespace"),
        text(pod, "metadata", "name"),
        text(pod, "spec", "nodeName"),
        _amounts(asked),
        len(working),
        sum(at(one, "resources", "limits", "memory") is None for one in working),
        dict(_limits(working)),
    )


def _limits(containers: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    for one in containers:
        limit = number(parse(at(one, "resources", "limits", "memory")))
        if limit is not None and limit > 0:
            yield text(one, "name"), limit


def node_view(node: Object) -> NodeView:
    """Return what is kept of a node."""
    has = {name: parse(at(node, "status", "capacity", name)) for name in RESOURCES}
    return NodeView(
        text(node, "metadata", "name"),
        tuple(text(one, "address") for one in mappings(node, "status", "addresses")),
        _amounts(has),
    )


def number(amount: Fraction | None) -> float | None:
    """Return an amount as a float, None for what is none or beyond all that can be."""
    return float(amount) if amount is not None and abs(amount) < _MOST else None


def _amounts(named: Mapping[str, Fraction | None]) -> dict[str, float]:
    amounts = {name: number(named.get(name)) for name in RESOURCES}
    return {name: amount for name, amount in amounts.items() if amount is not None and amount > 0}


class Places:
    """The pods and nodes of a cluster at one instant."""

    def __init__(
        self, pods: Mapping[str, PodView], nodes: Mapping[str, NodeView], owners: Owners
    ) -> None:
        self.pods = {(pod.namespace, pod.name): (uid, pod) for uid, pod in pods.items()}
        self.nodes = {node.name: node for node in nodes.values()}
        self._by_address = {
            address: node.name for node in nodes.values() for address in node.addresses
        }
        self._owners = owners

    def pod(self, namespace: str, name: str) -> PodView | None:
        """Return a pod that is known and not done."""
        found = self.pods.get((namespace, name))
        return found[1] if found else None

    def workload(self, namespace: str, name: str) -> str:
        """Return the topmost owner of a known pod, or its own name; empty: it is not known."""
        found = self.pods.get((namespace, name))
        if found is None:
            return ""
        owner = self._owners.of(found[0])
        return owner.name if owner else name

    def node(self, labels: Mapping[str, str]) -> str:
        """Return the node that a series is about, by its labels; empty: none is named.

        Where the nodes are not known, what a label says of the name is believed.
        """
        told = [labels[name] for name in ("node", "nodename") if labels.get(name)]
        for name in told:
            if name in self.nodes:
                return name
        for address in (labels.get("instance", ""), *told):
            host = address.rpartition(":")[0] if address.count(":") == 1 else address
            host = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host
            if host in self._by_address:
                return self._by_address[host]
        return told[0] if told and not self.nodes else ""
