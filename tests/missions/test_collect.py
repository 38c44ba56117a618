"""Collecting reads each cluster once, and says what it could not read."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from engine.missions.collect import collect
from engine.model.errors import ClusterError
from engine.model.snapshot import ClusterSnapshot, Snapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Noon:
    def now(self) -> datetime:
        return NOON


@dataclass
class FakeCluster:
    """A cluster by our own port: what it holds, what it refuses, how slow it is."""

    name: str
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refuses: dict[str, ClusterError] = field(default_factory=dict)
    hangs_on: str = ""

    async def identity(self) -> str:
        if "identity" in self.refuses:
            raise self.refuses["identity"]
        return "uid-1"

    async def version(self) -> str:
        return "v1.36.3"

    async def list(self, resource: str) -> list[dict[str, Any]]:
        if resource == self.hangs_on:
            await asyncio.sleep(60)
        if resource in self.refuses:
            raise self.refuses[resource]
        return self.objects.get(resource, [])

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        if pod[1] == self.hangs_on:
            await asyncio.sleep(60)
        if pod[1] == "gone":
            raise ClusterError("not-found", "no such pod")
        return f"log of {container}, previous {previous}"


def pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"}}


def crashed(cluster: ClusterSnapshot) -> Iterable[tuple[str, str, str, bool]]:
    return [("shop", p["metadata"]["name"], "app", True) for p in cluster.of_kind("Pod")]


async def taken(*clusters: FakeCluster, within_s: float = 5) -> Snapshot:
    by_name = {one.name: one for one in clusters}
    return await collect(by_name, ("pods", "nodes"), crashed, Noon(), within_s=within_s)


async def test_objects_and_chosen_logs_are_read() -> None:
    one = (await taken(FakeCluster("a", {"pods": [pod("web")]}))).clusters["a"]
    assert (one.identity, one.version, one.taken_at) == ("uid-1", "v1.36.3", NOON)
    assert one.read == frozenset({"pods", "nodes"})
    assert one.logs == {("shop", "web", "app", True): "log of app, previous True"}
    assert one.unread == {}


async def test_a_forbidden_list_is_unread_with_its_reason_and_the_rest_goes_on() -> None:
    refusal = {"nodes": ClusterError("forbidden", "nodes is forbidden")}
    one = (await taken(FakeCluster("a", {"pods": [pod("web")]}, refusal))).clusters["a"]
    assert one.unread == {"nodes": "forbidden: nodes is forbidden"}
    assert one.read == frozenset({"pods"})


async def test_a_cluster_that_is_down_leaves_the_others_alone() -> None:
    down = FakeCluster("a", refuses={"identity": ClusterError("unreachable", "no route")})
    both = await taken(down, FakeCluster("b", {"pods": [pod("web")]}))
    assert both.clusters["a"].unread == {"cluster": "unreachable: no route"}
    assert len(both.clusters["b"].objects) == 1


async def test_a_cluster_that_hangs_is_cut_off_with_what_was_read() -> None:
    slow = FakeCluster("a", {"pods": [pod("web")]}, hangs_on="nodes")
    one = (await taken(slow, within_s=0.05)).clusters["a"]
    assert one.unread == {"nodes": "timeout: not read within 0.05 s"}
    assert one.read == frozenset({"pods"})


async def test_a_log_that_did_not_come_in_time_is_unread() -> None:
    slow = FakeCluster("a", {"pods": [pod("web"), pod("db")]}, hangs_on="web")
    one = (await taken(slow, within_s=0.05)).clusters["a"]
    assert one.unread == {"previous log of shop/web/app": "timeout: not read within 0.05 s"}
    assert set(one.logs) == {("shop", "db", "app", True)}


async def test_a_log_that_is_not_there_is_unread() -> None:
    one = (await taken(FakeCluster("a", {"pods": [pod("gone")]}))).clusters["a"]
    assert one.unread == {"previous log of shop/gone/app": "not-found: no such pod"}


async def test_a_cluster_that_is_not_configured_is_unread() -> None:
    snapshot = await collect({"a": None}, ("pods",), None, Noon())
    assert snapshot.clusters["a"].unread["cluster"].startswith("not configured")


@dataclass
class Counted(FakeCluster):
    """A cluster that counts with others how many are read at once, and waits for ten."""

    under_way: list[str] = field(default_factory=list)
    most: list[int] = field(default_factory=list)
    ten: asyncio.Event = field(default_factory=asyncio.Event)

    async def identity(self) -> str:
        self.under_way.append(self.name)
        self.most.append(len(self.under_way))
        if len(self.under_way) >= 10:
            self.ten.set()
        await self.ten.wait()
        await asyncio.sleep(0)  # whoever may come in beside these does so now
        self.under_way.remove(self.name)
        return f"uid-{self.name}"


async def test_ten_clusters_are_read_at_a_time() -> None:
    first = Counted("c-0")
    shared = (first.under_way, first.most, first.ten)
    others = []
    for number in range(1, 25):
        one = Counted(f"c-{number}")
        one.under_way, one.most, one.ten = shared
        others.append(one)
    snapshot = await taken(first, *others)
    assert len(snapshot.clusters) == 25
    assert max(first.most) == 10
