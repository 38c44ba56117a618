"""Roll-out: whether a workload is where its spec wants it, as `kubectl rollout status` judges."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.analysis.field import condition, flag, text, whole


def complete(workload: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Return whether the roll-out of `workload` is complete, and why, or why not.

    Args:
        workload: Deployment, StatefulSet, DaemonSet or ReplicaSet with its status.
    """
    judged = _KINDS.get(text(workload, "kind"))
    if judged is None:
        return None, f"a {text(workload, 'kind') or 'thing without a kind'} does not roll out"
    asked = whole(workload, "metadata", "generation")
    seen = whole(workload, "status", "observedGeneration")
    if asked is None or seen is None:
        return None, "its status does not say which generation it is about"
    if seen < asked:
        return False, f"its controller has seen generation {seen} of {asked}"
    return judged(workload)


def _deployment(workload: Mapping[str, Any]) -> tuple[bool, str]:
    progress = condition(workload, "Progressing")
    if text(progress, "reason") == "ProgressDeadlineExceeded":
        return False, "its roll-out does not get on: ProgressDeadlineExceeded"
    if flag(workload, "spec", "paused"):
        return False, "it is paused"
    wanted = _wanted(workload)
    counts = {name: _count(workload, name) for name in _OF_REPLICAS}
    old = _count(workload, "replicas") - counts["updatedReplicas"]
    if old > 0:
        return False, f"{old} old pods are still there"
    return _all_are(wanted, counts)


def _stateful_set(workload: Mapping[str, Any]) -> tuple[bool, str]:
    wanted = _wanted(workload)
    partition = whole(workload, "spec", "updateStrategy", "rollingUpdate", "partition") or 0
    new = text(workload, "status", "updateRevision")
    counts = {name: _count(workload, name) for name in ("readyReplicas", "availableReplicas")}
    if partition:
        updated = _count(workload, "updatedReplicas")
        short = max(wanted - partition, 0) - updated
        if short > 0:
            return False, f"{short} pods above its partition {partition} are not updated"
        return _all_are(wanted, counts)
    if new != text(workload, "status", "currentRevision"):
        return False, f"{_count(workload, 'updatedReplicas')} of {wanted} pods are updated"
    return _all_are(wanted, counts)


def _daemon_set(workload: Mapping[str, Any]) -> tuple[bool, str]:
    wanted = _count(workload, "desiredNumberScheduled")
    return _all_are(wanted, {name: _count(workload, name) for name in _OF_NODES})


def _replica_set(workload: Mapping[str, Any]) -> tuple[bool, str]:
    names = ("readyReplicas", "availableReplicas")
    return _all_are(_wanted(workload), {name: _count(workload, name) for name in names})


def _all_are(wanted: int, counts: Mapping[str, int]) -> tuple[bool, str]:
    for name, count in counts.items():
        if count < wanted:
            return False, f"{count} of {wanted} pods are {_WORDS[name]}"
    return True, f"all {wanted} pods are {', '.join(_WORDS[name] for name in counts)}"


def _wanted(workload: Mapping[str, Any]) -> int:
    replicas = whole(workload, "spec", "replicas")
    return 1 if replicas is None else replicas


def _count(workload: Mapping[str, Any], name: str) -> int:
    """A count of 0 is left out by the server."""
    return whole(workload, "status", name) or 0


_OF_REPLICAS: Final = ("updatedReplicas", "readyReplicas", "availableReplicas")
_OF_NODES: Final = ("updatedNumberScheduled", "numberReady", "numberAvailable")
_WORDS: Final = {
    "updatedReplicas": "updated",
    "readyReplicas": "ready",
    "availableReplicas": "available",
    "updatedNumberScheduled": "updated",
    "numberReady": "ready",
    "numberAvailable": "available",
}
_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], tuple[bool, str]]]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "ReplicaSet": _replica_set,
}
