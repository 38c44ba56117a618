"""Which API group and resource each kind that we judge belongs to."""

from typing import Final

RESOURCE_OF: Final = {
    "Pod": "pods",
    "Node": "nodes",
    "Namespace": "namespaces",
    "Service": "services",
    "Endpoints": "endpoints",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "ServiceAccount": "serviceaccounts",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "PersistentVolume": "persistentvolumes",
    "ResourceQuota": "resourcequotas",
    "LimitRange": "limitranges",
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
    "DaemonSet": "daemonsets.apps",
    "ControllerRevision": "controllerrevisions.apps",
    "Job": "jobs.batch",
    "CronJob": "cronjobs.batch",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers.autoscaling",
    "PodDisruptionBudget": "poddisruptionbudgets.policy",
    "Ingress": "ingresses.networking.k8s.io",
    "IngressClass": "ingressclasses.networking.k8s.io",
    "NetworkPolicy": "networkpolicies.networking.k8s.io",
    "EndpointSlice": "endpointslices.discovery.k8s.io",
    "StorageClass": "storageclasses.storage.k8s.io",
    "VolumeAttachment": "volumeattachments.storage.k8s.io",
    "CSINode": "csinodes.storage.k8s.io",
    "PriorityClass": "priorityclasses.scheduling.k8s.io",
    "RuntimeClass": "runtimeclasses.node.k8s.io",
    "Lease": "leases.coordination.k8s.io",
    "ValidatingWebhookConfiguration": (
        "validatingwebhookconfigurations.admissionregistration.k8s.io"
    ),
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "Event": "events",
}
CLUSTER_WIDE: Final = frozenset(
    {
        "Node",
        "Namespace",
        "PersistentVolume",
        "StorageClass",
        "VolumeAttachment",
        "CSINode",
        "PriorityClass",
        "RuntimeClass",
        "IngressClass",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    }
)
_EVENT_GROUPS = frozenset({"", "events.k8s.io"})


def group_of(api_version: str) -> str:
    """Return the API group of `apps/v1` (`apps`) or `v1` (empty)."""
    return api_version.rpartition("/")[0]


def is_ours(kind: str, api_version: str) -> bool:
    """Whether `kind` of this apiVersion is the Kubernetes kind, not a namesake of a CRD.

    Kinds that are not in the table pass: nobody judges them.
    """
    resource = RESOURCE_OF.get(kind)
    if resource is None:
        return True
    group = group_of(api_version)
    return group in _EVENT_GROUPS if kind == "Event" else group == resource.partition(".")[2]
