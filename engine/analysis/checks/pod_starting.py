"""Pods that have a node and do not start: volumes, networks, and init containers that wait."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engine.analysis.checks.pod_config import blame_missing
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.event import Event
from engine.analysis.field import condition, instant, mapping, mappings, namespace_of, text
from engine.analysis.log_pattern import last_line
from engine.analysis.pod import Container, age, containers, created, is_done, phase
from engine.analysis.start_error import missing_reference
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, ObjectRef, Severity

NAME = "pod-starting"
PATIENCE = timedelta(minutes=2)
_INIT_PATIENCE = timedelta(minutes=5)
_CREATING = frozenset({"ContainerCreating", "PodInitializing", ""})
_EVENTS = (
    "FailedMount",
    "FailedAttachVolume",
    "FailedMapVolume",
    "FailedCreatePodSandBox",
    "NetworkNotReady",
)
_VOLUME: Final = re.compile(
    r'(?i)volume "(?P<name>[^"]{1,253})"|volumes=\[(?P<list>[^\]\s]{1,253})'
)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """A kind of Event of a pod that starts; `aim` is what it blames: volume or node."""

    word: str
    pattern: re.Pattern[str]
    title: str
    aim: str
    remedies: tuple[str, ...]
    confidence: float


_TABLE: Final = (
    _Trouble(
        "volume-multi-attach",
        re.compile(r"(?i)multi-attach|already (?:used by|exclusively attached)"),
        "the volume is still attached to another node",
        "volume",
        ("fix-storage",),
        0.9,
    ),
    _Trouble(
        "no-pod-address",
        re.compile(r"(?i)(?:allocate|assign|available|free|run out of).{0,60}\bip|ipam|no ip addr"),
        "the pod network has no free address on the node",
        "node",
        ("fix-network", "delete-pod", "drain"),
        0.85,
    ),
    _Trouble(
        "pod-network-down",
        re.compile(
            r"(?i)\bcni\b|network plugin|networkplugin|NetworkNotReady|network is not ready"
        ),
        "the pod network of the node does not work",
        "node",
        ("fix-network", "delete-pod", "drain"),
        0.85,
    ),
    _Trouble(
        "sandbox-failed",
        re.compile(r"(?i)sandbox"),
        "the container runtime of the node can not make the pod's sandbox",
        "node",
        ("delete-pod", "drain"),
        0.7,
    ),
    _Trouble(
        "volume-attach",
        re.compile(r"(?i)attach"),
        "the volume can not be attached to the node",
        "volume",
        ("fix-storage",),
        0.75,
    ),
    _Trouble(
        "volume-mount",
        re.compile(r"(?i)mount|volume"),
        "the volume can not be mounted",
        "volume",
        ("fix-storage",),
        0.7,
    ),
)


def slow_starts(view: ClusterView) -> Iterator[Found]:
    """Yield each pod that has had a node for over two minutes and runs no container yet.

    A pod whose containers say why they wait belongs to another check.
    """
    for pod in view.of("Pod"):
        since = _scheduled(pod)
        if is_done(pod) or phase(pod) != "Pending" or since is None:
            continue
        found = containers(pod)
        init = next((c for c in found if c.role == "init" and c.running), None)
        if init is not None:
            if age(init.started, view.now) > _INIT_PATIENCE:
                yield _init_waits(view, pod, init)
        elif age(since, view.now) > PATIENCE and _only_creating(found):
            yield _slow(view, pod, since)


def _scheduled(pod: Object) -> datetime | None:
    """Since when the pod has a node, None while it has none."""
    if not text(pod, "spec", "nodeName"):
        return None
    bound = instant(condition(pod, "PodScheduled"), "lastTransitionTime")
    return bound or instant(pod, "status", "startTime") or created(pod)


def _only_creating(found: list[Container]) -> bool:
    return all(
        c.waiting in _CREATING and not c.running and not c.ended[0]
        for c in found
        if not (c.role == "init" and c.ended[1].get("exitCode") == 0)
    )


def _slow(view: ClusterView, pod: Object, since: datetime) -> Symptom:
    ref = view.ref(pod)
    events = view.events_of(pod, *_EVENTS)
    cause, sure, more = _cause(view, pod, events)
    minutes = round(age(since, view.now).total_seconds() / 60)
    waited = evidence(
        Origin.STATUS, ref, "status.phase", f"Pending for {minutes} min, no container yet", since
    )
    told = tuple(evidence(Origin.EVENT, ref, e.reason, e.message, e.last) for e in events[-2:])
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        title="the pod has a node but does not start",
        observed=clean(events[-1].message) if events else f"no container for {minutes} min",
        expected="its containers start within two minutes",
        cause=cause,
        evidence=(waited, *told, *more),
        path="status.phase",
        confidence=sure,
        since=min((e.first for e in events if e.first), default=since),
    )


_Answer = tuple[Cause, float, tuple[Evidence, ...]]


def _cause(view: ClusterView, pod: Object, events: list[Event]) -> _Answer:
    for event in reversed(events):
        missing = missing_reference(event.message)
        if missing is not None:
            blame = blame_missing(view, pod, missing)
            return blame.cause, blame.confidence, blame.evidence
    for event in reversed(events):
        said = f"{event.reason} {event.message}"[:2000]
        trouble = next((t for t in _TABLE if t.pattern.search(said)), None)
        if trouble is not None:
            blamed = _aim(view, pod, trouble, event.message)
            title = clean(f"{trouble.title} ({blamed})")
            cause = Cause(trouble.word, blamed, title, remedies=trouble.remedies)
            return cause, trouble.confidence, ()
    node = view.named("Node", "", text(pod, "spec", "nodeName"))
    title = f"the kubelet of node {node.name} does not start it and does not say why"
    cause = Cause("start-slow", view.workload(pod), clean(title), suspects=(node,))
    return cause, 0.3, ()


def _aim(view: ClusterView, pod: Object, trouble: _Trouble, message: str) -> ObjectRef:
    if trouble.aim == "node":
        return view.named("Node", "", text(pod, "spec", "nodeName"))
    return _claim(view, pod, message) or view.workload(pod)


def _claim(view: ClusterView, pod: Object, message: str) -> ObjectRef | None:
    """The claim behind the volume that a message names; the only claim where it names none."""
    named = {name for match in _VOLUME.finditer(message[:2000]) for name in match.groups() if name}
    claims = {
        text(v, "name"): text(v, "persistentVolumeClaim", "claimName")
        for v in mappings(pod, "spec", "volumes")
        if text(v, "persistentVolumeClaim", "claimName")
    }
    namespace = namespace_of(pod)
    for volume, claim in claims.items():
        bound = text(
            mapping(view.get("PersistentVolumeClaim", namespace, claim)), "spec", "volumeName"
        )
        if {volume, claim, bound} & named:
            return view.named("PersistentVolumeClaim", namespace, claim)
    if len(claims) == 1:
        return view.named("PersistentVolumeClaim", namespace, next(iter(claims.values())))
    return None


def _init_waits(view: ClusterView, pod: Object, init: Container) -> Symptom:
    ref = view.ref(pod)
    log = view.log(pod, init.name, previous=False)
    line = last_line(log) if log else ""
    said = (evidence(Origin.LOG, ref, f"log of container {init.name}", line),) if line else ()
    minutes = round(age(init.started, view.now).total_seconds() / 60)
    clause = f"init container {init.name} does not end" + (f": {line}" if line else "")
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        title=f"init container {init.name} does not end",
        observed=f"running for {minutes} min; the containers after it wait",
        expected="an init container ends within minutes",
        cause=Cause("init-waits", view.workload(pod), clean(clause), init.name, ("fix-config",)),
        evidence=(
            evidence(
                Origin.STATUS, ref, f"{init.path}.state", f"running {minutes} min", init.started
            ),
            *said,
        ),
        container=init.name,
        path=init.path,
        confidence=0.6,
        since=init.started,
    )


CHECKS = (Check(NAME, "pods that do not start", slow_starts, ("pods",), "Pod"),)
