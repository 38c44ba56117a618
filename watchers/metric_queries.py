"""What a Prometheus is asked of its own accord: one expression for a whole cluster each. Data.

Where several exporters may tell the same, the first expression that gives anything is used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

About = Literal["node", "mount", "claim", "pod", "model", "latency"]
"""What the series of an expression are about, and so which labels its metric has."""

USAGE: Final = frozenset(
    {
        "node_cpu_used_ratio",
        "node_memory_used_ratio",
        "pod_cpu_used_ratio",
        "pod_memory_used_ratio",
        "pod_memory_used_of_limit_ratio",
    }
)
"""What metrics-server knows too."""


@dataclass(frozen=True)
class Shipped:
    """One metric and how it is asked for.

    Attributes:
        about: what the series are about.
        expressions: the first that gives a series is used.
        free: the least of several values for the same thing counts, else the greatest.
        resource: of `pod`: what the values are amounts of, cores or bytes, of pods or containers.
    """

    about: About
    expressions: tuple[str, ...]
    free: bool = False
    resource: str = ""


_BY: Final = "instance, job, node"
_CLAIM: Final = "namespace, persistentvolumeclaim"
_VOLUMES: Final = (
    f"min by ({_CLAIM}) (kubelet_volume_stats_available_bytes)"
    f" / max by ({_CLAIM}) (kubelet_volume_stats_capacity_bytes)"
)
_IDLE: Final = 'mode=~"idle|iowait|steal"'
_NO_DISK: Final = (
    'fstype!~"tmpfs|devtmpfs|ramfs|overlay|squashfs|iso9660|erofs|nsfs|proc|sysfs|cgroup2?|'
    'autofs|fuse\\\\.lxcfs|",mountpoint!~"/(run|var/lib/(kubelet|docker|containers|containerd))/.+"'
)
_OWN: Final = 'container!="",container!="POD"'
_WHOLE: Final = 'container="",pod!=""'


def _named(expression: str) -> str:
    """Add the host name that node_exporter knows, where it tells it, to one of its series."""
    host = "max by (instance, job, nodename) (node_uname_info)"
    joined = f"({expression}) * on (instance, job) group_left (nodename) {host}"
    return f"{joined} or on (instance, job) ({expression})"


def _pods(metric: str, form: str, by: str = "namespace, pod") -> tuple[str, ...]:
    """Sum over the containers of each pod; some runtimes tell of whole pods only."""
    return tuple(
        f"sum by ({by}) ({form.format(f'{metric}{{{which}}}')})" for which in (_OWN, _WHOLE)
    )


def _either(*metrics: str) -> str:
    return f'{{__name__=~"{"|".join(metrics)}"}}'


_TTFT: Final = _either(
    "vllm:time_to_first_token_seconds_bucket", "sglang:time_to_first_token_seconds_bucket"
)
_CACHE: Final = _either(
    "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "sglang:token_usage"
)
_CPU: Final = "container_cpu_usage_seconds_total"
_MEMORY: Final = "container_memory_working_set_bytes"

SHIPPED: Final[Mapping[str, Shipped]] = {
    "node_cpu_used_ratio": Shipped(
        "node",
        (
            _named(
                f"1 - sum by ({_BY}) (rate(node_cpu_seconds_total{{{_IDLE}}}[5m]))"
                f' / count by ({_BY}) (node_cpu_seconds_total{{mode="idle"}})'
            ),
            f'sum by ({_BY}) (rate({_CPU}{{id="/"}}[5m])) / max by ({_BY}) (machine_cpu_cores)',
        ),
    ),
    "node_memory_used_ratio": Shipped(
        "node",
        (
            _named(
                f"1 - max by ({_BY}) (node_memory_MemAvailable_bytes)"
                f" / max by ({_BY}) (node_memory_MemTotal_bytes)"
            ),
            f'max by ({_BY}) ({_MEMORY}{{id="/"}}) / max by ({_BY}) (machine_memory_bytes)',
        ),
    ),
    "filesystem_free_ratio": Shipped(
        "mount",
        (
            _named(
                f"min by ({_BY}, mountpoint) (node_filesystem_avail_bytes{{{_NO_DISK}}}"
                " / node_filesystem_size_bytes)"
            ),
        ),
        free=True,
    ),
    "volume_free_ratio": Shipped(
        "claim",
        (_VOLUMES,),
        free=True,
    ),
    "pod_cpu_used_ratio": Shipped("pod", _pods(_CPU, "rate({}[5m])"), resource="cpu"),
    "pod_memory_used_ratio": Shipped(
        "pod", _pods(_MEMORY, "{}", "namespace, pod, container"), resource="memory"
    ),
    "llm_time_to_first_token_p99_seconds": Shipped(
        "latency", (f"sum by (namespace, pod, job, model_name, le) (rate({_TTFT}[5m]))",)
    ),
    "llm_kv_cache_used_ratio": Shipped(
        "model", (f"max by (namespace, pod, job, model_name) ({_CACHE})",)
    ),
}
"""By metric, see engine.model.schema_metrics."""

PAST: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu": _pods(_CPU, "rate({}[1h])"),
    "memory": _pods(_MEMORY, "avg_over_time({}[1h])"),
}
"""The mean use of each pod over an hour, by resource; for what is not known yet after a start."""
