"""delete-pod: evict one failed or stuck pod, so that its controller makes it anew."""

from datetime import timedelta
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, instant, mapping, text
from engine.analysis.pod import age, created, is_done, is_ready, phase
from engine.changes.templates.budgets import unblocked
from engine.changes.templates.template import (
    Edit,
    NoParams,
    Template,
    Unfit,
    found,
    rollout_probe,
)
from engine.model.change import Probe, Risk, Verb
from engine.model.report import ObjectRef, Precondition

MIRROR: Final = "kubernetes.io/config.mirror"
ROLLING: Final = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")
"""Kinds whose roll-out a probe can judge."""
STUCK_AFTER: Final = timedelta(minutes=2)


def is_mirror(pod: Object) -> bool:
    """Whether a kubelet runs the pod from a file: deleting what mirrors it changes nothing."""
    return MIRROR in mapping(pod, "metadata", "annotations")


def evicting(view: ClusterView, pod: Object, wave: int = 0) -> Edit:
    """Return the edit that evicts `pod`; disruption budgets hold."""
    return Edit(Verb.EVICT, view.ref(pod), "pods", wave=wave)


def whole_again(view: ClusterView, pods: list[Object]) -> list[Probe]:
    """Return the probes that the workloads of `pods` have all their pods again.

    A workload of which other pods are not ready either would not be whole anyway.
    """
    going = {id(pod) for pod in pods}
    tops = {str(top): top for pod in pods if (top := view.workload(pod)).kind in ROLLING}
    return [
        rollout_probe(top)
        for _, top in sorted(tops.items())
        if all(id(p) in going or is_done(p) or is_ready(p) for p in view.pods_of(top))
    ]


def _build(view: ClusterView, ref: ObjectRef, params: NoParams, change_id: str) -> list[Edit]:  # noqa: ARG001 - the form of all templates
    pod = found(view, ref, ("Pod",))
    why = _unfit(view, pod)
    if why:
        raise Unfit(f"{ref}: {why}")
    return [evicting(view, pod)]


def _unfit(view: ClusterView, pod: Object) -> str:
    controller = view.controller(pod)
    faults = {
        "it mirrors a static pod of its node": is_mirror(pod),
        "no controller would make it anew": controller is None,
        "a Job counts its failed pods": controller is not None and controller.kind == "Job",
        "it is being deleted already": bool(text(pod, "metadata", "deletionTimestamp")),
        "it ran to its end": phase(pod) == "Succeeded",
        "it is ready": is_ready(pod) and phase(pod) != "Failed",
        "it is not ready, but not for two minutes yet": not _stuck(view, pod),
    }
    return next((why for why, holds in faults.items() if holds), "")


def _stuck(view: ClusterView, pod: Object) -> bool:
    since = instant(condition(pod, "Ready"), "lastTransitionTime") or created(pod)
    return phase(pod) == "Failed" or age(since, view.now) >= STUCK_AFTER


def _preconditions(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Precondition]:  # noqa: ARG001 - the form of all templates
    pod = view.find(ref)
    return [unblocked(view, [pod] if pod is not None else [])]


def _probes(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    pod = view.find(ref)
    replaced = pod is not None and phase(pod) == "Failed"
    return [Probe(name="gone"), *(whole_again(view, [pod]) if pod and not replaced else [])]


DELETE_POD: Final = Template(
    name="delete-pod",
    summary="Evict one failed or stuck pod, so that its controller makes it anew",
    risk=Risk.DISRUPTIVE,
    reversible="no",
    why_reversible="a pod that is gone does not come back; its controller makes another",
    params=NoParams,
    needs=("pods", "poddisruptionbudgets.policy", "replicasets.apps", "deployments.apps"),
    build=_build,
    preconditions=_preconditions,
    probes=_probes,
    cures=False,
)
