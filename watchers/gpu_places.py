"""Where GPUs are: nodes and pods as the watcher of objects sees them. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from engine.analysis import field, quantity
from engine.analysis.pod import containers
from engine.model.watch import Object

_WHOLE: Final = frozenset(
    {
        "nvidia.com/gpu",
        "nvidia.com/gpu.shared",
        "nvidia.com/pgpu",
        "amd.com/gpu",
        "gpu.intel.com/i915",
        "gpu.intel.com/xe",
    }
)
"""Resources of which one is a GPU, or a share of one as the device plugin counts it."""
_MIG: Final = re.compile(r"nvidia\.com/mig-(\d)g\.\d{1,4}gb(?:\..{1,20})?")
_MOST: Final = 1_000_000
_DONE: Final = frozenset({"Succeeded", "Failed"})
_NOISE: Final = (
    "feature.node.kubernetes.io/",
    "nvidia.com/",
    "beta.kubernetes.io/",
    "alpha.kubernetes.io/",
)
"""Labels that discovery of hardware sets by the dozen; each GPU is told with those of its node."""
_EXPORTER: Final = "dcgm-exporter"
_NODE_LABELS: Final = (
    "node",
    "Hostname",
    "hostname",
    "kubernetes_node",
    "node_name",
    "nodename",
    "NodeName",
)
_PODS: Final = (
    ("exported_namespace", "exported_pod"),
    ("pod_namespace", "pod_name"),
    ("namespace", "pod"),
)


class NodeSeen(NamedTuple):
    """A node: its name, what else it is called, its labels, and the GPUs that it offers.

    Labels that only discovery of hardware sets are left out.
    """

    name: str
    aliases: tuple[str, ...]
    labels: Mapping[str, str]
    gpus: float


class PodSeen(NamedTuple):
    """A pod that wants GPUs or tells of them.

    `gpus` that it asks for (an instance counts as its part), `claims` that it names, whether it
    is an `exporter`, and whether it is `pending`: no node was found for it yet.
    """

    namespace: str
    name: str
    node: str
    address: str
    gpus: float
    claims: tuple[str, ...]
    exporter: bool
    pending: bool


def see_node(node: Object) -> NodeSeen:
    """View a node."""
    told = field.labels(node, "metadata", "labels")
    labels = {name: value for name, value in told.items() if not name.startswith(_NOISE)}
    addresses = [field.text(one, "address") for one in field.mappings(node, "status", "addresses")]
    aliases = (*addresses, labels.get("kubernetes.io/hostname", ""))
    offered = field.mapping(node, "status", "allocatable")
    return NodeSeen(field.name_of(node), aliases, labels, _gpus(offered))


def see_pod(pod: Object) -> PodSeen | None:
    """View a pod; None where it has to do with no GPU, or is over."""
    phase = field.text(pod, "status", "phase")
    wanted = _wanted(pod)
    claims = tuple(_claims(pod))
    exporter = not (wanted or claims) and _is_exporter(pod)
    if phase in _DONE or not (wanted or claims or exporter):
        return None
    node = field.text(pod, "spec", "nodeName")
    return PodSeen(
        field.namespace_of(pod),
        field.name_of(pod),
        node,
        field.text(pod, "status", "podIP"),
        wanted,
        claims,
        exporter,
        pending=phase == "Pending" and not node,
    )


class Places:
    """Nodes and pods of one moment, found by what series say of them."""

    def __init__(
        self, nodes: Iterable[NodeSeen], pods: Mapping[str, PodSeen], *, whole: bool
    ) -> None:
        """Take nodes, and pods by uid; `whole`: those are all nodes of the cluster."""
        self.nodes = {node.name: node for node in nodes}
        self.pods = {(pod.namespace, pod.name): (uid, pod) for uid, pod in pods.items()}
        self.whole = whole
        self._aliases = {
            alias: node for node in self.nodes.values() for alias in node.aliases if alias
        }
        self._exporters = {pod.address: pod.node for pod in pods.values() if pod.exporter}

    def gone(self, data: Mapping[str, Any]) -> bool:
        """Whether the node that `data` of a device names is not there any more."""
        return self.whole and data.get("node") not in self.nodes

    def node(self, labels: Mapping[str, str]) -> str | None:
        """Return the node that a series is about, None where it is of no node of this cluster.

        By a label that names a node, one of its addresses, or the exporter's own pod; as it is
        told where the nodes are not known.
        """
        named = [labels[name] for name in _NODE_LABELS if labels.get(name)]
        for name in named:
            if node := self._named(name):
                return node
        for name in (*named, labels.get("pod", "")):
            exporter = self.pods.get((labels.get("namespace", ""), name))
            if exporter and exporter[1].exporter and exporter[1].node:
                return exporter[1].node
        host = labels.get("instance", "").rpartition(":")[0].strip("[]")
        if found := self._exporters.get(host) or self._named(host):
            return found
        return None if self.whole else next(iter(named), None)

    def holders(self, labels: Iterable[Mapping[str, str]]) -> list[tuple[str, PodSeen]]:
        """Return uid and view of each pod that the series of a device name as its user.

        `pod` may be the exporter itself, by how the series was scraped: what asks for no GPU
        holds none.
        """
        found = {}
        for one in labels:
            names = next((pair for pair in _PODS if one.get(pair[1])), None)
            pod = self.pods.get((one.get(names[0], ""), one[names[1]])) if names else None
            if pod and not pod[1].exporter:
                found[pod[0]] = pod
        return [found[uid] for uid in sorted(found)]

    def _named(self, name: str) -> str | None:
        if name in self.nodes:
            return name
        alias = self._aliases.get(name)
        return alias.name if alias else None


def _wanted(pod: Object) -> float:
    """Return the GPUs that a pod takes: of its containers at once, or of one that begins first."""
    working = first = 0.0
    for container in containers(pod):
        resources = field.mapping(container.spec, "resources")
        asked = {**field.mapping(resources, "limits"), **field.mapping(resources, "requests")}
        gpus = _gpus(asked)
        if container.role == "init":
            first = max(first, working + gpus)
        else:
            working += gpus
    return max(working, first)


def _gpus(resources: Mapping[str, Any]) -> float:
    total = 0.0
    for name, value in resources.items():
        mig = _MIG.fullmatch(name)
        if name not in _WHOLE and mig is None:
            continue
        amount = quantity.parse(value)
        if amount is not None and 0 <= amount <= _MOST:
            total += float(amount) * (min(int(mig[1]), 7) / 7 if mig else 1.0)
    return total


def _claims(pod: Object) -> Iterator[str]:
    made = {
        field.text(one, "name"): field.text(one, "resourceClaimName")
        for one in field.mappings(pod, "status", "resourceClaimStatuses")
    }
    for one in field.mappings(pod, "spec", "resourceClaims"):
        name = field.text(one, "resourceClaimName") or made.get(field.text(one, "name"), "")
        if name:
            yield name


def _is_exporter(pod: Object) -> bool:
    texts = (
        field.text(one, key)
        for one in field.mappings(pod, "spec", "containers")
        for key in ("name", "image")
    )
    return any(_EXPORTER in text for text in texts)
