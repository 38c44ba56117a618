"""Pods that run and are not Ready while no container says why: their node, a gate, silence."""

from collections.abc import Iterator
from datetime import timedelta

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, instant, mappings, name_of, text
from engine.analysis.pod import age, containers, is_done, is_ready, phase
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

NAME = "pod-not-ready"
_PATIENCE = timedelta(minutes=2)


def not_ready(view: ClusterView) -> Iterator[Found]:
    """Yield each pod whose containers all run while it is not Ready, for over two minutes.

    On a node that is lost two minutes are not waited for. A pod with a failing probe
    belongs to the check of probes.
    """
    for pod in view.of("Pod"):
        ready = condition(pod, "Ready")
        if is_done(pod) or phase(pod) != "Running" or not ready or is_ready(pod):
            continue
        if not all(c.running for c in containers(pod) if c.role == "app"):
            continue
        lost = node_loss(view, pod)
        since = instant(ready, "lastTransitionTime")
        if lost is None and (age(since, view.now) <= _PATIENCE or view.events_of(pod, "Unhealthy")):
            continue
        yield _symptom(view, pod, lost)


def node_loss(view: ClusterView, pod: Object) -> tuple[Cause, Evidence] | None:
    """Return the blame on the node of `pod`, where that node is lost or gone."""
    name = text(pod, "spec", "nodeName")
    if not name:
        return None
    ref = view.named("Node", "", name)
    if view.missing("Node", "", name):
        gone = evidence(Origin.ABSENCE, ref, "", "not among the nodes")
        title = f"node {name} does not exist any more"
        return Cause("node-gone", ref, clean(title)), gone
    ready = condition(view.find(ref), "Ready")
    status = text(ready, "status")
    if not ready or status == "True":
        return None
    said = f"{status} {text(ready, 'reason')}: {text(ready, 'message')}"
    proof = evidence(
        Origin.STATUS,
        ref,
        "status.conditions[Ready]",
        said,
        instant(ready, "lastTransitionTime"),
    )
    word = "node-unreachable" if status == "Unknown" else "node-not-ready"
    title = f"node {name} is not ready"
    return Cause(word, ref, clean(title), remedies=("drain",)), proof


def _symptom(view: ClusterView, pod: Object, lost: tuple[Cause, Evidence] | None) -> Symptom:
    ref, ready = view.ref(pod), condition(pod, "Ready")
    since = instant(ready, "lastTransitionTime")
    said = f"{text(ready, 'status')} {text(ready, 'reason')} {text(ready, 'message')}"
    seen = evidence(Origin.STATUS, ref, "status.conditions[Ready]", said, since)
    cause = lost[0] if lost else _cause(view, pod)
    return Symptom(
        check=NAME,
        severity=Severity.HIGH,
        object=ref,
        title="the pod runs but is not ready",
        observed=clean(f"Ready is {said}"),
        expected="Ready is True",
        cause=cause,
        evidence=(seen, lost[1]) if lost else (seen,),
        path="status.conditions[Ready]",
        confidence=0.95 if lost else 0.4,
        since=since,
    )


def _cause(view: ClusterView, pod: Object) -> Cause:
    workload = view.workload(pod)
    gates = [text(gate, "conditionType") for gate in mappings(pod, "spec", "readinessGates")]
    unmet = [g for g in gates if g and condition(pod, g).get("status") != "True"]
    if unmet:
        title = f"readiness gate {unmet[0]} of {name_of(pod)} is not met"
        return Cause("readiness-gate", workload, clean(title), clean(unmet[0]))
    title = f"no container of {workload} says why it is not ready"
    return Cause("not-ready", workload, clean(title), remedies=("fix-probe", "rollback"))


CHECKS = (Check(NAME, "pods that run and are not ready", not_ready, ("pods",), "Pod"),)
