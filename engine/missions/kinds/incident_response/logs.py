"""Which log tails are worth reading: those of the containers that fail, the worst first."""

from engine.analysis.checks.pod_crash import crashing
from engine.analysis.cluster_view import ClusterView, Key, Object, key_of, key_of_ref
from engine.analysis.field import mapping, name_of, namespace_of
from engine.analysis.pod import Container, containers, is_done, is_ready
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.model.instant import from_us
from engine.model.snapshot import ClusterSnapshot

PODS = 20
_OF_ONE_WORKLOAD = 2


def choose_logs(
    cluster: ClusterSnapshot, params: IncidentParams
) -> list[tuple[str, str, str, bool]]:
    """Return (namespace, pod, container, previous) of at most 20 pods' failing containers.

    Pods where the params point come first, then those with the most restarts; of one
    workload at most two pods are read, since its pods fail alike.
    """
    view = ClusterView(cluster, cluster.taken_at or from_us(0))
    worth = list(_failing(view).values())
    worth.sort(key=lambda item: _order(view, params, *item))
    taken: dict[Key, int] = {}
    keys: list[tuple[str, str, str, bool]] = []
    pods = 0
    for pod, found in worth:
        workload = key_of_ref(view.workload(pod))
        taken[workload] = taken.get(workload, 0) + 1
        if taken[workload] > _OF_ONE_WORKLOAD or pods >= PODS:
            continue
        pods += 1
        for container in found:
            place = (namespace_of(pod), name_of(pod), container.name)
            keys += [(*place, True)] if _ran_before(container) else []
            keys += [(*place, False)] if container.running or _has_ended(container) else []
    return keys


def _failing(view: ClusterView) -> dict[Key, tuple[Object, list[Container]]]:
    """Return the pods with containers that crash, or run while the pod is not ready."""
    found: dict[Key, tuple[Object, list[Container]]] = {}
    for pod, container in crashing(view):
        found.setdefault(key_of(pod), (pod, []))[1].append(container)
    for pod in view.of("Pod"):
        if is_done(pod) or is_ready(pod) or key_of(pod) in found:
            continue
        sick = [c for c in containers(pod) if c.running and not c.status.get("ready")]
        if sick:
            found[key_of(pod)] = (pod, sick)
    return found


def _ran_before(container: Container) -> bool:
    return bool(mapping(container.status, "lastState", "terminated"))


def _has_ended(container: Container) -> bool:
    return bool(mapping(container.status, "state", "terminated")) or _ran_before(container)


def _order(
    view: ClusterView, params: IncidentParams, pod: Object, found: list[Container]
) -> tuple[bool, int, str, str]:
    here = params.is_focused and (params.fits(view.workload(pod)) or params.fits(view.ref(pod)))
    return not here, -max(c.restarts for c in found), namespace_of(pod), name_of(pod)
