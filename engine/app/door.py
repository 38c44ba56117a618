"""The door: what signals from outside must be before they come onto the bus."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from engine.bus.codec import Bad, decode, encode
from engine.model.signal import SECOND_STAGE, Signal

AHEAD = timedelta(seconds=20)
"""How far a sender's clock may be ahead: less than the 30 s after which the others seem silent."""


def admitted(record: bytes, now: datetime) -> tuple[list[Signal], list[Bad]]:
    """Return the good signals of `record`, an event or an array of them, and what is wrong."""
    decoded = decode(record)
    good, bad = [], list(decoded.bad)
    for signal in decoded.signals:
        fault = next(_faults(signal, now), None)
        if fault is None:
            good.append(signal)
        else:
            bad.append(Bad(*fault, encode([signal])))
    return good, bad


def _faults(signal: Signal, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield (reason, sentence) of what keeps `signal` out."""
    if signal.type in SECOND_STAGE:
        yield "type", f"signals of type '{signal.type}' are made by dogwatch itself, of what it saw"
    if not signal.cluster:
        yield "cluster", "the extension 'cluster' is missing"
    if signal.time > now + AHEAD:
        # One such signal would carry the time of its cluster away, and all others be late.
        yield "future", f"time {signal.time.isoformat()} is more than 20 s ahead of this clock"
