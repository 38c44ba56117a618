"""Derived fields: what rules ask of an object, computed from its raw JSON. Pure."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.model.watch import Object
from watchers.written import ROTATED

Fields = dict[str, Any]


def derive(obj: Object) -> Fields:
    """Return the derived fields of `obj` by its group and kind; none for an unknown kind.

    Numbers are counts; a field that the object lacks counts as the API's default for it.
    """
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    fields = _KINDS.get((group, str(obj.get("kind", ""))))
    return fields(obj) if fields else {}


def _pod(pod: Object) -> Fields:
    status = _map(pod, "status")
    containers = [*_maps(status, "initContainerStatuses"), *_maps(status, "containerStatuses")]
    waiting = _reasons(_map(c, "state", "waiting") for c in containers)
    terminated = _reasons(
        _map(c, state, "terminated") for c in containers for state in ("state", "lastState")
    )
    phase = str(status.get("phase", ""))
    reasons = [*waiting, *(reason for reason in terminated if reason != "Completed")]
    reasons += [str(status["reason"])] if status.get("reason") else []
    # To have completed is the normal end of an init container, and tells only of whole Pods.
    reasons += terminated if phase == "Succeeded" else []
    spec = _map(pod, "spec")
    working = _maps(spec, "containers")
    limits = [_map(container, "resources", "limits") for container in working]
    return {
        "phase": phase,
        "ready": _conditions(pod).get("Ready") == "True",
        "restarts": sum(_int(c, "restartCount") for c in containers),
        "reason": next(iter(reasons), ""),
        "waiting": waiting,
        "terminated": terminated,
        "scheduled": bool(spec.get("nodeName")),
        "terminating": bool(_map(pod, "metadata").get("deletionTimestamp")),
        "containers": len(working),
        "containersWithoutLimits": sum("memory" not in limit for limit in limits),
        "priorityClass": str(spec.get("priorityClassName", "")),
    }


def _replicas(updated: str) -> Callable[[Object], Fields]:
    """Deployments, StatefulSets and ReplicaSets; `updated` names the count of new replicas."""

    def fields(obj: Object) -> Fields:
        status = _map(obj, "status")
        return _rollout(
            obj,
            desired=_int(_map(obj, "spec"), "replicas", 1),
            updated=_int(status, updated),
            available=_int(status, "availableReplicas"),
            ready=_int(status, "readyReplicas"),
        )

    return fields


def _daemon_set(obj: Object) -> Fields:
    status = _map(obj, "status")
    return _rollout(
        obj,
        desired=_int(status, "desiredNumberScheduled"),
        updated=_int(status, "updatedNumberScheduled"),
        available=_int(status, "numberAvailable"),
        ready=_int(status, "numberReady"),
    )


def _rollout(obj: Object, *, desired: int, updated: int, available: int, ready: int) -> Fields:
    current = _int(_map(obj, "status"), "observedGeneration") >= _int(
        _map(obj, "metadata"), "generation"
    )
    stalled = any(
        (c.get("type"), c.get("status")) == ("ReplicaFailure", "True")
        or c.get("reason") == "ProgressDeadlineExceeded"
        for c in _maps(_map(obj, "status"), "conditions")
    )
    return {
        "desired": desired,
        "updated": updated,
        "available": available,
        "readyReplicas": ready,
        "ready": current and updated == available == desired,
        "stalled": stalled,
    }


def _node(node: Object) -> Fields:
    conditions = _conditions(node)
    ready = conditions.get("Ready", "Unknown")
    pressure = [t for t, s in conditions.items() if t.endswith("Pressure") and s == "True"]
    return {
        "ready": ready == "True",
        "readyStatus": ready,
        "schedulable": not _map(node, "spec").get("unschedulable", False),
        "pressure": pressure,
        "conditions": conditions,
    }


def _claim(claim: Object) -> Fields:
    phase = str(_map(claim, "status").get("phase", ""))
    storage = str(_map(claim, "spec").get("storageClassName", ""))
    return {"phase": phase, "bound": phase == "Bound", "storageClass": storage}


def _volume(volume: Object) -> Fields:
    claim = _map(volume, "spec", "claimRef")
    return {
        "phase": str(_map(volume, "status").get("phase", "")),
        "reclaimPolicy": str(_map(volume, "spec").get("persistentVolumeReclaimPolicy", "Retain")),
        "claim": f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
    }


def _job(job: Object) -> Fields:
    status = _map(job, "status")
    failure = [c for c in _maps(status, "conditions") if c.get("type") == "Failed"]
    return {
        "active": _int(status, "active"),
        "succeeded": _int(status, "succeeded"),
        "failed": _int(status, "failed"),
        "complete": _conditions(job).get("Complete") == "True",
        "reason": str(failure[0].get("reason", "")) if failure else "",
    }


def _cron_job(job: Object) -> Fields:
    return {
        "suspended": bool(_map(job, "spec").get("suspend", False)),
        "active": len(_maps(_map(job, "status"), "active")),
    }


def _autoscaler(scaler: Object) -> Fields:
    spec, status = _map(scaler, "spec"), _map(scaler, "status")
    desired, most = _int(status, "desiredReplicas"), _int(spec, "maxReplicas")
    return {
        "current": _int(status, "currentReplicas"),
        "desired": desired,
        "minReplicas": _int(spec, "minReplicas", 1),
        "maxReplicas": most,
        "atMax": desired >= most > 0,
    }


def _budget(budget: Object) -> Fields:
    status = _map(budget, "status")
    names = ("disruptionsAllowed", "currentHealthy", "desiredHealthy")
    return {name: _int(status, name) for name in names}


def _service(service: Object) -> Fields:
    spec = _map(service, "spec")
    return {
        "serviceType": str(spec.get("type", "ClusterIP")),
        "selector": dict(_map(spec, "selector")),
    }


def _endpoint_slice(endpoints: Object) -> Fields:
    entries = _maps(endpoints, "endpoints")
    # The API says: a missing `ready` means ready.
    ready = [e for e in entries if _map(e, "conditions").get("ready") is not False]
    return {
        "service": str(_map(endpoints, "metadata", "labels").get("kubernetes.io/service-name", "")),
        "endpoints": len(entries),
        "readyEndpoints": len(ready),
    }


def _ingress(ingress: Object) -> Fields:
    spec = _map(ingress, "spec")
    hosts = [str(rule["host"]) for rule in _maps(spec, "rules") if rule.get("host")]
    covered = {str(host) for entry in _maps(spec, "tls") for host in _texts(entry, "hosts")}
    return {"hosts": hosts, "tls": bool(hosts) and covered.issuperset(hosts)}


def _network_policy(policy: Object) -> Fields:
    spec = _map(policy, "spec")
    # The API's default: Ingress always, Egress where there are rules for it.
    default = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    selector = _map(spec, "podSelector")
    return {
        "policyTypes": _texts(spec, "policyTypes") or default,
        "selectsAll": not selector.get("matchLabels") and not selector.get("matchExpressions"),
    }


def _namespace(namespace: Object) -> Fields:
    return {"phase": str(_map(namespace, "status").get("phase", ""))}


def _secret(secret: Object) -> Fields:
    metadata = _map(secret, "metadata")
    annotations = _map(metadata, "annotations")
    rotated = secret.get(ROTATED)
    return {
        **({"rotatedAt": rotated} if rotated else {}),
        "secretType": str(secret.get("type", "Opaque")),
        "managed": bool(metadata.get("ownerReferences"))
        or any(str(name).startswith("cert-manager.io/") for name in annotations),
    }


def _role(role: Object) -> Fields:
    rules = _maps(role, "rules")
    return {
        "wildcard": any("*" in _texts(r, name) for r in rules for name in ("verbs", "resources"))
    }


def _binding(binding: Object) -> Fields:
    role = _map(binding, "roleRef")
    return {
        "roleKind": str(role.get("kind", "")),
        "role": str(role.get("name", "")),
        "subjects": [_subject(one) for one in _maps(binding, "subjects")],
    }


def _subject(subject: Mapping[str, Any]) -> str:
    names = (subject.get(name) for name in ("kind", "namespace", "name"))
    return "/".join(str(name) for name in names if name)


_KINDS: Mapping[tuple[str, str], Callable[[Object], Fields]] = {
    ("", "Pod"): _pod,
    ("", "Node"): _node,
    ("", "Namespace"): _namespace,
    ("", "Service"): _service,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "PersistentVolume"): _volume,
    ("", "Secret"): _secret,
    ("apps", "Deployment"): _replicas("updatedReplicas"),
    ("apps", "StatefulSet"): _replicas("updatedReplicas"),
    ("apps", "ReplicaSet"): _replicas("replicas"),
    ("apps", "DaemonSet"): _daemon_set,
    ("batch", "Job"): _job,
    ("batch", "CronJob"): _cron_job,
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("policy", "PodDisruptionBudget"): _budget,
    ("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    ("networking.k8s.io", "Ingress"): _ingress,
    ("networking.k8s.io", "NetworkPolicy"): _network_policy,
    ("rbac.authorization.k8s.io", "Role"): _role,
    ("rbac.authorization.k8s.io", "ClusterRole"): _role,
    ("rbac.authorization.k8s.io", "RoleBinding"): _binding,
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _binding,
}


def _map(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the mapping at `path`, an empty one where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _maps(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    entries = value.get(name)
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _texts(value: Mapping[str, Any], name: str) -> list[str]:
    entries = value.get(name)
    return [str(entry) for entry in entries] if isinstance(entries, list) else []


def _int(value: Mapping[str, Any], name: str, default: int = 0) -> int:
    number = value.get(name)
    return number if isinstance(number, int) else default


def _conditions(obj: Object) -> dict[str, str]:
    entries = _maps(_map(obj, "status"), "conditions")
    return {str(c.get("type", "")): str(c.get("status", "Unknown")) for c in entries}


def _reasons(states: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(state["reason"]) for state in states if state.get("reason")]
