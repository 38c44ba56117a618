"""Derived fields, one table of cases for each kind."""

from typing import Any

import pytest

from engine.model.schema_objects import KINDS
from watchers.derive import derive
from watchers.relations import FIELDS


def an_object(api_version: str, kind: str, **parts: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **parts}


def a_pod(*containers: dict[str, Any], init: tuple[Any, ...] = (), **status: Any) -> dict[str, Any]:
    full = {"containerStatuses": list(containers), "initContainerStatuses": list(init), **status}
    return an_object("v1", "Pod", spec={"nodeName": "n1"}, status=full)


def a_container(*states: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    return {"restartCount": restarts} | {k: v for state in states for k, v in state.items()}


WAITING = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
KILLED = {"lastState": {"terminated": {"reason": "OOMKilled"}}}
DONE = {"state": {"terminated": {"reason": "Completed"}}}
READY = [{"type": "Ready", "status": "True"}]


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (
            a_pod(a_container(WAITING, KILLED, restarts=3), init=(a_container(DONE, restarts=2),)),
            {
                "restarts": 5,
                "reason": "CrashLoopBackOff",
                "waiting": ["CrashLoopBackOff"],
                "terminated": ["Completed", "OOMKilled"],
                "ready": False,
                "scheduled": True,
            },
        ),
        (
            a_pod(a_container(KILLED), phase="Running", conditions=READY),
            {"reason": "OOMKilled", "ready": True, "phase": "Running", "waiting": []},
        ),
        (a_pod(a_container(), init=(a_container(DONE),), phase="Running"), {"reason": ""}),
        (a_pod(a_container(DONE), phase="Succeeded"), {"reason": "Completed"}),
        (a_pod(phase="Failed", reason="Evicted"), {"reason": "Evicted", "phase": "Failed"}),
        (an_object("v1", "Pod"), {"phase": "", "restarts": 0, "scheduled": False}),
        (
            an_object("v1", "Pod", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
            {"terminating": True},
        ),
        (a_pod({"restartCount": None, "state": None}, conditions=None), {"restarts": 0}),
        (
            an_object(
                "v1",
                "Pod",
                spec={
                    "priorityClassName": "high",
                    "containers": [
                        {"name": "a", "resources": {"limits": {"memory": "1Gi"}}},
                        {"name": "b", "resources": {"limits": {"cpu": "1"}}},
                        {"name": "c"},
                    ],
                },
            ),
            {"containers": 3, "containersWithoutLimits": 2, "priorityClass": "high"},
        ),
    ],
)
def test_a_pod_is_summed_up_over_all_its_containers(
    pod: dict[str, Any], expected: dict[str, Any]
) -> None:
    fields = derive(pod)
    assert {name: fields[name] for name in expected} == expected


def a_rollout(kind: str, generation: int = 2, **status: Any) -> dict[str, Any]:
    return an_object(
        "apps/v1",
        kind,
        metadata={"generation": generation},
        spec={"replicas": 2},
        status={"observedGeneration": 2, **status},
    )


UP = {"updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2, "replicas": 2}
DAEMONS = {
    "desiredNumberScheduled": 3,
    "updatedNumberScheduled": 3,
    "numberAvailable": 3,
    "numberReady": 3,
}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (a_rollout("Deployment", **UP), {"desired": 2, "ready": True, "stalled": False}),
        (a_rollout("StatefulSet", **UP), {"updated": 2, "readyReplicas": 2, "ready": True}),
        (a_rollout("ReplicaSet", **UP), {"available": 2, "ready": True}),
        (a_rollout("DaemonSet", **DAEMONS), {"desired": 3, "available": 3, "ready": True}),
        (a_rollout("Deployment", generation=3, **UP), {"ready": False}),
        (a_rollout("Deployment", **{**UP, "availableReplicas": 1}), {"ready": False}),
        (a_rollout("Deployment", **{**UP, "updatedReplicas": 1}), {"ready": False, "updated": 1}),
        (an_object("apps/v1", "Deployment"), {"desired": 1, "ready": False}),
        (
            a_rollout(
                "Deployment",
                conditions=[{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
            ),
            {"stalled": True},
        ),
        (
            a_rollout("ReplicaSet", conditions=[{"type": "ReplicaFailure", "status": "True"}]),
            {"stalled": True},
        ),
    ],
)
def test_a_rollout_is_ready_when_all_wanted_replicas_are_new_and_available(
    obj: dict[str, Any], expected: dict[str, Any]
) -> None:
    fields = derive(obj)
    assert {name: fields[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            an_object(
                "v1",
                "Node",
                spec={"unschedulable": True},
                status={
                    "conditions": [
                        {"type": "Ready", "status": "Unknown"},
                        {"type": "DiskPressure", "status": "True"},
                        {"type": "MemoryPressure", "status": "False"},
                    ]
                },
            ),
            {
                "ready": False,
                "readyStatus": "Unknown",
                "schedulable": False,
                "pressure": ["DiskPressure"],
                "conditions": {
                    "Ready": "Unknown",
                    "DiskPressure": "True",
                    "MemoryPressure": "False",
                },
            },
        ),
        (
            an_object(
                "v1",
                "PersistentVolumeClaim",
                spec={"storageClassName": "fast"},
                status={"phase": "Pending"},
            ),
            {"phase": "Pending", "bound": False, "storageClass": "fast"},
        ),
        (
            an_object(
                "v1",
                "PersistentVolume",
                spec={
                    "persistentVolumeReclaimPolicy": "Delete",
                    "claimRef": {"namespace": "shop", "name": "data-0"},
                },
                status={"phase": "Bound"},
            ),
            {"phase": "Bound", "reclaimPolicy": "Delete", "claim": "shop/data-0"},
        ),
        (
            an_object("v1", "PersistentVolume"),
            {"phase": "", "reclaimPolicy": "Retain", "claim": ""},
        ),
        (
            an_object("v1", "Secret", type="kubernetes.io/tls"),
            {"secretType": "kubernetes.io/tls", "managed": False},
        ),
        (
            an_object("v1", "Secret", metadata={"ownerReferences": [{"kind": "ExternalSecret"}]}),
            {"secretType": "Opaque", "managed": True},
        ),
        (
            an_object(
                "v1",
                "Secret",
                metadata={"annotations": {"cert-manager.io/certificate-name": "web"}},
            ),
            {"secretType": "Opaque", "managed": True},
        ),
        (
            an_object(
                "networking.k8s.io/v1",
                "Ingress",
                spec={
                    "rules": [{"host": "a.example"}, {"host": "b.example"}],
                    "tls": [{"hosts": ["a.example", "b.example"]}],
                },
            ),
            {"hosts": ["a.example", "b.example"], "tls": True},
        ),
        (
            an_object(
                "networking.k8s.io/v1",
                "Ingress",
                spec={"rules": [{"host": "a.example"}], "tls": [{"hosts": ["b.example"]}]},
            ),
            {"hosts": ["a.example"], "tls": False},
        ),
        (
            an_object("networking.k8s.io/v1", "NetworkPolicy", spec={"podSelector": {}}),
            {"policyTypes": ["Ingress"], "selectsAll": True},
        ),
        (
            an_object(
                "networking.k8s.io/v1",
                "NetworkPolicy",
                spec={"podSelector": {"matchLabels": {"app": "web"}}, "egress": [{}]},
            ),
            {"policyTypes": ["Ingress", "Egress"], "selectsAll": False},
        ),
        (
            an_object(
                "rbac.authorization.k8s.io/v1",
                "ClusterRole",
                rules=[{"verbs": ["get"], "resources": ["pods"]}],
            ),
            {"wildcard": False},
        ),
        (
            an_object(
                "rbac.authorization.k8s.io/v1",
                "Role",
                rules=[{"verbs": ["get"], "resources": ["pods"]}, {"verbs": ["*"]}],
            ),
            {"wildcard": True},
        ),
        (
            an_object(
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                roleRef={"kind": "ClusterRole", "name": "edit"},
                subjects=[
                    {"kind": "ServiceAccount", "namespace": "shop", "name": "ci"},
                    {"kind": "Group", "name": "devs"},
                ],
            ),
            {
                "roleKind": "ClusterRole",
                "role": "edit",
                "subjects": ["ServiceAccount/shop/ci", "Group/devs"],
            },
        ),
        (
            an_object(
                "batch/v1",
                "Job",
                status={
                    "failed": 7,
                    "conditions": [
                        {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
                    ],
                },
            ),
            {
                "active": 0,
                "succeeded": 0,
                "failed": 7,
                "complete": False,
                "reason": "BackoffLimitExceeded",
            },
        ),
        (
            an_object("batch/v1", "CronJob", spec={"suspend": True}, status={"active": [{}]}),
            {"suspended": True, "active": 1},
        ),
        (
            an_object(
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                spec={"maxReplicas": 5},
                status={"currentReplicas": 4, "desiredReplicas": 5},
            ),
            {"current": 4, "desired": 5, "minReplicas": 1, "maxReplicas": 5, "atMax": True},
        ),
        (
            an_object("policy/v1", "PodDisruptionBudget", status={"currentHealthy": 1}),
            {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 0},
        ),
        (
            an_object("v1", "Service", spec={"selector": {"app": "web"}}),
            {"serviceType": "ClusterIP", "selector": {"app": "web"}},
        ),
        (
            an_object(
                "discovery.k8s.io/v1",
                "EndpointSlice",
                metadata={"labels": {"kubernetes.io/service-name": "web"}},
                endpoints=[
                    {"conditions": {"ready": True}},
                    {"conditions": {"ready": False}},
                    {"conditions": {}},
                ],
            ),
            {"service": "web", "endpoints": 3, "readyEndpoints": 2},
        ),
        (
            an_object("discovery.k8s.io/v1", "EndpointSlice", endpoints=None),
            {"service": "", "endpoints": 0, "readyEndpoints": 0},
        ),
        (an_object("v1", "Namespace", status={"phase": "Active"}), {"phase": "Active"}),
        (an_object("serving.knative.dev/v1", "Service"), {}),
    ],
)
def test_every_other_kind_has_its_fields(obj: dict[str, Any], expected: dict[str, Any]) -> None:
    assert derive(obj) == expected


GROUPS = {"Job": "batch/v1", "CronJob": "batch/v1", "PodDisruptionBudget": "policy/v1"} | {
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "EndpointSlice": "discovery.k8s.io/v1",
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps/v1"),
    **dict.fromkeys(("Ingress", "NetworkPolicy"), "networking.k8s.io/v1"),
    **dict.fromkeys(
        ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"),
        "rbac.authorization.k8s.io/v1",
    ),
}
RELATED = {resource.partition(".")[0]: fields for resource, fields in FIELDS.items()}
WORDS = {str: "string", bool: "bool", int: "int", list: "list(string)", dict: "map(string)"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rules_are_checked_against_exactly_the_fields_that_are_derived(kind: str) -> None:
    fields = derive(an_object(GROUPS.get(kind, "v1"), kind, rotated="2026-01-01T00:00:00Z"))
    related = RELATED.get(f"{kind.lower()}s", frozenset())
    assert related <= KINDS[kind].keys()
    declared = {name: field.type for name, field in KINDS[kind].items() if name not in related}
    assert {name: WORDS[type(value)] for name, value in fields.items()} == declared
