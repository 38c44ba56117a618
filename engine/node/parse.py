"""The texts of sysfs as values; what says nothing, or cannot be true, is None. Pure."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

MAX_WORD: Final = 128
_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]{1,8}")
_STATE: Final = re.compile(r"[0-9]{1,2}: ([A-Za-z_]{1,32})")
_RATE: Final = re.compile(r"([0-9]{1,5}(?:\.[0-9]{1,2})?) Gb/sec(?: .*)?")
_PCI: Final = re.compile(r"([0-9a-f]{4,8}):([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])")
_NO_SPEED: Final = (1 << 32) - 1
_INT64: Final = 1 << 63
_KELVIN: Final = 273.15
_COLDEST, _HOTTEST = -100.0, 300.0
_WEAR: Final[Mapping[str, str]] = {
    "spare": "avail_spare",
    "spareThreshold": "spare_thresh",
    "used": "percent_used",
    "mediaErrors": "media_errors",
}
_MOST: Final = 255
"""Of a byte of the health log: shares are whole percents."""


def number(text: str) -> int | None:
    """Return a whole number as sysfs writes it; None for all that does not fit 64 bits."""
    if not _DIGITS.fullmatch(text):
        return None
    value = int(text)
    return value if -_INT64 <= value < _INT64 else None


def counter(text: str) -> int | None:
    """Return a number of things that happened; one that wrapped is as it is."""
    value = number(text)
    return value if value is not None and value >= 0 else None


def code(text: str) -> int | None:
    """Return a code such as 0x10de."""
    return int(text, 16) if _HEX.fullmatch(text) else None


def speed(text: str) -> int | None:
    """Return the speed of a link in Mbit/s; drivers write -1 or all bits for unknown."""
    value = number(text)
    return value if value is not None and 0 < value < _NO_SPEED else None


def state(text: str) -> str | None:
    """Return the state of a port, such as active of `4: ACTIVE`."""
    found = _STATE.fullmatch(text)
    return found[1].lower() if found else None


def rate(text: str) -> float | None:
    """Return the rate of a port in Gbit/s, such as 100 of `100 Gb/sec (4X EDR)`."""
    found = _RATE.fullmatch(text)
    return float(found[1]) if found and float(found[1]) > 0 else None


def temperature(text: str) -> float | None:
    """Return °C of a text in thousandths."""
    value = number(text)
    return None if value is None else _sane(value / 1000)


def word(text: str) -> str | None:
    """Return a name or a number of a maker: printable ASCII, blanks made one, at most 128 long."""
    plain = " ".join(text.split())[:MAX_WORD]
    return plain if plain and plain.isascii() and plain.isprintable() else None


def pci_address(text: str) -> str | None:
    """Return an address on the PCI bus as sysfs writes it; NVML has eight digits of domain."""
    found = _PCI.fullmatch(text.lower())
    if found is None:
        return None
    domain, bus, device, function = found.groups()
    return f"{int(domain, 16):04x}:{bus}:{device}.{function}"


def wear(text: str) -> dict[str, float | int]:
    """Return the fields of a drive's health log, as `nvme smart-log -o json` prints it.

    Shares are percent; the temperature is in °C (the log has Kelvin). A field that is missing or
    cannot be true is left out.
    """
    try:
        log = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(log, dict):
        return {}
    fields: dict[str, float | int] = {}
    for name, own in _WEAR.items():
        value = _count(log.get(own))
        if value is None:
            continue
        if name == "mediaErrors":
            fields[name] = value
        elif value <= _MOST:
            fields[name] = float(value)
    kelvin = _count(log.get("temperature"))
    celsius = None if kelvin is None else _sane(kelvin - _KELVIN)
    if celsius is not None:
        fields["temperature"] = celsius
    return fields


def _count(value: Any) -> int | None:
    """Return a number of the log; versions of nvme-cli print large ones as texts."""
    if isinstance(value, str):
        return counter(value)
    return value if type(value) is int and 0 <= value < _INT64 else None


def _sane(celsius: float) -> float | None:
    inside = math.isfinite(celsius) and _COLDEST <= celsius <= _HOTTEST
    return round(celsius, 1) if inside else None
