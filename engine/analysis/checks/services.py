"""Services that lead nowhere: selectors that match nothing, pods of which none is ready."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.doors import Doors
from engine.analysis.field import (
    condition,
    flag,
    labels,
    mappings,
    name_of,
    namespace_of,
    text,
    whole,
)
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, ObjectRef, Severity

ENDPOINTS = "service-endpoints"
_ALIKE = 0.6
_SERVICE_LABEL = "kubernetes.io/service-name"
TEMPLATED: Final = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds with a pod template under spec.template."""
DOCS = ("https://kubernetes.io/docs/tasks/debug/debug-application/debug-service/",)


def _endpoints(view: ClusterView) -> Iterator[Found]:
    doors = Doors(view)
    for service in view.of("Service"):
        wanted = labels(service, "spec", "selector")
        if not wanted or text(service, "spec", "type") == "ExternalName":
            continue
        selected = view.selected(namespace_of(service), wanted)
        if selected:
            yield from _none_ready(view, service, selected)
        else:
            yield from _nothing_selected(view, doors, service, wanted)


def _none_ready(view: ClusterView, service: Object, pods: Sequence[Object]) -> Iterator[Found]:
    judged = [pod for pod in pods if condition(pod, "Ready")]
    ready = [pod for pod in judged if text(condition(pod, "Ready"), "status") == "True"]
    if ready or not judged or flag(service, "spec", "publishNotReadyAddresses"):
        return
    ref, owner = view.ref(service), view.workload(judged[0])
    proof = [
        evidence(
            Origin.STATUS,
            ref,
            "selected pods",
            f"{len(pods)} selected, 0 ready: {', '.join(name_of(pod) for pod in pods[:5])}",
        ),
        *_slices(view, service),
    ]
    yield Symptom(
        check=ENDPOINTS,
        severity=Severity.CRITICAL,
        object=ref,
        path="spec.selector",
        title=f"Service {name_of(service)} has no ready endpoint among its {len(pods)} pods",
        observed=f"0 of {len(pods)} selected pods are ready",
        expected="at least one ready pod",
        cause=Cause(
            "pods-not-ready",
            owner,
            f"no pod of {owner.kind} {owner.name} is ready",
            "",
            ("rollback",),
        ),
        evidence=tuple(proof),
        references=DOCS,
        confidence=0.9,
    )


def _slices(view: ClusterView, service: Object) -> Iterator[Evidence]:
    """Yield what the EndpointSlices of `service` say, where they were read."""
    wanted = (namespace_of(service), name_of(service))
    for piece in view.of("EndpointSlice"):
        if (namespace_of(piece), labels(piece, "metadata", "labels").get(_SERVICE_LABEL)) == wanted:
            entries = mappings(piece, "endpoints")
            ready = sum(flag(entry, "conditions", "ready") is not False for entry in entries)
            said = f"{ready} of {len(entries)} endpoints ready"
            yield evidence(Origin.STATUS, view.ref(piece), "endpoints", said)


def _nothing_selected(
    view: ClusterView, doors: Doors, service: Object, wanted: Mapping[str, str]
) -> Iterator[Found]:
    """A selector without pods: wrong when a workload nearly matches, or all pods were read."""
    namespace, ref = namespace_of(service), view.ref(service)
    templates = list(_templates(view, namespace))
    matching = [ref for ref, carried in templates if wanted.items() <= carried.items()]
    if matching:
        yield from _scaled_away(view, doors, service, matching[0])
        return
    near = _nearest(wanted, templates)
    unread = view.why_unread("pods")
    if near is None and unread:
        yield view.unknown(f"whether Service {namespace}/{name_of(service)} selects pods", unread)
        return
    shown = clean(", ".join(f"{key}={value}" for key, value in sorted(wanted.items())))
    proof = [evidence(Origin.SPEC, ref, "spec.selector", shown)]
    blamed, title = ref, f"selector {shown} matches no pod"
    if near is not None:
        workload, differing = near
        blamed_text = f"{workload.kind} {workload.name} carries {differing}"
        title = f"selector {shown} matches no pod; {blamed_text}"
        proof.append(evidence(Origin.SPEC, workload, "spec.template.metadata.labels", blamed_text))
    if not unread:
        proof.append(evidence(Origin.ABSENCE, ref, "selected pods", "0 pods carry these labels"))
    yield Symptom(
        check=ENDPOINTS,
        severity=Severity.HIGH,
        object=ref,
        path="spec.selector",
        title=clean(f"Service {name_of(service)} leads nowhere: {title}"),
        observed=shown,
        expected="labels that the pods behind it carry",
        cause=Cause("selector-mismatch", blamed, clean(title), "", ("fix-selector",)),
        evidence=tuple(proof),
        references=DOCS,
        confidence=0.95 if near is not None else 0.6,
    )


def _scaled_away(
    view: ClusterView, doors: Doors, service: Object, workload: ObjectRef
) -> Iterator[Found]:
    """The selector is right and there are no pods: only a workload scaled to 0 is certain.

    It may be meant so; where users have a way in they are turned away.
    """
    obj = view.find(workload)
    if obj is None or whole(obj, "spec", "replicas") != 0:
        return
    ref = view.ref(service)
    open_ = doors.to(ref)
    tail = clean(f", and users come by {open_[0]}") if open_ else ""
    yield Symptom(
        check=ENDPOINTS,
        severity=Severity.MEDIUM if open_ else Severity.LOW,
        object=ref,
        path="spec.selector",
        title=f"Service {name_of(service)} has no endpoint: {workload} is scaled to 0",
        observed="0 replicas wanted",
        expected="at least one replica, or no Service",
        cause=Cause(
            "scaled-to-zero", workload, f"{workload.name} is scaled to 0{tail}", "", ("scale-up",)
        ),
        evidence=(evidence(Origin.SPEC, workload, "spec.replicas", 0),),
        references=DOCS,
    )


def _templates(view: ClusterView, namespace: str) -> Iterator[tuple[ObjectRef, dict[str, str]]]:
    for kind in TEMPLATED:
        for obj in view.within(kind, namespace):
            yield view.ref(obj), labels(obj, "spec", "template", "metadata", "labels")


def _nearest(
    wanted: Mapping[str, str], templates: Sequence[tuple[ObjectRef, dict[str, str]]]
) -> tuple[ObjectRef, str] | None:
    """Return the workload whose labels come nearest to `wanted`, with what differs.

    Near is: some wanted label is there, or a value is contained in the other (`web`,
    `web-v2`); the workload with the fewest differing labels wins.
    """
    best: tuple[tuple[int, str], ObjectRef, str] | None = None
    for ref, carried in templates:
        differing = {key: value for key, value in wanted.items() if carried.get(key) != value}
        if not _is_near(differing, wanted, carried):
            continue
        shown = ", ".join(
            f"{key}={carried[key]}" if key in carried else f"no {key}" for key in sorted(differing)
        )
        rank = (len(differing), ref.name)
        if best is None or rank < best[0]:
            best = (rank, ref, shown)
    return None if best is None else (best[1], clean(best[2]))


def _is_near(
    differing: Mapping[str, str], wanted: Mapping[str, str], carried: Mapping[str, str]
) -> bool:
    if len(differing) < len(wanted):
        return True
    return any(
        _resembles(value, carried.get(key, "")) or any(_within(value, c) for c in carried.values())
        for key, value in differing.items()
    )


def _within(value: str, other: str) -> bool:
    """Whether one of two values holds the other: `web`, `web-v2`."""
    return len(value) > 1 and len(other) > 1 and (value in other or other in value)


def _resembles(value: str, other: str) -> bool:
    """Whether two values of one label differ like a slip of the pen: `wbe`, `web`."""
    return bool(get_close_matches(value, [other], cutoff=_ALIKE)) if other else False


CHECKS = (Check(ENDPOINTS, "services and the pods behind them", _endpoints, ("services",)),)
