"""Scheduling: what a pod asks for, what a node has left, and why the one does not fit the other.

Judged as kube-scheduler's filters do: node name, cordon, taints, node selector and affinity,
resources with pod count, host ports. Affinity between pods, topology spread and volumes are
not judged here; `unjudged` names those that a pod asks for.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import flag, mapping, mappings, name_of, text, whole
from engine.analysis.quantity import parse, show
from engine.analysis.selector import tolerates, wants_node

Amounts = Mapping[str, Fraction]
HARD: Final = frozenset({"NoSchedule", "NoExecute"})
ENDED: Final = frozenset({"Succeeded", "Failed"})
_NONE = Fraction(0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one node does not take a pod.

    `word` is one of node-name, cordoned, taint, node-affinity, insufficient, too-many-pods,
    host-port; `what` tells apart within the word (a taint, a resource); `why` is a clause.
    """

    word: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Room:
    """What one node has left: `free` by resource, and the host ports taken."""

    node: Object
    name: str
    free: Amounts
    ports: frozenset[tuple[str, int]]


def requests(spec: Any) -> Amounts:
    """Return what a pod's spec asks of a node, `pods` included.

    The sum over containers and sidecars, or the most that any init container needs together
    with the sidecars before it, plus the overhead; pod-level requests replace the sum.
    """
    running = _summed(mappings(spec, "containers"))
    sidecars: dict[str, Fraction] = {}
    peak: dict[str, Fraction] = {}
    for container in mappings(spec, "initContainers"):
        asked = _asked(container)
        if text(container, "restartPolicy") == "Always":
            _add(sidecars, asked)
            asked = {}
        for name in {*asked, *sidecars}:
            needed = asked.get(name, _NONE) + sidecars.get(name, _NONE)
            peak[name] = max(peak.get(name, _NONE), needed)
    _add(running, sidecars)
    total = {n: max(running.get(n, _NONE), peak.get(n, _NONE)) for n in {*running, *peak}}
    total.update(_asked(spec))
    _add(total, _amounts(mapping(spec, "overhead")))
    return {**total, "pods": Fraction(1)}


def rooms(view: ClusterView) -> list[Room]:
    """Return what each node has left, in order of name."""
    return [_room(view, node) for node in view.of("Node")]


def refusals(spec: Any, asked: Amounts, room: Room) -> Iterator[Refusal]:
    """Yield every reason why the node of `room` does not take a pod of `spec`."""
    wanted = text(spec, "nodeName")
    if wanted and wanted != room.name:
        yield Refusal("node-name", wanted, f"the pod names node {wanted}")
    if flag(room.node, "spec", "unschedulable"):
        yield Refusal("cordoned", "", "it is cordoned")
    for taint in mappings(room.node, "spec", "taints"):
        if text(taint, "effect") in HARD and not tolerates(spec, taint):
            shown = show_taint(taint)
            if text(taint, "key") != "node.kubernetes.io/unschedulable":
                yield Refusal("taint", shown, f"its taint {shown} is not tolerated")
    if not wants_node(spec, room.node):
        yield Refusal("node-affinity", "", "node selector or affinity does not match its labels")
    yield from _short(asked, room)
    for port in sorted(host_ports(spec) & room.ports):
        yield Refusal("host-port", f"{port[0]}/{port[1]}", f"host port {port[1]} is taken")


def fitting(view: ClusterView, specs: Sequence[Any], without: str = "") -> int:
    """Return how many more pods the nodes take, one after the other, by what is judged here.

    Args:
        view: the nodes and what runs on them.
        specs: of the pods, in order; a node that they are bound to now does not matter.
        without: name of a node that takes none.
    """
    left = [room for room in rooms(view) if room.name != without]
    fit = 0
    for bound in specs:
        spec = {name: value for name, value in dict(bound).items() if name != "nodeName"}
        asked = requests(spec)
        chosen = next((r for r in left if next(refusals(spec, asked, r), None) is None), None)
        if chosen is not None:
            fit += 1
            left = [_filled(room, spec, asked) if room is chosen else room for room in left]
    return fit


def _filled(room: Room, spec: Any, asked: Amounts) -> Room:
    free = {name: room.free.get(name, _NONE) - asked.get(name, _NONE) for name in room.free}
    return replace(room, free=free, ports=room.ports | host_ports(spec))


def unjudged(spec: Any) -> list[str]:
    """Return the constraints of a pod's spec that `refusals` does not judge."""
    names = {
        "pod affinity": mapping(spec, "affinity", "podAffinity"),
        "pod anti-affinity": mapping(spec, "affinity", "podAntiAffinity"),
        "topology spread": mappings(spec, "topologySpreadConstraints"),
        "volumes": [v for v in mappings(spec, "volumes") if "persistentVolumeClaim" in v],
        "resource claims": mappings(spec, "resourceClaims"),
    }
    return [name for name, asked in names.items() if asked]


def host_ports(spec: Any) -> frozenset[tuple[str, int]]:
    """Return (protocol, port) of every host port that a pod's spec takes."""
    ports = (p for c in mappings(spec, "containers") for p in mappings(c, "ports"))
    return frozenset(
        (text(port, "protocol") or "TCP", number)
        for port in ports
        if (number := whole(port, "hostPort"))
    )


def show_taint(taint: Any) -> str:
    """Return a taint as the scheduler writes it: `{key: value}`."""
    return f"{{{text(taint, 'key')}: {text(taint, 'value')}}}"


def _room(view: ClusterView, node: Object) -> Room:
    name = name_of(node)
    free: dict[str, Fraction] = dict(_amounts(mapping(node, "status", "allocatable")))
    ports: set[tuple[str, int]] = set()
    for pod in view.pods_on(name):
        if text(pod, "status", "phase") in ENDED:
            continue
        spec = mapping(pod, "spec")
        for resource, amount in requests(spec).items():
            free[resource] = free.get(resource, _NONE) - amount
        ports |= host_ports(spec)
    return Room(node, name, free, frozenset(ports))


def _short(asked: Amounts, room: Room) -> Iterator[Refusal]:
    for resource in sorted(asked):
        left = max(room.free.get(resource, _NONE), _NONE)
        if asked[resource] <= left:
            continue
        if resource == "pods":
            yield Refusal("too-many-pods", "pods", "it runs as many pods as it may")
        else:
            need, have = show(resource, asked[resource]), show(resource, left)
            yield Refusal("insufficient", resource, f"{need} {resource} asked, {have} free")


def _asked(holder: Any) -> dict[str, Fraction]:
    """Return the requests of a container; a limit without a request is one."""
    return {
        **_amounts(mapping(holder, "resources", "limits")),
        **_amounts(mapping(holder, "resources", "requests")),
    }


def _amounts(raw: Mapping[str, Any]) -> dict[str, Fraction]:
    parsed = {str(name): parse(value) for name, value in raw.items()}
    return {name: amount for name, amount in parsed.items() if amount is not None}


def _summed(containers: list[Mapping[str, Any]]) -> dict[str, Fraction]:
    total: dict[str, Fraction] = defaultdict(Fraction)
    for container in containers:
        _add(total, _asked(container))
    return total


def _add(total: dict[str, Fraction], more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, _NONE) + amount
