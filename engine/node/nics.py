"""Network interfaces: the physical ones, whether their link is up, and what they count."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.model.node_report import Device
from engine.node.parse import counter, number, speed, word
from engine.node.pci import INFINIBAND, NETWORK, Function, address_in
from engine.node.tree import Tree

CLASS: Final = "sys/class/net"
_ETHERNET: Final = 1
_PART: Final = "mlx5_core.sf."
"""A sub-function: a part of a card, made by software."""
_STATES: Final = {"up": "up", "down": "down", "lowerlayerdown": "down", "notpresent": "down"}
_SUMS: Final = {
    "errors": ("rx_errors", "tx_errors"),
    "dropped": ("rx_dropped", "tx_dropped"),
    "packets": ("rx_packets", "tx_packets"),
}


def nics(tree: Tree, bus: Mapping[str, Function]) -> list[Device] | None:
    """Return the physical interfaces; None where they cannot be listed.

    A card that has a driver and no interface here is there too: it is lent to a virtual machine,
    or its interface was moved to a pod. Its state is left out.
    """
    names = tree.names(CLASS)
    if names is None:
        return None
    seen = [device for name in names if (device := _nic(tree, name, bus)) is not None]
    taken = {device.fields.get("pci") for device in seen}
    return [*seen, *(one for one in _unseen(bus) if one.key not in taken)]


def _unseen(bus: Mapping[str, Function]) -> Iterator[Device]:
    for one in bus.values():
        if one.sort >> 8 == NETWORK and one.sort != INFINIBAND and one.driver and not one.virtual:
            fields = {"pci": one.address, "driver": one.driver}
            yield Device("nic", one.address, one.address, fields)


def _nic(tree: Tree, name: str, bus: Mapping[str, Function]) -> Device | None:
    """Return an interface; None for one without a device, of SR-IOV, or of another kind."""
    path = f"{CLASS}/{name}"
    slot = tree.link(f"{path}/device")
    if slot is None or slot.startswith(_PART) or tree.has(f"{path}/device/physfn"):
        return None
    if tree.value(f"{path}/type", number) not in {None, _ETHERNET}:
        return None  # such as IP over InfiniBand, which is a port there
    function = bus.get(address_in(tree.real(f"{path}/device")) or "")
    fields = _fields(tree, path)
    key = slot
    if function is not None and function.sort >> 8 == NETWORK:
        fields["pci"] = function.address
        port = tree.value(f"{path}/dev_port", counter) or 0
        key = f"{function.address}/{port}" if port else function.address
    return Device("nic", key, word(name) or key, fields)


def _fields(tree: Tree, path: str) -> dict[str, Any]:
    fields = {
        "state": _state(tree, path),
        "speed": tree.value(f"{path}/speed", lambda text: speed(text) or 0) or None,
        "driver": tree.link(f"{path}/device/driver"),
        "vfs": tree.value(f"{path}/device/sriov_numvfs", counter),
    }
    for name, parts in _SUMS.items():
        counts = [tree.value(f"{path}/statistics/{part}", counter) for part in parts]
        # A half would look like a counter that was reset.
        fields[name] = None if None in counts else sum(one or 0 for one in counts)
    return {name: value for name, value in fields.items() if value is not None}


def _state(tree: Tree, path: str) -> str | None:
    """Return up or down; drivers that do not say are asked for the carrier."""
    told = _STATES.get(tree.text(f"{path}/operstate") or "")
    if told is not None:
        return told
    carrier = tree.text(f"{path}/carrier")
    return {"1": "up", "0": "down"}.get(carrier or "")
