"""Kubernetes objects of the tests, healthy unless told otherwise; see stages.yaml for `chaos`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Manifest = dict[str, Any]

# kind -> (apiVersion, resource, lives in a namespace)
KINDS: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "PersistentVolume": ("v1", "persistentvolumes", False),
    "Pod": ("v1", "pods", True),
    "Service": ("v1", "services", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Secret": ("v1", "secrets", True),
    "ServiceAccount": ("v1", "serviceaccounts", True),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims", True),
    "ResourceQuota": ("v1", "resourcequotas", True),
    "Event": ("v1", "events", True),
    "Deployment": ("apps/v1", "deployments", True),
    "ReplicaSet": ("apps/v1", "replicasets", True),
    "StatefulSet": ("apps/v1", "statefulsets", True),
    "DaemonSet": ("apps/v1", "daemonsets", True),
    "Job": ("batch/v1", "jobs", True),
    "CronJob": ("batch/v1", "cronjobs", True),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers", True),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets", True),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies", True),
    "Ingress": ("networking.k8s.io/v1", "ingresses", True),
    "Certificate": ("cert-manager.io/v1", "certificates", True),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "Role": ("rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings", True),
    "ClusterRole": ("rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    **{
        kind: ("admissionregistration.k8s.io/v1", resource, False)
        for kind, resource in (
            ("ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings"),
            ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
            ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        )
    },
    "CustomResourceDefinition": (
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        False,
    ),
}

# A node made by a test takes only the pods that ask for it, see `on_node`.
RESERVED = "dogwatch.test/reserved"


def path(kind: str, name: str = "", namespace: str = "") -> str:
    """Return the API path of one object, or of the list when there is no name."""
    version, resource, namespaced = KINDS[kind]
    parts = ["api" if "/" not in version else "apis", version]
    if namespaced and namespace:
        parts += ["namespaces", namespace]
    return "/" + "/".join([*parts, resource, *([name] if name else [])])


def an_object(kind: str, name: str, namespace: str = "", **rest: Any) -> Manifest:
    """Return an object of a known kind; `rest` are its top-level fields, `spec` and so on."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    metadata |= rest.pop("metadata", {})
    return {"apiVersion": KINDS[kind][0], "kind": kind, "metadata": metadata, **rest}


def a_node(
    name: str, *, labels: Mapping[str, str] | None = None, reserved: bool = False
) -> Manifest:
    """Return a node of 8 CPUs and 32 GiB; a reserved one repels pods that do not ask for it."""
    size = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    taints = [{"key": RESERVED, "value": name, "effect": "NoSchedule"}] if reserved else []
    all_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **(labels or {})}
    return an_object(
        "Node",
        name,
        metadata={"labels": all_labels},
        spec={"taints": taints},
        status={"capacity": size, "allocatable": size},
    )


def chaos(kind: str, **annotations: str) -> Manifest:
    """Return pod metadata that asks for trouble.

    Args:
        kind: value of the label `chaos`, see stages.yaml.
        annotations: exit_code, exit_reason, message.
    """
    named = {f"chaos/{name.replace('_', '-')}": value for name, value in annotations.items()}
    return {"labels": {"chaos": kind}, "annotations": named}


def on_node(name: str) -> Manifest:
    """Return the pod spec fields that put a pod on a reserved node."""
    return {
        "nodeSelector": {"kubernetes.io/hostname": name},
        "tolerations": [{"key": RESERVED, "operator": "Equal", "value": name}],
    }


def a_pod_template(
    app: str,
    *,
    image: str = "registry.test/app:1",
    trouble: Manifest | None = None,
    init: Sequence[str] = (),
    **spec: Any,
) -> Manifest:
    """Return a pod's metadata and spec: one container `main`, label `app`, no grace at deletion.

    Args:
        app: value of the label `app`.
        image: of all its containers.
        trouble: what `chaos(...)` returned.
        init: names of init containers.
        spec: further pod spec fields; they win.
    """
    asked = trouble or {}
    return {
        "metadata": {
            "labels": {"app": app, **asked.get("labels", {})},
            "annotations": dict(asked.get("annotations", {})),
        },
        "spec": {
            "containers": [{"name": "main", "image": image}],
            "initContainers": [{"name": name, "image": image} for name in init],
            "terminationGracePeriodSeconds": 0,
            **spec,
        },
    }


def a_pod(name: str, namespace: str, **template: Any) -> Manifest:
    """Return a pod without an owner; arguments as `a_pod_template`."""
    made = a_pod_template(name, **template)
    return an_object("Pod", name, namespace, metadata=made["metadata"], spec=made["spec"])


def a_deployment(name: str, namespace: str, *, replicas: int = 1, **template: Any) -> Manifest:
    """Return a Deployment whose pods carry `app: <name>`; arguments as `a_pod_template`."""
    return an_object(
        "Deployment",
        name,
        namespace,
        spec={
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": a_pod_template(name, **template),
        },
    )


def a_job(name: str, namespace: str, *, retries: int = 0, **template: Any) -> Manifest:
    """Return a Job of one pod, which succeeds after a second unless told otherwise."""
    made = a_pod_template(name, restartPolicy="Never", **template)
    return an_object("Job", name, namespace, spec={"backoffLimit": retries, "template": made})


def a_service(
    name: str, namespace: str, *, selector: Mapping[str, str], port: int = 80
) -> Manifest:
    """Return a Service with one port."""
    return an_object(
        "Service", name, namespace, spec={"selector": dict(selector), "ports": [{"port": port}]}
    )
