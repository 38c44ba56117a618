"""The watcher of objects: what changes in a cluster, with derived fields."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from pydantic import Field

from engine.model.config import Config
from engine.model.signal import Signal
from engine.model.watch import Change, ChangeType, Object, Observation
from watchers.derive import derive
from watchers.heartbeat import Pulse
from watchers.marks import bare, marks
from watchers.merge import merge
from watchers.owners import controller
from watchers.registry import Scene, Source, watcher
from watchers.trim import trim

RESOURCES = (
    "pods",
    "nodes",
    "namespaces",
    "services",
    "endpointslices.discovery.k8s.io",
    "persistentvolumeclaims",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicasets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
)
OWNING = ("replicasets.apps", "jobs.batch")
"""Listed before the others, so that a Pod's workload is known when the Pod is seen."""


class ObjectsConfig(Config):
    """`resources`: what to watch, written as `pods` or `deployments.apps`."""

    resources: tuple[str, ...] = Field(default=RESOURCES, min_length=1)


SOURCES = tuple(Source(name, f"{name.partition('.')[0]} as signals") for name in RESOURCES)


@watcher("objects", config=ObjectsConfig, sources=SOURCES)
async def watch_objects(config: ObjectsConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `k8s.object` for each change, `watcher` for faults, and heartbeats.

    The time of a signal is the time of observation. data: kind, apiVersion, namespace, name,
    uid, resourceVersion, labels, node, workload, workloadKind, owner, change, object, old
    (when modified), trimmed (paths taken out of a large object), madeBy and depth (see
    watchers.marks), and the derived fields of watchers.derive.

    Source: list and watch of the Kubernetes API.
    """
    resources = tuple(dict.fromkeys(config.resources))
    pulse = Pulse("objects", scene.source.name, resources)
    scene.kept.expect(resources)
    first = [name for name in OWNING if name in resources]
    gate = asyncio.Event()
    streams = {name: _observe(scene, name, gate, first=name in first) for name in resources}
    if not first:
        gate.set()
    async with contextlib.aclosing(merge(streams)) as merged:
        async for came in merged:
            signals: list[Signal] = []
            for resource, observation in came:
                signals += _signals(scene, pulse, resource, observation)
                signals += pulse.saw(resource, observation)
            if pulse.settled(first):
                gate.set()
            if signals:
                yield signals


async def _observe(
    scene: Scene, resource: str, gate: asyncio.Event, *, first: bool
) -> AsyncGenerator[Observation]:
    if not first:
        await gate.wait()
    async with contextlib.aclosing(scene.watch(resource)) as observations:
        async for observation in observations:
            yield observation


def _signals(scene: Scene, pulse: Pulse, resource: str, observation: Observation) -> list[Signal]:
    at = pulse.time(observation.at)
    for change in observation.changes:
        scene.owners.learn(change.object)
        scene.kept.take(resource, change)
    if not observation.partial:
        scene.kept.settle(resource, whole=not observation.fault)
    signals = [_signal(scene, pulse.source, resource, at, change) for change in observation.changes]
    for change in observation.changes:
        if change.type is ChangeType.DELETED:
            scene.owners.forget(change.object)
    return signals


def _signal(scene: Scene, source: str, resource: str, at: datetime, change: Change) -> Signal:
    metadata = change.object["metadata"]
    uid, version = metadata.get("uid", ""), metadata.get("resourceVersion", "")
    # A deletion that nobody watched has no version of its own.
    unseen = "+deleted" if change.unseen else ""
    namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
    return Signal(
        id=f"{scene.identity}/{resource}/{uid}@{version}{unseen}",
        source=source,
        type="k8s.object",
        subject=f"{resource}/{namespace}/{name}" if namespace else f"{resource}/{name}",
        time=at,
        cluster=scene.source.name,
        data=_data(scene, change),
    )


def _data(scene: Scene, change: Change) -> dict[str, Any]:
    obj = change.object
    metadata = obj["metadata"]
    top, owner = scene.owners.workload(obj), controller(obj)
    shown, trimmed = trim(bare(obj))
    data: dict[str, Any] = {
        "kind": obj.get("kind", ""),
        "apiVersion": obj.get("apiVersion", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata.get("name", ""),
        "uid": metadata.get("uid", ""),
        "resourceVersion": metadata.get("resourceVersion", ""),
        "labels": metadata.get("labels") or {},
        "node": _node(obj),
        "workload": top.name,
        "workloadKind": top.kind,
        "owner": owner.name if owner else "",
        "change": change.type.value,
        **derive(obj),
        **marks(obj),
        "object": shown,
    }
    if change.old is not None:
        data["old"], more = trim(bare(change.old))
        trimmed = tuple(dict.fromkeys([*trimmed, *more]))
    if trimmed:
        data["trimmed"] = list(trimmed)
    return data


def _node(obj: Object) -> str:
    if obj.get("kind") == "Node":
        return str(obj["metadata"].get("name", ""))
    spec = obj.get("spec")
    return str(spec.get("nodeName", "")) if isinstance(spec, dict) else ""
