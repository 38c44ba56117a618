"""What an alert is about, by its labels. Pure.

Source: labels of kube-state-metrics, of the Kubernetes monitoring mixin, of node-exporter; names
that controllers make: SafeEncodeString and String of k8s.io/apimachinery/pkg/util/rand, the minute
of its run that a CronJob gives a Job, the ordinals of a StatefulSet.
"""

import re
from collections.abc import Mapping
from typing import Final

Labels = Mapping[str, str]

_POD: Final = ("exported_pod", "pod", "pod_name")
_NAMESPACE: Final = ("exported_namespace", "namespace", "kubernetes_namespace")
_NODE: Final = ("exported_node", "node", "nodename", "kubernetes_node")
_WORKLOADS: Final[Mapping[str, str]] = {
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "daemonset": "DaemonSet",
    "cronjob": "CronJob",
    "job_name": "Job",
    "replicaset": "ReplicaSet",
    "replicationcontroller": "ReplicationController",
}
"""Label -> kind; `job` is no Job, but what Prometheus scraped."""
_OTHERS: Final[Mapping[str, str]] = {
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "horizontalpodautoscaler": "HorizontalPodAutoscaler",
    "poddisruptionbudget": "PodDisruptionBudget",
    "persistentvolume": "PersistentVolume",
    "resourcequota": "ResourceQuota",
    "ingress": "Ingress",
}
_CLUSTERED: Final = frozenset({"Node", "PersistentVolume"})
_SUFFIX: Final = "[bcdfghjklmnpqrstvwxz2456789]{5}"
_HASH: Final = "[4-9bcdf]{8,10}"
_RUN: Final = r"\d{8}"
_MADE: Final[Mapping[str, re.Pattern[str]]] = {
    "Pod": re.compile(rf"(.+?)-(?:(?:(?:{_HASH}|{_RUN}(?:-\d+)?)-)?{_SUFFIX}|\d{{1,5}})", re.ASCII),
    "ReplicaSet": re.compile(rf"(.+)-{_HASH}"),
    "Job": re.compile(rf"(.+)-{_RUN}", re.ASCII),
}
"""By kind: the name of its topmost owner, and what controllers add to it."""
_EXPORTERS: Final = ("kube-state-metrics", "node-exporter")
"""They speak of others: `pod` and `namespace` may be their own, and `instance` a node's."""
_NODE_EXPORTER: Final = ("node-exporter", "kubelet")


def subject(labels: Labels) -> dict[str, str]:
    """Return namespace, kind, name, workload and node of what an alert with `labels` is about.

    What the labels do not tell is left out. With the labels of an exporter beside those of an
    object it is the object that counts; of a workload and a pod of it, the pod. The workload is
    the topmost owner by the labels, else by the names that controllers give.
    """
    pod, node = _first(labels, _POD), _first(labels, _NODE) or _scraped_node(labels)
    label, kind = _named(labels, _WORKLOADS)
    workload = labels[label] if label else labels.get("workload", "")
    exporter = any(name in pod for name in _EXPORTERS)
    if pod and not exporter and (not workload or pod.startswith(f"{workload}-")):
        kind, name = "Pod", pod
    elif kind:
        name = workload
    else:
        kind, name = _else(labels, node, pod)
    owner = _owner(kind, name) if not workload else _owner(_WORKLOADS.get(label, ""), workload)
    about = {"kind": kind, "name": name, "workload": owner, "node": node}
    if kind not in _CLUSTERED:
        about["namespace"] = _first(labels, _NAMESPACE)
    return {key: text for key, text in about.items() if text}


def _owner(kind: str, name: str) -> str:
    """Return what owns the object in the end, by its name: a name that nobody made is its own."""
    made = _MADE.get(kind)
    found = made.fullmatch(name) if made else None
    return found[1] if found else name


def _else(labels: Labels, node: str, pod: str) -> tuple[str, str]:
    """Return kind and name of what is neither a workload nor a pod of its own."""
    label, kind = _named(labels, _OTHERS)
    if label:
        return kind, labels[label]
    if node:
        return "Node", node
    return ("Pod", pod) if pod else ("", "")


def _named(labels: Labels, kinds: Mapping[str, str]) -> tuple[str, str]:
    found = ((label, kind) for label, kind in kinds.items() if labels.get(label))
    return next(found, ("", ""))


def _first(labels: Labels, names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _scraped_node(labels: Labels) -> str:
    """Return the host of `instance` where that names a node: an address does not."""
    if not any(name in labels.get("job", "") for name in _NODE_EXPORTER):
        return ""
    host = labels.get("instance", "").partition(":")[0]
    return host if any(char.isalpha() for char in host) else ""
