"""Devices by what Nodes tell: what is lost, what is a hiccup, and nodes that are gone."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.inventory import Holding
from engine.model.errors import StoreError
from engine.model.schema import data_shape
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Change, ChangeType
from tests.watchers.nodes_shown import DAY, FEATURE, START, Cluster, a_node
from tests.watchers.sources import NOON, Script, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.cluster import watch
from watchers.device_labels import see_node
from watchers.device_memory import AGENT, AgentRecord, Level, as_it_is, nodes
from watchers.devices import DevicesConfig
from watchers.memory import Forgetful
from watchers.objects import ObjectsConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def inventories(told: list[Signal], device: str = "gpu", node: str = "n1") -> list[Any]:
    """Return (minute, count, baseline) of each, or (minute, deleted)."""
    found: list[Any] = []
    for signal in told:
        data = signal.data
        if signal.type != "hardware" or (data.get("device"), data["node"]) != (device, node):
            continue
        minute = round((signal.time - NOON) / timedelta(minutes=1))
        deleted = data.get("change") == "deleted"
        found.append((minute, "deleted") if deleted else (minute, data["count"], data["baseline"]))
    return found


def numbers(told: list[Signal], device: str = "gpu", node: str = "n1") -> list[Any]:
    return [one[1:] for one in inventories(told, device, node)]


def test_a_node_tells_what_it_offers_and_that_it_is_there() -> None:
    labels = {"nvidia.com/gpu.product": "H100", f"{FEATURE}cpu-x": "true", "zone": "a"}
    told = Cluster().shows(0, a_node(labels=labels)).until(50)
    gpu, node = (s for s in told if s.type == "hardware")
    assert gpu.source == "watchers/devices/west"
    assert gpu.data == {
        "kind": "inventory",
        "name": "n1/gpu",
        "uid": "uid-n1/gpu",
        "node": "n1",
        "device": "gpu",
        "count": 8,
        "baseline": 8,
        "missing": [],
        "unhealthy": 0,
        "model": "H100",
        "labels": {"nvidia.com/gpu.product": "H100", "zone": "a"},
    }
    assert (node.data["device"], node.data["count"], node.data["baseline"]) == ("node", 1, 1)
    assert [s.type for s in told if s.type == HEARTBEAT]
    for signal in (gpu, node):
        assert set(signal.data) <= set(data_shape("hardware", ["inventory"]).fields)


def test_a_device_that_its_plugin_calls_unhealthy_is_lost_after_three_looks() -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, a_node(usable=7))
    told = cluster.until(600)
    assert numbers(told) == [(8, 8), (8, 8), (7, 8)]  # the second has the one that is unhealthy
    assert told[-1].type == HEARTBEAT


def test_a_plugin_that_starts_anew_is_no_loss() -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, a_node(gpus=None)).shows(170, a_node())
    assert set(numbers(cluster.until(1200))) == {(8, 8)}


def test_a_device_that_is_back_is_told_at_once() -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, a_node(gpus=7)).shows(370, a_node())
    assert numbers(cluster.until(900)) == [(8, 8), (7, 8), (8, 8)]


def test_memory_lasts_over_a_restart() -> None:
    first = Cluster().shows(0, a_node())
    first.until(100)
    second = Cluster(first.memory).shows(0, a_node(gpus=6))
    assert numbers(second.until(600)) == [(8, 8), (6, 8)]


def test_another_node_of_the_same_name_starts_anew() -> None:
    cluster = Cluster().shows(0, a_node(uid="a"))
    cluster.loses(70, a_node(uid="a")).shows(80, a_node(uid="b", gpus=4))
    told = cluster.until(900)
    assert numbers(told) == [(8, 8), (4, 4), ("deleted",)]
    assert numbers(told, "node") == [(1, 1), (1, 1), ("deleted",)]


def test_a_driver_that_is_replaced_holds_what_is_known_and_is_told() -> None:
    state = "nvidia.com/gpu-driver-upgrade-state"
    cluster = Cluster().shows(0, a_node(labels={state: "upgrade-done"}))
    cluster.shows(70, a_node(gpus=0, labels={state: "pod-restart-required"}))
    cluster.shows(1270, a_node(gpus=0, labels={state: "upgrade-failed"}))
    told = cluster.until(2000)
    assert set(numbers([s for s in told if s.time < NOON + timedelta(seconds=1270)])) == {(8, 8)}
    assert numbers(told)[-1] == (0, 8)
    drivers = [s.data["gpuDriver"] for s in told if s.data.get("device") == "node"]
    assert drivers == ["ready", "upgrading", "failed"]


@pytest.mark.parametrize("strategy", ["single", "mixed"])
def test_gpus_that_are_cut_anew_are_no_loss(strategy: str) -> None:
    mig = {"nvidia.com/mig.strategy": strategy}
    cluster = Cluster().shows(0, a_node(labels=mig))
    cluster.shows(70, a_node(gpus=2, labels={**mig, "nvidia.com/mig.config": "all-1g.10gb"}))
    assert set(numbers(cluster.until(900))) == {(8, 8)}


def test_labels_tell_of_kinds_that_no_plugin_counts() -> None:
    both = {f"{FEATURE}pci-0207_15b3.present": "true", f"{FEATURE}rdma.available": "true"}
    left = {f"{FEATURE}rdma.available": "true"}
    cluster = Cluster().shows(0, a_node(gpus=None, labels=both))
    cluster.shows(70, a_node(gpus=None, labels=left))
    told = cluster.until(900)
    assert numbers(told, "infiniband")[0] == (1, 1)
    assert numbers(told, "infiniband")[-1] == (0, 1)
    assert set(numbers(told, "rdma")) == {(1, 1)}


def test_labels_that_all_go_say_that_who_labels_is_gone() -> None:
    cluster = Cluster().shows(0, a_node(labels={f"{FEATURE}network-sriov.capable": "true"}))
    cluster.shows(70, a_node())
    assert set(numbers(cluster.until(900), "sriov")) == {(1, 1)}


def test_who_counts_knows_better_than_who_labels() -> None:
    told = Cluster().shows(0, a_node(labels={"nvidia.com/gpu.present": "true"})).until(900)
    assert numbers(told) == [(8, 8)]


def test_gpus_that_are_shared_in_time_count_once() -> None:
    told = Cluster().shows(0, a_node(gpus=32, labels={"nvidia.com/gpu.replicas": "4"})).until(50)
    assert numbers(told) == [(8, 8)]


def test_a_node_with_devices_that_is_gone_is_told_as_lost_until_it_is_back() -> None:
    cluster = Cluster().shows(0, a_node(), a_node("n2", gpus=None))
    cluster.loses(70, a_node(), a_node("n2", gpus=None)).shows(900, a_node(uid="uid-new"))
    told = cluster.until(1200)
    assert numbers(told, "node") == [(1, 1), (1, 1), (0, 1), (1, 1), ("deleted",)]
    lost = next(s for s in told if s.data.get("device") == "node" and s.data.get("count") == 0)
    assert lost.data["missing"] == ["n1"]
    assert numbers(told, "gpu")[:2] == [(8, 8), ("deleted",)]
    assert numbers(told, "node", "n2") == []


def test_every_node_is_told_of_where_that_is_wanted() -> None:
    config = DevicesConfig(nodes="all")
    cluster = Cluster(config=config).shows(0, a_node("n2", gpus=None))
    cluster.loses(70, a_node("n2", gpus=None))
    assert numbers(cluster.until(600), "node", "n2")[-1] == (0, 1)


@pytest.mark.parametrize(
    "leaving",
    [
        a_node(unschedulable=True),
        a_node(taints=[{"key": "karpenter.sh/disrupted", "effect": "NoSchedule"}]),
        a_node(taints=[{"key": "ToBeDeletedByClusterAutoscaler"}]),
    ],
)
def test_a_node_that_was_taken_away_on_purpose_is_no_loss(leaving: dict[str, Any]) -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, leaving).loses(190, leaving)
    told = cluster.until(900)
    assert numbers(told, "node")[-1] == ("deleted",)
    assert (0, 1) not in numbers(told, "node")


def test_a_node_that_is_lost_is_let_go_by_a_reset_and_after_days() -> None:
    asked = Cluster()
    asked.does(600, lambda: reset(asked.memory, "n1"))
    for cluster in (asked, Cluster(config=DevicesConfig(baseline_days=0.1))):
        told = cluster.shows(0, a_node()).loses(70, a_node()).until(900 + 0.2 * DAY)
        assert numbers(told, "node")[-2:] == [(0, 1), ("deleted",)]
        assert nodes(asyncio.run(cluster.memory.recall())) == {}


async def reset(memory: Forgetful, node: str, kind: str = "") -> None:
    await memory.keep(as_it_is(await memory.recall(), node, kind))


def test_a_reset_takes_what_is_there_as_what_should_be() -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, a_node(gpus=7))
    cluster.does(600, lambda: reset(cluster.memory, "n1", "gpu"))
    assert numbers(cluster.until(900)) == [(8, 8), (7, 8), (7, 7)]


def an_agent(seen: float, **kinds: Holding) -> bytes:
    levels = {"nic/k/ens3": Level("nic", "ens3", "uid-n1/k")}
    return msgspec.json.encode(
        AgentRecord("uid-n1", "uid-n1", START + int(seen), kinds, {}, levels)
    )


def with_agent(cluster: Cluster, at: float) -> Cluster:
    return cluster.does(
        at, lambda: cluster.memory.keep({AGENT + "n1": an_agent(at, gpu=Holding())})
    )


def test_where_an_agent_counts_the_node_does_not() -> None:
    cluster = with_agent(Cluster().shows(0, a_node()), 70)
    told = cluster.until(300)
    assert numbers(told) == [(8, 8), ("deleted",)]
    agents = [s.data.get("agent") for s in told if s.data.get("device") == "node"]
    assert agents == [None, "reporting"]


def test_an_agent_that_falls_silent_is_told_and_after_a_day_its_word_is_over() -> None:
    cluster = with_agent(Cluster(), 0).shows(0, a_node())
    told = cluster.until(DAY + 200)
    agents = [s.data.get("agent") for s in told if s.data.get("device") == "node"]
    assert list(dict.fromkeys(agents)) == ["reporting", "silent", None]
    (end,) = [s for s in told if s.data.get("kind") == "nic"]
    assert (end.source, end.data["change"]) == ("watchers/node-report/west", "deleted")
    assert end.data["uid"] == "uid-n1/k"
    assert end.time >= NOON + timedelta(days=1)
    assert numbers(told)[-1] == (8, 8)


def test_what_the_agent_of_a_node_told_ends_with_the_node() -> None:
    cluster = with_agent(Cluster().shows(0, a_node(unschedulable=True)), 0)
    cluster.loses(70, a_node())
    told = cluster.until(300)
    assert [s.data["name"] for s in told if s.data.get("kind") == "nic"] == ["ens3"]
    assert asyncio.run(cluster.memory.recall()) == {}


def test_nodes_that_cannot_be_seen_are_held_as_they_were() -> None:
    cluster = Cluster().shows(0, a_node())

    def cut_off() -> None:
        cluster.status["nodes"].fault = "unreachable: no route"

    cluster.does(70, cut_off).loses(80, a_node())
    told = cluster.until(900)
    assert numbers(told, "node") == [(1, 1)]
    states = [(s.data["state"], s.data["reason"]) for s in told if s.type == "watcher"]
    assert states == [("unread", "unreachable")]


def test_without_a_watch_of_nodes_it_says_so_and_goes_on() -> None:
    cluster = Cluster().shows(0)
    cluster.status.clear()
    told = [one for one in cluster.until(100) if one.type != HEARTBEAT]
    assert [(s.type, s.data.get("reason")) for s in told] == [("watcher", "not-found")]


class Away(Forgetful):
    """A store that refuses for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False

    async def recall(self, keys: Collection[str] = ()) -> dict[str, bytes]:
        if self.away:
            raise StoreError("away")
        return await super().recall(keys)

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        if self.away:
            raise StoreError("away")
        await super().keep(changes)


def test_a_store_that_is_away_loses_nothing_and_invents_nothing() -> None:
    memory = Away()
    cluster = Cluster(memory).shows(0, a_node())
    cluster.does(70, lambda: setattr(memory, "away", True)).shows(80, a_node(gpus=7))
    cluster.does(1000, lambda: setattr(memory, "away", False))
    assert numbers(cluster.until(1500)) == [(8, 8), (7, 8)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
AMOUNTS = st.dictionaries(st.sampled_from(["nvidia.com/gpu", "rdma/a", "a/sriov_b"]), JSON)


@given(
    metadata=JSON | st.fixed_dictionaries({"name": JSON, "uid": JSON, "labels": JSON}),
    spec=JSON | st.fixed_dictionaries({"taints": JSON}),
    status=JSON
    | st.fixed_dictionaries({"allocatable": AMOUNTS, "capacity": JSON, "conditions": JSON}),
)
def test_no_node_breaks_the_view(metadata: Any, spec: Any, status: Any) -> None:
    view = see_node({"metadata": metadata, "spec": spec, "status": status})
    if view is not None:
        assert all(0 <= count < 1 << 32 for count in view.counts.values())
    odd = see_node({"metadata": {"name": "n", "uid": "u"}, "spec": spec, "status": status})
    assert odd is not None
    assert odd.name == "n"


def test_beside_the_watcher_of_objects_the_first_look_sees_all_nodes() -> None:
    shown = [Change(ChangeType.SYNCED, a_node(name)) for name in ("n1", "n2")]
    source = Script({"nodes": [saw(1, *shown)]})
    configs = {"devices": DevicesConfig(), "objects": ObjectsConfig(resources=("nodes",))}
    told: list[Signal] = []

    async def main() -> None:
        async with asyncio.timeout(30):
            async for signals in watch(source, VirtualClock(), configs):
                told.extend(signals)

    with contextlib.suppress(TimeoutError):
        at_once(main())
    assert (numbers(told), numbers(told, node="n2")) == ([(8, 8)], [(8, 8)])
    assert [s.data["message"] for s in told if s.type == "watcher"] == []
