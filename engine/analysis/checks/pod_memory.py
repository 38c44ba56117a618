"""Containers that ended for lack of memory: their own limit, or their node."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import instant, mapping, mappings, text
from engine.analysis.pod import Container, age, containers, is_done
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

RECENT = timedelta(hours=1)
_NODE_EVENTS = ("SystemOOM", "OOMKilling")


def oom_kills(view: ClusterView) -> Iterator[Found]:
    """Yield each container that was killed for lack of memory and waits, or was within an hour."""
    for pod in view.of("Pod"):
        if is_done(pod):
            continue
        for container in containers(pod):
            ended = _oom(container, view)
            if ended:
                yield _symptom(view, pod, container, ended)


def memory_limit(container: Mapping[str, Any]) -> str:
    """Return the memory limit of a container's spec as it is written, empty without one."""
    return text(container, "resources", "limits", "memory")


def _oom(container: Container, view: ClusterView) -> tuple[str, Mapping[str, Any]] | None:
    for path in ("state", "lastState"):
        body = mapping(container.status, path, "terminated")
        if body.get("reason") != "OOMKilled":
            continue
        finished = instant(body, "finishedAt")
        fresh = finished is None or age(finished, view.now) <= RECENT
        if fresh or container.waiting == "CrashLoopBackOff":
            return f"{path}.terminated", body
    return None


def _symptom(
    view: ClusterView,
    pod: Mapping[str, Any],
    container: Container,
    ended: tuple[str, Mapping[str, Any]],
) -> Symptom:
    ref = view.ref(pod)
    path, body = ended
    limit = memory_limit(container.spec) or memory_limit(mapping(pod, "spec"))
    seen = evidence(
        Origin.STATUS,
        ref,
        f"{container.path}.{path}",
        f"reason OOMKilled, exit code {body.get('exitCode')}",
        instant(body, "finishedAt"),
    )
    asked = evidence(
        Origin.SPEC,
        ref,
        f"spec.{_field(container)}[{container.name}].resources.limits.memory",
        limit or "no limit",
    )
    cause, more = _cause(view, pod, container, limit)
    return Symptom(
        check="pod-oom",
        severity=Severity.HIGH,
        object=ref,
        title=f"container {container.name} is killed for lack of memory",
        observed=clean(f"OOMKilled, {container.restarts} restarts, limit {limit or 'none'}"),
        expected="the container's memory stays below its limit",
        cause=cause,
        evidence=(seen, asked, *more),
        container=container.name,
        path=container.path,
        confidence=0.9,
        since=instant(body, "startedAt") or instant(body, "finishedAt"),
    )


def _field(container: Container) -> str:
    return "containers" if container.role == "app" else "initContainers"


def _cause(
    view: ClusterView, pod: Mapping[str, Any], container: Container, limit: str
) -> tuple[Cause, tuple[Evidence, ...]]:
    name = container.name
    told = _node_told(view, text(pod, "spec", "nodeName"))
    if told and not limit:
        node = view.named("Node", "", text(pod, "spec", "nodeName"))
        title = f"node {node.name} ran out of memory; container {name} has no limit"
        remedies = ("raise-memory", "drain")
        return Cause("node-out-of-memory", node, clean(title), remedies=remedies), told
    title = f"container {name} needs more than its memory limit of {limit}"
    if not limit:
        title = f"container {name} has no memory limit and was killed when memory ran out"
    word = "memory-limit" if limit else "memory-without-limit"
    remedies = ("raise-memory", "rollback")
    return Cause(word, view.workload(pod), clean(title), name, remedies), ()


def _node_told(view: ClusterView, name: str) -> tuple[Evidence, ...]:
    """What a node says of its own lack of memory, by Event or by condition."""
    node = view.get("Node", "", name)
    if node is None:
        return ()
    ref = view.ref(node)
    found = [
        evidence(Origin.EVENT, ref, event.reason, event.message, event.last)
        for event in view.events_of(node, *_NODE_EVENTS)[-1:]
    ]
    found += [
        evidence(Origin.STATUS, ref, "status.conditions[MemoryPressure]", "True")
        for entry in mappings(node, "status", "conditions")
        if entry.get("type") == "MemoryPressure" and entry.get("status") == "True"
    ]
    return tuple(found)


CHECKS = (Check("pod-oom", "containers killed for lack of memory", oom_kills, ("pods",), "Pod"),)
