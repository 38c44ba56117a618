"""NVMe drives: who made them, their state and temperature, and their wear where it may be read."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from engine.model.node_report import Device
from engine.node import parse
from engine.node.parse import temperature, word
from engine.node.pci import DRIVE, LENT, Function, address_in
from engine.node.tree import Tree

CLASS: Final = "sys/class/nvme"
WEAR_S: Final = 600.0
"""How long what a drive said of its wear is taken for its wear."""
_CONTROLLER: Final = re.compile(r"nvme[0-9]{1,4}")
_HWMON: Final = re.compile(r"hwmon[0-9]{1,4}")
_TOOL: Final = "nvme"
_TOOL_S: Final = 5.0
_WORDS: Final = {
    "model": "model",
    "serial": "serial",
    "firmware": "firmware_rev",
    "state": "state",
    "transport": "transport",
}
Wear = Callable[[str], Mapping[str, float | int]]
"""Given the name of a controller, such as nvme0: its wear, empty where it may not be asked."""


def drives(tree: Tree, bus: Mapping[str, Function], wear: Wear) -> list[Device] | None:
    """Return the drives; None where they cannot be listed.

    One that is lent to a virtual machine or a program is there too, by its address alone.
    """
    names = tree.names(CLASS)
    if names is None:
        return None
    seen = [_drive(tree, name, wear) for name in names if _CONTROLLER.fullmatch(name)]
    lent = [one.address for one in bus.values() if one.sort == DRIVE and one.driver in LENT]
    fields = ({"pci": address, "transport": "pcie"} for address in lent)
    return [*seen, *(Device("nvme", f["pci"], f["pci"], dict(f)) for f in fields)]


def _drive(tree: Tree, name: str, wear: Wear) -> Device:
    path = f"{CLASS}/{name}"
    fields: dict[str, Any] = {own: tree.value(f"{path}/{f}", word) for own, f in _WORDS.items()}
    fields["temperature"] = _temperature(tree, path)
    if fields["transport"] in {None, "pcie"}:
        fields["pci"] = address_in(tree.real(f"{path}/device"))
        fields |= wear(name)
    number = tree.value(f"{path}/cntlid", parse.counter)
    known = fields["serial"] or fields.get("pci") or name
    key = known if number is None else f"{known}/{number}"
    kept = {own: value for own, value in fields.items() if value is not None}
    return Device("nvme", key, name, kept)


def _temperature(tree: Tree, path: str) -> float | None:
    for folder in (path, f"{path}/device", f"{path}/device/hwmon"):
        for name in tree.names(folder) or ():
            if _HWMON.fullmatch(name):
                found = tree.value(f"{folder}/{name}/temp1_input", temperature)
                if found is not None:
                    return found
    return None


class SmartLog:
    """The wear of drives by nvme-cli, where that is installed and the device may be opened.

    A drive is asked every WEAR_S seconds of `now`, the loop's clock.
    """

    def __init__(self, root: Path, now: Callable[[], float]) -> None:
        self._root = root
        self._now = now
        self._known: dict[str, tuple[float, dict[str, float | int]]] = {}

    def __call__(self, name: str) -> Mapping[str, float | int]:
        """Return the wear of a drive as it was told last, empty where it may not be asked."""
        at, fields = self._known.get(name, (-WEAR_S, {}))
        if self._now() - at < WEAR_S:
            return fields
        fields = parse.wear(self._ask(name))
        self._known[name] = self._now(), fields
        return fields

    def _ask(self, name: str) -> str:
        tool, device = shutil.which(_TOOL), self._root / "dev" / name
        if tool is None or not os.access(device, os.R_OK):
            return ""
        try:
            done = subprocess.run(  # noqa: S603 - the name is one of sysfs, checked by _CONTROLLER
                [tool, "smart-log", "-o", "json", str(device)],
                capture_output=True,
                timeout=_TOOL_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""
