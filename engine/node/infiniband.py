"""Ports of InfiniBand, and of RDMA over Ethernet: state, rate and what they count."""

from typing import Any, Final

from engine.model.node_report import Device
from engine.node.parse import counter, rate, state, word
from engine.node.pci import address_in
from engine.node.tree import Tree

CLASS: Final = "sys/class/infiniband"
_COUNTERS: Final = {
    "symbolErrors": "symbol_error",
    "linkDowned": "link_downed",
    "rcvErrors": "port_rcv_errors",
    "recoveries": "link_error_recovery",
    "discards": "port_xmit_discards",
}
_NO_GUID: Final = "0000:0000:0000:0000"


def ports(tree: Tree) -> list[Device] | None:
    """Return the ports of all adapters but those of SR-IOV; None where they cannot be listed."""
    adapters = tree.names(CLASS)
    if adapters is None:
        return None
    found: list[Device] = []
    for adapter in adapters:
        if tree.has(f"{CLASS}/{adapter}/device/physfn"):
            continue
        numbers = tree.names(f"{CLASS}/{adapter}/ports")
        if numbers is None:
            return None
        found += [_port(tree, adapter, each) for each in numbers if each.isdigit()]
    return found


def _port(tree: Tree, adapter: str, port: str) -> Device:
    above, path = f"{CLASS}/{adapter}", f"{CLASS}/{adapter}/ports/{port}"
    layer = tree.value(f"{path}/link_layer", word)
    fields: dict[str, Any] = {
        "state": tree.value(f"{path}/state", state),
        "physicalState": tree.value(f"{path}/phys_state", state),
        "linkLayer": layer.lower() if layer else None,
        "rate": tree.value(f"{path}/rate", rate),
        "model": tree.value(f"{above}/hca_type", word),
        "firmware": tree.value(f"{above}/fw_ver", word),
        "pci": address_in(tree.real(f"{above}/device")),
    }
    for name, file in _COUNTERS.items():
        fields[name] = tree.value(f"{path}/counters/{file}", counter)
    # Adapters are numbered as they come: by its guid one is known when another one is gone.
    guid = tree.value(f"{above}/node_guid", word)
    known = guid if guid and guid != _NO_GUID else word(adapter) or adapter
    kept = {name: value for name, value in fields.items() if value is not None}
    return Device("infiniband", f"{known}/{port}", f"{adapter}/{port}", kept)
