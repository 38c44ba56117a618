"""One signal as one line for a person."""

from collections.abc import Mapping
from typing import Any, Final

from engine.model.signal import Signal
from engine.report.clean import clean

WIDTH: Final = 240
_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "k8s.object": ("kind", "change", "phase", "reason", "ready", "restarts"),
    "k8s.event": ("kind", "reason", "count", "message"),
    "metric": ("value", "unit"),
    "hardware": (
        *("kind", "node", "pod", "state", "utilization", "temperature", "xid"),
        *("device", "count", "baseline", "missing", "change"),
    ),
    "certificate": ("kind", "notAfter", "issuer", "names", "managed", "change"),
    "drift": ("kind", "app", "drifted", "difference", "paths", "change"),
    "version": ("kind", "version", "newest", "removedMinor", "requests", "change"),
    "alert": ("alert", "status", "severity", "workload", "node"),
    "audit": ("user", "verb", "resource", "subresource", "namespace", "name", "code"),
    "prediction": ("prediction", "metric", "value", "limit", "horizon", "confidence", "score"),
    "watcher": ("resource", "state", "message"),
}
"""The fields of the data that say most, by type; the subject of a metric has its labels."""


def line_of(signal: Signal) -> str:
    """Return time, cluster, type, subject and the fields that say most."""
    at = signal.time.strftime("%H:%M:%S")
    shown = _SHOWN.get(signal.type, tuple(signal.data))
    fields = (f"{name}={_text(signal.data[name])}" for name in shown if name in signal.data)
    parts = [at, signal.cluster, signal.type, signal.subject or "-", *fields]
    return clean("  ".join(part for part in parts if not part.endswith("=")), WIDTH)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{name}={each}" for name, each in value.items())
    if isinstance(value, list):
        return ",".join(map(str, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
