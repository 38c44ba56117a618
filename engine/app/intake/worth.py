"""What each signal is worth in a flood: the one table of what may be shed, and how. Pure.

| type | never shed | else |
| --- | --- | --- |
| `metric` | | info: sampled by series, then the last of a series |
| `k8s.object` | deletions; Nodes | level: the last of an object |
| `hardware` | a device with an error, or down; something missing | level: the last of a device |
| `certificate`, `drift`, `version` | | level: the last of each |
| `k8s.event` | all but Normal ones | level by uid: the last one has the count of all |
| all others | always | |

All others are heartbeats and `watcher`, `alert`, `audit`, `prediction`, and what senders call by
names of their own: they happen once, or nobody can tell.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from engine.model.signal import Signal

Data = Mapping[str, Any]


class Worth(Enum):
    """What may become of a signal in a flood."""

    CRITICAL = "critical"
    """It is never shed."""
    INFO = "info"
    """One of many samples: some of them are enough."""
    LEVEL = "level"
    """The last of what it is about is enough."""


def worth(signal: Signal) -> Worth:
    """Return what `signal` is worth, by its type and data alone."""
    entry = _TABLE.get(signal.type)
    if entry is None:
        return Worth.CRITICAL
    otherwise, never = entry
    return Worth.CRITICAL if never(signal.data) else otherwise


def _never(data: Data) -> bool:  # noqa: ARG001 - the form of the table
    return False


def _object(data: Data) -> bool:
    return data.get("change") == "deleted" or data.get("kind") == "Node"


def _device(data: Data) -> bool:
    return data.get("state") == "down" or any(data.get(name) for name in _ERRORS)


def _event(data: Data) -> bool:
    # Without a uid nothing says that a later one counts for it too.
    return data.get("eventType") != "Normal" or not data.get("uid")


_ERRORS: Final = ("xid", "eccUncorrectable", "rowRemapFailed", "mediaErrors", "missing")
_TABLE: Final[Mapping[str, tuple[Worth, Callable[[Data], bool]]]] = {
    "metric": (Worth.INFO, _never),
    "k8s.object": (Worth.LEVEL, _object),
    "hardware": (Worth.LEVEL, _device),
    "certificate": (Worth.LEVEL, _never),
    "drift": (Worth.LEVEL, _never),
    "version": (Worth.LEVEL, _never),
    "k8s.event": (Worth.LEVEL, _event),
}
