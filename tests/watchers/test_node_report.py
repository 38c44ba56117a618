"""Reports of node agents as signals: devices, what is gone, who is who, and garbage."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.model.schema import data_shape
from tests.watchers.sources import NOON
from watchers import node_report, node_roll
from watchers.device_memory import AGENT, NODE, AgentRecord, NodeRecord, agents, as_it_is
from watchers.memory import Forgetful
from watchers.node_report import NodeReportConfig, receive_node_report
from watchers.receiving import Hall, Post, Received

if TYPE_CHECKING:
    from engine.model.signal import Signal

CONFIG = NodeReportConfig(token_file="token", cluster="west")


def a_gpu(number: int, **fields: Any) -> dict[str, Any]:
    key = f"0000:{number:02x}:00.0"
    return {"kind": "gpu", "key": key, "name": f"gpu-{number}", "fields": {"pci": key, **fields}}


def a_nic(name: str = "ens3", **fields: Any) -> dict[str, Any]:
    own = {"state": "up", "errors": 0, "packets": 100, **fields}
    return {"kind": "nic", "key": f"pci-{name}", "name": name, "fields": own}


def a_report(*devices: Any, **changes: Any) -> dict[str, Any]:
    looked = ["gpu", "infiniband", "nic", "nvme"]
    return {"node": "n1", "boot": "b1", "looked": looked, "devices": list(devices), **changes}


@dataclass
class Desk:
    """The receiver with its memory; time goes on as the test says."""

    config: NodeReportConfig = CONFIG
    memory: Forgetful = field(default_factory=Forgetful)
    at: float = 0

    async def receive(self, body: Any, seconds: float = 30) -> Received:
        self.at += seconds
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        hall = Hall(NOON + timedelta(seconds=self.at), lambda _cluster, _name: self.memory)
        return await receive_node_report(self.config, Post({}, raw), hall)

    async def told(self, body: Any, seconds: float = 30) -> list[Signal]:
        received = await self.receive(body, seconds)
        assert received.refused == []
        return received.signals

    async def inventory(self, body: Any, seconds: float = 30) -> dict[str, tuple[int, int]]:
        """Return (count, baseline) by kind of what was told."""
        return {
            s.data["device"]: (s.data["count"], s.data["baseline"])
            for s in await self.told(body, seconds)
            if s.data["kind"] == "inventory" and s.data.get("change") != "deleted"
        }

    async def knows(self, record: NodeRecord, node: str = "n1") -> None:
        await self.memory.keep({NODE + node: msgspec.json.encode(record)})


EIGHT = [a_gpu(n) for n in range(8)]


async def test_each_device_is_told_with_what_the_agent_read() -> None:
    signals = await Desk().told(a_report(a_nic(speed=25000), uid="uid-n1"))
    nic = signals[0]
    assert (nic.type, nic.source, nic.cluster) == ("hardware", "watchers/node-report/west", "west")
    assert nic.time == NOON + timedelta(seconds=30)
    assert nic.data == {
        "kind": "nic",
        "name": "ens3",
        "uid": "uid-n1/pci-ens3",
        "node": "n1",
        "state": "up",
        "upBefore": True,
        "speed": 25000,
        "errors": 0,
        "packets": 100,
    }
    assert [s.data["kind"] for s in signals] == ["nic", "inventory", "agent"]
    assert signals[1].data["device"] == "nic"
    assert (signals[2].data["boot"], signals[2].data["faults"]) == ("b1", 0)


async def test_every_field_that_is_told_is_one_of_the_schema() -> None:
    for signal in await Desk().told(a_report(a_nic(), a_gpu(1))):
        assert set(signal.data) <= set(data_shape("hardware", [signal.data["kind"]]).fields)


async def test_a_lost_device_is_counted_named_and_ended_and_back_at_once() -> None:
    desk = Desk()
    assert await desk.inventory(a_report(*EIGHT)) == {"gpu": (8, 8)}
    for _ in range(3):
        assert set((await desk.inventory(a_report(*EIGHT[:7]))).values()) <= {(8, 8)}
    signals = await desk.told(a_report(*EIGHT[:7]))
    (inventory,) = [s.data for s in signals if s.data["kind"] == "inventory"]
    assert (inventory["count"], inventory["baseline"]) == (7, 8)
    assert inventory["missing"] == ["gpu-7"]
    ended = [s.data["name"] for s in signals if s.data.get("change") == "deleted"]
    assert ended == ["gpu-7"]
    assert await desk.inventory(a_report(*EIGHT)) == {"gpu": (8, 8)}


async def test_what_changed_is_told_again_for_minutes_and_then_each_hour() -> None:
    desk = Desk()
    told = [await desk.inventory(a_report(*EIGHT), 60) for _ in range(70)]
    assert told[:5] == [{"gpu": (8, 8)}] * 5
    assert told[5:60] == [{}] * 55
    assert told[60:].count({"gpu": (8, 8)}) == 1


async def test_what_is_the_same_is_told_only_where_it_was_not() -> None:
    desk = Desk()
    same = a_nic() | {"same": True}
    assert "nic" in [s.data["kind"] for s in await desk.told(a_report(same))]
    assert "nic" not in [s.data["kind"] for s in await desk.told(a_report(same))]
    assert "nic" in [s.data["kind"] for s in await desk.told(a_report(a_nic(errors=1)))]


async def test_memory_lasts_over_a_restart() -> None:
    first = Desk()
    await first.told(a_report(*EIGHT))
    second = Desk(memory=first.memory, at=3600)
    for _ in range(3):
        await second.told(a_report(*EIGHT[:6]))
    assert await second.inventory(a_report(*EIGHT[:6])) == {"gpu": (6, 8)}


async def test_another_node_of_the_same_name_starts_anew_and_the_old_one_ends() -> None:
    desk = Desk()
    await desk.knows(NodeRecord(uid="uid-1"))
    await desk.told(a_report(*EIGHT))
    await desk.knows(NodeRecord(uid="uid-2"))
    signals = await desk.told(a_report(a_gpu(9)))
    alive = [s.data for s in signals if s.data.get("change") != "deleted"]
    assert [one["uid"] for one in alive if one["kind"] == "gpu"] == ["uid-2/0000:09:00.0"]
    assert [(o["count"], o["baseline"]) for o in alive if o["kind"] == "inventory"] == [(1, 1)]
    ended = {s.data["uid"] for s in signals if s.data.get("change") == "deleted"}
    assert ended >= {f"uid-1/{one['key']}" for one in EIGHT}
    assert "uid-1/gpu" in ended


async def test_a_uid_that_is_learned_later_changes_no_identity() -> None:
    desk = Desk()
    before = await desk.told(a_report(a_nic()))
    await desk.knows(NodeRecord(uid="uid-1"))
    after = await desk.told(a_report(a_nic()))
    assert [s.data["uid"] for s in before] == [s.data["uid"] for s in after]


async def test_a_device_with_another_name_ends_by_the_old_one() -> None:
    desk = Desk()
    await desk.told(a_report(a_nic("eth0")))
    signals = await desk.told(a_report(a_nic("eth0") | {"name": "ens3"}))
    found = [(s.data["name"], s.data.get("change")) for s in signals if s.data["kind"] == "nic"]
    assert found == [("ens3", None), ("eth0", "deleted")]


async def test_a_link_that_was_up_lately_is_one_in_use() -> None:
    desk = Desk()
    down = a_report(a_nic(state="down"))

    async def up_before(body: Any, seconds: float) -> bool:
        (nic,) = [s.data for s in await desk.told(body, seconds) if s.data["kind"] == "nic"]
        return bool(nic["upBefore"])

    assert not await up_before(down, 30)
    assert await up_before(a_report(a_nic()), 30)
    assert await up_before(down, 86400)
    assert not await up_before(down, 7 * 86400)


async def test_drives_behind_a_fabric_are_told_and_not_counted() -> None:
    drive = {"kind": "nvme", "key": "s1", "name": "nvme0", "fields": {"transport": "tcp"}}
    signals = await Desk().told(a_report(drive))
    assert [s.data["kind"] for s in signals] == ["nvme", "agent"]


async def test_a_kind_that_was_not_read_is_held_as_it_was() -> None:
    desk = Desk()
    await desk.told(a_report(*EIGHT))
    for _ in range(10):
        signals = await desk.told(a_report(looked=["nic"], unread=["sys/class/drm: EIO"], faults=1))
        assert [s.data["kind"] for s in signals if s.data["kind"] != "agent"] == []
    assert await desk.inventory(a_report(*EIGHT), 3600) == {"gpu": (8, 8)}


BROKEN_DEVICES = [
    7,
    {},
    {"kind": "gpu", "key": "", "name": "gpu-7"},
    {"kind": "gpu", "key": "k", "name": "gpu\n7"},
    {"kind": "gpu", "key": "k" * 200, "name": "gpu-7"},
    {"kind": "toaster", "key": "k", "name": "t"},
    {"kind": "gpu", "key": "k", "name": "gpu-7", "fields": 3},
]


@pytest.mark.parametrize("broken", BROKEN_DEVICES)
async def test_a_device_that_cannot_be_read_is_refused_and_not_gone(broken: Any) -> None:
    desk = Desk()
    await desk.told(a_report(*EIGHT))
    for _ in range(10):
        received = await desk.receive(a_report(*EIGHT[:7], broken))
        (refusal,) = received.refused
        assert refusal.reason == "malformed"
        assert refusal.detail.startswith("devices[7]: ")
        assert "deleted" not in [s.data.get("change") for s in received.signals]
    assert await desk.inventory(a_report(*EIGHT), 3600) == {"gpu": (8, 8)}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("errors", "7"),
        ("errors", 1 << 63),
        ("errors", True),
        ("speed", 2.5),
        ("state", "u\x00p"),
        ("state", "x" * 300),
    ],
)
async def test_a_field_that_is_wrong_is_left_out_and_the_rest_told(name: str, value: Any) -> None:
    received = await Desk().receive(a_report(a_nic(**{name: value})))
    assert name not in received.signals[0].data
    assert received.signals[0].data["packets"] == 100
    assert [one.detail.split(" ")[1] for one in received.refused] == [name]


async def test_what_is_not_the_agents_to_say_is_not_believed() -> None:
    lies = {"namespace": "shop", "uid": "x", "upBefore": True, "change": "deleted", "new": 1}
    (gpu, *_) = await Desk().told(a_report(a_gpu(1, **lies)))
    assert set(gpu.data) == {"kind", "name", "uid", "node", "pci"}
    assert gpu.data["uid"] == "n1/0000:01:00.0"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"node": "n1"',
        b"[" * 100_000,
        json.dumps(a_report(node="N 1")).encode(),
        json.dumps(a_report(node="")).encode(),
        json.dumps(a_report(*[a_gpu(1)] * 1025)).encode(),
        json.dumps(a_report(cluster="c" * 300)).encode(),
        json.dumps(a_report(faults=-1)).encode(),
    ],
)
async def test_garbage_is_refused_whole_and_changes_nothing(body: bytes) -> None:
    desk = Desk()
    received = await desk.receive(body)
    assert received.signals == []
    assert [one.reason for one in received.refused] == ["malformed"]
    assert await desk.memory.recall() == {}


async def test_a_cluster_that_the_sender_may_not_speak_of_is_refused_and_not_remembered() -> None:
    desk = Desk(NodeReportConfig(token_file="token", clusters=("west",)))
    received = await desk.receive(a_report(a_nic(), cluster="east"))
    assert [one.reason for one in received.refused] == ["cluster"]
    assert (received.signals, await desk.memory.recall()) == ([], {})
    received = await desk.receive(a_report(a_nic()))
    assert [one.reason for one in received.refused] == ["cluster"]


async def test_of_a_cluster_that_is_not_named_nothing_is_remembered() -> None:
    desk = Desk()
    for cluster in ("east", "_dogwatch", "west\x00"):
        received = await desk.receive(a_report(a_nic(), cluster=cluster))
        assert [one.reason for one in received.refused] == ["cluster"]
    assert await desk.memory.recall() == {}


def test_a_receiver_of_nodes_says_of_which_clusters() -> None:
    with pytest.raises(ValidationError, match="needs cluster or clusters"):
        NodeReportConfig(token_file="token")


async def test_names_of_nodes_without_end_take_no_room_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_roll, "MOST", 2)
    desk = Desk()
    reports = [a_report(a_nic(), node=f"n{number}") for number in range(500)]
    first = [await desk.receive(one, 0.01) for one in reports]
    taken = [not one.refused for one in first]
    assert len(agents(await desk.memory.recall())) == sum(taken) == 2 * node_roll.PARTS
    assert {one.refused[0].reason for one in first if one.refused} == {"too-many"}
    known = reports[taken.index(True)]
    assert (await desk.receive(known)).refused == []
    strange = reports[taken.index(False)]
    assert (await desk.receive(strange, 8 * 86400)).refused == []
    assert len(agents(await desk.memory.recall())) < 2 * node_roll.PARTS


async def test_devices_that_never_end_take_no_room_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_report, "MOST_LEVELS", 20)
    desk = Desk()
    reports = [a_report(a_nic(f"ens{number}"), looked=[]) for number in range(40)]
    refused = [bool((await desk.receive(one)).refused) for one in reports]
    assert refused == [number >= 19 for number in range(40)]


async def test_a_record_that_cannot_be_read_is_learned_anew() -> None:
    desk = Desk()
    await desk.memory.keep({AGENT + "n1": b"\xff"})
    assert await desk.inventory(a_report(*EIGHT)) == {"gpu": (8, 8)}


async def test_what_was_ended_is_told_whole_again_once_the_agent_is_back() -> None:
    desk = Desk()
    same = [one | {"same": True} for one in EIGHT]
    await desk.told(a_report(*EIGHT), 0)
    record = agents(await desk.memory.recall())["n1"]
    ended = msgspec.json.encode(msgspec.structs.replace(record, ended=True))
    await desk.memory.keep({AGENT + "n1": ended})
    signals = await desk.told(a_report(*same), 3000)
    assert [s.data["kind"] for s in signals] == ["gpu"] * 8 + ["inventory", "agent"]
    assert not agents(await desk.memory.recall())["n1"].ended


async def test_a_reset_ends_what_was_missed() -> None:
    desk = Desk()
    await desk.told(a_report(*EIGHT))
    for _ in range(4):
        await desk.told(a_report(*EIGHT[:7]))
    await desk.memory.keep(as_it_is(await desk.memory.recall(), "n1", "gpu"))
    assert await desk.inventory(a_report(*EIGHT[:7])) == {"gpu": (7, 7)}
    assert as_it_is(await desk.memory.recall(), "n1", "nvme-of-old") == {}
    assert as_it_is(await desk.memory.recall(), "n2") == {}


async def test_little_is_written_while_nothing_changes() -> None:
    desk, written = Desk(), set()
    for _ in range(60):
        await desk.told(a_report(*EIGHT, a_nic()))
        written.add((await desk.memory.recall())[AGENT + "n1"])
    assert len(written) == 6  # that it reports, every 5 minutes


async def test_a_thousand_nodes_report_and_each_is_known_by_itself() -> None:
    desk = Desk()
    devices = [*EIGHT, a_nic("ens1"), a_nic("ens2")]
    for number in range(1000):
        signals = await desk.told(a_report(*devices, node=f"n{number}"), 0.03)
        assert len(signals) == len(devices) + 3
        assert {s.data["node"] for s in signals} == {f"n{number}"}
    kept = agents(await desk.memory.recall())
    assert len(kept) == 1000
    assert all(record.kinds["gpu"].baseline == 8 for record in kept.values())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from(list(a_report())), JSON), extra=st.lists(JSON))
async def test_no_json_breaks_it(changes: dict[str, Any], extra: list[Any]) -> None:
    received = await Desk().receive({**a_report(a_nic(), *extra), **changes})
    for signal in received.signals:
        assert signal.data["node"]
    assert all(one.raw for one in received.refused)


def test_records_survive_being_kept() -> None:
    record = AgentRecord("u", "i", 5)
    assert msgspec.json.decode(msgspec.json.encode(record), type=AgentRecord) == record
