"""What changed in a cluster within a window, as far as the snapshot itself tells."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import instant, mappings, text
from engine.analysis.pod import created
from engine.analysis.revision import Difference, differences, revisions, rolled_out
from engine.analysis.symptom import Origin, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, ObjectRef

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet")
_APPEARED: Final = {
    "ConfigMap": "config",
    "Secret": "config",
    "Node": "node",
    "NetworkPolicy": "network-policy",
    "HorizontalPodAutoscaler": "scaling",
    "ResourceQuota": "quota",
    "LimitRange": "quota",
    "MutatingWebhookConfiguration": "webhook",
    "ValidatingWebhookConfiguration": "webhook",
}
_DIFFERENCES = 6
# Maps that a control plane renews by itself are no change that a person made.
_ROUTINE: Final = frozenset({"kube-root-ca.crt", "openshift-service-ca.crt"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change: `word` is rollout, config, node, scaling ...; `parts` for a roll-out."""

    word: str
    object: ObjectRef
    at: datetime
    title: str
    evidence: tuple[Evidence, ...]
    parts: tuple[Difference, ...] = ()


def changes(view: ClusterView, since: datetime, until: datetime) -> list[Change]:
    """Return the changes with `since` <= at <= `until`, the latest first."""
    found = [
        change
        for source in (_rollouts(view), _appeared(view), _told(view), _cordons(view))
        for change in source
        if since <= change.at <= until
    ]
    order = {c: (-c.at.timestamp(), c.word, c.object.namespace, c.object.name) for c in found}
    return sorted(found, key=order.__getitem__)


def _rollouts(view: ClusterView) -> Iterator[Change]:
    for kind in WORKLOADS:
        for obj in view.of(kind):
            workload = view.ref(obj)
            history = revisions(view, workload)
            if not history:
                continue
            newest = history[0]
            when = rolled_out(view, workload, newest)
            if when is None:
                continue
            parts = tuple(differences(history[1].spec, newest.spec)) if len(history) > 1 else ()
            yield _rollout(view, workload, newest.number, when, parts)


def _rollout(
    view: ClusterView,
    workload: ObjectRef,
    number: int,
    when: datetime,
    parts: tuple[Difference, ...],
) -> Change:
    said = "; ".join(str(part) for part in parts[:_DIFFERENCES])
    what = said or "the first revision that is kept"
    history = revisions(view, workload)
    return Change(
        "rollout",
        workload,
        when,
        clean(f"revision {number} of {workload} was rolled out: {what}", 500),
        (evidence(Origin.CHANGE, history[0].ref, f"revision {number}", what, when),),
        parts,
    )


def _appeared(view: ClusterView) -> Iterator[Change]:
    for kind, word in _APPEARED.items():
        for obj in view.of(kind):
            when = created(obj)
            ref = view.ref(obj)
            if when is not None and ref.name not in _ROUTINE:
                proof = evidence(Origin.CHANGE, ref, "metadata.creationTimestamp", "created", when)
                yield Change(word, ref, when, f"{ref} was created", (proof,))


def _told(view: ClusterView) -> Iterator[Change]:
    """Scaling that an autoscaler or a person did, by Event."""
    for kind, reason in (
        ("HorizontalPodAutoscaler", "SuccessfulRescale"),
        ("StatefulSet", "SuccessfulDelete"),
    ):
        for obj in view.of(kind):
            for event in view.events_of(obj, reason):
                if event.last is not None:
                    ref = view.ref(obj)
                    proof = evidence(Origin.EVENT, ref, reason, event.message, event.last)
                    title = clean(f"{ref}: {event.message}")
                    yield Change("scaling", ref, event.last, title, (proof,))


def _cordons(view: ClusterView) -> Iterator[Change]:
    for node in view.of("Node"):
        when = _tainted(node)
        if when is not None:
            ref = view.ref(node)
            proof = evidence(Origin.CHANGE, ref, "spec.taints", "cordoned", when)
            yield Change("cordon", ref, when, f"node {ref.name} was cordoned", (proof,))


def _tainted(node: Object) -> datetime | None:
    for taint in mappings(node, "spec", "taints"):
        if text(taint, "key") == "node.kubernetes.io/unschedulable":
            return instant(taint, "timeAdded")
    return None
