"""Ingresses whose backend, certificate or class is not there."""

from collections.abc import Iterator, Mapping
from typing import Any

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import mapping, mappings, name_of, namespace_of, text, whole
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import ObjectRef, Severity

NAME = "ingress-backend"
_DOCS = ("https://kubernetes.io/docs/concepts/services-networking/ingress/",)


def _ingresses(view: ClusterView) -> Iterator[Found]:
    for ingress in view.of("Ingress"):
        for path, backend in _backends(ingress):
            yield from _backend(view, ingress, path, backend)
        for entry in mappings(ingress, "spec", "tls"):
            secret = text(entry, "secretName")
            if secret:
                yield from _absent(
                    view, ingress, "spec.tls", view.named("Secret", namespace_of(ingress), secret)
                )
        wanted = text(ingress, "spec", "ingressClassName")
        if wanted:
            yield from _absent(
                view, ingress, "spec.ingressClassName", view.named("IngressClass", "", wanted)
            )


def _backends(ingress: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (path within the object, service backend) of every rule and the default."""
    default = mapping(ingress, "spec", "defaultBackend", "service")
    if default:
        yield "spec.defaultBackend", default
    for rule in mappings(ingress, "spec", "rules"):
        for entry in mappings(rule, "http", "paths"):
            service = mapping(entry, "backend", "service")
            if service:
                host = text(rule, "host") or "*"
                yield f"spec.rules[{clean(host + text(entry, 'path'), 80)}]", service


def _backend(
    view: ClusterView, ingress: Object, path: str, backend: Mapping[str, Any]
) -> Iterator[Found]:
    name = text(backend, "name")
    service = view.get("Service", namespace_of(ingress), name)
    if service is None:
        blamed = view.named("Service", namespace_of(ingress), name)
        yield from _absent(view, ingress, path, blamed)
        return
    offered = [(text(p, "name"), whole(p, "port")) for p in mappings(service, "spec", "ports")]
    port_name, number = text(backend, "port", "name"), whole(backend, "port", "number")
    if any((port_name and port_name == n) or (number and number == p) for n, p in offered):
        return
    asked = clean(port_name or str(number or "(none)"), 60)
    listed = clean(", ".join(f"{n or '-'} {p}" for n, p in offered)) or "none"
    title = f"port {asked} is not one of Service {name}"
    ref = view.ref(ingress)
    yield Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        path=path,
        title=clean(f"Ingress {name_of(ingress)}: {title}"),
        observed=asked,
        expected=f"a port of the Service: {listed}",
        cause=Cause("backend-port-absent", ref, clean(title), f"{name}:{asked}", ("fix-port",)),
        evidence=(
            evidence(Origin.SPEC, ref, path, f"{name}:{asked}"),
            evidence(Origin.SPEC, view.ref(service), "spec.ports", listed),
        ),
        references=_DOCS,
        confidence=0.95,
    )


def _absent(view: ClusterView, ingress: Object, path: str, wanted: ObjectRef) -> Iterator[Found]:
    """Yield a symptom for an object that is certainly absent, an unknown where that is open."""
    missing = view.missing(wanted.kind, wanted.namespace, wanted.name)
    ref = view.ref(ingress)
    if missing is None:
        yield view.unknown(
            f"whether {wanted} of Ingress {ref.namespace}/{ref.name} exists",
            "not among the objects given, and their absence says nothing",
        )
    if not missing:
        return
    title = clean(f"{wanted} does not exist")
    yield Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        path=path,
        title=f"Ingress {name_of(ingress)}: {title}",
        observed=str(wanted),
        expected="an object that exists",
        cause=Cause(f"{wanted.kind.lower()}-missing", wanted, title, "", ("fix-reference",)),
        evidence=(
            evidence(Origin.SPEC, ref, path, wanted.name),
            evidence(Origin.ABSENCE, wanted, "", "not among the objects read"),
        ),
        references=_DOCS,
        confidence=0.95,
    )


CHECKS = (Check(NAME, "backends of ingresses", _ingresses, ("ingresses.networking.k8s.io",)),)
