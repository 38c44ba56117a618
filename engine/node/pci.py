"""The functions on the PCI bus, as sysfs lists them."""

from dataclasses import dataclass
from typing import Final

from engine.node.parse import code, pci_address
from engine.node.tree import Tree

DEVICES: Final = "sys/bus/pci/devices"
NETWORK: Final = 0x02
INFINIBAND: Final = 0x0207
DRIVE: Final = 0x0108
ACCELERATORS: Final = frozenset({0x0300, 0x0302, 0x0380, 0x1200})
"""VGA and 3D controllers, other displays, processing accelerators: what GPUs call themselves."""
MAKERS: Final = {0x10DE: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel"}
"""Makers of GPUs that compute; the screen of a server's own management is none."""
LENT: Final = frozenset({"vfio-pci", "uio_pci_generic", "igb_uio"})
"""Drivers that hand a device on, to a virtual machine or a program: it is there and unseen."""


@dataclass(frozen=True)
class Function:
    """One function. `sort`: its class without the interface; `maker`, `product`: its ids.

    `driver`: that holds it, empty for none. `virtual`: it is made of another one by SR-IOV.
    """

    address: str
    sort: int
    maker: int
    product: int
    driver: str
    virtual: bool


def functions(tree: Tree) -> dict[str, Function] | None:
    """Return all functions by address; None where the bus cannot be listed."""
    names = tree.names(DEVICES)
    if names is None:
        return None
    found = (_function(tree, name) for name in names)
    return {one.address: one for one in found if one is not None}


def _function(tree: Tree, name: str) -> Function | None:
    address, path = pci_address(name), f"{DEVICES}/{name}"
    sort = tree.value(f"{path}/class", code)
    if address is None or sort is None:
        return None
    return Function(
        address,
        sort >> 8,
        tree.value(f"{path}/vendor", code) or 0,
        tree.value(f"{path}/device", code) or 0,
        tree.link(f"{path}/driver") or "",
        tree.has(f"{path}/physfn"),
    )


def address_in(parts: tuple[str, ...]) -> str | None:
    """Return the innermost address on the PCI bus of a path's parts."""
    addresses = [found for part in parts if (found := pci_address(part))]
    return addresses[-1] if addresses else None
