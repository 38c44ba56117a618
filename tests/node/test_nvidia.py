"""NVIDIA GPUs by NVML: what is not supported is left out, one that is lost is not there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from engine.node import nvidia

GIB = 1 << 30


class Driver:
    """Answers as NVML does, with its own errors and constants; `lost` fell off the bus."""

    NVMLError = pynvml.NVMLError
    NVML_ERROR_GPU_IS_LOST = pynvml.NVML_ERROR_GPU_IS_LOST
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU
    NVML_MEMORY_ERROR_TYPE_CORRECTED = pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    NVML_VOLATILE_ECC = pynvml.NVML_VOLATILE_ECC

    def __init__(self, count: int, lost: int = -1, unsupported: tuple[str, ...] = ()) -> None:
        self._count = count
        self._lost = lost
        self._unsupported = unsupported

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's word
        return self._count

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlDeviceGetHandleByIndex": lambda index: index,
            "nvmlDeviceGetPciInfo": lambda gpu: SimpleNamespace(busId=f"00000000:{gpu:02X}:00.0"),
            "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=42, memory=7),
            "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=GIB, total=80 * GIB),
            "nvmlDeviceGetRemappedRows": lambda _: (0, 2, 0, 1),
            "nvmlDeviceGetPowerUsage": lambda _: 120_500,
            "nvmlDeviceGetTemperature": lambda _gpu, _sensor: 41,
            "nvmlDeviceGetCurrentClocksEventReasons": lambda _: 0x41,
            "nvmlDeviceGetTotalEccErrors": lambda _gpu, sort, _span: 3 if sort else 9,
            "nvmlDeviceGetName": lambda _: b"NVIDIA H100 80GB HBM3",
            "nvmlDeviceGetUUID": lambda _: "GPU-1",
            "nvmlDeviceGetVbiosVersion": lambda _: "96.00.5E.00.01",
        }

        def ask(*about: Any) -> Any:
            if name in self._unsupported:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
            if about[0] == self._lost:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return answers[name](*about)

        return ask


def test_a_gpu_is_told_with_all_that_its_driver_knows() -> None:
    assert dict(nvidia._each(Driver(1))) == {
        "0000:00:00.0": {
            "model": "NVIDIA H100 80GB HBM3",
            "serial": "GPU-1",
            "firmware": "96.00.5E.00.01",
            "utilization": 42.0,
            "memoryUsed": float(GIB),
            "memoryTotal": float(80 * GIB),
            "temperature": 41.0,
            "power": 120.5,
            "eccUncorrectable": 3,
            "eccCorrectable": 9,
            "remappedRows": 2,
            "rowRemapFailed": True,
            "throttled": ["thermal"],
            "pci": "0000:00:00.0",
        }
    }


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "utilization"),
        ("nvmlDeviceGetTotalEccErrors", "eccUncorrectable"),
        ("nvmlDeviceGetRemappedRows", "rowRemapFailed"),
        ("nvmlDeviceGetCurrentClocksEventReasons", "throttled"),
    ],
)
def test_what_a_gpu_does_not_support_is_left_out(call: str, field: str) -> None:
    ((_, fields),) = nvidia._each(Driver(1, unsupported=(call,)))
    assert field not in fields
    assert fields["model"] == "NVIDIA H100 80GB HBM3"


def test_a_gpu_that_fell_off_the_bus_is_not_there() -> None:
    assert list(dict(nvidia._each(Driver(3, lost=1)))) == ["0000:00:00.0", "0000:02:00.0"]


def test_where_there_is_no_driver_there_is_nobody_to_ask() -> None:
    found = nvidia.gpus()
    assert found is None or all(found)
