"""Compare what fails with a copy of it in another cluster."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.analysis.change import WORKLOADS
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import mapping, whole
from engine.analysis.revision import Difference, differences, fields_changed
from engine.missions.kinds.incident_response.blame import Place, place_of
from engine.model.report import ObjectRef

COMPARED: Final = frozenset({*WORKLOADS, "Service"})
_OF_SERVICE: Final = ("selector", "ports")


@dataclass(frozen=True)
class Peer:
    """A copy of `object` in `cluster`; `parts` is what differs, there before and here after.

    `healthy` is False where the cluster says nothing of the health of its copy.
    """

    object: ObjectRef
    cluster: str
    healthy: bool
    parts: tuple[Difference, ...]


def find_peer(
    ref: ObjectRef, views: Mapping[str, ClusterView], sick: frozenset[Place]
) -> Peer | None:
    """Return the first cluster, by name, where the same object is healthy, else not known sick.

    Args:
        ref: a Deployment, StatefulSet, DaemonSet or Service that fails.
        views: every cluster that could be read.
        sick: the places of all objects with a symptom, in all clusters.
    """
    here = views[ref.cluster].find(ref) if ref.cluster in views else None
    if ref.kind not in COMPARED or here is None:
        return None
    peers = list(_copies(ref, here, views, sick))
    return min(peers, key=lambda peer: not peer.healthy, default=None)


def _copies(
    ref: ObjectRef, here: Object, views: Mapping[str, ClusterView], sick: frozenset[Place]
) -> Iterator[Peer]:
    for name in sorted(views):
        there = views[name].get(ref.kind, ref.namespace, ref.name)
        if name == ref.cluster or there is None or place_of(views[name].ref(there)) in sick:
            continue
        healthy = _serves(views[name], ref.kind, there)
        if healthy is not False:
            yield Peer(ref, name, bool(healthy), tuple(_parts(ref.kind, there, here)))


def _serves(view: ClusterView, kind: str, obj: Object) -> bool | None:
    """Whether an object without a symptom does its work; None where nothing tells."""
    if kind == "Service":  # it has no status: the checks of its pods speak for it
        return None if view.why_unread("pods") else True
    status = mapping(obj, "status")
    if not status:
        return None
    return (whole(status, "readyReplicas") or whole(status, "numberReady") or 0) > 0


def _parts(kind: str, there: Object, here: Object) -> Sequence[Difference]:
    if kind == "Service":
        return fields_changed(mapping(there, "spec"), mapping(here, "spec"), _OF_SERVICE)
    spec = ("spec", "template", "spec")
    return differences(mapping(there, *spec), mapping(here, *spec))
