"""Deployments, StatefulSets and DaemonSets that do not get to the pods that they should have."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, instant, mapping, name_of, text, whole
from engine.analysis.pod import age, created, is_done, is_ready
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

DEPLOYMENT = "deployment-stuck"
STATEFUL = "statefulset-stuck"
DAEMON = "daemonset-stuck"
PATIENCE = timedelta(minutes=2)
_SHOWN = 3


def deployments(view: ClusterView) -> Iterator[Found]:
    """Yield each Deployment whose roll-out timed out, or that is unavailable for two minutes."""
    for obj in view.of("Deployment"):
        progress, available = condition(obj, "Progressing"), condition(obj, "Available")
        late = text(progress, "reason") == "ProgressDeadlineExceeded"
        since = instant(available, "lastTransitionTime")
        down = text(available, "status") == "False" and age(since, view.now) > PATIENCE
        if late and text(progress, "status") == "False":
            yield _deployment(view, obj, "rollout-stuck", "its roll-out does not get on", progress)
        elif down and wanted(obj):
            yield _deployment(view, obj, "unavailable", "too few of its pods serve", available)


def wanted(obj: Object) -> int:
    """Return how many replicas a workload asks for; 1 where it does not say."""
    replicas = whole(obj, "spec", "replicas")
    return 1 if replicas is None else replicas


def _deployment(view: ClusterView, obj: Object, word: str, clause: str, entry: Object) -> Symptom:
    ref, status = view.ref(obj), mapping(obj, "status")
    counts = (
        f"{whole(status, 'updatedReplicas') or 0} updated, "
        f"{whole(status, 'availableReplicas') or 0} available of {wanted(obj)}"
    )
    when = instant(entry, "lastTransitionTime") or instant(entry, "lastUpdateTime")
    said = f"{text(entry, 'reason')}: {text(entry, 'message')}"
    return Symptom(
        check=DEPLOYMENT,
        severity=Severity.HIGH,
        object=ref,
        title=f"Deployment {name_of(obj)}: {clause}",
        observed=clean(f"{counts}; {said}"),
        expected="all replicas are updated and available",
        cause=Cause(word, ref, clause, remedies=("rollback",)),
        evidence=(
            evidence(Origin.STATUS, ref, f"status.conditions[{text(entry, 'type')}]", said, when),
            evidence(Origin.STATUS, ref, "status", counts),
        ),
        path="status.conditions",
        confidence=0.5,
        since=when,
    )


def stateful_sets(view: ClusterView) -> Iterator[Found]:
    """Yield each StatefulSet held up by the lowest ordinal that is not ready."""
    for obj in view.of("StatefulSet"):
        ready = whole(obj, "status", "readyReplicas") or 0
        if not mapping(obj, "status") or ready >= wanted(obj):
            continue
        pods = {name_of(pod): pod for pod in view.pods_of(view.ref(obj))}
        start = whole(obj, "spec", "ordinals", "start") or 0
        names = (f"{name_of(obj)}-{start + n}" for n in range(min(wanted(obj), len(pods) + 1)))
        held = next((n for n in names if n not in pods or not is_ready(pods[n])), None)
        if held is not None and _long(view, obj, pods.get(held)):
            yield _stateful_set(view, obj, held, pods.get(held))


def _long(view: ClusterView, obj: Object, pod: Object | None) -> bool:
    since = _unready_since(pod) if pod is not None else created(obj)
    return age(since, view.now) > PATIENCE


def _unready_since(pod: Object) -> datetime | None:
    return instant(condition(pod, "Ready"), "lastTransitionTime") or created(pod)


def _stateful_set(view: ClusterView, obj: Object, held: str, pod: Object | None) -> Symptom:
    ref = view.ref(obj)
    ready = whole(obj, "status", "readyReplicas") or 0
    ordered = text(obj, "spec", "podManagementPolicy") != "Parallel"
    state = "is not ready" if pod is not None else "does not exist"
    behind = "; the ordinals after it wait" if ordered else ""
    clause = f"pod {held} {state}{behind}"
    proof = [evidence(Origin.STATUS, ref, "status", f"{ready} of {wanted(obj)} ready")]
    if pod is not None:
        entry = condition(pod, "Ready")
        said = f"{text(entry, 'status')} {text(entry, 'reason')}"
        proof.append(evidence(Origin.STATUS, view.ref(pod), "status.conditions[Ready]", said))
    return Symptom(
        check=STATEFUL,
        severity=Severity.HIGH,
        object=ref,
        title=clean(f"StatefulSet {name_of(obj)} is held up: {clause}"),
        observed=f"{ready} of {wanted(obj)} ready",
        expected="all ordinals are ready",
        cause=Cause("ordinal-blocks", ref, clean(clause), clean(held), ("rollback",)),
        evidence=tuple(proof),
        path="status.readyReplicas",
        confidence=0.5,
        since=_unready_since(pod) if pod is not None else None,
    )


def daemon_sets(view: ClusterView) -> Iterator[Found]:
    """Yield each DaemonSet without a ready pod on some node where it should have one."""
    for obj in view.of("DaemonSet"):
        status = mapping(obj, "status")
        desired = whole(status, "desiredNumberScheduled") or 0
        ready = whole(status, "numberReady") or 0
        if ready < desired:
            pods = [p for p in view.pods_of(view.ref(obj)) if not is_done(p)]
            unready = [p for p in pods if not is_ready(p)]
            if all(age(_unready_since(p), view.now) > PATIENCE for p in unready):
                yield _daemon_set(view, obj, unready, f"{ready} of {desired} ready")


def _daemon_set(view: ClusterView, obj: Object, unready: Sequence[Object], counts: str) -> Symptom:
    ref = view.ref(obj)
    nodes = [text(pod, "spec", "nodeName") or "no node" for pod in unready]
    where = ", ".join(nodes[:_SHOWN]) + (" ..." if len(nodes) > _SHOWN else "")
    proof: list[Evidence] = [evidence(Origin.STATUS, ref, "status", counts)]
    if nodes:
        proof.append(evidence(Origin.STATUS, ref, "pods not ready", f"on {where}"))
    return Symptom(
        check=DAEMON,
        severity=Severity.HIGH,
        object=ref,
        title=clean(f"DaemonSet {name_of(obj)} is not ready on all its nodes"),
        observed=clean(f"{counts}; not ready on {where}" if nodes else counts),
        expected="one ready pod on each of its nodes",
        cause=Cause("daemonset-short", ref, f"only {counts}", remedies=("rollback",)),
        evidence=tuple(proof),
        path="status.numberReady",
        confidence=0.5,
        since=min((s for p in unready if (s := _unready_since(p))), default=None),
    )


CHECKS = (
    Check(DEPLOYMENT, "roll-outs of deployments", deployments, ("deployments.apps",), "Deployment"),
    Check(STATEFUL, "stateful sets", stateful_sets, ("statefulsets.apps", "pods"), "StatefulSet"),
    Check(DAEMON, "daemon sets", daemon_sets, ("daemonsets.apps", "pods"), "DaemonSet"),
)
