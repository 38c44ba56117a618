"""The door: what signals from outside must be before they come onto the bus."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from engine.bus.codec import Bad, decode, encode
from engine.model.schema_metrics import OWN_CLUSTER
from engine.model.signal import HEARTBEAT, NEWS, OWN_SOURCES, ROSTER, SECOND_STAGE, Signal

AHEAD = timedelta(seconds=20)
"""How far a sender's clock may be ahead: less than the 30 s after which the others seem silent."""


_OWN = SECOND_STAGE | {ROSTER, NEWS}
"""Types by which a sender could end what others told of, or say what dogwatch never saw."""
FUTURE = "future"
"""The reason of a signal that was judged good but for its time."""


@dataclass(frozen=True)
class Sender:
    """Who sends.

    Attributes:
        cluster: that of signals that name none; empty: they stay outside.
        clusters: those that it may speak of; none: any.
        watched: clusters that have watchers, here or in another process: these pace their time.
        fixed: the sources of its signals are not of its own choice.
        known: what it sends was on the bus already, so who may send it was asked before.
    """

    cluster: str = ""
    clusters: frozenset[str] = frozenset()
    watched: Collection[str] = ()
    fixed: bool = False
    known: bool = False


ANYBODY = Sender()


def admitted(
    record: bytes, now: datetime, sender: Sender = ANYBODY
) -> tuple[list[Signal], list[Bad]]:
    """Return the good signals of `record`, an event or an array of them, and what is wrong."""
    decoded = decode(record)
    good, bad = [], list(decoded.bad)
    for came in decoded.signals:
        named = came.cluster or not sender.cluster
        signal = came if named else msgspec.structs.replace(came, cluster=sender.cluster)
        fault = next(_faults(signal, now, sender), None)
        if fault is None:
            good.append(signal)
        else:
            bad.append(Bad(*fault, encode([signal])))
    return good, bad


def _faults(signal: Signal, now: datetime, sender: Sender) -> Iterator[tuple[str, str]]:
    """Yield (reason, sentence) of what keeps `signal` out; that of its time comes last."""
    if signal.type in _OWN:
        yield "type", f"signals of type '{signal.type}' are made by dogwatch itself, of what it saw"
    if not (sender.fixed or sender.known) and signal.source.startswith(OWN_SOURCES):
        allowed = f"any that does not begin with {' or '.join(OWN_SOURCES)}"
        yield (
            "source",
            f"only dogwatch itself speaks as '{signal.source[:100]}'; allowed: {allowed}",
        )
    yield from _of_cluster(signal, sender)
    if signal.time > now + AHEAD:
        # One such signal would carry the time of its cluster away, and all others be late.
        yield FUTURE, f"time {signal.time.isoformat()} is more than 20 s ahead of this clock"


def _of_cluster(signal: Signal, sender: Sender) -> Iterator[tuple[str, str]]:
    cluster = signal.cluster
    if not cluster:
        yield "cluster", "the extension 'cluster' is missing"
    elif cluster == OWN_CLUSTER and not sender.known:
        yield "cluster", f"only dogwatch itself speaks of '{OWN_CLUSTER}'"
    elif sender.clusters and cluster not in sender.clusters:
        yield "cluster", "the sender may not speak of this cluster"
    elif signal.type == HEARTBEAT and cluster in sender.watched and not sender.known:
        # It would move the time of this cluster, or hold it: what is true would count as late.
        yield "heartbeat", "this cluster is watched: the heartbeats of its watchers pace its time"
