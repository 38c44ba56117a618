"""Nodes that do not serve: not ready, under pressure, cordoned, or marked by a detector."""

from collections.abc import Iterator
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, flag, instant, mappings, name_of, text
from engine.analysis.scheduling import show_taint
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

NAME = "node-condition"
CORDONED = "node-cordoned"
_PRESSURE: Final = {
    "MemoryPressure": ("memory-pressure", "is short of memory", ("drain", "add-capacity")),
    "DiskPressure": ("disk-pressure", "is short of disk", ("free-disk", "drain")),
    "PIDPressure": ("pid-pressure", "is short of process ids", ("drain",)),
    "NetworkUnavailable": ("network-unavailable", "has no pod network", ("drain",)),
}
_KUBELET_EVENTS = (
    "NodeNotReady",
    "KubeletNotReady",
    "SystemOOM",
    "Rebooted",
    "InvalidDiskCapacity",
)


def _conditions(view: ClusterView) -> Iterator[Found]:
    for node in view.of("Node"):
        ready = condition(node, "Ready")
        status = text(ready, "status")
        if not ready:
            name = name_of(node)
            yield view.unknown(f"node {name}", "its status has no condition Ready")
        elif status != "True":
            yield _not_ready(view, node, status)
        for entry in mappings(node, "status", "conditions"):
            kind = text(entry, "type")
            if kind != "Ready" and text(entry, "status") == "True":
                yield _pressed(view, node, kind)


def _not_ready(view: ClusterView, node: Object, status: str) -> Symptom:
    ready, ref = condition(node, "Ready"), view.ref(node)
    silent = status == "Unknown"
    why = (
        "its kubelet stopped reporting" if silent else clean(text(ready, "message")) or "not ready"
    )
    word = "node-unreachable" if silent else "node-not-ready"
    return Symptom(
        check=NAME,
        severity=Severity.CRITICAL,
        object=ref,
        path="status.conditions[Ready]",
        title=f"Node {name_of(node)} is not ready: {why}",
        observed=f"Ready is {clean(status)}, {clean(text(ready, 'reason'))}",
        expected="Ready is True",
        cause=Cause(word, ref, f"node {name_of(node)} is not ready: {why}", "", ("drain",)),
        evidence=tuple(_evidence(view, node)),
        references=("https://kubernetes.io/docs/concepts/architecture/nodes/#condition",),
        confidence=0.95,
        since=instant(ready, "lastTransitionTime"),
    )


def _evidence(view: ClusterView, node: Object) -> Iterator[Evidence]:
    ref, ready = view.ref(node), condition(node, "Ready")
    when = instant(ready, "lastTransitionTime")
    said = f"{text(ready, 'status')} {text(ready, 'reason')}: {text(ready, 'message')}"
    yield evidence(Origin.STATUS, ref, "status.conditions[Ready]", said, when)
    lease = view.get("Lease", "kube-node-lease", name_of(node))
    if lease is not None:
        renewed = text(lease, "spec", "renewTime")
        yield evidence(Origin.STATUS, view.ref(lease), "spec.renewTime", renewed)
    for taint in mappings(node, "spec", "taints"):
        if text(taint, "key").startswith("node.kubernetes.io/"):
            shown = f"{show_taint(taint)} {text(taint, 'effect')}"
            yield evidence(Origin.SPEC, ref, "spec.taints", shown, instant(taint, "timeAdded"))
    for event in view.events_of(node, *_KUBELET_EVENTS)[-3:]:
        yield evidence(Origin.EVENT, ref, event.reason, event.message, event.last)


def _pressed(view: ClusterView, node: Object, kind: str) -> Symptom:
    entry, ref = condition(node, kind), view.ref(node)
    shown = clean(kind, 60)
    detected = ("node-problem", f"reports {shown}", ("cordon", "drain"))
    word, says, remedies = _PRESSURE.get(kind, detected)
    reason, message = text(entry, "reason"), text(entry, "message")
    when = instant(entry, "lastTransitionTime")
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        path=f"status.conditions[{shown}]",
        title=f"Node {name_of(node)} {says}",
        observed=clean(f"{kind} is True: {reason} {message}"),
        expected=f"{shown} is False",
        cause=Cause(word, ref, f"node {name_of(node)} {says}", shown, remedies),
        evidence=(
            evidence(
                Origin.STATUS, ref, f"status.conditions[{shown}]", f"{reason}: {message}", when
            ),
        ),
        references=(
            "https://kubernetes.io/docs/concepts/scheduling-eviction/node-pressure-eviction/",
        ),
        confidence=0.9 if kind in _PRESSURE else 0.7,
        since=when,
    )


def _cordoned(view: ClusterView) -> Iterator[Found]:
    for node in view.of("Node"):
        if not flag(node, "spec", "unschedulable"):
            continue
        ref, name = view.ref(node), name_of(node)
        added = next(
            (
                instant(taint, "timeAdded")
                for taint in mappings(node, "spec", "taints")
                if text(taint, "key") == "node.kubernetes.io/unschedulable"
            ),
            None,
        )
        yield Symptom(
            check=CORDONED,
            severity=Severity.INFO,
            object=ref,
            path="spec.unschedulable",
            title=f"Node {name} is cordoned: it takes no new pods",
            observed="true",
            expected="unset, unless somebody works on the node",
            cause=Cause("cordoned", ref, f"node {name} is cordoned", "", ("uncordon",)),
            evidence=(evidence(Origin.SPEC, ref, "spec.unschedulable", "true", added),),
            confidence=0.9,
            since=added,
        )


CHECKS = (
    Check(NAME, "conditions of nodes", _conditions, ("nodes",), "Node"),
    Check(CORDONED, "cordoned nodes", _cordoned, ("nodes",)),
)
