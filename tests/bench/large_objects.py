"""The objects of a large cluster, one by one: as large as real ones, managedFields and all."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Object = dict[str, Any]

PODS: Final = 10_000
NODES: Final = 1_000
WORKLOADS: Final = 2_000
NAMESPACES: Final = 200
GPU_NODES: Final = 50
GPUS_OF_NODE: Final = 8
_PART: Final = PODS // WORKLOADS
_TIME: Final = "2026-01-01T00:00:00Z"
_IMAGES: Final = 40
_WIDE: Final = 40


@dataclass(frozen=True)
class Kind:
    """One resource: how it is offered, how many there are, and the object at a place."""

    group: str
    version: str
    plural: str
    kind: str
    count: int
    make: Callable[[int], Object]
    namespaced: bool = True

    @property
    def path(self) -> str:
        """The path that lists it over all namespaces."""
        return f"{place(self.group, self.version)}/{self.plural}"


def place(group: str, version: str) -> str:
    """Return the path of one version of a group."""
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def node_name(number: int) -> str:
    """Return the name of a node."""
    return f"node-{number:04d}"


def pod_name(number: int) -> str:
    """Return the name of a pod."""
    return f"{workload_of(number)}-{template_of(number)}-{number:05x}"


def namespace_of(number: int) -> str:
    """Return the namespace of a workload by its number."""
    return f"team-{number % NAMESPACES:03d}"


def workload_of(pod: int) -> str:
    """Return the workload of a pod by its number."""
    return f"app-{pod // _PART:04d}"


def template_of(pod: int) -> str:
    """Return the hash of the template of a pod's ReplicaSet."""
    return f"{pod // _PART + 0x5D4F8C00:x}"


def _fields(count: int) -> list[Object]:
    told: Object = {f"f:field-{n}": {".": {}, "f:part": {}} for n in range(count)}
    return [
        {"manager": "controller", "operation": "Update", "time": _TIME, "fieldsV1": told},
        {"manager": "kubelet", "operation": "Update", "time": _TIME, "subresource": "status"},
    ]


def _named(kind: str, name: str, number: int, namespace: str = "", **more: Any) -> Object:
    prefix = zlib.crc32(kind.encode())
    metadata = {
        "name": name,
        "uid": f"{prefix:08x}-0000-4000-8000-{number:012d}",
        "resourceVersion": "1000",
        "generation": 1,
        "creationTimestamp": _TIME,
        "labels": {},
        "managedFields": _fields(30),
        **more,
    }
    return {"metadata": {**metadata, "namespace": namespace} if namespace else metadata}


def _owner(kind: str, name: str, number: int) -> list[Object]:
    uid = _named(kind, name, number)["metadata"]["uid"]
    return [{"kind": kind, "name": name, "uid": uid, "controller": True, "apiVersion": "apps/v1"}]


def _conditions(*types: str) -> list[Object]:
    return [
        {"type": one, "status": "True", "lastTransitionTime": _TIME, "reason": "AsItShouldBe"}
        for one in types
    ]


def pod(number: int) -> Object:
    """Return a pod of about 6 KiB; each fifth has a second container."""
    work, app = number // _PART, workload_of(number)
    owner = f"{app}-{template_of(number)}"
    labels = {"app": app, "pod-template-hash": template_of(number)}
    names = ["main", "proxy"] if number % 5 == 0 else ["main"]
    asked = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}
    if number < GPU_NODES * GPUS_OF_NODE:
        asked["limits"] = {"memory": "512Mi", "nvidia.com/gpu": "1"}
    node = number // GPUS_OF_NODE if number < GPU_NODES * GPUS_OF_NODE else number % NODES
    token = {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    return {
        **_named(
            "Pod",
            pod_name(number),
            number,
            namespace_of(work),
            labels=labels,
            annotations={"prometheus.io/scrape": "true", "checksum/config": f"{work:064x}"},
            ownerReferences=_owner("ReplicaSet", owner, work),
            managedFields=_fields(50),
        ),
        "spec": {
            "nodeName": node_name(node),
            "serviceAccountName": app,
            "containers": [_container(name, work, asked) for name in names],
            "volumes": [{"name": "token", "projected": {"sources": [token]}}],
            "tolerations": [
                {"key": f"node.kubernetes.io/{one}", "operator": "Exists", "effect": "NoExecute"}
                for one in ("not-ready", "unreachable")
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.{number >> 14}.{number >> 7 & 127}.{number & 127}",
            "conditions": _conditions(
                "PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"
            ),
            "containerStatuses": [
                {
                    "name": name,
                    "ready": True,
                    "restartCount": 0,
                    "image": f"registry.example.com/{app}",
                    "imageID": f"registry.example.com/{app}@sha256:{work:064x}",
                    "containerID": f"containerd://{number:064x}",
                    "state": {"running": {"startedAt": _TIME}},
                }
                for name in names
            ],
        },
    }


def _container(name: str, work: int, asked: Object) -> Object:
    return {
        "name": name,
        "image": f"registry.example.com/app-{work:04d}@sha256:{work:064x}",
        "args": ["--config", "/etc/app/config.yaml", "--verbose"],
        "env": [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(8)],
        "resources": asked if name == "main" else {},
        "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets", "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
    }


def node(number: int) -> Object:
    """Return a node of about 10 KiB, as kubelet and discovery of hardware fill it."""
    has = {"cpu": "64", "memory": "256Gi", "pods": "110"}
    labels = {"kubernetes.io/hostname": node_name(number), "kubernetes.io/arch": "amd64"}
    if number < GPU_NODES:
        has["nvidia.com/gpu"] = str(GPUS_OF_NODE)
        labels["nvidia.com/gpu.product"] = "NVIDIA-H100-80GB-HBM3"
    address = f"172.16.{number >> 8}.{number & 255}"
    return {
        **_named("Node", node_name(number), number, labels=labels, managedFields=_fields(60)),
        "spec": {"podCIDR": "10.0.0.0/24"},
        "status": {
            "capacity": has,
            "allocatable": has,
            "addresses": [
                {"type": "InternalIP", "address": address},
                {"type": "Hostname", "address": node_name(number)},
            ],
            "conditions": [
                {"type": one, "status": "False", "lastHeartbeatTime": _TIME, "message": "fine"}
                for one in ("MemoryPressure", "DiskPressure", "PIDPressure")
            ]
            + _conditions("Ready"),
            "nodeInfo": {"kubeletVersion": "v1.36.1", "osImage": "Linux"},
            "images": [
                {"names": [f"registry.example.com/image-{n}@sha256:{n:064x}"], "sizeBytes": n << 20}
                for n in range(_IMAGES)
            ],
        },
    }


def _template(number: int) -> Object:
    whole = pod(number * _PART)
    return {"metadata": {"labels": {"app": f"app-{number:04d}"}}, "spec": whole["spec"]}


def _replicas() -> Object:
    counts = ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")
    return {"observedGeneration": 1, **dict.fromkeys(counts, _PART)}


def _deployment(number: int) -> Object:
    labels = {"app": f"app-{number:04d}", "helm.sh/chart": f"app-1.{number % 9}.0"}
    status = {**_replicas(), "conditions": _conditions("Available", "Progressing")}
    name = f"app-{number:04d}"
    return {
        **_named("Deployment", name, number, namespace_of(number), labels=labels),
        "spec": {"replicas": _PART, "template": _template(number)},
        "status": status,
    }


def _replica_set(number: int) -> Object:
    name = f"app-{number:04d}"
    own = f"{name}-{template_of(number * _PART)}"
    owners = _owner("Deployment", name, number)
    return {
        **_named("ReplicaSet", own, number, namespace_of(number), ownerReferences=owners),
        "spec": {"replicas": _PART, "template": _template(number)},
        "status": _replicas(),
    }


def _plain(kind: str, prefix: str, **body: Any) -> Callable[[int], Object]:
    def make(number: int) -> Object:
        return {**_named(kind, f"{prefix}-{number:04d}", number, namespace_of(number)), **body}

    return make


def _wide(kind: str, prefix: str, **body: Any) -> Callable[[int], Object]:
    def make(number: int) -> Object:
        return {**_named(kind, f"{prefix}-{number:04d}", number), **body}

    return make


def _slice(number: int) -> Object:
    labels = {"kubernetes.io/service-name": f"app-{number:04d}"}
    ready = {"ready": True, "serving": True, "terminating": False}
    return {
        **_named(
            "EndpointSlice", f"app-{number:04d}-x", number, namespace_of(number), labels=labels
        ),
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [f"10.1.{n}.1"],
                "conditions": ready,
                "targetRef": {"name": pod_name(number * _PART + n)},
            }
            for n in range(_PART)
        ],
        "ports": [{"name": "http", "port": 8080}],
    }


def kinds() -> Iterator[Kind]:
    """Yield all that there is."""
    yield from _core()
    apps, rbac = ("apps", "v1"), ("rbac.authorization.k8s.io", "v1")
    yield Kind(*apps, "deployments", "Deployment", WORKLOADS, _deployment)
    yield Kind(*apps, "replicasets", "ReplicaSet", WORKLOADS, _replica_set)
    for plural, kind in (("statefulsets", "StatefulSet"), ("daemonsets", "DaemonSet")):
        yield Kind(*apps, plural, kind, 10, _plain(kind, "s", spec={}, status={}))
    for plural, kind in (("jobs", "Job"), ("cronjobs", "CronJob")):
        yield Kind("batch", "v1", plural, kind, 100, _plain(kind, "j", spec={}, status={}))
    yield Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", WORKLOADS, _slice)
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}] * 5
    role = {"kind": "Role", "name": "r-0001", "apiGroup": rbac[0]}
    yield Kind(*rbac, "roles", "Role", 400, _plain("Role", "r", rules=rules))
    yield Kind(*rbac, "rolebindings", "RoleBinding", 400, _plain("RoleBinding", "b", roleRef=role))
    name = "ClusterRole"
    yield Kind(*rbac, "clusterroles", name, 200, _wide(name, "c", rules=rules), namespaced=False)
    name, role = "ClusterRoleBinding", {"kind": "ClusterRole", "name": "c-0001"}
    made = _wide(name, "d", roleRef=role)
    yield Kind(*rbac, "clusterrolebindings", name, 200, made, namespaced=False)
    for group, version, plural, kind in (
        ("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        ("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget"),
        ("networking.k8s.io", "v1", "ingresses", "Ingress"),
        ("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy"),
    ):
        yield Kind(group, version, plural, kind, 200, _plain(kind, "n", spec={}, status={}))
    yield from _bundles()


def _core() -> Iterator[Kind]:
    yield Kind("", "v1", "pods", "Pod", PODS, pod)
    yield Kind("", "v1", "nodes", "Node", NODES, node, namespaced=False)
    made = _wide("Namespace", "team", status={"phase": "Active"})

    def namespace(number: int) -> Object:
        obj = made(number)
        obj["metadata"]["name"] = namespace_of(number)
        return obj

    yield Kind("", "v1", "namespaces", "Namespace", NAMESPACES, namespace, namespaced=False)
    spec: Mapping[str, Any] = {"type": "ClusterIP", "selector": {"app": "app"}}
    yield Kind("", "v1", "services", "Service", WORKLOADS, _plain("Service", "app", spec=spec))
    claim = _plain("PersistentVolumeClaim", "data", status={"phase": "Bound"})
    yield Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", 1_000, claim)
    yield Kind("", "v1", "events", "Event", 2_000, event)


def event(number: int) -> Object:
    """Return an Event about a pod."""
    of = number % PODS
    whole = _named("Event", f"e-{number:06d}", number, namespace_of(of // _PART))
    about = {"kind": "Pod", "namespace": namespace_of(of // _PART), "name": pod_name(of)}
    about["uid"] = pod(of)["metadata"]["uid"]
    return {
        **whole,
        "involvedObject": about,
        "reason": "Unhealthy",
        "message": "Readiness probe failed: HTTP probe failed with statuscode: 503",
        "type": "Warning",
        "count": 1,
        "lastTimestamp": _TIME,
    }


def uses() -> Iterator[Kind]:
    """Yield what metrics-server has, which knows no pages."""
    group = ("metrics.k8s.io", "v1beta1")
    yield Kind(*group, "nodes", "NodeMetrics", NODES, _node_use, namespaced=False)
    yield Kind(*group, "pods", "PodMetrics", PODS, _pod_use)


def _node_use(number: int) -> Object:
    usage = {"cpu": f"{20_000_000_000 + number * 977}n", "memory": f"{120_000_000 + number}Ki"}
    return {"metadata": {"name": node_name(number)}, "usage": usage}


def _pod_use(number: int) -> Object:
    usage = {"cpu": f"{30_000_000 + number * 977}n", "memory": f"{200_000 + number}Ki"}
    names = ["main", "proxy"] if number % 5 == 0 else ["main"]
    place = {"name": pod_name(number), "namespace": namespace_of(number // _PART)}
    metadata = {**place, "labels": {"app": workload_of(number)}, "creationTimestamp": _TIME}
    return {"metadata": metadata, "containers": [{"name": one, "usage": usage} for one in names]}


def _bundles() -> Iterator[Kind]:
    """Yield what the watcher of certificates reads."""
    ready = {"conditions": _conditions("Ready"), "notAfter": "2027-01-01T00:00:00Z"}
    issued = {"secretName": "tls", "dnsNames": ["www.example.com"], "issuerRef": {"name": "ca"}}
    made = _plain("Certificate", "tls", spec=issued, status={**ready, "notBefore": _TIME})
    yield Kind("cert-manager.io", "v1", "certificates", "Certificate", 300, made)
    schema = {
        "properties": {
            f"p{n}": {"type": "string", "description": "t" * 80} for n in range(_WIDE * 4)
        }
    }
    body = {"spec": {"versions": [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]}}
    for group, plural, kind, count, more in (
        (
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "CustomResourceDefinition",
            150,
            body,
        ),
        ("apiregistration.k8s.io", "apiservices", "APIService", 60, {"spec": {}}),
        (
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            20,
            {"webhooks": []},
        ),
        (
            "admissionregistration.k8s.io",
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            20,
            {"webhooks": []},
        ),
    ):
        yield Kind(group, "v1", plural, kind, count, _wide(kind, "x", **more), namespaced=False)
