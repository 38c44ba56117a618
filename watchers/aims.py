"""Aims: which metrics are followed toward which limit, and how a prediction names what it is about.

Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Labels = Mapping[str, str]
Kind = Literal["pod-crash", "node-pressure", "gpu-exhaustion"]
Side = Literal["high", "low", "both"]


@dataclass(frozen=True, slots=True)
class Aim:
    """One metric that is followed toward a limit.

    Attributes:
        prediction: what happens there.
        limit: value of the metric at which it happens.
        words: what the metric measures, in words.
        falls: the limit is reached from above.
        alike: labels of which the past of all series counts for each: a new pod is like the one
            that it replaces. Empty: a series has only its own past.
        hourly: it is followed over days, hour by hour, and not over hours.
        floor: differences that mean nothing.
    """

    prediction: Kind
    limit: float
    words: str
    falls: bool = False
    alike: tuple[str, ...] = ()
    hourly: bool = False
    floor: float = 0.01


GPU_DEMAND: Final = "gpu_demand_ratio"
NODE_PODS: Final = "node_pods_used_ratio"
VOLUME: Final = "volume_free_ratio"
AIMS: Final[Mapping[str, Aim]] = {
    "pod_memory_used_of_limit_ratio": Aim(
        "pod-crash", 1.0, "memory in use of its limit", alike=("namespace", "workload")
    ),
    VOLUME: Aim("pod-crash", 0.01, "free space of a volume", falls=True),
    "node_memory_used_ratio": Aim("node-pressure", 0.95, "memory in use"),
    "node_cpu_used_ratio": Aim("node-pressure", 0.95, "CPU in use"),
    "filesystem_free_ratio": Aim("node-pressure", 0.1, "free space of a file system", falls=True),
    NODE_PODS: Aim("node-pressure", 1.0, "pods of those that the node takes", floor=0.03),
    GPU_DEMAND: Aim(
        "gpu-exhaustion", 1.0, "GPUs asked for of those that there are", hourly=True, floor=0.05
    ),
}
"""By metric. The kubelet's defaults decide where a node is under pressure (disk: less than 10 %
free); memory and CPU are called used up a little before nothing is left. `gpu_demand_ratio` and
`node_pods_used_ratio` are counted from the objects themselves."""
ODD: Final[Mapping[str, Side]] = {
    "pod_cpu_used_ratio": "high",
    "llm_time_to_first_token_p99_seconds": "high",
}
"""Metrics of which an unusual value of a workload is told, and on which side."""


def about(labels: Labels) -> dict[str, Any]:
    """Return the fields of a prediction that say what a series is about, by its labels."""
    node, pod = labels.get("node", ""), labels.get("pod", "")
    claim = labels.get("persistentvolumeclaim", "")
    workload = labels.get("workload", "")
    if pod:
        kind, name = "Pod", pod
    elif claim:
        kind, name = "PersistentVolumeClaim", claim
    elif workload or not node:
        kind, name = "", workload
    else:
        kind, name = "Node", node
    return {
        "namespace": labels.get("namespace", ""),
        "kind": kind,
        "name": name,
        "workload": workload or name,
        "node": node,
    }


def toward(metric: str, aim: Aim, value: float, slope: float, horizon_s: float) -> str:
    """Return a prediction in words; `slope` for each second."""
    shown = _percent if metric.endswith("_ratio") else _plain
    moves = "falls" if slope < 0 else "rises"
    return (
        f"{aim.words} is {shown(value)}, {moves} by {shown(abs(slope) * 3600)} an hour "
        f"and reaches {shown(aim.limit)} in {lasting(horizon_s)}"
    )


def odd(metric: str, value: float, middle: float, score: float) -> str:
    """Return an anomaly in words; `middle` is the usual value."""
    shown = _percent if metric.endswith("_ratio") else _plain
    side = "above" if score > 0 else "below"
    return (
        f"{metric} is {shown(value)}, usually {shown(middle)}: {abs(score):.1f} robust standard "
        f"deviations {side} its last hours and this hour of the days before"
    )


def lasting(seconds: float) -> str:
    """Return a length of time in words: minutes below two hours, else hours."""
    if seconds < 2 * 3600:
        return f"{max(round(seconds / 60), 0)} minutes"
    return f"{seconds / 3600:.1f} hours"


def _percent(value: float) -> str:
    return f"{value * 100:.1f} %"


def _plain(value: float) -> str:
    return f"{value:.4g}"
