"""Push blame down the dependency graph to the deepest ancestor that is unhealthy itself.

A group of symptoms is explained by another group when it depends on that one's object and
the table says that such a failure can bring about such a symptom. Following this to its end
gives the root; groups with one root object are one incident.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from engine.analysis.cluster_view import ClusterView, key_of_ref
from engine.analysis.field import text
from engine.missions.kinds.incident_response.fold import Group
from engine.model.report import ObjectRef

Place: TypeAlias = tuple[str, str, str, str]
"""(cluster, kind, namespace, name)."""

# How deep in the stack a check looks: a symptom is explained by deeper ones only.
DEPTH: Final = {
    "ingress-backend": 0,
    "hpa": 1,
    "pdb": 1,
    "service-endpoints": 2,
    "service-ports": 3,
    "cronjob": 4,
    "deployment-stuck": 5,
    "statefulset-stuck": 5,
    "daemonset-stuck": 5,
    "job-failed": 5,
    "quota": 6,
    "pod-not-ready": 7,
    "pod-probe": 8,
    "pod-terminating": 9,
    "pod-unschedulable": 9,
    "pod-scheduling-gated": 9,
    "pod-starting": 9,
    "pod-evicted": 9,
    "pod-config": 9,
    "pod-image-pull": 9,
    "pod-crash": 9,
    "pod-oom": 10,
    "pvc-pending": 11,
    "pv-lost": 12,
    "node-cordoned": 13,
    "node-condition": 14,
}
_NO_DEPTH: Final = 9
_LOST_NODE: Final = frozenset(
    {"pod-not-ready", "pod-probe", "pod-terminating", "pod-starting", "pod-evicted"}
)
# What a sick node brings about, by the word of its cause.
OF_NODE: Final[Mapping[str, frozenset[str]]] = {
    "node-not-ready": _LOST_NODE,
    "node-unreachable": _LOST_NODE,
    "disk-pressure": frozenset({"pod-evicted", "pod-starting", "pod-image-pull"}),
    "memory-pressure": frozenset({"pod-evicted"}),
    "pid-pressure": frozenset({"pod-evicted", "pod-starting"}),
    "network-unavailable": frozenset({"pod-starting", "pod-probe", "pod-not-ready"}),
    "cordoned": frozenset(),
}
_NODE_TAINTS: Final = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
_OFF_NODES: Final = frozenset({"node-not-ready", "node-unreachable"})


@dataclass(frozen=True)
class Blamed:
    """A group with its root: the group that explains it all, `steps` explanations further."""

    group: Group
    root: Group
    steps: int

    @property
    def place(self) -> Place:
        """The root object: what groups have in common that are one incident."""
        return place_of(self.root.cause.object)


def place_of(ref: ObjectRef) -> Place:
    """Return where an object is, without its uid and version."""
    return ref.cluster, *key_of_ref(ref)


def blame(groups: Sequence[Group]) -> list[Blamed]:
    """Return each group with its root, in the order of `groups`."""
    index = _Index(groups)
    return [index.root(group) for group in groups]


class _Index:
    """Groups by the object they are about, and the answers found so far."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._at: dict[Place, list[Group]] = defaultdict(list)
        for group in groups:
            places = {place_of(group.object), place_of(group.cause.object)}
            for place in places:
                self._at[place].append(group)
        self._lost = [
            group
            for group in groups
            if group.check == "node-condition" and group.cause.word in _OFF_NODES
        ]

    def root(self, group: Group) -> Blamed:
        seen, here = {group.finding.id}, group
        while True:
            deeper = next((g for g in self._explaining(here) if g.finding.id not in seen), None)
            if deeper is None:
                return Blamed(group, here, len(seen) - 1)
            seen.add(deeper.finding.id)
            here = deeper

    def _explaining(self, group: Group) -> Iterator[Group]:
        """Yield the groups that can explain `group`, the best first."""
        suspected = [g for ref in group.cause.suspects for g in self._at.get(place_of(ref), ())]
        yield from sorted(suspected, key=_deepest_first)
        below = [
            other
            for place in _depends_on(group)
            for other in self._at.get(place, ())
            if other is not group and explains(other, group)
        ]
        yield from sorted(below, key=_deepest_first)
        if group.check == "pod-unschedulable" and _speaks_of_lost_nodes(group):
            yield from (g for g in self._lost if g.object.cluster == group.object.cluster)


def explains(deeper: Group, shallow: Group) -> bool:
    """Whether the failure of `deeper` can bring about `shallow`, which depends on it."""
    if deeper.object.kind == "Node" and deeper.check in {"node-condition", "node-cordoned"}:
        pushed = deeper.cause.word in {shallow.cause.word, "node-out-of-memory"}
        return pushed or shallow.check in OF_NODE.get(deeper.cause.word, frozenset())
    return DEPTH.get(deeper.check, _NO_DEPTH) > DEPTH.get(shallow.check, _NO_DEPTH)


def _deepest_first(group: Group) -> tuple[int, int, float, str]:
    finding = group.finding
    depth = DEPTH.get(group.check, _NO_DEPTH)
    return -depth, finding.severity.rank, -finding.confidence, finding.id


def _speaks_of_lost_nodes(group: Group) -> bool:
    said = [item.value for item in group.finding.evidence] + [group.finding.observed]
    return any(taint in line for line in said for taint in _NODE_TAINTS)


def _depends_on(group: Group) -> list[Place]:
    """Return where the things are that the members of `group` can not do without."""
    found = {place_of(group.object): None, place_of(group.cause.object): None}
    cluster = group.object.cluster
    for ref in group.members:
        for place in _of_member(group.view, ref):
            found[cluster, *place] = None
    return list(found)


def _of_member(view: ClusterView, ref: ObjectRef) -> Iterator[tuple[str, str, str]]:
    obj = view.find(ref)
    if ref.kind == "Pod":
        node = text(obj, "spec", "nodeName")
        if node:
            yield "Node", "", node
    elif ref.kind == "HorizontalPodAutoscaler":
        yield (
            text(obj, "spec", "scaleTargetRef", "kind"),
            ref.namespace,
            text(obj, "spec", "scaleTargetRef", "name"),
        )
