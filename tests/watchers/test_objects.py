"""Signals of objects."""

from typing import Any

from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import ChangeType
from tests.watchers.sources import Script, after, an_object, change, saw
from watchers.objects import ObjectsConfig, watch_objects
from watchers.registry import Scene

ADDED, MODIFIED, DELETED = ChangeType.ADDED, ChangeType.MODIFIED, ChangeType.DELETED


async def signals(source: Script, *resources: str) -> list[Signal]:
    scene = Scene(source, "uid-kube-system")
    config = ObjectsConfig(resources=resources or ("pods",))
    return [signal async for batch in watch_objects(config, scene) for signal in batch]


async def objects(source: Script, *resources: str) -> list[Signal]:
    return [s for s in await signals(source, *resources) if s.type == "k8s.object"]


def a_pod(version: str = "1", **parts: Any) -> dict[str, Any]:
    owner = {"kind": "ReplicaSet", "name": "web-5d4", "uid": "uid-web-5d4", "controller": True}
    metadata = {"ownerReferences": [owner], "labels": {"app": "web"}}
    return an_object("Pod", "web-5d4-x", version, metadata=metadata, **parts)


async def test_a_change_tells_what_where_whose_and_how_it_was_before() -> None:
    old, new = a_pod("1"), a_pod("2", spec={"nodeName": "n1"}, status={"phase": "Running"})
    (signal,) = await objects(Script({"pods": [saw(1, change(MODIFIED, new, old))]}))
    assert signal.id == "uid-kube-system/pods/uid-web-5d4-x@2"
    assert (signal.source, signal.cluster) == ("watchers/objects/west", "west")
    assert (signal.time, signal.subject) == (after(1), "pods/shop/web-5d4-x")
    told = {name: signal.data[name] for name in ("kind", "namespace", "name", "uid", "node")}
    assert told == {
        "kind": "Pod",
        "namespace": "shop",
        "name": "web-5d4-x",
        "uid": "uid-web-5d4-x",
        "node": "n1",
    }
    assert (signal.data["owner"], signal.data["labels"]) == ("web-5d4", {"app": "web"})
    assert (signal.data["change"], signal.data["phase"]) == ("modified", "Running")
    assert (signal.data["object"], signal.data["old"]) == (new, old)


async def test_only_a_modified_object_has_an_old_one() -> None:
    shown = {"pods": [saw(1, change(ADDED, a_pod("1")), change(DELETED, a_pod("2")))]}
    found = await objects(Script(shown))
    assert [(s.data["change"], "old" in s.data) for s in found] == [
        ("added", False),
        ("deleted", False),
    ]


async def test_the_end_of_an_object_that_nobody_watched_has_an_id_of_its_own() -> None:
    shown = {
        "pods": [saw(1, change(ADDED, a_pod())), saw(2, change(DELETED, a_pod(), unseen=True))]
    }
    ids = [s.id for s in await objects(Script(shown))]
    assert ids == [
        "uid-kube-system/pods/uid-web-5d4-x@1",
        "uid-kube-system/pods/uid-web-5d4-x@1+deleted",
    ]


async def test_a_pod_waits_for_the_owners_so_that_its_workload_is_known() -> None:
    above = {"kind": "Rollout", "name": "web", "uid": "uid-web", "controller": True}
    replicas = an_object("ReplicaSet", "web-5d4", metadata={"ownerReferences": [above]})
    source = Script(
        {
            "pods": [saw(0, change(ChangeType.SYNCED, a_pod()))],
            "jobs.batch": [saw(0, fault="forbidden: no")],
            "replicasets.apps": [
                saw(1, change(ChangeType.SYNCED, replicas), partial=True),
                saw(2),
            ],
        }
    )
    found = await objects(source, "pods", "jobs.batch", "replicasets.apps")
    pod = next(s for s in found if s.data["kind"] == "Pod")
    assert (pod.data["workloadKind"], pod.data["workload"]) == ("Rollout", "web")
    assert source.asked[-1] == "pods"


async def test_a_node_is_its_own_node() -> None:
    node = an_object("Node", "n1", status={"conditions": [{"type": "Ready", "status": "False"}]})
    (signal,) = await objects(Script({"nodes": [saw(1, change(ADDED, node))]}), "nodes")
    assert (signal.data["node"], signal.data["readyStatus"]) == ("n1", "False")


async def test_a_huge_object_is_cut_and_the_signal_says_so() -> None:
    huge = a_pod("2", status={"phase": "Running", "message": "x" * 100_000})
    shown = {"pods": [saw(1, change(MODIFIED, huge, a_pod("1", spec={"a": "y" * 70_000})))]}
    (signal,) = await objects(Script(shown))
    assert signal.data["trimmed"] == ["status.message", "spec.a"]
    assert signal.data["phase"] == "Running"
    assert signal.data["object"]["status"] == {"phase": "Running"}


async def test_a_fault_of_one_resource_is_told_and_does_not_stop_the_others() -> None:
    shown = {
        "pods": [saw(0), saw(6, change(ADDED, a_pod()))],
        "nodes": [saw(0, fault="forbidden: no")],
    }
    found = await signals(Script(shown), "pods", "nodes")
    assert [s.data["reason"] for s in found if s.type == "watcher"] == ["forbidden"]
    assert [s.time for s in found if s.type == HEARTBEAT] == [after(0), after(6)]
    assert sum(s.type == "k8s.object" for s in found) == 1


async def test_what_changed_is_said_before_the_heartbeat_that_covers_it() -> None:
    shown = {"pods": [saw(n, change(ADDED, a_pod(str(n)))) for n in range(30)]}
    covered = None
    for signal in await signals(Script(shown)):
        if signal.type == HEARTBEAT:
            covered = signal.time
        else:
            assert covered is None or signal.time > covered
    assert covered == after(25)
