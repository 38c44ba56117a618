"""Target ports of Services that no container behind them offers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.analysis.checks.services import DOCS, TEMPLATED
from engine.analysis.cluster_view import ClusterView, Object, key_of, key_of_ref
from engine.analysis.field import labels, mapping, mappings, name_of, namespace_of, text, whole
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import ObjectRef, Severity

PORTS = "service-ports"


def _ports(view: ClusterView) -> Iterator[Found]:
    for service in view.of("Service"):
        wanted = labels(service, "spec", "selector")
        if not wanted or text(service, "spec", "type") == "ExternalName":
            continue
        behind = _behind(view, service, wanted)
        for port in mappings(service, "spec", "ports"):
            yield from _port(view, service, port, behind)


def _behind(
    view: ClusterView, service: Object, wanted: Mapping[str, str]
) -> list[tuple[ObjectRef, Mapping[str, Any]]]:
    """Return (workload, pod spec) of what the Service selects, one a workload."""
    namespace = namespace_of(service)
    pods = view.selected(namespace, wanted)
    found = {key_of_ref(view.workload(p)): (view.workload(p), mapping(p, "spec")) for p in pods}
    for kind in TEMPLATED if not found else ():
        for obj in view.within(kind, namespace):
            carried = labels(obj, "spec", "template", "metadata", "labels")
            if wanted.items() <= carried.items():
                found[key_of(obj)] = (view.ref(obj), mapping(obj, "spec", "template", "spec"))
    return list(found.values())


def _port(
    view: ClusterView,
    service: Object,
    port: Mapping[str, Any],
    behind: Sequence[tuple[ObjectRef, Mapping[str, Any]]],
) -> Iterator[Found]:
    """A named target port that no container declares is certain; a number is a hint."""
    target = port.get("targetPort", port.get("port"))
    protocol = text(port, "protocol") or "TCP"
    for workload, spec in behind:
        declared = _declared(spec)
        if _offers(declared, target, protocol):
            continue
        named = isinstance(target, str) and not target.isdigit()
        if not named and not declared:
            continue  # containers need not declare ports: silence proves nothing
        shown, ref = clean(target, 60), view.ref(service)
        offered = ", ".join(sorted({f"{n or '-'} {p}/{q}" for n, p, q in declared})) or "none"
        title = f"target port {shown} is not one of {workload.kind} {workload.name}"
        yield Symptom(
            check=PORTS,
            severity=Severity.HIGH if named else Severity.MEDIUM,
            object=ref,
            path=f"spec.ports[{clean(text(port, 'name') or port.get('port'), 60)}].targetPort",
            title=clean(f"Service {name_of(service)}: {title}"),
            observed=shown,
            expected=clean(f"a port of its containers: {offered}"),
            cause=Cause("target-port-absent", ref, clean(title), shown, ("fix-port",)),
            evidence=(
                evidence(Origin.SPEC, ref, "spec.ports[].targetPort", target),
                evidence(Origin.SPEC, workload, "containers[].ports", offered),
            ),
            references=DOCS,
            confidence=0.95 if named else 0.6,
        )


def _declared(spec: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return (name, number, protocol) of every port that the containers declare."""
    containers = [*mappings(spec, "containers"), *mappings(spec, "initContainers")]
    return [
        (text(port, "name"), whole(port, "containerPort") or 0, text(port, "protocol") or "TCP")
        for container in containers
        for port in mappings(container, "ports")
    ]


def _offers(declared: Sequence[tuple[str, int, str]], target: Any, protocol: str) -> bool:
    """Whether a port of this name or number is declared; a number may stand in a text."""
    shown = str(target)
    return any(
        shown in {name, str(number)} and protocol == offered for name, number, offered in declared
    )


CHECKS = (Check(PORTS, "target ports of services", _ports, ("services",)),)
