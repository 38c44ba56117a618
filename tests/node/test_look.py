"""What an agent reads of a machine: each kind of device, what is none, and what cannot be read."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.model.node_report import Device, Report
from engine.model.schema_devices import DEVICE, DEVICES
from engine.node.look import Place, look
from tests.node.machine import Machine
from watchers.report_form import read_devices, read_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def looked(machine: Machine, told: Mapping[str, Mapping[str, Any]] | None = None) -> Report:
    return look(Place(machine.root, lambda _: {}, lambda: told), "west", "n1")


def named(report: Report, kind: str) -> dict[str, dict[str, Any]]:
    return {d.name: d.fields for d in report.devices if d.kind == kind}


def keys(report: Report, kind: str) -> list[str]:
    return [d.key for d in report.devices if d.kind == kind]


def test_a_network_interface_is_read_whole(machine: Machine) -> None:
    machine.nic("ens3", "0000:3b:00.0")
    report = looked(machine)
    assert keys(report, "nic") == ["0000:3b:00.0"]
    assert named(report, "nic") == {
        "ens3": {
            "state": "up",
            "speed": 25000,
            "driver": "mlx5_core",
            "errors": 1 + 2,
            "packets": 3 + 4,
            "dropped": 5 + 6,
            "pci": "0000:3b:00.0",
        }
    }
    assert report.looked == ["gpu", "infiniband", "nic", "nvme"]
    assert (report.faults, report.unread, report.boot) == (0, [], "boot-1")


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({"operstate": "down"}, "down"),
        ({"operstate": "lowerlayerdown"}, "down"),
        ({"operstate": "unknown", "carrier": "1"}, "up"),
        ({"operstate": "unknown", "carrier": "0"}, "down"),
        ({"operstate": "unknown", "carrier": ""}, None),
        ({"operstate": "dormant", "carrier": "x"}, None),
    ],
)
def test_the_state_of_a_link_is_what_the_driver_says(
    machine: Machine, files: dict[str, str], state: str | None
) -> None:
    machine.nic("ens3", **files)
    assert named(looked(machine), "nic")["ens3"].get("state") == state


@pytest.mark.parametrize("speed", ["-1", "0", "4294967295", ""])
def test_a_speed_that_is_unknown_is_left_out(machine: Machine, speed: str) -> None:
    machine.nic("ens3", speed=speed)
    report = looked(machine)
    assert "speed" not in named(report, "nic")["ens3"]
    assert report.faults == 0


def test_what_is_no_card_of_the_machine_is_left_out(machine: Machine) -> None:
    machine.bridge("cni0")
    virtual = machine.nic("ens3v0", "0000:3b:00.2")
    machine.path(f"{virtual}/../../physfn").symlink_to("../0000:3b:00.0")
    over_ib = machine.port()
    machine.interface("ib0", over_ib.partition("/infiniband/")[0], type="32")
    assert keys(looked(machine), "nic") == []


def test_a_card_without_an_interface_here_is_there_as_long_as_a_driver_holds_it(
    machine: Machine,
) -> None:
    machine.function("0000:3b:00.0", "0x020000", driver="vfio-pci")
    machine.function("0000:3c:00.0", "0x020000", driver="")
    report = looked(machine)
    assert keys(report, "nic") == ["0000:3b:00.0"]
    assert "state" not in named(report, "nic")["0000:3b:00.0"]


def test_ports_of_one_function_are_two_devices(machine: Machine) -> None:
    first = machine.nic("ens3", "0000:3b:00.0", dev_port="0")
    machine.interface("ens3d1", first.partition("/net/")[0], dev_port="1")
    assert keys(looked(machine), "nic") == ["0000:3b:00.0", "0000:3b:00.0/1"]


def test_an_infiniband_port_is_read_whole(machine: Machine) -> None:
    machine.port("mlx5_0", "0000:5e:00.0")
    report = looked(machine)
    assert keys(report, "infiniband") == ["b859:9f03:005e:0001/1"]
    assert named(report, "infiniband") == {
        "mlx5_0/1": {
            "state": "active",
            "physicalState": "linkup",
            "linkLayer": "infiniband",
            "rate": 100.0,
            "model": "MT4123",
            "firmware": "20.31.1014",
            "pci": "0000:5e:00.0",
            "symbolErrors": 3,
            "linkDowned": 3,
            "rcvErrors": 3,
            "recoveries": 3,
        }
    }
    assert keys(report, "nic") == []


def test_adapters_that_are_numbered_anew_stay_who_they_are(machine: Machine) -> None:
    machine.port("mlx5_0", "0000:5e:00.0")
    machine.port("mlx5_1", "0000:5f:00.0")
    machine.remove("0000:5e:00.0")
    machine.remove("0000:5f:00.0")
    machine.port("mlx5_0", "0000:5f:00.0")
    assert keys(looked(machine), "infiniband") == ["b859:9f03:005f:0001/1"]


def test_a_drive_is_read_whole(machine: Machine) -> None:
    machine.drive("nvme0", "0000:85:00.0")
    report = look(
        Place(machine.root, lambda name: {"spare": 97.0} if name == "nvme0" else {}, lambda: None),
        "west",
        "n1",
    )
    assert keys(report, "nvme") == ["S64GNE0R85/6"]
    assert named(report, "nvme") == {
        "nvme0": {
            "model": "SAMSUNG MZQL2",
            "serial": "S64GNE0R85",
            "firmware": "GDC5602Q",
            "state": "live",
            "transport": "pcie",
            "temperature": 38.9,
            "pci": "0000:85:00.0",
            "spare": 97.0,
        }
    }


def test_a_drive_that_is_lent_is_there(machine: Machine) -> None:
    machine.function("0000:85:00.0", "0x010802", driver="vfio-pci")
    machine.function("0000:86:00.0", "0x010802", driver="nvme")  # its controller failed
    assert keys(looked(machine), "nvme") == ["0000:85:00.0"]


def test_gpus_are_counted_by_the_bus_and_described_by_their_driver(machine: Machine) -> None:
    machine.gpu("0000:17:00.0")
    machine.gpu("0000:18:00.0", "0x030000")
    machine.function("0000:03:00.0", "0x030000", "0x1a03", "ast")  # the server's own screen
    machine.function("0000:19:00.0", "0x120000", "0x1002", "amdgpu")
    assert keys(looked(machine), "gpu") == ["0000:17:00.0", "0000:18:00.0", "0000:19:00.0"]
    told = {"0000:17:00.0": {"model": "NVIDIA H100 80GB HBM3", "power": 120.5}}
    report = looked(machine, told)
    assert named(report, "gpu") == {
        "gpu-0000:17:00.0": {
            "pci": "0000:17:00.0",
            "model": "NVIDIA H100 80GB HBM3",
            "power": 120.5,
        },
        "gpu-0000:19:00.0": {"pci": "0000:19:00.0", "model": "AMD 1017"},
    }


def test_every_field_is_one_that_the_receiver_takes(machine: Machine) -> None:
    machine.nic()
    machine.port()
    machine.drive()
    machine.gpu()
    report = looked(machine)
    body = msgspec.json.encode(report)
    read = read_report(body)
    assert isinstance(read, Report)
    devices, whole, faults = read_devices(read)
    assert faults == []
    assert whole == {"gpu", "infiniband", "nic", "nvme"}
    assert devices == report.devices
    for device in devices:
        assert set(device.fields) <= {*DEVICE, *DEVICES[device.kind]}


def test_a_machine_without_devices_has_none_of_each_kind(machine: Machine) -> None:
    report = looked(machine)
    assert (report.devices, len(report.looked)) == ([], 4)


def test_a_root_without_sysfs_says_nothing_of_any_kind(tmp_path: Path) -> None:
    report = look(Place(tmp_path, lambda _: {}, lambda: None), "west", "n1")
    assert (report.devices, report.looked) == ([], [])


def test_a_removed_device_is_not_there(machine: Machine) -> None:
    machine.nic("ens3", "0000:3b:00.0")
    machine.nic("ens4", "0000:3c:00.0")
    machine.remove("0000:3b:00.0")
    assert keys(looked(machine), "nic") == ["0000:3c:00.0"]


def test_files_that_go_while_they_are_read_break_nothing(machine: Machine) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for sort in (machine.nic, machine.port, machine.drive):
                sort()
            for address in ("0000:3b:00.0", "0000:5e:00.0", "0000:85:00.0"):
                machine.remove(address)

    machine.write("sys/class/infiniband")
    machine.write("sys/class/nvme")
    machine.nic("ens9", "0000:99:00.0")
    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        reports = [looked(machine) for _ in range(60)]
    finally:
        stop.set()
        thread.join()
    assert all("0000:99:00.0" in keys(report, "nic") for report in reports)
    for report in reports:
        read = read_report(msgspec.json.encode(report))
        assert isinstance(read, Report)
        assert read_devices(read)[2] == []


def test_half_a_counter_is_none(machine: Machine) -> None:
    real = machine.nic()
    machine.path(f"{real}/statistics/tx_errors").unlink()
    fields = named(looked(machine), "nic")["ens3"]
    assert "errors" not in fields
    assert fields["packets"] == 7


GARBAGE = ["x", "1 2", "9" * 30, "\x00", "-", "0x", "٣"]


@pytest.mark.parametrize("text", GARBAGE)
def test_garbage_is_left_out_counted_and_named(machine: Machine, text: str) -> None:
    real = machine.port(state=text, rate=text)
    machine.write(f"{real}/counters", symbol_error=text)
    report = looked(machine)
    fields = named(report, "infiniband")["mlx5_0/1"]
    assert not {"state", "rate", "symbolErrors"} & set(fields)
    assert fields["physicalState"] == "linkup"
    assert report.faults == 3
    assert "sys/class/infiniband/mlx5_0/ports/1/rate: garbage" in report.unread


def test_what_is_no_small_file_is_left_out_and_does_not_hold_the_reader(machine: Machine) -> None:
    real = machine.nic()
    for name in ("speed", "operstate", "carrier", "type"):
        machine.path(f"{real}/{name}").unlink()
    machine.path(f"{real}/speed").write_text("1" * 10_000)
    os.mkfifo(machine.path(f"{real}/operstate"))
    machine.path(f"{real}/carrier").symlink_to("carrier")
    machine.path(f"{real}/type").mkdir()
    machine.path(f"{real}/statistics/rx_errors").write_bytes(b"\xff\xfe")
    report = looked(machine)
    assert named(report, "nic")["ens3"].keys() == {"driver", "packets", "dropped", "pci"}
    reasons = {one.rpartition("/")[2] for one in report.unread}
    assert reasons >= {
        "speed: EFBIG",
        "operstate: EBADF",
        "carrier: ELOOP",
        "type: EBADF",
        "rx_errors: garbage",
    }


def test_links_in_a_circle_are_no_devices(machine: Machine) -> None:
    machine.path("sys/class/net/a").symlink_to("b")
    machine.path("sys/class/net/b").symlink_to("a")
    machine.path("sys/bus/pci/devices/0000:01:00.0").symlink_to("0000:01:00.0")
    report = looked(machine)
    assert report.devices == []
    assert report.faults > 0


def test_a_folder_that_is_none_makes_its_kind_unknown_or_empty(machine: Machine) -> None:
    machine.path("sys/class/nvme").symlink_to("nvme")
    report = looked(machine)
    assert "nvme" not in report.looked
    assert report.unread == ["sys/class/nvme: ELOOP"]


def test_more_devices_than_a_report_may_hold_are_unknown(machine: Machine) -> None:
    for number in range(1100):
        folder = machine.path(f"sys/class/net/e{number}")
        folder.mkdir()
        (folder / "device").symlink_to(f"vmbus-{number}")
    report = looked(machine)
    assert report.devices == []
    assert "nic" not in report.looked


def test_of_many_faults_the_first_are_named_and_all_are_counted(machine: Machine) -> None:
    for number in range(40):
        machine.port(f"mlx5_{number}", f"0000:{number:02x}:00.0", rate="?")
    report = looked(machine)
    assert (report.faults, len(report.unread)) == (40, 32)
    assert all(isinstance(device, Device) for device in report.devices)
