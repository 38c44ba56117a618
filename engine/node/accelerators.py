"""GPUs: all that are on the PCI bus, and of NVIDIA's what their driver tells."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.model.node_report import Device
from engine.node.pci import ACCELERATORS, MAKERS, Function

_DRIVER: Final = "nvidia"
Told = Callable[[], Mapping[str, Mapping[str, Any]] | None]
"""Fields by PCI address of the GPUs that work; None where there is no driver to ask."""


def gpus(bus: Mapping[str, Function], told: Told) -> list[Device]:
    """Return the GPUs; one that the bus has and its driver does not is lost, and left out.

    Known by their address, as in the kernel's messages about them: an index moves on to the next
    one when one is lost.
    """
    known = told()
    found = []
    for one in bus.values():
        if one.sort not in ACCELERATORS or one.maker not in MAKERS or one.virtual:
            continue
        if known is not None and one.driver == _DRIVER and one.address not in known:
            continue
        own = {"pci": one.address, "model": f"{MAKERS[one.maker]} {one.product:04x}"}
        fields = own | dict((known or {}).get(one.address, {}))
        found.append(Device("gpu", one.address, f"gpu-{one.address}", fields))
    return found
