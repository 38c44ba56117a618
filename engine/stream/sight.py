"""Sight: one signal as rules see it, and the samples that any rule makes of it."""

from typing import Any, Final

from engine.model.signal import LEVEL_TYPES, Signal, view
from engine.stream.sample import Sample
from engine.stream.series import series_of

_DELETED: Final = frozenset({"k8s.object", "hardware", "certificate", "drift", "version"})
"""Types of signals that say in `data.change` that what they are about is gone."""
MORTAL: Final = _DELETED | {"condition"}
"""Types of signals about something that can be deleted."""
_ENDED: Final = frozenset({"resolved", "healthy"})
"""States that end a condition."""


class Sight:
    """One signal as rules see it, made once for all of them.

    Attributes:
        signal: the signal.
        at: its time in microseconds since 1970.
        level: it is about an object or series whose latest signal decides.
        series: that object or series; for an Event the uid, else empty.
        mortal, gone, synced: it can be deleted; it was; it was seen in a list only.
    """

    __slots__ = ("at", "bindings", "gone", "level", "mortal", "seen", "series", "signal", "synced")

    def __init__(self, signal: Signal, at: int) -> None:
        kind = signal.type
        self.signal = signal
        self.at = at
        self.level = kind in LEVEL_TYPES
        self.mortal = kind in MORTAL
        self.series = series_of(signal)
        self.gone = self.synced = False
        if kind in _DELETED:
            change = signal.data.get("change")
            self.synced = change == "synced"
            self.gone = change == "deleted"
        elif kind == "condition":
            self.gone = signal.data.get("state") in _ENDED
        self.seen: dict[str, Any] | None = None
        self.bindings: dict[str, Any] = {}

    def open(self) -> dict[str, Any]:
        """Return the signal as expressions see it."""
        if self.seen is None:
            self.seen = view(self.signal)
            self.bindings = {"signal": self.seen, "now": self.signal.time}
            old = self.signal.data.get("old")
            if old is not None and not self.synced:
                self.bindings["old"] = old
        return self.seen


def sample_of(sight: Sight, series: str) -> Sample:
    """Return what every sample of a signal has, as one of `series`."""
    data = sight.signal.data
    name, node, value = data.get("name"), data.get("node"), data.get("value")
    depth = data.get("depth")
    return Sample(
        sight.at,
        series,
        name if isinstance(name, str) else sight.signal.subject or "",
        node if isinstance(node, str) else "",
        sight.signal.id,
        gone=sight.gone,
        value=value if isinstance(value, str | int | float) else None,
        mortal=sight.mortal,
        depth=depth if type(depth) is int else 0,
    )


def leaving(sight: Sight, at: int) -> Sample:
    """Return the sample that ends the membership of the object of `sight` at `at`."""
    now = at == sight.at
    data = sight.signal.data
    name, node = data.get("name"), data.get("node")
    return Sample(
        at,
        sight.series,
        name if isinstance(name, str) else "",
        node if isinstance(node, str) else "",
        sight.signal.id if now else "",
        met=False,
        gone=sight.gone,
        counted=False,
        heard=False,
    )
