"""Reading a node agent's report: what is good of it, and what is wrong with the rest. Pure."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from engine.model.node_report import COUNTED, Device, Report
from engine.model.schema_devices import DEVICE, DEVICES

_TEXT: Final = 256
_ITEMS: Final = 32
_INT64: Final = 1 << 63
_PLAIN: Final = re.compile(r"[ -~]+")
_DERIVED: Final = {
    "kind",
    "name",
    "uid",
    "node",
    "labels",
    "upBefore",
    "namespace",
    "pod",
    "pods",
    "workload",
}
"""Fields that are not the agent's to say."""


class Fault(msgspec.Struct, frozen=True):
    """A part of a report that was left out: why, and its bytes."""

    detail: str
    raw: bytes


def read_report(body: bytes) -> Report | Fault:
    """Return the report in `body`; its devices are yet to be read."""
    try:
        return msgspec.json.decode(body, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Fault(str(error) or type(error).__name__, body)


def read_devices(report: Report) -> tuple[list[Device], frozenset[str], list[Fault]]:
    """Return the devices of `report`, the kinds that are known whole, and what was left out.

    A device that cannot be read is no device that is gone: its kind is not known whole then.
    """
    devices: dict[tuple[str, str], Device] = {}
    faults: list[Fault] = []
    unknown: set[str] = set()
    for number, given in enumerate(report.devices):
        device, why = _device(given)
        if device is not None and (device.kind, device.key) in devices:
            device, why = None, "a device of the same kind and key stands before it"
        elif device is None:
            unknown |= _kinds_of(given)
        if why:
            faults.append(Fault(f"devices[{number}]: {why}", msgspec.json.encode(given)))
        if device is not None:
            devices[device.kind, device.key] = device
    whole = frozenset(report.looked).intersection(COUNTED) - unknown
    return list(devices.values()), whole, faults


def _device(given: Any) -> tuple[Device | None, str]:
    """Return the device with its good fields, and what is wrong with it or some of them."""
    try:
        device = msgspec.convert(given, Device)
    except msgspec.ValidationError as error:
        return None, str(error)
    if device.kind not in COUNTED:
        return None, f"unknown kind '{device.kind}'; known: {', '.join(COUNTED)}"
    shape = {**DEVICE, **DEVICES[device.kind]}
    good, bad = {}, []
    for name, value in device.fields.items():
        field = shape.get(name)
        if field is None or name in _DERIVED:
            continue  # of a newer agent, or not its to say
        if _CHECKS[field.type](value):
            good[name] = value
        else:
            bad.append(f"{name} is no {field.type} that is allowed")
    return msgspec.structs.replace(device, fields=good), "; ".join(bad)


def _kinds_of(given: Any) -> set[str]:
    """Return the kinds of which a device that cannot be read may be one."""
    kind = given.get("kind") if isinstance(given, dict) else None
    return {kind} if isinstance(kind, str) and kind in COUNTED else set(COUNTED)


def _whole(value: Any) -> bool:
    return type(value) is int and -_INT64 <= value < _INT64


def _number(value: Any) -> bool:
    return type(value) in {int, float} and math.isfinite(value) and abs(value) < _INT64


def _text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _TEXT and bool(_PLAIN.fullmatch(value))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= _ITEMS and all(map(_text, value))


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": _text,
    "int": _whole,
    "double": _number,
    "bool": lambda value: type(value) is bool,
    "list(string)": _texts,
}
"""What a value of each type of field must be."""
