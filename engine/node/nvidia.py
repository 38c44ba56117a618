"""NVIDIA GPUs as their driver tells of them, by NVML; the only home of pynvml."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from engine.node.parse import pci_address, word

_MILLI: Final = 1000
_THROTTLES: Final = {
    0x4: "power",
    0x8: "hardware",
    0x20: "thermal",
    0x40: "thermal",
    0x80: "power-brake",
}
"""Bits of NVML's clock event reasons that say something is wrong; idleness and settings do not."""


class _LostError(Exception):
    """The GPU fell off the bus."""


def gpus() -> dict[str, dict[str, Any]] | None:
    """Return the fields of each GPU that works by its PCI address; None without the driver.

    NVML is let go after each look: held open, the driver could not be replaced.
    """
    try:
        import pynvml  # noqa: PLC0415 - an extra, and only where such a driver is
    except ImportError:
        return None
    try:
        with _session(pynvml):
            return dict(_each(pynvml))
    except pynvml.NVMLError:
        return None


@contextmanager
def _session(nvml: Any) -> Iterator[None]:
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()


def _each(nvml: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = _ask(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
            info = _ask(nvml, nvml.nvmlDeviceGetPciInfo, handle)
            address = pci_address(_text(getattr(info, "busId", "")) or "")
            if address is not None:
                yield address, _fields(nvml, handle) | {"pci": address}
        except _LostError:
            continue


def _fields(nvml: Any, gpu: Any) -> dict[str, Any]:
    """Return what the driver tells; what it does not support is left out."""
    use = _ask(nvml, nvml.nvmlDeviceGetUtilizationRates, gpu)
    memory = _ask(nvml, nvml.nvmlDeviceGetMemoryInfo, gpu)
    rows = _ask(nvml, nvml.nvmlDeviceGetRemappedRows, gpu)
    power = _ask(nvml, nvml.nvmlDeviceGetPowerUsage, gpu)
    heat = _ask(nvml, nvml.nvmlDeviceGetTemperature, gpu, nvml.NVML_TEMPERATURE_GPU)
    reasons = _ask(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, gpu)
    fields = {
        "model": _text(_ask(nvml, nvml.nvmlDeviceGetName, gpu)),
        "serial": _text(_ask(nvml, nvml.nvmlDeviceGetUUID, gpu)),
        "firmware": _text(_ask(nvml, nvml.nvmlDeviceGetVbiosVersion, gpu)),
        "utilization": None if use is None else float(use.gpu),
        "memoryUsed": None if memory is None else float(memory.used),
        "memoryTotal": None if memory is None else float(memory.total),
        "temperature": None if heat is None else float(heat),
        "power": None if power is None else power / _MILLI,
        "eccUncorrectable": _ecc(nvml, gpu, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED),
        "eccCorrectable": _ecc(nvml, gpu, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED),
        "remappedRows": None if rows is None else int(rows[1]),
        "rowRemapFailed": None if rows is None else bool(rows[3]),
        "throttled": None if reasons is None else throttles(int(reasons)),
    }
    return {name: value for name, value in fields.items() if value is not None}


def throttles(reasons: int) -> list[str]:
    """Return the words of a mask of clock event reasons, each once."""
    return sorted({name for bit, name in _THROTTLES.items() if reasons & bit})


def _ecc(nvml: Any, gpu: Any, sort: int) -> int | None:
    found = _ask(nvml, nvml.nvmlDeviceGetTotalEccErrors, gpu, sort, nvml.NVML_VOLATILE_ECC)
    return None if found is None else int(found)


def _ask(nvml: Any, question: Callable[..., Any], *about: Any) -> Any:
    """Return the answer, None where it is not supported. Raises _LostError."""
    try:
        return question(*about)
    except nvml.NVMLError as error:
        if error.value == nvml.NVML_ERROR_GPU_IS_LOST:
            raise _LostError from error
        return None


def _text(value: Any) -> str | None:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return word(value) if isinstance(value, str) else None
