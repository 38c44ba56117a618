"""Compare a failing workload with a healthy copy of it in another cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.analysis.change import WORKLOADS
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import mapping, whole
from engine.analysis.revision import Difference, differences
from engine.analysis.symptom import Origin, evidence
from engine.missions.kinds.incident_response.blame import Place, place_of
from engine.model.report import Evidence, ObjectRef

_SHOWN = 4


@dataclass(frozen=True)
class Peer:
    """A healthy copy of `workload` in `cluster`; `parts` is what differs in the template."""

    workload: ObjectRef
    cluster: str
    parts: tuple[Difference, ...]
    evidence: Evidence


def find_peer(
    workload: ObjectRef, views: Mapping[str, ClusterView], sick: frozenset[Place]
) -> Peer | None:
    """Return the first cluster, by name, where the same workload is healthy.

    Args:
        workload: a Deployment, StatefulSet or DaemonSet that fails.
        views: every cluster that could be read.
        sick: the places of all objects with a symptom, in all clusters.
    """
    here = views[workload.cluster].find(workload) if workload.cluster in views else None
    if workload.kind not in WORKLOADS or here is None:
        return None
    for name in sorted(views):
        there = views[name].get(workload.kind, workload.namespace, workload.name)
        if name == workload.cluster or there is None:
            continue
        ref = views[name].ref(there)
        if place_of(ref) not in sick and _serves(there):
            return _peer(workload, here, ref, there)
    return None


def _serves(obj: Object) -> bool:
    status = mapping(obj, "status")
    ready = whole(status, "readyReplicas") or whole(status, "numberReady") or 0
    return ready > 0


def _peer(workload: ObjectRef, here: Object, ref: ObjectRef, there: Object) -> Peer:
    spec = ("spec", "template", "spec")
    parts: Sequence[Difference] = differences(mapping(there, *spec), mapping(here, *spec))
    said = "; ".join(str(part) for part in parts[:_SHOWN]) or "the same template"
    proof = evidence(Origin.PEER, ref, f"in cluster {ref.cluster}", f"healthy there; {said}")
    return Peer(workload, ref.cluster, tuple(parts), proof)
