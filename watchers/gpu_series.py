"""GPUs as dcgm-exporter shows them: its series, by device. Pure.

Source: etc/default-counters.csv and etc/dcp-metrics-included.csv of NVIDIA/dcgm-exporter (names
and units), dcgm_fields.h of NVIDIA/DCGM (older and newer names), nvml.h (reasons of throttling).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from engine.model.series import Series

MIB: Final = 1024.0**2
_LONGEST: Final = 128
_IN_PARTS: Final = 4


class Column(NamedTuple):
    """What one metric tells: a field, what a value is multiplied by, and the largest sane one.

    DCGM says `blank` by enormous numbers, which are above it. `shared`: of the whole board, also
    where it is told of an instance of it (MIG).
    """

    field: str
    most: float
    factor: float = 1.0
    shared: bool = True


_COUNT: Final = 2.0**53
_PERCENT: Final = Column("utilization", 100.0, shared=False)
_REMAPPED: Final = Column("remappedRows", 1e6)
_FAILED: Final = Column("rowRemapFailed", 1.0)
_THROTTLE: Final = Column("throttled", 2.0**32)
_NVLINK_ERRORS: Final = Column("nvlinkErrors", _COUNT)
_NVLINK_RATE: Final = Column("nvlinkRate", 1e14)

COLUMNS: Final[Mapping[str, Column]] = {
    "DCGM_FI_DEV_GPU_UTIL": _PERCENT,
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": Column("engineActive", 1.0, 100.0, shared=False),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": Column("tensorActive", 1.0, 100.0, shared=False),
    "DCGM_FI_DEV_FB_USED": Column("memoryUsed", 1e8, MIB, shared=False),
    "DCGM_FI_DEV_FB_FREE": Column("memoryFree", 1e8, MIB, shared=False),
    "DCGM_FI_DEV_FB_TOTAL": Column("memoryTotal", 1e8, MIB, shared=False),
    "DCGM_FI_DEV_POWER_USAGE": Column("power", 1e5),
    "DCGM_FI_DEV_GPU_TEMP": Column("temperature", 250.0),
    "DCGM_FI_DEV_XID_ERRORS": Column("xid", 65535.0),
    "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": Column("eccCorrectable", _COUNT),
    "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": Column("eccUncorrectable", _COUNT),
    "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS": _REMAPPED,
    "DCGM_FI_DEV_ROW_REMAP_UNCORRECTABLE_TOTAL": _REMAPPED,
    "DCGM_FI_DEV_ROW_REMAP_FAILURE": _FAILED,
    "DCGM_FI_DEV_ROW_REMAP_FAILED": _FAILED,
    "DCGM_FI_DEV_CLOCK_THROTTLE_REASONS": _THROTTLE,
    "DCGM_FI_DEV_CLOCKS_EVENT_REASONS": _THROTTLE,
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_TOTAL": _NVLINK_ERRORS,
    "DCGM_FI_PROF_NVLINK_TX_BYTES": _NVLINK_RATE,
    "DCGM_FI_PROF_NVLINK_RX_BYTES": _NVLINK_RATE,
}
"""By metric."""
NAMES: Final = frozenset(COLUMNS)


def _selector(names: Iterable[str]) -> str:
    return '{__name__=~"' + "|".join(names) + '"}'


QUERY: Final = _selector(COLUMNS)
"""All of them in one question."""
PARTS: Final = tuple(_selector(list(COLUMNS)[start::_IN_PARTS]) for start in range(_IN_PARTS))
"""The same in several, where the answer to one would be too large."""

_SUMS: Final = frozenset({"nvlinkErrors", "nvlinkRate"})
_REASONS: Final = (
    (0x4, "power-cap"),
    (0x8, "slowdown"),
    (0x10, "sync-boost"),
    (0x20, "thermal"),
    (0x40, "thermal-hardware"),
    (0x80, "power-brake"),
    (0x200, "board-limit"),
    (0x400, "reliability"),
)
"""Why a clock is held down; to be idle, or set so (0x1, 0x2, 0x100), is no trouble."""
_INDEX: Final = re.compile(r"(?:nvidia|gpu)?(\d{1,4})")
_PROFILE: Final = re.compile(r"(\d)g\.\d{1,4}gb(?:\.|\+|$)")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, or one instance of it (MIG).

    Attributes:
        uid: UUID of the GPU, with `/mig-ID` of an instance.
        name: `gpu-0`, or `gpu-0/mig-1`.
        board: UUID of the GPU.
        model: product name, empty where it is not told.
        share: part of the board, of (0, 1].
        labels: of one of its series, that tell where it is.
        holders: labels of its series that may name a pod, one of each.
        values: what it tells, by field; sums and units as in the schema.
    """

    uid: str
    name: str
    board: str
    model: str
    share: float
    labels: Mapping[str, str]
    holders: tuple[Mapping[str, str], ...]
    values: Mapping[str, float]


class _Key(NamedTuple):
    board: str
    instance: str


@dataclass
class _Told:
    """What one exporter tells of one device: values by metric, labels by what they say of pods."""

    labels: Mapping[str, str]
    values: dict[str, float]
    holders: dict[tuple[str, ...], Mapping[str, str]]


_POD_LABELS: Final = ("exported_namespace", "exported_pod", "namespace", "pod")


def gpus(series: Iterable[Series]) -> list[Gpu]:
    """Return the devices that `series` tell of, in order of their uid.

    A series of another metric, without a device, or with a value that cannot be, is left out.
    Of several exporters that tell of one device the one that tells most is believed.
    """
    told: dict[_Key, dict[tuple[str, ...], _Told]] = {}
    for one in series:
        column = COLUMNS.get(one.name)
        key = _key(one.labels)
        value = one.points[-1].value
        if column is None or key is None or not 0 <= value <= column.most:
            continue
        if column.shared and key.instance:
            key = _Key(key.board, "")
        _take(told.setdefault(key, {}), one, value)
    by_instance = {key.board for key in told if key.instance}
    found = (_gpu(key, exporters, by_instance) for key, exporters in told.items())
    return sorted(found, key=lambda gpu: gpu.uid)


def throttled(bits: float) -> list[str]:
    """Return why a clock is held down, of the bits that DCGM tells."""
    return [word for bit, word in _REASONS if int(bits) & bit]


def _key(labels: Mapping[str, str]) -> _Key | None:
    board = labels.get("UUID") or labels.get("uuid") or ""
    instance = labels.get("GPU_I_ID", "")
    if not board or not (board + instance).isprintable() or len(board + instance) > _LONGEST:
        return None
    return _Key(board, instance)


def _take(exporters: dict[tuple[str, ...], _Told], one: Series, value: float) -> None:
    exporter = tuple(one.labels.get(name, "") for name in ("job", "instance", "Hostname"))
    told = exporters.get(exporter)
    if told is None:
        told = exporters[exporter] = _Told(one.labels, {}, {})
    # Where pods share a GPU, each metric is told once for each of them: it is one value.
    told.values[one.name] = max(value, told.values.get(one.name, value))
    pod = tuple(one.labels.get(name, "") for name in _POD_LABELS)
    told.holders.setdefault(pod, one.labels)


def _gpu(key: _Key, exporters: Mapping[tuple[str, ...], _Told], split: set[str]) -> Gpu:
    _, told = min(exporters.items(), key=lambda one: (-len(one[1].values), one[0]))
    labels = told.labels
    board = f"gpu-{_index(labels)}"
    name = f"{board}/mig-{key.instance}" if key.instance else board
    whole = not key.instance
    divided = whole and key.board in split
    return Gpu(
        uid=f"{key.board}/mig-{key.instance}" if key.instance else key.board,
        name=name,
        board=key.board,
        model=labels.get("modelName") or labels.get("model_name") or "",
        share=1.0 if whole else _share(labels.get("GPU_I_PROFILE", "")),
        labels=labels,
        # Pods hold the instances of a board that is divided, and those tell of their work.
        holders=() if divided else tuple(told.holders.values()),
        values=_values(told.values, instance=not whole, divided=divided),
    )


def _index(labels: Mapping[str, str]) -> str:
    for name in ("gpu", "device"):
        found = _INDEX.fullmatch(labels.get(name, ""))
        if found:
            return found[1]
    return (labels.get("UUID") or labels.get("uuid") or "").removeprefix("GPU-")


def _share(profile: str) -> float:
    """Return the part of a board that `3g.40gb` is: it has seven slices."""
    found = _PROFILE.match(profile)
    return min(max(int(found[1]), 1), 7) / 7 if found else 1 / 7


def _values(told: Mapping[str, float], *, instance: bool, divided: bool) -> dict[str, float]:
    values: dict[str, float] = {}
    for metric, value in told.items():
        column = COLUMNS[metric]
        if divided and not column.shared:
            continue
        before = values.get(column.field, 0.0) if column.field in _SUMS else 0.0
        values[column.field] = before + value * column.factor
    # DEV_GPU_UTIL is not defined for an instance: what is told there is that of the board.
    if "engineActive" in values and (instance or "utilization" not in values):
        values["utilization"] = values["engineActive"]
    free = values.pop("memoryFree", None)
    if "memoryTotal" not in values and free is not None and "memoryUsed" in values:
        values["memoryTotal"] = values["memoryUsed"] + free
    return values
