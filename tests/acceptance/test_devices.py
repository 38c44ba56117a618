"""A lost device, whole: an agent on a machine, its receiver, the shipped rule, who is told."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine.app.devices import devices_of
from engine.rules import yaml
from tests.acceptance.dogwatch import Dogwatch
from tests.acceptance.lab import Lab, a_lab
from tests.node.machine import Machine
from tests.readme import ROOT
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.timeout(120)]
TOKEN = "tok-nodes"
Site = tuple[Lab, Dogwatch, Machine]
GPUS = [f"0000:{number:02x}:00.0" for number in (0x17, 0x18, 0x19, 0x1A)]


def rules() -> str:
    """Return the shipped rule in seconds instead of minutes, without its mission."""
    path = ROOT / "rules" / "hardware.yaml"
    group: Any = yaml.read(path.name, path.read_bytes()).documents[0].plain()
    (rule,) = (one for one in group["spec"]["rules"] if one["name"] == "device-lost")
    quick = {name: rule[name] for name in ("name", "on", "when", "by", "labels", "annotations")}
    group["spec"]["rules"] = [{**quick, "for": "1s"}]
    group["spec"]["defaults"] = {"settle": "0s", "cooldown": "0s", "keep_firing_for": "1s"}
    return json.dumps(group)


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """Run a dogwatch with a receiver, and the agent of a machine with four GPUs and more."""
    machine = Machine(folder / "host")
    for address in GPUS:
        machine.gpu(address)
    machine.nic("ens3")
    machine.port("mlx5_0")
    machine.drive("nvme0")
    for name in ("dogwatch", "agent"):
        (folder / name).mkdir()
        (folder / name / "nodes").write_text(TOKEN)
    own = {"type": "node-report", "token_file": "nodes", "cluster": "lab"}
    receivers = {"nodes": {**own, "absent_looks": 2, "absent_s": 0.5}}
    with a_lab(folder / "dogwatch", rules(), receivers=receivers) as lab:
        node = {
            "cluster": "lab",
            "name": "n1",
            "url": f"{lab.dogwatch.url}/v1/receive/nodes",
            "token_file": "nodes",
            "every_s": 0.3,
            "root": str(machine.root),
        }
        with Dogwatch(folder / "agent", {"node": node}, rules(), ["node"]) as agent:
            yield lab, agent, machine


def lost(lab: Lab, change: str) -> list[dict[str, Any]]:
    return [one["group"] for one in lab.told(change)]


def reports(agent: Dogwatch, outcome: str = "sent") -> int:
    name = f'dogwatch_node_reports_total{{outcome="{outcome}"}} '
    lines = agent.get("/metrics").splitlines()
    return int(sum(float(line.removeprefix(name)) for line in lines if line.startswith(name)))


def await_reports(agent: Dogwatch, more: int) -> None:
    wanted = reports(agent) + more
    seen = eventually(lambda: reports(agent) >= wanted or None, 30)
    assert seen, agent.process.tail()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that tests leave as they found it."""
    with a_site(tmp_path_factory.mktemp("site")) as running:
        yield running


def test_a_device_that_goes_is_told_and_one_that_comes_back_resolves_it(site: Site) -> None:
    lab, agent, machine = site
    await_reports(agent, 3)
    assert lost(lab, "fire") == []
    machine.remove(GPUS[2])
    fired = eventually(lambda: lost(lab, "fire") or None, 30)
    assert fired == [{"cluster": "lab", "node": "n1", "signal.data.device": "gpu"}], (
        lab.dogwatch.process.tail()
    )
    machine.gpu(GPUS[2])
    resolved = eventually(lambda: lost(lab, "resolve") or None, 30)
    assert resolved == fired
    assert lab.metric("signals_quarantined_total") == 0


def test_a_wrong_token_is_refused_and_told_by_the_agent_alone(site: Site) -> None:
    lab, agent, _ = site
    await_reports(agent, 1)
    before = len(lab.hook.requests)
    token = agent.folder / "nodes"
    token.write_text("wrong")
    refused = eventually(lambda: reports(agent, "refused") or None, 30)
    assert refused, agent.process.tail()
    assert "the receiver answered 401" in agent.get("/readyz?verbose")
    token.write_text(TOKEN)
    await_reports(agent, 1)
    assert TOKEN not in (agent.folder / "dogwatch.log").read_text()
    assert len(lab.hook.requests) == before


def test_what_a_node_should_have_outlives_dogwatch_and_an_agent_waits_for_it(
    tmp_path: Path,
) -> None:
    with a_site(tmp_path) as (lab, agent, machine):
        await_reports(agent, 3)
        lab.dogwatch.process.stop()
        machine.remove(GPUS[0])
        machine.remove("0000:3b:00.0")
        failed = eventually(lambda: reports(agent, "failed") or None, 30)
        assert failed, agent.process.tail()
        assert agent.is_ready()
        lab.dogwatch.start()
        found = eventually(lambda: len(lost(lab, "fire")) == 2 or None, 60)
        assert found, (lost(lab, "fire"), agent.process.tail(), lab.dogwatch.process.tail())
        kinds = {group["signal.data.device"] for group in lost(lab, "fire")}
        assert kinds == {"gpu", "nic"}
        listed = [f"{one.kind} {one.count}/{one.baseline}" for one in of(lab)]
        assert listed == ["gpu 3/4", "infiniband 1/1", "nic 0/1", "nvme 1/1"]


def of(lab: Lab) -> list[Any]:
    return devices_of(str(lab.dogwatch.config), "n1")
