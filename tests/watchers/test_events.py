"""Signals of Events."""

from typing import Any

import pytest

from engine.model.signal import Signal
from engine.model.watch import ChangeType
from tests.watchers.sources import Script, after, an_object, change, saw
from watchers.events import EventsConfig, watch_events
from watchers.owners import Owners
from watchers.registry import Scene

ADDED, MODIFIED, DELETED = ChangeType.ADDED, ChangeType.MODIFIED, ChangeType.DELETED


def an_event(name: str = "web.1", about: str = "Pod", **parts: Any) -> dict[str, Any]:
    involved = {"kind": about, "namespace": "shop", "name": "web-x", "uid": "uid-web-x"}
    return an_object("Event", name, **{"involvedObject": involved, "reason": "BackOff", **parts})


async def events(*changes: Any, owners: Owners | None = None) -> list[Signal]:
    source = Script({"events": [saw(1, *changes)]})
    scene = Scene(source, "uid-kube-system", owners=owners or Owners())
    batches = [batch async for batch in watch_events(EventsConfig(), scene)]
    return [s for batch in batches for s in batch if s.type == "k8s.event"]


async def test_an_event_is_told_with_its_object_and_the_time_of_observation() -> None:
    event = an_event(
        type="Warning", message="restarting", count=3, lastTimestamp="2026-01-31T11:59:00Z"
    )
    (signal,) = await events(change(ADDED, event))
    assert signal.id == "uid-web.1:3"
    assert (signal.source, signal.time) == ("watchers/events/west", after(1))
    assert signal.data == {
        "kind": "Pod",
        "namespace": "shop",
        "name": "web-x",
        "workload": "web-x",
        "workloadKind": "Pod",
        "node": "",
        "reason": "BackOff",
        "eventType": "Warning",
        "message": "restarting",
        "count": 3,
        "uid": "uid-web.1",
        "component": "",
        "lastTime": "2026-01-31T11:59:00Z",
        "change": "added",
    }


@pytest.mark.parametrize(
    ("parts", "count", "last"),
    [
        ({"count": None, "eventTime": "T1"}, 1, "T1"),
        ({"count": None, "series": {"count": 7, "lastObservedTime": "T2"}}, 7, "T2"),
        ({"count": 2, "series": None, "lastTimestamp": None}, 2, ""),
        ({}, 1, ""),
    ],
)
async def test_events_with_a_series_or_without_a_count_are_counted(
    parts: dict[str, Any], count: int, last: str
) -> None:
    (signal,) = await events(change(ADDED, an_event(**parts)))
    assert (signal.data["count"], signal.data["lastTime"]) == (count, last)


async def test_workload_and_node_come_from_the_pod_that_was_seen() -> None:
    owners = Owners()
    above = {"kind": "StatefulSet", "name": "web", "uid": "uid-web", "controller": True}
    metadata = {"ownerReferences": [above]}
    owners.learn(an_object("Pod", "web-x", metadata=metadata, spec={"nodeName": "n1"}))
    (signal,) = await events(change(ADDED, an_event()), owners=owners)
    assert (signal.data["workloadKind"], signal.data["workload"]) == ("StatefulSet", "web")
    assert signal.data["node"] == "n1"


async def test_an_event_of_a_node_is_of_that_node() -> None:
    (signal,) = await events(change(ADDED, an_event(about="Node", source={"host": "other"})))
    assert (signal.data["node"], signal.data["workload"]) == ("web-x", "web-x")


async def test_expired_events_are_no_news_and_old_ones_are_marked() -> None:
    found = await events(change(ChangeType.SYNCED, an_event("a")), change(DELETED, an_event("b")))
    assert [(s.data["uid"], s.data["change"]) for s in found] == [("uid-a", "synced")]


async def test_malformed_parts_are_read_as_absent() -> None:
    (signal,) = await events(
        change(
            ADDED, an_event(involvedObject=None, series=[], source="x", message=None, reason=None)
        )
    )
    assert (signal.data["kind"], signal.data["message"], signal.data["count"]) == ("", "", 1)
