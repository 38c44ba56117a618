"""All watchers of one cluster together."""

import asyncio
from datetime import timedelta

import pytest

from engine.model.errors import ClusterError
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, ROSTER, Signal
from engine.model.watch import ChangeType, ResourceStatus
from tests.watchers.sources import NOON, Script, after, an_object, change, saw
from watchers.activity import Activity
from watchers.cluster import BATCH, Means, WatchStatus, watch
from watchers.events import EventsConfig
from watchers.objects import ObjectsConfig
from watchers.registry import NAMES, kinds, watcher

HIDDEN = ClusterError("forbidden", "no")
PODS_ONLY = {"objects": ObjectsConfig(resources=("pods",)), "events": EventsConfig()}


async def batches(source: Script, status: WatchStatus | None = None) -> list[list[Signal]]:
    return [batch async for batch in watch(source, SystemClock(), PODS_ONLY, status)]


async def test_objects_and_events_come_in_batches_that_fit_the_bus() -> None:
    pods = [change(ChangeType.SYNCED, an_object("Pod", f"p{n}")) for n in range(1200)]
    event = change(ChangeType.ADDED, an_object("Event", "e", involvedObject={}))
    found = await batches(Script({"pods": [saw(1, *pods)], "events": [saw(1, event)]}))
    assert max(map(len, found)) == BATCH
    types = [signal.type for batch in found for signal in batch]
    assert (types.count("k8s.object"), types.count("k8s.event")) == (1200, 1)
    assert types.count(HEARTBEAT) == 2


async def test_others_have_a_turn_between_two_batches() -> None:
    pods = [change(ChangeType.SYNCED, an_object("Pod", f"p{n}")) for n in range(3 * BATCH)]
    turns: list[int] = []
    before: list[int] = []
    loop = asyncio.get_running_loop()
    async for batch in watch(Script({"pods": [saw(1, *pods)]}), SystemClock(), PODS_ONLY):
        if len(batch) == BATCH:
            before.append(len(turns))
            loop.call_soon(turns.append, len(batch))
    assert before == [0, 1, 2]


async def test_a_cluster_that_can_not_be_reached_is_told_of_once_and_joins_later() -> None:
    down = ClusterError("unreachable", "connection refused")
    status = WatchStatus()
    source = Script({"pods": [saw(1)]}, identity=(down, down, "uid-kube-system"))
    found = [s for batch in await batches(source, status) for s in batch if s.type != ROSTER]
    assert [(s.type, s.data.get("state"), s.data.get("reason")) for s in found] == [
        ("watcher", "unread", "unreachable"),
        ("watcher", "ok", ""),
        (HEARTBEAT, None, None),
    ]
    assert status.fault == ""


async def test_a_cluster_that_hides_its_identity_is_known_by_its_name() -> None:
    pod = change(ChangeType.ADDED, an_object("Pod", "p"))
    found = await batches(Script({"pods": [saw(1, pod)]}, identity=(HIDDEN,)))
    ids = [s.id for batch in found for s in batch if s.type == "k8s.object"]
    assert ids == ["west/pods/uid-p@1"]


async def test_a_roster_says_first_who_runs_and_then_who_has_ended() -> None:
    found = [s for batch in await batches(Script({"pods": [saw(1)]})) for s in batch]
    assert found[0].type == ROSTER
    rosters = [s.data["watchers"] for s in found if s.type == ROSTER]
    assert (rosters[0], rosters[-1]) == (["events", "objects"], [])


@pytest.mark.parametrize(("answer", "told"), [("uid-1", "uid-1"), (HIDDEN, "")])
async def test_who_was_reached_is_told_before_any_watcher_begins(
    answer: str | ClusterError, told: str
) -> None:
    source = Script({"pods": [saw(1)]}, identity=(answer,))
    seen: list[tuple[str, list[str]]] = []

    async def met(uid: str) -> None:
        seen.append((uid, list(source.asked)))

    means = Means(met=met)
    assert [b async for b in watch(source, SystemClock(), PODS_ONLY, None, means)]
    assert seen == [(told, [])]


async def test_a_tap_that_breaks_is_told_of_once_and_hinders_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(self: Activity, signals: list[Signal]) -> None:
        raise KeyError(len(signals))

    monkeypatch.setattr(Activity, "heard", broken)
    event = change(ChangeType.ADDED, an_object("Event", "e", involvedObject={}))
    found = [
        s
        for b in await batches(Script({"pods": [saw(1), saw(9)], "events": [saw(1, event)]}))
        for s in b
    ]
    told = [(s.source, s.data["message"]) for s in found if s.type == "watcher"]
    assert told == [("watchers/objects/west", "broken: KeyError")]
    assert [s.type for s in found].count("k8s.event") == 1


def test_staleness_is_that_of_the_resource_that_lags_most() -> None:
    status = WatchStatus()
    assert status.staleness_s(NOON) is None
    status.resources["pods"] = ResourceStatus(seen=NOON)
    status.resources["nodes"] = ResourceStatus(seen=after(-40), fault="unreachable: gone")
    status.resources["jobs.batch"] = ResourceStatus(fault="forbidden: no")
    assert status.staleness_s(after(2)) == 42
    assert status.staleness_s(NOON - timedelta(days=1)) == 0
    status.resources["services"] = ResourceStatus()
    assert status.staleness_s(NOON) is None


def test_a_cluster_is_out_of_reach_while_nothing_of_it_answers() -> None:
    status = WatchStatus()
    assert status.unreachable() == "not reached yet"
    status.fault = "unreachable: no route"
    assert status.unreachable() == "unreachable: no route"
    status.fault = ""
    status.resources["jobs.batch"] = ResourceStatus(fault="forbidden: no")
    assert status.unreachable() == ""
    status.resources["pods"] = ResourceStatus(fault="timeout: pods")
    assert status.unreachable() == "timeout: pods"
    status.resources["nodes"] = ResourceStatus(seen=NOON)
    assert status.unreachable() == ""


def test_sources_that_cannot_be_read_are_counted_without_those_that_a_cluster_lacks() -> None:
    status = WatchStatus()
    assert status.unread() == []
    status.resources["pods"] = ResourceStatus(seen=NOON)
    status.resources["nodes"] = ResourceStatus(fault="forbidden: no")
    status.sources["metrics", "prometheus"] = ResourceStatus(fault="timeout: 10 s")
    status.sources["metrics", "nodes.metrics.k8s.io"] = ResourceStatus(fault="not-found: none")
    status.sources["audit", "audit-log"] = ResourceStatus(fault="not-found: no file")
    status.sources["drift", "git/shop"] = ResourceStatus(fault="not-found: no repository")
    status.sources["devices", "nodes"] = ResourceStatus(fault="forbidden: no")
    named = ["nodes", "prometheus of metrics", "audit-log of audit", "git/shop of drift"]
    assert status.unread() == named


def test_a_watcher_is_registered_once() -> None:
    assert set(kinds()) == set(NAMES)
    with pytest.raises(ValueError, match="a watcher named objects is registered already"):
        watcher("objects", config=ObjectsConfig)(kinds()["objects"].run)
