"""The door: what signals from outside must be before they come onto the bus."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from engine.bus.codec import Bad, decode, encode
from engine.model.signal import NEWS, ROSTER, SECOND_STAGE, Signal

AHEAD = timedelta(seconds=20)
"""How far a sender's clock may be ahead: less than the 30 s after which the others seem silent."""


_OWN = SECOND_STAGE | {ROSTER, NEWS}
"""Types by which a sender could end what others told of, or say what dogwatch never saw."""


@dataclass(frozen=True)
class Sender:
    """Who sends.

    Attributes:
        cluster: that of signals that name none; empty: they stay outside.
        clusters: those that it may speak of; none: any.
    """

    cluster: str = ""
    clusters: frozenset[str] = frozenset()


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
    """Yield (reason, sentence) of what keeps `signal` out."""
    if signal.type in _OWN:
        yield "type", f"signals of type '{signal.type}' are made by dogwatch itself, of what it saw"
    if not signal.cluster:
        yield "cluster", "the extension 'cluster' is missing"
    elif sender.clusters and signal.cluster not in sender.clusters:
        yield "cluster", "the sender may not speak of this cluster"
    if signal.time > now + AHEAD:
        # One such signal would carry the time of its cluster away, and all others be late.
        yield "future", f"time {signal.time.isoformat()} is more than 20 s ahead of this clock"
