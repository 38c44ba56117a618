"""Signal: one observation, a CloudEvents 1.0 event with the extension `cluster`."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

SIGNAL_TYPES = (
    "k8s.object",
    "k8s.event",
    "metric",
    "hardware",
    "certificate",
    "drift",
    "version",
    "alert",
    "audit",
    "prediction",
    "watcher",
    "condition",
    "mission",
    "cluster",
    "clock",
)
LEVEL_TYPES = frozenset(
    {"k8s.object", "metric", "hardware", "certificate", "drift", "version", "watcher", "condition"}
)
SECOND_STAGE = frozenset({"condition", "mission", "cluster", "clock"})
"""Types that no single cluster has: they are folded by themselves, without a cluster."""
HEARTBEAT = "watcher.heartbeat"
ROSTER = "watcher.roster"
NEWS = "cluster.news"
FOLD_ONLY = frozenset({HEARTBEAT, ROSTER, NEWS})
"""Types that no rule sees: they say who speaks for a cluster, and whether it is there."""

OWN_SOURCES = ("watchers/", "dogwatch/")
"""What begins the sources of dogwatch itself: nobody outside may speak so."""

Word = Annotated[str, msgspec.Meta(min_length=1)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]

MADE_BY = "dogwatch"
"""Value of `data.madeBy` where dogwatch itself made or changed what the signal is about."""


class Signal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One CloudEvent. `time` is event time, aware; `data` holds the observation.

    Object signals: data = {kind, apiVersion, namespace, name, uid, resourceVersion, labels,
    node, workload, change (added|modified|deleted|synced), object, old, derived fields}.
    Event signals: data = {kind, namespace, name, workload, node, reason, eventType, message,
    count, uid (of the Event)}, where kind and name are those of the object concerned.
    """

    id: Word
    source: Word
    type: Word
    time: Instant
    cluster: str = ""
    subject: str | None = None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: str | None = None
    data: dict[str, Any] = {}


def identity_of(signal: Signal) -> str:
    """Return what `signal` is known by: its id, of others with their source, as CloudEvents has it.

    So nobody outside can send the id of a signal of our own first, and have that one passed over.
    """
    source = signal.source
    if source.startswith(OWN_SOURCES):
        return signal.id
    return f"\n{len(source)} {source}{signal.id}"


def cluster_of(signal: Signal) -> str:
    """Return the cluster that `signal` is about; those of the second stage name it in the data."""
    if signal.cluster or signal.type not in SECOND_STAGE:
        return signal.cluster
    named = signal.data.get("cluster", "")
    return named if isinstance(named, str) else ""


ENVELOPE = ("namespace", "kind", "name", "workload", "node", "labels", "value")


def view(signal: Signal) -> dict[str, Any]:
    """Return `signal` as CEL and group keys see it: the envelope, then `data` whole."""
    data = signal.data
    seen: dict[str, Any] = {
        "id": signal.id,
        "source": signal.source,
        "type": signal.type,
        "time": signal.time,
        "cluster": cluster_of(signal),
        "data": data,
    }
    if signal.subject is not None:
        seen["subject"] = signal.subject
    for name in ENVELOPE:
        if name in data:
            seen[name] = data[name]
    return seen
