"""The data of object signals: fields of every object, and those derived for each kind."""

from collections.abc import Mapping
from typing import Final

from engine.model.field import Field, Fields

MARKS: Final[Fields] = {
    "madeBy": Field("string", "dogwatch where dogwatch itself made or changed it"),
    "depth": Field("int", "missions and changes of dogwatch that lead to it", "steps"),
}
"""What says that dogwatch itself is behind a signal."""

OBJECT: Final[Fields] = {
    "kind": Field("string", "kind of the object"),
    "apiVersion": Field("string", "group and version, such as apps/v1"),
    "namespace": Field("string", "its namespace; empty for cluster-wide kinds"),
    "name": Field("string", "its name"),
    "uid": Field("string", "its uid: a new object of the same name has another"),
    "resourceVersion": Field("string", "version of the object"),
    "labels": Field("map(string)", "its labels"),
    "node": Field("string", "node that it runs on; of a Node its name"),
    "workload": Field("string", "name of its topmost owner, else its own"),
    "workloadKind": Field("string", "kind of that owner"),
    "owner": Field("string", "name of its direct controller"),
    "change": Field(
        "string",
        "added, modified (without `old`: only what others say of it), deleted, or synced (listed "
        "after a start)",
    ),
    "object": Field(
        "dyn",
        "the object itself, without managedFields and Secret values; what looks like a credential "
        "in annotations, variables and arguments is [redacted]",
    ),
    "old": Field("dyn", "the object before a modification; expressions see it as `old`"),
    "trimmed": Field("list(string)", "paths that were cut out of a large object"),
    **MARKS,
}
"""Fields of every object."""

_REPLICAS: Final[Fields] = {
    "desired": Field("int", "replicas asked for", "pods"),
    "updated": Field("int", "replicas of the newest template", "pods"),
    "available": Field("int", "replicas ready for long enough", "pods"),
    "readyReplicas": Field("int", "replicas that are ready", "pods"),
    "ready": Field("bool", "the newest template is rolled out in full"),
    "stalled": Field("bool", "the rollout makes no progress"),
}
_ROLE: Final[Fields] = {
    "wildcard": Field("bool", "a rule grants every verb or every resource"),
}
_BINDING: Final[Fields] = {
    "roleKind": Field("string", "Role or ClusterRole"),
    "role": Field("string", "name of the role that is granted"),
    "subjects": Field("list(string)", "whom it is granted to, such as Group/admins"),
    "wildcard": Field(
        "bool", "that role grants every verb or every resource; missing while there is no such role"
    ),
}

KINDS: Final[Mapping[str, Fields]] = {
    "Pod": {
        "phase": Field("string", "Pending, Running, Succeeded, Failed or Unknown"),
        "ready": Field("bool", "condition Ready"),
        "restarts": Field("int", "restarts of all its containers; counts up", "restarts"),
        "reason": Field("string", "first reason why it waits or ended badly"),
        "waiting": Field("list(string)", "why containers wait, such as CrashLoopBackOff"),
        "terminated": Field("list(string)", "why containers ended, such as OOMKilled"),
        "scheduled": Field("bool", "a node was found"),
        "terminating": Field("bool", "it is being deleted"),
        "containers": Field("int", "containers of its spec, init containers aside", "containers"),
        "containersWithoutLimits": Field(
            "int",
            "those without a memory limit (a CPU limit is not asked for: it throttles)",
            "containers",
        ),
        "priorityClass": Field("string", "its priority class"),
    },
    "Deployment": _REPLICAS,
    "StatefulSet": _REPLICAS,
    "DaemonSet": _REPLICAS,
    "ReplicaSet": _REPLICAS,
    "Node": {
        "ready": Field("bool", "condition Ready is True"),
        "readyStatus": Field("string", "condition Ready: True, False or Unknown"),
        "schedulable": Field("bool", "it is not cordoned"),
        "pressure": Field("list(string)", "pressures that hold, such as MemoryPressure"),
        "conditions": Field("map(string)", "type of condition -> its status"),
    },
    "PersistentVolumeClaim": {
        "phase": Field("string", "Pending, Bound or Lost"),
        "bound": Field("bool", "it has a volume"),
        "storageClass": Field("string", "its storage class"),
        "used": Field("bool", "a pod or the template of a workload refers to it"),
    },
    "PersistentVolume": {
        "phase": Field("string", "Available, Bound, Released or Failed"),
        "reclaimPolicy": Field("string", "Retain, Delete or Recycle"),
        "claim": Field("string", "namespace/name of its claim; empty without one"),
    },
    "Job": {
        "active": Field("int", "pods that run", "pods"),
        "succeeded": Field("int", "pods that succeeded", "pods"),
        "failed": Field("int", "pods that failed", "pods"),
        "complete": Field("bool", "condition Complete"),
        "reason": Field("string", "why it failed for good"),
    },
    "CronJob": {
        "suspended": Field("bool", "it starts no jobs"),
        "active": Field("int", "jobs that run", "jobs"),
    },
    "HorizontalPodAutoscaler": {
        "current": Field("int", "replicas now", "pods"),
        "desired": Field("int", "replicas wanted", "pods"),
        "minReplicas": Field("int", "least replicas", "pods"),
        "maxReplicas": Field("int", "most replicas", "pods"),
        "atMax": Field("bool", "as many are wanted as it may have"),
    },
    "PodDisruptionBudget": {
        "disruptionsAllowed": Field("int", "pods that may be evicted now", "pods"),
        "currentHealthy": Field("int", "healthy pods", "pods"),
        "desiredHealthy": Field("int", "pods that must stay healthy", "pods"),
    },
    "Service": {
        "serviceType": Field("string", "ClusterIP, NodePort, LoadBalancer or ExternalName"),
        "selector": Field("map(string)", "labels of the pods behind it"),
    },
    "EndpointSlice": {
        "service": Field("string", "service that it belongs to"),
        "endpoints": Field("int", "endpoints", "endpoints"),
        "readyEndpoints": Field("int", "endpoints that are ready", "endpoints"),
    },
    "Ingress": {
        "hosts": Field("list(string)", "hosts that it serves"),
        "tls": Field("bool", "every host has a certificate"),
    },
    "NetworkPolicy": {
        "policyTypes": Field("list(string)", "Ingress, Egress or both"),
        "selectsAll": Field("bool", "it selects every pod of the namespace"),
    },
    "Namespace": {
        "phase": Field("string", "Active or Terminating"),
        "pods": Field("int", "pods in it that have not ended", "pods"),
        "running": Field("int", "running pods, those of DaemonSets aside", "pods"),
        "exposed": Field(
            "bool",
            "an Ingress, or a Service of type NodePort or LoadBalancer or with external addresses, "
            "is in it",
        ),
        "policies": Field("int", "network policies in it", "policies"),
        "lastActivity": Field(
            "string",
            "when an object in it was last made, written or deleted, or an Event came; to the hour",
            "RFC 3339",
        ),
    },
    "Secret": {
        "secretType": Field("string", "its type, such as kubernetes.io/tls"),
        "managed": Field("bool", "an owner or cert-manager renews it"),
        "rotatedAt": Field(
            "string",
            "last write of whoever set its values (managedFields), so they are as old as that at "
            "least; missing where nobody is known to have set them",
            "RFC 3339",
        ),
    },
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "ConfigMap": {},
    "ServiceAccount": {},
    "StorageClass": {},
    "ResourceQuota": {},
    "LimitRange": {},
}
"""Fields that each kind has beside those of OBJECT."""
