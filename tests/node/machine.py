"""A machine's sysfs, made in a folder: devices as their drivers show them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

COUNTERS = ("symbol_error", "link_downed", "port_rcv_errors", "link_error_recovery")
STATISTICS = ("rx_errors", "tx_errors", "rx_packets", "tx_packets", "rx_dropped", "tx_dropped")


class Machine:
    """Makes and removes devices below `root`, with the links that sysfs has."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for part in ("sys/class/net", "sys/bus/pci/devices", "proc/sys/kernel/random"):
            (root / part).mkdir(parents=True)
        (root / "proc/sys/kernel/random/boot_id").write_text("boot-1\n")

    def path(self, text: str) -> Path:
        return self.root / text

    def write(self, path: str, **files: str) -> None:
        """Write files of a folder; the folder is made."""
        self.path(path).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            self.path(f"{path}/{name}").write_text(f"{text}\n")

    def function(
        self, address: str, sort: str, maker: str = "0x15b3", driver: str = "mlx5_core"
    ) -> str:
        """Make a function on the PCI bus; return its folder."""
        real = f"sys/devices/pci0000:00/{address}"
        self.write(real, **{"class": sort, "vendor": maker, "device": "0x1017"})
        if driver:
            self.write(f"sys/bus/pci/drivers/{driver}")
            self.path(f"{real}/driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
        self.path(f"sys/bus/pci/devices/{address}").symlink_to(f"../../../../{real}")
        return real

    def nic(self, name: str = "ens3", address: str = "0000:3b:00.0", **files: str) -> str:
        """Make a network card with one interface; return the folder of that."""
        device = self.function(address, "0x020000")
        return self.interface(name, device, **files)

    def interface(self, name: str, device: str, **files: str) -> str:
        """Make an interface of a device."""
        real = f"{device}/net/{name}"
        shown = {"operstate": "up", "carrier": "1", "speed": "25000", "type": "1", **files}
        self.write(real, **shown)
        self.write(f"{real}/statistics", **{one: str(n) for n, one in enumerate(STATISTICS, 1)})
        self.path(f"{real}/device").symlink_to("../..")
        self.path(f"sys/class/net/{name}").symlink_to(f"../../../{real}")
        return real

    def bridge(self, name: str) -> None:
        """Make an interface without a device."""
        self.write(f"sys/devices/virtual/net/{name}", operstate="up", type="1")
        self.path(f"sys/class/net/{name}").symlink_to(f"../../devices/virtual/net/{name}")

    def port(self, name: str = "mlx5_0", address: str = "0000:5e:00.0", **files: str) -> str:
        """Make an InfiniBand adapter with one port; return the folder of that."""
        device = self.function(address, "0x020700")
        real = f"{device}/infiniband/{name}"
        guid = f"b859:9f03:00{address[5:7]}:0001"
        self.write(real, node_guid=guid, fw_ver="20.31.1014", hca_type="MT4123")
        shown = {
            "state": "4: ACTIVE",
            "phys_state": "5: LinkUp",
            "rate": "100 Gb/sec (4X EDR)",
            "link_layer": "InfiniBand",
            **files,
        }
        self.write(f"{real}/ports/1", **shown)
        self.write(f"{real}/ports/1/counters", **dict.fromkeys(COUNTERS, "3"))
        self.path(f"{real}/device").symlink_to("../..")
        self.write("sys/class/infiniband")
        self.path(f"sys/class/infiniband/{name}").symlink_to(f"../../../{real}")
        return f"{real}/ports/1"

    def drive(self, name: str = "nvme0", address: str = "0000:85:00.0", **files: str) -> str:
        """Make an NVMe drive; return the folder of its controller."""
        device = self.function(address, "0x010802", "0x144d", "nvme")
        real = f"{device}/nvme/{name}"
        shown = {
            "model": "SAMSUNG MZQL2   ",
            "serial": f"S64GNE0R{address[5:7]}  ",
            "firmware_rev": "GDC5602Q",
            "state": "live",
            "transport": "pcie",
            "cntlid": "6",
            **files,
        }
        self.write(real, **shown)
        self.write(f"{real}/hwmon2", temp1_input="38850")
        self.path(f"{real}/device").symlink_to("../..")
        self.write("sys/class/nvme")
        self.path(f"sys/class/nvme/{name}").symlink_to(f"../../../{real}")
        return real

    def gpu(self, address: str = "0000:17:00.0", sort: str = "0x030200") -> str:
        """Make an NVIDIA GPU."""
        return self.function(address, sort, "0x10de", "nvidia")

    def remove(self, address: str) -> None:
        """Take a device off the bus with all that hangs on it."""
        real = self.path(f"sys/devices/pci0000:00/{address}").resolve()
        for folder in ("net", "infiniband", "nvme"):
            for link in self.path(f"sys/class/{folder}").glob("*"):
                if real in link.resolve().parents:
                    link.unlink()
        self.path(f"sys/bus/pci/devices/{address}").unlink()
        shutil.rmtree(real)
