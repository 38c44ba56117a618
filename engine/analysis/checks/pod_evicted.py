"""Pods that a node or the scheduler threw out, or that a kubelet would not take."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, instant, text
from engine.analysis.pod import age, containers, created, phase
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Severity

NAME = "pod-evicted"
RECENT = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class _Ejection:
    """A kind of ending by others; `of_node`: the node is to blame, else the workload."""

    word: str
    pattern: re.Pattern[str]
    title: str
    severity: Severity
    remedies: tuple[str, ...]
    of_node: bool


# The words of a node's pressures are those of the check of nodes: one cause, one incident.
_TABLE: Final = (
    _Ejection(
        "ephemeral-storage-limit",
        re.compile(r"(?i)exceed\w* .{0,60}ephemeral|ephemeral.{0,40} exceed"),
        "a container wrote more to its local disk than its limit allows",
        Severity.MEDIUM,
        ("raise-limit", "free-disk"),
        of_node=False,
    ),
    _Ejection(
        "emptydir-limit",
        re.compile(r"(?i)emptydir.{0,80}exceed"),
        "a scratch volume grew over its size limit",
        Severity.MEDIUM,
        ("raise-limit",),
        of_node=False,
    ),
    _Ejection(
        "memory-pressure",
        re.compile(r"(?i)low on resource: memory|memorypressure"),
        "is short of memory",
        Severity.MEDIUM,
        ("raise-memory", "add-capacity"),
        of_node=True,
    ),
    _Ejection(
        "disk-pressure",
        re.compile(r"(?i)low on resource: (?:ephemeral|inodes|nodefs|imagefs)|diskpressure"),
        "is short of disk",
        Severity.MEDIUM,
        ("free-disk", "drain"),
        of_node=True,
    ),
    _Ejection(
        "pid-pressure",
        re.compile(r"(?i)low on resource: pids|pidpressure"),
        "is short of process ids",
        Severity.MEDIUM,
        ("drain",),
        of_node=True,
    ),
    _Ejection(
        "preempted",
        re.compile(r"(?i)preempt"),
        "a pod of higher priority took its place",
        Severity.LOW,
        ("add-capacity",),
        of_node=False,
    ),
    _Ejection(
        "node-shutdown",
        re.compile(r"(?i)shutdown|shutting down"),
        "was shut down",
        Severity.LOW,
        ("delete-pod",),
        of_node=True,
    ),
    _Ejection(
        "node-unreachable",
        re.compile(r"(?i)nodelost|taint ?manager|unreachable"),
        "was lost",
        Severity.MEDIUM,
        ("delete-pod", "drain"),
        of_node=True,
    ),
    _Ejection(
        "refused-by-kubelet",
        re.compile(r"OutOf|UnexpectedAdmissionError|NodeAffinity|NodePorts|Admission"),
        "refused the pod that was bound to it",
        Severity.MEDIUM,
        ("fix-scheduling", "delete-pod"),
        of_node=True,
    ),
    _Ejection(
        "evicted",
        re.compile("Evicted"),
        "was told to evict it",
        Severity.MEDIUM,
        ("delete-pod",),
        of_node=True,
    ),
)


def evictions(view: ClusterView) -> Iterator[Found]:
    """Yield each pod that was thrown out or refused within the last two hours."""
    for pod in view.of("Pod"):
        if phase(pod) != "Failed":
            continue
        reason = text(pod, "status", "reason")
        target = condition(pod, "DisruptionTarget")
        if not reason and target.get("status") != "True":
            continue
        when = _when(view, pod)
        said = " ".join(
            (
                reason,
                text(pod, "status", "message"),
                text(target, "reason"),
                text(target, "message"),
            )
        )
        ejection = next((e for e in _TABLE if e.pattern.search(said[:2000])), None)
        if ejection is not None and age(when, view.now) <= RECENT:
            yield _symptom(view, pod, ejection, when)


def _when(view: ClusterView, pod: Object) -> datetime | None:
    """When it was thrown out: by its condition, its Event, its containers, or its birth."""
    told = instant(condition(pod, "DisruptionTarget"), "lastTransitionTime")
    events = [e.last for e in view.events_of(pod, "Evicted", "Preempted") if e.last]
    ended = [instant(c.ended[1], "finishedAt") for c in containers(pod)]
    known = [told, *events, *ended, created(pod)]
    return next((when for when in known if when is not None), None)


def _symptom(view: ClusterView, pod: Object, ejection: _Ejection, when: datetime | None) -> Symptom:
    ref = view.ref(pod)
    reason, message = text(pod, "status", "reason"), text(pod, "status", "message")
    target = condition(pod, "DisruptionTarget")
    node = text(pod, "spec", "nodeName")
    proof = [evidence(Origin.STATUS, ref, "status.reason", f"{reason}: {message}", when)]
    if target:
        said = f"{text(target, 'reason')}: {text(target, 'message')}"
        proof.append(
            evidence(Origin.STATUS, ref, "status.conditions[DisruptionTarget]", said, when)
        )
    proof += [
        evidence(Origin.EVENT, ref, e.reason, e.message, e.last)
        for e in view.events_of(pod, "Evicted", "Preempted")[-1:]
    ]
    if ejection.of_node and node:
        blamed, title = view.named("Node", "", node), f"node {node} {ejection.title}"
    else:
        blamed, title = view.workload(pod), ejection.title
    return Symptom(
        check=NAME,
        severity=ejection.severity,
        object=ref,
        title="the pod was thrown out of its node",
        observed=clean(f"{reason} {message}"),
        expected="the pod runs until its owner ends it",
        cause=Cause(ejection.word, blamed, clean(title), remedies=ejection.remedies),
        evidence=tuple(proof),
        path="status.reason",
        confidence=0.85,
        since=when,
    )


CHECKS = (Check(NAME, "evicted and refused pods", evictions, ("pods",), "Pod"),)
