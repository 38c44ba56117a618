"""Containers that can not be created or started as they are configured."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.analysis.checks.pod_crash import start_cause
from engine.analysis.cluster_view import ClusterView
from engine.analysis.field import mapping, namespace_of
from engine.analysis.pod import Container, containers, created, is_done
from engine.analysis.reference import Reference, absent, references
from engine.analysis.start_error import MissingReference, missing_reference, read_start_error
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

WAITING: Final = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)


@dataclass(frozen=True, slots=True)
class Blame:
    """A missing ConfigMap, Secret or key as a cause, and what was looked up to know it."""

    cause: Cause
    evidence: tuple[Evidence, ...]
    confidence: float


def config_errors(view: ClusterView) -> Iterator[Found]:
    """Yield each container that waits because its configuration can not be carried out."""
    for pod in view.of("Pod"):
        if is_done(pod):
            continue
        for container in containers(pod):
            if container.waiting in WAITING:
                yield _symptom(view, pod, container)


def _symptom(view: ClusterView, pod: Mapping[str, Any], container: Container) -> Symptom:
    ref = view.ref(pod)
    message = _message(view, pod, container)
    missing = missing_reference(message)
    if missing is not None:
        blame = blame_missing(view, pod, missing, container.name)
    else:
        error = read_start_error(f"{container.waiting} {message}")
        blame = Blame(start_cause(view.workload(pod), container, error), (), 0.85)
    seen = evidence(
        Origin.STATUS,
        ref,
        f"{container.path}.state.waiting",
        f"{container.waiting}: {container.waiting_message}",
    )
    return Symptom(
        check="pod-config",
        severity=Severity.HIGH,
        object=ref,
        title=f"container {container.name} can not be created",
        observed=clean(f"{container.waiting}: {message}"),
        expected="the container is created as its spec asks",
        cause=blame.cause,
        evidence=(seen, *_told(view, pod, container), *blame.evidence),
        container=container.name,
        path=container.path,
        confidence=blame.confidence,
        since=created(pod),
    )


def _told(view: ClusterView, pod: Mapping[str, Any], container: Container) -> Iterator[Evidence]:
    for event in _failures(view, pod, container)[-1:]:
        yield evidence(Origin.EVENT, view.ref(pod), event.reason, event.message, event.last)


def _failures(view: ClusterView, pod: Mapping[str, Any], container: Container) -> list[Any]:
    return [
        event
        for event in view.events_of(pod, "Failed", "FailedPostStartHook", "FailedPreStopHook")
        if event.container in {"", container.name}
    ]


def _message(view: ClusterView, pod: Mapping[str, Any], container: Container) -> str:
    failures = _failures(view, pod, container)
    return container.waiting_message or (failures[-1].message if failures else "")


def blame_missing(
    view: ClusterView, pod: Mapping[str, Any], missing: MissingReference, container: str = ""
) -> Blame:
    """Return the blame for a reference that a message calls missing, checked in the snapshot.

    Args:
        view: the cluster.
        pod: the pod whose kubelet complains.
        missing: what the message names; parts that it leaves out are found in the spec.
        container: the container concerned, empty for a volume.
    """
    named = _completed(view, pod, missing, container)
    namespace = namespace_of(pod)
    blamed = (
        view.named(named.kind, namespace, named.name)
        if named.kind and named.name
        else view.workload(pod)
    )
    what = f"{named.kind or 'reference'} {named.name}".rstrip()
    if named.key:
        title, word = f"key {named.key} is missing in {what}", "config-key-missing"
    else:
        title, word = f"{what} does not exist", "config-missing"
    cause = Cause(
        word,
        blamed,
        clean(f"{title} (namespace {namespace})"),
        key=named.key,
        remedies=("fix-reference", "rollback"),
    )
    if not (named.kind and named.name):
        return Blame(cause, (), 0.85)
    return _looked_up(view, cause, named)


def _looked_up(view: ClusterView, cause: Cause, named: Reference) -> Blame:
    """Hold the complaint against the snapshot: is it so, not so any more, or not to be known?"""
    gone = absent(view, cause.object.namespace, named)
    if gone is None:
        return Blame(cause, (), 0.85)
    if gone:
        part = f"key {named.key}" if named.key else ""
        looked = evidence(Origin.ABSENCE, cause.object, part, "not among the objects read")
        return Blame(cause, (looked,), 0.97)
    looked = evidence(Origin.STATUS, cause.object, named.key, "exists now, made after it")
    return Blame(cause, (looked,), 0.5)


def _completed(
    view: ClusterView, pod: Mapping[str, Any], missing: MissingReference, container: str
) -> Reference:
    """Fill in what a message left out from the references of the spec that fit it."""
    found = Reference(missing.kind, missing.name, "", missing.key, container=container)
    if missing.kind and missing.name:
        return found
    fitting = [
        reference
        for reference in references(mapping(pod, "spec"))
        if missing.kind in {"", reference.kind}
        and missing.name in {"", reference.name}
        and missing.key in {"", reference.key}
        and container in {"", reference.container}
    ]
    surely = [r for r in fitting if absent(view, namespace_of(pod), r)]
    candidates = surely or fitting
    return candidates[0] if candidates else found


CHECKS = (
    Check("pod-config", "containers that can not be created", config_errors, ("pods",), "Pod"),
)
