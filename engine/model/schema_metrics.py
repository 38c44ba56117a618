"""The metrics that shipped rules ask for: names, labels, units. Others may come at any time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class MetricEntry:
    """One metric: its labels, unit and meaning; `counter`: it counts up.

    `planned`: nothing sends it of itself; a query of the configuration or a sender may.
    """

    labels: tuple[str, ...]
    unit: str
    text: str
    counter: bool = False
    planned: bool = False


OWN_CLUSTER: Final = "_dogwatch"
"""Cluster of the metrics of dogwatch itself; the names of others begin with a letter or digit."""
_POD: Final = ("namespace", "workload", "pod", "node")
_MODEL: Final = ("namespace", "workload", "model")

METRICS: Final[Mapping[str, MetricEntry]] = {
    "node_cpu_used_ratio": MetricEntry(("node",), "ratio", "CPU in use of what the node has"),
    "node_memory_used_ratio": MetricEntry(
        ("node",), "ratio", "memory in use of what the node has, caches aside"
    ),
    "filesystem_free_ratio": MetricEntry(
        ("node", "mountpoint"), "ratio", "free space of a file system of a node"
    ),
    "volume_free_ratio": MetricEntry(
        ("namespace", "persistentvolumeclaim"), "ratio", "free space of the volume of a claim"
    ),
    "pod_cpu_used_ratio": MetricEntry(_POD, "ratio", "CPU in use of what the pod requests"),
    "pod_memory_used_ratio": MetricEntry(_POD, "ratio", "memory in use of what the pod requests"),
    "pod_memory_used_of_limit_ratio": MetricEntry(
        _POD, "ratio", "memory in use of its limit, of the container that is nearest to its limit"
    ),
    "pod_request_to_use_ratio": MetricEntry(
        (*_POD, "resource"),
        "ratio",
        "what the pod requests of a resource over its mean use of the last 24 h; every hour",
    ),
    "namespace_containers_without_limits_ratio": MetricEntry(
        ("namespace",), "ratio", "containers of a namespace without a memory limit"
    ),
    "gpu_cluster_used_ratio": MetricEntry(
        (), "ratio", "use of all GPUs of the cluster that tell it, on average"
    ),
    "gpu_model_used_ratio": MetricEntry(
        ("model",), "ratio", "use of the GPUs of a model, on average"
    ),
    "gpu_allocated_ratio": MetricEntry(
        (), "ratio", "GPUs that pods on nodes have asked for, of those that nodes offer"
    ),
    "gpu_pending_pods": MetricEntry((), "pods", "pods that want GPUs and have no node yet"),
    "security_findings_open": MetricEntry(
        ("severity",),
        "findings",
        "security findings that are open in the cluster",
        planned=True,
    ),
    "security_findings_opened_total": MetricEntry(
        ("severity",), "findings", "security findings that were new", counter=True, planned=True
    ),
    "llm_time_to_first_token_p99_seconds": MetricEntry(
        _MODEL, "seconds", "time to the first token that 99 % of the requests stay below"
    ),
    "llm_kv_cache_used_ratio": MetricEntry(_MODEL, "ratio", "key-value cache in use"),
    "up": MetricEntry(
        ("instance",), "", "1 where an endpoint that is scraped could be read, 0 where not"
    ),
    "dogwatch_consumer_lag_records": MetricEntry(
        (), "records", "records on the bus that dogwatch has not folded yet"
    ),
    "dogwatch_outbox_oldest_seconds": MetricEntry(
        ("sink",), "seconds", "age of the oldest delivery that waits for a sink"
    ),
    "dogwatch_watch_staleness_seconds": MetricEntry(
        ("cluster",), "seconds", "since all of a cluster was last seen, or first looked for"
    ),
    "dogwatch_config_last_reload_successful": MetricEntry(
        (), "", "1 where the last rule files were good, 0 where the ones before stay in force"
    ),
    "dogwatch_policy_last_reload_successful": MetricEntry(
        (), "", "1 where the last policy file was good; only where there is to be one"
    ),
    "dogwatch_frozen": MetricEntry((), "", "1 while a freeze stops changes somewhere"),
    "dogwatch_receiver_refused_total": MetricEntry(
        ("receiver", "reason"), "parts", "parts of posts and log lines refused", counter=True
    ),
}
"""By name."""
