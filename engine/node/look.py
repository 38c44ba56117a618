"""One look at the devices of a node: all that can be read, as a report."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.model.node_report import MAX_DEVICES, Device, Report
from engine.node.accelerators import Told, gpus
from engine.node.drives import Wear, drives
from engine.node.infiniband import ports
from engine.node.nics import nics
from engine.node.parse import word
from engine.node.pci import functions
from engine.node.tree import Tree

_BOOT: Final = "proc/sys/kernel/random/boot_id"
_HERE: Final = Path("/")


@dataclass(frozen=True)
class Place:
    """What is looked at: the files below `root`, and who else is asked."""

    root: Path
    wear: Wear
    told: Told


def look(place: Place, cluster: str, node: str) -> Report:
    """Return a report of the devices that are there now; a kind that is unreadable is left out."""
    tree = Tree(place.root)
    devices: list[Device] = []
    looked: list[str] = []
    bus = functions(tree) if tree.names("sys/class") else None
    if bus is not None:
        found = {
            "gpu": gpus(bus, place.told),
            "infiniband": ports(tree),
            "nic": nics(tree, bus),
            "nvme": drives(tree, bus, place.wear),
        }
        for kind, ones in found.items():
            if ones is not None and len(devices) + len(ones) <= MAX_DEVICES:
                looked.append(kind)
                devices += ones
    # The kernel is the same within a container, where the host's /proc may not be mounted.
    boot = tree.value(_BOOT, word) or Tree(_HERE).value(_BOOT, word) or ""
    faults = sum(tree.faults.values())
    return Report(
        node, cluster, boot=boot, looked=looked, devices=devices, faults=faults, unread=tree.unread
    )
