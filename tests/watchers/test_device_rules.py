"""The shipped rules on what the watcher and the receiver tell: they fire, and else are quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.firing import State
from engine.model.instant import to_us
from engine.rules.load import load
from engine.stream.evaluator import Evaluator
from tests.readme import ROOT
from tests.watchers.nodes_shown import Cluster, a_node
from tests.watchers.test_node_report import EIGHT, Desk, a_gpu, a_nic, a_report

if TYPE_CHECKING:
    from engine.model.signal import Signal

RULES = load({"rules/hardware.yaml": (ROOT / "rules" / "hardware.yaml").read_bytes()}).rules


def fired(log: list[Signal]) -> list[tuple[str, Any]]:
    """Return (rule, node) of each rule that fires on `log`."""
    evaluator = Evaluator(RULES)
    end = max(to_us(signal.time) for signal in log)
    steps = [evaluator.step(log), evaluator.advance(end)]
    moves = [move for step in steps for move in step.transitions if move.state is State.FIRING]
    return [(move.rule, move.key.get("node")) for move in moves]


def test_a_device_that_a_node_no_longer_offers_fires() -> None:
    cluster = Cluster().shows(0, a_node()).shows(70, a_node(gpus=7))
    assert fired(cluster.until(900)) == [("device-lost", "n1")]


def test_a_node_that_is_gone_fires_once_and_its_devices_do_not() -> None:
    cluster = Cluster().shows(0, a_node(), a_node("n2")).loses(70, a_node())
    assert fired(cluster.until(1800)) == [("node-lost", "n1")]


def test_a_day_of_plugins_that_start_anew_and_nodes_that_leave_is_quiet() -> None:
    cluster = Cluster().shows(0, a_node(), a_node("n2", unschedulable=True))
    for minute in range(10, 1400, 30):
        cluster.shows(minute * 60, a_node(gpus=0)).shows(minute * 60 + 100, a_node())
    cluster.loses(3600, a_node("n2")).shows(7200, a_node("n2", uid="new", gpus=4))
    assert fired(cluster.until(86400)) == []


async def reported(desk: Desk, *devices: Any, times: int) -> list[Signal]:
    return [one for _ in range(times) for one in await desk.told(a_report(*devices))]


async def test_a_device_that_an_agent_no_longer_finds_fires() -> None:
    desk = Desk()
    log = await reported(desk, *EIGHT, times=3)
    log += await reported(desk, *EIGHT[:7], times=12)
    assert fired(log) == [("device-lost", "n1")]


async def test_a_link_in_use_that_goes_down_fires_and_one_without_a_cable_does_not() -> None:
    desk = Desk()
    unused = a_nic("ens4", state="down")
    log = await reported(desk, a_nic(), unused, times=3)
    log += await reported(desk, a_nic(state="down"), unused, times=20)
    assert fired(log) == [("link-down", "n1")]


async def test_a_quiet_hour_of_reports_with_a_driver_that_is_loaded_anew_is_quiet() -> None:
    desk = Desk()
    log = await reported(desk, *EIGHT, a_nic(), times=60)
    log += await reported(desk, a_nic(), times=2)
    log += await reported(desk, *EIGHT, a_gpu(8), a_nic(), times=60)
    assert fired(log) == []
