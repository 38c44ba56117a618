"""Days of a small cluster, minute by minute: what its metrics say, and what is foreseen of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.model.signal import HEARTBEAT, Signal
from tests.watchers.sources import NOON
from watchers.foreseen import named
from watchers.foresight import Bounds, Foresight

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from random import Random

CPU, MEMORY = "pod_cpu_used_ratio", "pod_memory_used_of_limit_ratio"
NODE_CPU, NODE_MEMORY = "node_cpu_used_ratio", "node_memory_used_ratio"
DISK = "filesystem_free_ratio"
EVERY_MIN = 2


def day(hour: float, low: float, high: float) -> float:
    """Return the value of a day's curve: lowest at the start and each midnight, highest at noon."""
    return (low + high) / 2 - (high - low) / 2 * math.cos(2 * math.pi * hour / 24)


def pod(name: str, workload: str = "web", node: str = "n1") -> dict[str, str]:
    return {"namespace": "shop", "workload": workload, "pod": name, "node": node}


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def a_sample(metric: str, labels: Mapping[str, str], hours: float, value: Any) -> Signal:
    subject = named(metric, labels)
    return Signal(
        id=f"{subject}@{hours}",
        source="watchers/metrics/west",
        type="metric",
        subject=subject,
        time=at(hours),
        cluster="west",
        data={"metric": metric, "labels": dict(labels), "value": value},
    )


def a_pod(name: str, hours: float, **data: Any) -> Signal:
    body = {
        "kind": "Pod",
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "workload": "web",
        "node": "n1",
        "restarts": 0,
        "change": "modified",
        **data,
    }
    return Signal(
        id=f"{name}@{hours}",
        source="watchers/objects/west",
        type="k8s.object",
        time=at(hours),
        cluster="west",
        data=body,
    )


@dataclass
class Days:
    """Series by metric and labels, Pods that change, and the noise that lies on all series.

    A curve gives a value by hours since the start, None for no sample.
    """

    random: Random
    noise: float = 0.01
    series: list[tuple[str, dict[str, str], Callable[[float], float | None]]] = field(
        default_factory=list
    )
    pods: list[Signal] = field(default_factory=list)

    def add(
        self, metric: str, labels: dict[str, str], curve: Callable[[float], float | None]
    ) -> None:
        self.series.append((metric, labels, curve))

    def foreseen(self, hours: float, foresight: Foresight | None = None) -> list[Signal]:
        """Return the predictions of `hours` from the start, and heartbeats, as signals."""
        foresight = Foresight(Bounds()) if foresight is None else foresight
        told: list[Signal] = []
        waiting = sorted(self.pods, key=lambda one: one.time)
        for minute in range(0, int(hours * 60), EVERY_MIN):
            now = at(minute / 60)
            while waiting and waiting[0].time <= now:
                foresight.take([waiting.pop(0)])
            foresight.take(self._samples(minute / 60))
            for one in foresight.look(now):
                if one is not None:
                    identity = f"{one.subject}@{minute}"
                    told.append(_signal(identity, "prediction", now, one.subject, one.data))
            told.append(_signal(f"beat@{minute}", HEARTBEAT, now, None, {}))
        return told

    def _samples(self, hours: float) -> list[Signal]:
        found = []
        for metric, labels, curve in self.series:
            value = curve(hours)
            if value is not None:
                noisy = min(max(value + self.random.gauss(0, self.noise), 0.0), 1e6)
                found.append(a_sample(metric, labels, hours, noisy))
        return found


def _signal(
    identity: str, kind: str, now: datetime, subject: str | None, data: dict[str, Any]
) -> Signal:
    return Signal(
        id=identity,
        source="watchers/predictions/west",
        type=kind,
        subject=subject,
        time=now,
        cluster="west",
        data=data,
    )
