"""What the data of each signal type holds, as tables of field name -> type word.

Type words: string, int, double, bool, timestamp, dyn (anything), `list(T)` and `map(T)`, a
mapping from text to T. Watchers fill these fields; rules are checked against them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

Fields = Mapping[str, str]


@dataclass(frozen=True)
class DataShape:
    """Fields of `data`; an open one may hold more than is listed."""

    fields: Fields
    open: bool = False


OBJECT: Final[Fields] = {
    "kind": "string",
    "apiVersion": "string",
    "namespace": "string",
    "name": "string",
    "uid": "string",
    "resourceVersion": "string",
    "labels": "map(string)",
    "node": "string",
    "workload": "string",
    "workloadKind": "string",
    "owner": "string",
    "change": "string",
    "object": "dyn",
    "old": "dyn",
    "trimmed": "list(string)",
}

_REPLICAS: Final[Fields] = {
    "desired": "int",
    "updated": "int",
    "available": "int",
    "readyReplicas": "int",
    "ready": "bool",
    "stalled": "bool",
}

KINDS: Final[Mapping[str, Fields]] = {
    "Pod": {
        "phase": "string",
        "ready": "bool",
        "restarts": "int",
        "reason": "string",
        "waiting": "list(string)",
        "terminated": "list(string)",
        "scheduled": "bool",
        "terminating": "bool",
    },
    "Deployment": _REPLICAS,
    "StatefulSet": _REPLICAS,
    "DaemonSet": _REPLICAS,
    "ReplicaSet": _REPLICAS,
    "Node": {
        "ready": "bool",
        "readyStatus": "string",
        "schedulable": "bool",
        "pressure": "list(string)",
        "conditions": "map(string)",
    },
    "PersistentVolumeClaim": {"phase": "string", "bound": "bool"},
    "Job": {
        "active": "int",
        "succeeded": "int",
        "failed": "int",
        "complete": "bool",
        "reason": "string",
    },
    "HorizontalPodAutoscaler": {
        "current": "int",
        "desired": "int",
        "minReplicas": "int",
        "maxReplicas": "int",
        "atMax": "bool",
    },
    "PodDisruptionBudget": {
        "disruptionsAllowed": "int",
        "currentHealthy": "int",
        "desiredHealthy": "int",
    },
    "Service": {"serviceType": "string", "selector": "map(string)"},
    "EndpointSlice": {"service": "string", "endpoints": "int", "readyEndpoints": "int"},
    "Namespace": {"phase": "string"},
    "CronJob": {"suspended": "bool", "active": "int"},
    "ConfigMap": {},
    "Secret": {},
    "ServiceAccount": {},
    "Ingress": {},
    "NetworkPolicy": {},
    "PersistentVolume": {},
    "StorageClass": {},
    "ResourceQuota": {},
    "LimitRange": {},
}
"""Fields that each kind has beside those of OBJECT."""

_OPEN: Final = DataShape({}, open=True)

DATA: Final[Mapping[str, DataShape]] = {
    "k8s.event": DataShape(
        {
            "kind": "string",
            "namespace": "string",
            "name": "string",
            "workload": "string",
            "node": "string",
            "reason": "string",
            "eventType": "string",
            "message": "string",
            "count": "int",
            "uid": "string",
            "workloadKind": "string",
            "component": "string",
            "lastTime": "string",
            "change": "string",
        }
    ),
    "watcher": DataShape(
        {
            "watcher": "string",
            "resource": "string",
            "state": "string",
            "reason": "string",
            "message": "string",
        }
    ),
    "metric": DataShape({"metric": "string", "labels": "map(string)", "value": "double"}),
    "watcher.heartbeat": DataShape({}),
}


def data_shape(type_: str, kinds: Iterable[str] = ()) -> DataShape:
    """Return what the data of signals of `type_` may hold, for objects of any of `kinds`.

    Kinds may be globs; none means every kind that is listed here. A kind that is not listed
    leaves the shape open, as does a type without a table; a field that differs in type between
    kinds is dyn.
    """
    if type_ != "k8s.object":
        return DATA.get(type_, _OPEN)
    named = [matching_kinds(kind) for kind in kinds] or [tuple(KINDS)]
    fields = dict(OBJECT)
    for name in (name for names in named for name in names):
        for field, word in KINDS[name].items():
            fields[field] = word if fields.get(field, word) == word else "dyn"
    return DataShape(fields, open=not all(named))


def matching_kinds(glob: str) -> tuple[str, ...]:
    """Return the listed kinds that `glob` matches."""
    return tuple(name for name in KINDS if fnmatchcase(name, glob))
