"""Volume claims that are not bound, and volumes that are lost."""

from collections.abc import Iterator
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import instant, mapping, mappings, name_of, namespace_of, text
from engine.analysis.symptom import Cause, Check, Found, Origin, Symptom, evidence
from engine.analysis.text import clean
from engine.model.report import Evidence, Severity

PENDING = "pvc-pending"
LOST = "pv-lost"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_TROUBLE: Final = ("ProvisioningFailed", "FailedBinding", "ProvisioningCleanupFailed")
_DOCS = ("https://kubernetes.io/docs/concepts/storage/persistent-volumes/#binding",)


def _pending(view: ClusterView) -> Iterator[Found]:
    users = _users(view)
    for claim in view.of("PersistentVolumeClaim"):
        if text(claim, "status", "phase") != "Pending":
            continue
        waiting = users.get((namespace_of(claim), name_of(claim)), [])
        why = _why(view, claim, waiting)
        if why is not None:
            yield _symptom(view, claim, waiting, why)


def _users(view: ClusterView) -> dict[tuple[str, str], list[Object]]:
    """Return the pods that mount each claim."""
    users: dict[tuple[str, str], list[Object]] = {}
    for pod in view.of("Pod"):
        for volume in mappings(pod, "spec", "volumes"):
            name = text(volume, "persistentVolumeClaim", "claimName")
            if name:
                users.setdefault((namespace_of(pod), name), []).append(pod)
    return users


def _why(view: ClusterView, claim: Object, waiting: list[Object]) -> tuple[str, str] | None:
    """Return (cause word, clause), None for a claim that rightly waits for its first pod."""
    events = view.events_of(claim, *_TROUBLE)
    wanted = text(claim, "spec", "storageClassName")
    if wanted and view.missing("StorageClass", "", wanted):
        return "storage-class-missing", f"storage class {wanted} does not exist"
    if events:
        return "provisioning-failed", f"provisioning failed: {clean(events[-1].message, 160)}"
    if "storageClassName" not in mapping(claim, "spec") and _no_default(view):
        return "storage-class-missing", "it names no storage class and there is no default one"
    return _unbound(view, wanted, waiting)


def _unbound(view: ClusterView, wanted: str, waiting: list[Object]) -> tuple[str, str] | None:
    mode = text(view.get("StorageClass", "", wanted) or {}, "volumeBindingMode")
    if mode != "WaitForFirstConsumer":
        return "claim-unbound", "no volume was bound to it"
    if waiting:
        return "claim-unbound", f"it waits for pod {name_of(waiting[0])} to get a node"
    return None


def _no_default(view: ClusterView) -> bool:
    if view.why_unread("storageclasses.storage.k8s.io"):
        return False
    return not any(
        text(one, "metadata", "annotations", _DEFAULT_CLASS) == "true"
        for one in view.of("StorageClass")
    )


def _symptom(
    view: ClusterView, claim: Object, waiting: list[Object], why: tuple[str, str]
) -> Symptom:
    word, clause = why
    ref = view.ref(claim)
    clause = clean(clause)
    return Symptom(
        check=PENDING,
        severity=Severity.HIGH if waiting else Severity.LOW,
        object=ref,
        path="status.phase",
        title=f"Volume claim {name_of(claim)} is not bound: {clause}",
        observed="Pending",
        expected="Bound",
        cause=Cause(word, ref, f"volume claim {name_of(claim)}: {clause}", "", ("fix-storage",)),
        evidence=tuple(_proof(view, claim, waiting)),
        references=_DOCS,
        confidence=0.6 if word == "claim-unbound" else 0.9,
        since=instant(claim, "metadata", "creationTimestamp"),
    )


def _proof(view: ClusterView, claim: Object, waiting: list[Object]) -> Iterator[Evidence]:
    ref, wanted = view.ref(claim), text(claim, "spec", "storageClassName")
    yield evidence(Origin.STATUS, ref, "status.phase", "Pending")
    yield evidence(Origin.SPEC, ref, "spec.storageClassName", wanted or "(none)")
    if wanted and view.missing("StorageClass", "", wanted):
        blamed = view.named("StorageClass", "", wanted)
        yield evidence(Origin.ABSENCE, blamed, "", "not among the storage classes read")
    for event in view.events_of(claim)[-2:]:
        yield evidence(Origin.EVENT, ref, event.reason, event.message, event.last)
    if waiting:
        names = ", ".join(name_of(pod) for pod in waiting[:5])
        yield evidence(Origin.SPEC, ref, "mounted by", f"{len(waiting)} pods: {names}")


def _lost(view: ClusterView) -> Iterator[Found]:
    for claim in view.of("PersistentVolumeClaim"):
        if text(claim, "status", "phase") != "Lost":
            continue
        ref, bound = view.ref(claim), text(claim, "spec", "volumeName")
        title = f"its volume {clean(bound, 80) or '(unnamed)'} is gone"
        yield Symptom(
            check=LOST,
            severity=Severity.CRITICAL,
            object=ref,
            path="status.phase",
            title=f"Volume claim {name_of(claim)} is lost: {title}",
            observed="Lost",
            expected="Bound",
            cause=Cause("volume-lost", ref, title, "", ("fix-storage",)),
            evidence=(
                evidence(Origin.STATUS, ref, "status.phase", "Lost"),
                evidence(Origin.SPEC, ref, "spec.volumeName", bound),
            ),
            references=_DOCS,
            confidence=0.95,
        )
    for volume in view.of("PersistentVolume"):
        if text(volume, "status", "phase") == "Failed":
            yield _failed_volume(view, volume)


def _failed_volume(view: ClusterView, volume: Object) -> Symptom:
    ref, message = view.ref(volume), clean(text(volume, "status", "message"))
    return Symptom(
        check=LOST,
        severity=Severity.MEDIUM,
        object=ref,
        path="status.phase",
        title=f"Volume {name_of(volume)} could not be reclaimed",
        observed=f"Failed: {message}",
        expected="Available, Bound or Released",
        cause=Cause(
            "volume-reclaim-failed", ref, message or "reclaiming failed", "", ("fix-storage",)
        ),
        evidence=(evidence(Origin.STATUS, ref, "status", f"Failed: {message}"),),
        references=_DOCS,
        confidence=0.8,
    )


CHECKS = (
    Check(PENDING, "volume claims", _pending, ("persistentvolumeclaims",), "PersistentVolumeClaim"),
    Check(LOST, "lost volumes", _lost, ("persistentvolumeclaims",), "PersistentVolumeClaim"),
)
