"""A cluster with pods and nodes for the watcher of metrics, and a Prometheus at our own port."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from engine.model.errors import MetricsError
from engine.model.series import Point, Series
from engine.model.watch import ChangeType
from tests.watchers.sources import NOON, Script, change, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.memory import Forgetful
from watchers.metrics import MetricsConfig, watch_metrics
from watchers.objects import ObjectsConfig, watch_objects
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from engine.model.ports import Clock, Memory, Metrics
    from engine.model.signal import Signal

WATCHED = ("pods", "nodes", "replicasets.apps")
Value = tuple["Mapping[str, str]", float]


class Told:
    """Fulfils the port `Metrics`: answers by the first key that stands in the expression."""

    def __init__(self, answers: Mapping[str, Sequence[Value] | MetricsError]) -> None:
        self.answers = dict(answers)
        self.past: dict[str, list[Series]] = {}
        self.asked: list[str] = []

    async def query(self, expression: str, at: datetime) -> list[Series]:
        self.asked.append(expression)
        found = next((a for key, a in self.answers.items() if key in expression), ())
        if isinstance(found, MetricsError):
            raise found
        return [Series("", dict(labels), (Point(at, value),)) for labels, value in found]

    async def range(
        self, expression: str, start: datetime, end: datetime, step_s: float
    ) -> list[Series]:
        self.asked.append(expression)
        return next((found for key, found in self.past.items() if key in expression), [])


def a_pod(name: str, namespace: str = "shop", **requests: str) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "web-5d4", "uid": "uid-web-5d4", "controller": True}
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1"}
    container = {"name": "app", "resources": {"requests": requests, "limits": {"memory": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "ownerReferences": [owner]},
        "spec": {"nodeName": "n1", "containers": [container]},
        "status": {"phase": "Running"},
    }


def a_node(name: str = "n1", address: str = "10.0.0.1", cpu: str = "4") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
        "status": {
            "capacity": {"cpu": cpu, "memory": "8Gi"},
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


def a_replica_set() -> dict[str, Any]:
    owner = {"kind": "Deployment", "name": "web", "uid": "uid-web", "controller": True}
    metadata = {"name": "web-5d4", "namespace": "shop", "uid": "uid-web-5d4"}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {**metadata, "resourceVersion": "1", "ownerReferences": [owner]},
    }


def a_cluster(*objects: dict[str, Any], **more: Any) -> Script:
    """Return a cluster of one node with these pods and nodes."""
    shown: dict[str, list[Any]] = {"pods": [], "nodes": [], "replicasets.apps": [a_replica_set()]}
    for obj in objects:
        shown[f"{obj['kind'].lower()}s"].append(obj)
    shown["nodes"] = shown["nodes"] or [a_node()]
    seen = {
        resource: [saw(0, *(change(ChangeType.SYNCED, obj) for obj in found))]
        for resource, found in shown.items()
    }
    return Script(seen, **more)


def node_use(name: str, cpu: str, memory: str, at: datetime = NOON) -> dict[str, Any]:
    usage = {"cpu": cpu, "memory": memory}
    return {"metadata": {"name": name}, "timestamp": at.isoformat(), "usage": usage}


def pod_use(name: str, *usages: Mapping[str, str], at: datetime = NOON) -> dict[str, Any]:
    containers = [{"name": "app", "usage": one} for one in usages]
    metadata = {"name": name, "namespace": "shop"}
    return {"metadata": metadata, "timestamp": at.isoformat(), "containers": containers}


async def watch(
    scene: Scene,
    config: MetricsConfig,
    seconds: float,
    done: Callable[[list[Signal]], bool] = lambda _: False,
) -> list[Signal]:
    """Return what the watcher of metrics tells beside that of objects, until it is `done`."""
    told: list[Signal] = []

    async def objects() -> None:
        async for _ in watch_objects(ObjectsConfig(resources=WATCHED), scene):
            pass

    async with asyncio.TaskGroup() as group:
        with contextlib.suppress(TimeoutError, StopAsyncIteration):
            stream = watch_metrics(config, scene)
            first = asyncio.ensure_future(anext(stream, []))
            feeding = group.create_task(objects())
            async with asyncio.timeout(seconds), contextlib.aclosing(stream):
                told += await first
                while not done(told):
                    told += await anext(stream)
        feeding.cancel()
    return told


def watched(
    source: Script,
    seconds: float = 20,
    *,
    metrics: Metrics | None = None,
    memory: Memory | None = None,
    **options: Any,
) -> list[Signal]:
    """Return what is told in the first `seconds` of time that passes at once."""

    async def main() -> list[Signal]:
        kept = memory or Forgetful()
        clock: Clock = VirtualClock()
        scene = Scene(
            source, "uid", clock, metrics, lambda name: kept if name != "metrics" else Forgetful()
        )
        return await watch(scene, MetricsConfig.model_validate(options), seconds)

    return at_once(main())


def values(told: Sequence[Signal], metric: str = "") -> dict[str, float]:
    """Return the latest value of each series, by its labels as text."""
    return {
        (one.subject or ""): one.data["value"]
        for one in told
        if one.type == "metric" and one.data["metric"].startswith(metric)
    }


def faults(told: Sequence[Signal]) -> list[tuple[str | None, str]]:
    return [(one.subject, one.data["reason"]) for one in told if one.type == "watcher"]
