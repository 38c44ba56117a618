"""The watcher of objects: what changes in a cluster, with derived fields."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, PositiveFloat

from engine.analysis.veil import veiled
from engine.model.config import Config
from engine.model.signal import Signal
from engine.model.watch import Change, ChangeType, Object, Observation, Part
from watchers.activity import Activity, remembered
from watchers.derive import derive
from watchers.heartbeat import Pulse
from watchers.marks import bare, marks
from watchers.merge import merge
from watchers.owners import controller
from watchers.registry import Scene, Source, watcher
from watchers.relations import Relations
from watchers.stages import Stages
from watchers.trim import trim
from watchers.written import written

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
    "ingresses.networking.k8s.io",
    "networkpolicies.networking.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "clusterroles.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)


class ObjectsConfig(Config):
    """`resources`: what to watch, written as `pods` or `deployments.apps`; each is one stream.

    `secrets` may be named too: then its rule of old secrets works, and values never leave this
    process. `related_every_s`: how often at most a Namespace, a claim or a binding is told again
    because of what other objects say of it.
    """

    resources: tuple[str, ...] = Field(default=RESOURCES, min_length=1)
    related_every_s: PositiveFloat = 60.0


SOURCES = tuple(Source(name, f"{name.partition('.')[0]} as signals") for name in RESOURCES)


@watcher("objects", config=ObjectsConfig, sources=SOURCES)
async def watch_objects(config: ObjectsConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `k8s.object` for each change, `watcher` for faults, and heartbeats.

    The time of a signal is the time of observation. data: kind, apiVersion, namespace, name,
    uid, resourceVersion, labels, node, workload, workloadKind, owner, change, object, old
    (when modified), trimmed (paths taken out of a large object), madeBy and depth (see
    watchers.marks), the derived fields of watchers.derive, and those of watchers.relations,
    which depend on other objects: when they change, what they are about is told again as
    modified, without `old`.

    Source: list and watch of the Kubernetes API.
    """
    resources = tuple(dict.fromkeys(config.resources))
    pulse = Pulse("objects", scene.source.name, resources)
    scene.kept.expect(resources)
    activity = Activity()
    relations = Relations(activity, timedelta(seconds=config.related_every_s))
    stages = Stages(resources, pulse)
    streams = {name: _observe(scene, name, stages.gate(name)) for name in resources}
    telling = _Telling(scene, pulse, relations)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(remembered(activity, scene.memory("objects")))
        merged = await stack.enter_async_context(contextlib.aclosing(merge(streams)))
        stack.enter_context(scene.tapped(activity.heard, "objects"))
        async for came in merged:
            signals: list[Signal] = []
            for resource, observation in came:
                signals += telling.of(resource, observation)
                signals += pulse.saw(resource, observation)
            stages.move()
            signals += telling.again()
            if signals:
                yield signals


async def _observe(
    scene: Scene, resource: str, gate: asyncio.Event | None
) -> AsyncGenerator[Observation]:
    if gate is not None:
        await gate.wait()
    async with contextlib.aclosing(scene.watch(resource, Part(view=written))) as observations:
        async for observation in observations:
            yield observation


@dataclass(frozen=True)
class _Telling:
    """Makes signals of what was observed."""

    scene: Scene
    pulse: Pulse
    relations: Relations

    def of(self, resource: str, observation: Observation) -> list[Signal]:
        """Return the signals of the changes of one observation."""
        scene, at = self.scene, self.pulse.time(observation.at)
        for change in observation.changes:
            scene.owners.learn(change.object)
            scene.kept.take(resource, change)
            self.relations.take(change, at)
        if not observation.partial:
            scene.kept.settle(resource, whole=not observation.fault)
            if not observation.fault or observation.fault.startswith("not-found"):
                self.relations.settle(resource)
        signals = [self._signal(resource, at, change) for change in observation.changes]
        for change in observation.changes:
            if change.type is ChangeType.DELETED:
                scene.owners.forget(change.object)
        return signals

    def again(self) -> list[Signal]:
        """Return what is to be said of objects that did not change themselves."""
        at = self.pulse.latest
        if at is None:
            return []
        due = self.relations.due(at)
        return [self._signal(one.resource, at, one.change, again=True) for one in due]

    def _signal(
        self, resource: str, at: datetime, change: Change, *, again: bool = False
    ) -> Signal:
        related = self.relations.fields(resource, change.object)
        self.relations.told(resource, change, related, at)
        metadata = change.object["metadata"]
        uid, version = metadata.get("uid", ""), metadata.get("resourceVersion", "")
        # A deletion that nobody watched has no version of its own.
        more = "+deleted" if change.unseen else f"+{at.isoformat()}" if again else ""
        namespace, name = metadata.get("namespace", ""), metadata.get("name", "")
        return Signal(
            id=f"{self.scene.identity}/{resource}/{uid}@{version}{more}",
            source=self.pulse.source,
            type="k8s.object",
            subject=f"{resource}/{namespace}/{name}" if namespace else f"{resource}/{name}",
            time=at,
            cluster=self.scene.source.name,
            data={**_data(self.scene, change), **related},
        )


def _data(scene: Scene, change: Change) -> dict[str, Any]:
    obj = change.object
    metadata = obj["metadata"]
    top, owner = scene.owners.workload(obj), controller(obj)
    shown, trimmed = trim(veiled(bare(obj), scene.mark))
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
        data["old"], more = trim(veiled(bare(change.old), scene.mark))
        trimmed = tuple(dict.fromkeys([*trimmed, *more]))
    if trimmed:
        data["trimmed"] = list(trimmed)
    return data


def _node(obj: Object) -> str:
    if obj.get("kind") == "Node":
        return str(obj["metadata"].get("name", ""))
    spec = obj.get("spec")
    return str(spec.get("nodeName", "")) if isinstance(spec, dict) else ""
