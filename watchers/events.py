"""The watcher of Events: what a cluster says of its objects."""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any

from engine.model.config import Config
from engine.model.signal import Signal
from engine.model.watch import Change, ChangeType, Object, Observation
from watchers.heartbeat import Pulse
from watchers.marks import marks
from watchers.merge import merge
from watchers.owners import Owner
from watchers.registry import Scene, Source, watcher

RESOURCE = "events"
"""The core group; events.k8s.io shows the same stored objects, so one of them is enough."""
MAX_MESSAGE = 4096


class EventsConfig(Config):
    """Nothing to choose."""


@watcher("events", config=EventsConfig, sources=(Source(RESOURCE, "what happened to objects"),))
async def watch_events(config: EventsConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:  # noqa: ARG001 - the form of a watcher
    """Yield `k8s.event` for each Event that is new or counts on, and heartbeats.

    The time of a signal is the time of observation, as an Event may reach the API server
    late; the Event's own time is data.lastTime (RFC 3339, empty where it says none). data:
    kind, namespace, name, workload and node of the object concerned, reason, eventType,
    message (4 KiB at most), count, uid (of the Event), component, lastTime, change (synced
    for what was there at the start), madeBy and depth (see watchers.marks).

    Source: events of the core group v1.
    """
    pulse = Pulse("events", scene.source.name, [RESOURCE])
    async with contextlib.aclosing(merge({RESOURCE: scene.watch(RESOURCE)})) as merged:
        async for came in merged:
            signals: list[Signal] = []
            for resource, observation in came:
                signals += _signals(scene, pulse, observation)
                signals += pulse.saw(resource, observation)
            if signals:
                yield signals


def _signals(scene: Scene, pulse: Pulse, observation: Observation) -> list[Signal]:
    at = pulse.time(observation.at)
    return [
        _signal(scene, pulse.source, at, change)
        for change in observation.changes
        if change.type is not ChangeType.DELETED
    ]


def _signal(scene: Scene, source: str, at: datetime, change: Change) -> Signal:
    data = _data(scene, change.object)
    return Signal(
        id=f"{data['uid']}:{data['count']}",
        source=source,
        type="k8s.event",
        subject="/".join(p for p in (data["kind"], data["namespace"], data["name"]) if p),
        time=at,
        cluster=scene.source.name,
        data={**data, "change": change.type.value},
    )


def _data(scene: Scene, event: Object) -> dict[str, Any]:
    about = _map(event, "involvedObject")
    kind, name, uid = (str(about.get(key, "")) for key in ("kind", "name", "uid"))
    series, source = _map(event, "series"), _map(event, "source")
    top = scene.owners.of(uid) or Owner(kind, name)
    component = str(source.get("component") or event.get("reportingComponent") or "")
    node = name if kind == "Node" else scene.owners.node(uid) or str(source.get("host", ""))
    return {
        "kind": kind,
        "namespace": str(about.get("namespace", "")),
        "name": name,
        "workload": top.name,
        "workloadKind": top.kind,
        "node": node,
        "reason": str(event.get("reason") or ""),
        "eventType": str(event.get("type") or ""),
        "message": str(event.get("message") or "")[:MAX_MESSAGE],
        # Events made through events.k8s.io have no count, and a series only when repeated.
        "count": series.get("count") or event.get("count") or 1,
        "uid": str(event["metadata"].get("uid", "")),
        "component": component,
        **marks(event, component),
        "lastTime": str(
            series.get("lastObservedTime")
            or event.get("lastTimestamp")
            or event.get("eventTime")
            or event["metadata"].get("creationTimestamp")
            or ""
        ),
    }


def _map(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}
