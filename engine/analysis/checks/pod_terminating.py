"""Pods that are to be deleted and stay."""

from collections.abc import Iterator
from datetime import timedelta

from engine.analysis.checks.pod_ready import node_loss
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import instant, text, texts
from engine.analysis.pod import age
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Severity

NAME = "pod-terminating"
PATIENCE = timedelta(minutes=2)


def stuck_deletions(view: ClusterView) -> Iterator[Found]:
    """Yield each pod that is still there two minutes after its grace period ended.

    A deletionTimestamp already contains the grace period.
    """
    for pod in view.of("Pod"):
        due = instant(pod, "metadata", "deletionTimestamp")
        if due is not None and age(due, view.now) > PATIENCE:
            yield _symptom(view, pod)


def _symptom(view: ClusterView, pod: Object) -> Symptom:
    ref = view.ref(pod)
    due = instant(pod, "metadata", "deletionTimestamp")
    minutes = round(age(due, view.now).total_seconds() / 60)
    finalizers = [clean(f, 100) for f in texts(pod, "metadata", "finalizers")]
    proof = [evidence(Origin.STATUS, ref, "metadata.deletionTimestamp", f"{minutes} min ago", due)]
    lost = node_loss(view, pod)
    if lost is not None:
        cause, sure = lost[0], 0.9
        proof.append(lost[1])
    elif finalizers:
        named = ", ".join(finalizers)
        title = f"nobody removes the finalizer {named}"
        cause, sure = Cause("finalizer", ref, clean(title), named, ("remove-finalizer",)), 0.9
        proof.append(evidence(Origin.SPEC, ref, "metadata.finalizers", named))
    else:
        node = view.named("Node", "", text(pod, "spec", "nodeName"))
        title = f"the kubelet of node {node.name} does not finish: a container or volume holds on"
        cause = Cause("does-not-end", view.workload(pod), clean(title), suspects=(node,))
        sure = 0.4
    proof += [
        evidence(Origin.EVENT, ref, e.reason, e.message, e.last)
        for e in view.events_of(pod, "FailedKillPod", "FailedUnmount", "FailedPreStopHook")[-1:]
    ]
    return Symptom(
        check=NAME,
        severity=Severity.MEDIUM,
        object=ref,
        title="the pod does not go away",
        observed=f"to be gone for {minutes} min",
        expected="it is gone when its grace period ends",
        cause=cause,
        evidence=tuple(proof),
        path="metadata.deletionTimestamp",
        confidence=sure,
        since=due,
    )


CHECKS = (Check(NAME, "pods that do not go away", stuck_deletions, ("pods",)),)
