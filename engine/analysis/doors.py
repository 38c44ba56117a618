"""Doors: by which Services and Ingresses users reach the workloads of one cluster."""

from collections import defaultdict
from collections.abc import Iterator

from engine.analysis.cluster_view import ClusterView, Object, key_of, key_of_ref
from engine.analysis.field import labels, mappings, namespace_of, text
from engine.model.report import ObjectRef

_OPEN = frozenset({"LoadBalancer", "NodePort"})


class Doors:
    """The ways into one cluster; `why_unknown` says why some may be missing here."""

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
