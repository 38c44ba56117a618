"""Impact: how many pods of how many workloads are struck, and whether users reach them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.analysis.cluster_view import ClusterView, Object, key_of, key_of_ref
from engine.analysis.field import labels, mappings, namespace_of, text
from engine.analysis.pod import is_done
from engine.missions.kinds.incident_response.blame import Blamed
from engine.model.report import ObjectRef

_OPEN = frozenset({"LoadBalancer", "NodePort"})
_DOORS = 3


@dataclass(frozen=True)
class Impact:
    """What an incident strikes; `objects` in order, pods alone where there are any."""

    text: str
    objects: tuple[ObjectRef, ...]
    user_facing: bool


class Doors:
    """By which Services and Ingresses users reach the workloads of one cluster."""

    def __init__(self, view: ClusterView) -> None:
        unread = ("services", "ingresses.networking.k8s.io")
        self.why_unknown = next(filter(None, map(view.why_unread, unread)), "")
        self._of_workload: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._of_service: dict[tuple[str, str], list[str]] = defaultdict(list)
        for service in view.of("Service"):
            if text(service, "spec", "type") in _OPEN:
                self._open(service, f"Service {_place(service)} ({text(service, 'spec', 'type')})")
        for ingress in view.of("Ingress"):
            for name in _backends(ingress):
                door = f"Ingress {_place(ingress)}"
                self._of_service[namespace_of(ingress), name].append(door)
        for service in view.of("Service"):
            doors = self._of_service.get((namespace_of(service), key_of(service)[2]))
            wanted = labels(service, "spec", "selector")
            if doors:
                for pod in view.selected(namespace_of(service), wanted):
                    self._of_workload[key_of_ref(view.workload(pod))] += doors

    def _open(self, service: Object, door: str) -> None:
        self._of_service[namespace_of(service), key_of(service)[2]].append(door)

    def to(self, ref: ObjectRef) -> list[str]:
        """Return the doors that lead to a workload or a Service, each once."""
        if ref.kind == "Ingress":
            return [f"Ingress {ref.namespace}/{ref.name}"]
        found = self._of_workload.get(key_of_ref(ref), [])
        if ref.kind == "Service":
            found = self._of_service.get((ref.namespace, ref.name), [])
        return list(dict.fromkeys(found))


def impact(view: ClusterView, doors: Doors, blamed: Sequence[Blamed]) -> Impact:
    """Return what the groups of one incident strike."""
    struck = _members(blamed)
    pods = [ref for ref in struck if ref.kind == "Pod"]
    owners = _owners(blamed)
    parts = [_pods(view, pods, owners)] if pods else [_others(struck)]
    parts.append(f"cluster {view.name}")
    entrances = list(dict.fromkeys(d for ref in owners.values() for d in doors.to(ref)))
    if entrances:
        more = f" and {len(entrances) - _DOORS} more" if len(entrances) > _DOORS else ""
        parts.append(f"users reach it by {', '.join(entrances[:_DOORS])}{more}")
    elif doors.why_unknown:
        parts.append("whether users reach it is not known")
    else:
        parts.append("no Ingress or outward Service leads to it")
    return Impact("; ".join(parts), tuple(pods or struck), bool(entrances))


def _members(blamed: Sequence[Blamed]) -> list[ObjectRef]:
    found = {key_of_ref(ref): ref for b in blamed for ref in b.group.members}
    return [found[key] for key in sorted(found)]


def _owners(blamed: Sequence[Blamed]) -> Mapping[tuple[str, str, str], ObjectRef]:
    owners = {key_of_ref(b.group.object): b.group.object for b in blamed}
    return {key: owners[key] for key in sorted(owners)}


def _pods(
    view: ClusterView, pods: Sequence[ObjectRef], owners: Mapping[tuple[str, str, str], ObjectRef]
) -> str:
    total = sum(sum(not is_done(pod) for pod in view.pods_of(ref)) for ref in owners.values())
    workloads = [ref for ref in owners.values() if view.pods_of(ref)]
    many = f"{len(workloads)} workloads" if len(workloads) > 1 else ""
    named = str(workloads[0]) if workloads else "no known workload"
    return f"{len(pods)} of {max(total, len(pods))} pods of {many or named} are struck"


def _others(struck: Sequence[ObjectRef]) -> str:
    counts: dict[str, int] = defaultdict(int)
    for ref in struck:
        counts[ref.kind] += 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) + " struck"


def _place(obj: Object) -> str:
    _, namespace, name = key_of(obj)
    return f"{namespace}/{name}"


def _backends(ingress: Object) -> Iterator[str]:
    default = text(ingress, "spec", "defaultBackend", "service", "name")
    if default:
        yield default
    for rule in mappings(ingress, "spec", "rules"):
        for path in mappings(rule, "http", "paths"):
            name = text(path, "backend", "service", "name")
            if name:
                yield name
