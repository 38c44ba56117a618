"""A signal that waits: encoded, so that a limit in bytes is one of memory."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from engine.app.intake.worth import Worth, worth
from engine.bus.codec import BATCH_LIMIT, RECORD_LIMIT, encode
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.stream.series import series_of

OVERHEAD: Final = 512
"""Bytes that an entry takes in memory beside its signal."""


class Ticket:
    """The promise to one sender that all its signals are durable, or that they were not taken."""

    __slots__ = ("_left", "settled")

    def __init__(self, count: int) -> None:
        """Wait for `count` signals; within a running loop."""
        self._left = count
        self.settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(self) -> None:
        """Take note that one signal need not be waited for any more."""
        self._left -= 1
        if not self._left and not self.settled.done():
            self.settled.set_result(None)

    def fail(self, error: Exception) -> None:
        """Tell the sender that not all was taken."""
        if not self.settled.done():
            self.settled.set_exception(error)


class Entry(msgspec.Struct, gc=False):
    """One signal that waits.

    Attributes:
        id, at: of the signal; `at` in microseconds since 1970.
        worth: what may become of it.
        key: number of what it is about within its cluster, 0 for nothing that lasts.
        raw: the signal in JSON.
        ticket: whom to tell, None where nobody waits for it.
        judged: the highest pressure by which it was already let pass.
        content: number of what it says beside versions, once somebody asked.
    """

    id: str
    at: int
    worth: Worth
    key: int
    raw: bytes
    ticket: Ticket | None = None
    judged: int = 0
    content: int | None = None

    @property
    def weight(self) -> int:
        """The bytes of memory that it takes."""
        return len(self.raw) + OVERHEAD


class Batch:
    """Signals on their way in, by cluster, encoded; the signals themselves can be let go of.

    Raises:
        ValueError: a signal has no JSON form; the message names its id.
    """

    def __init__(self, signals: Iterable[Signal]) -> None:
        self.entries: dict[str, list[Entry]] = {}
        for signal in signals:
            self.entries.setdefault(signal.cluster, []).append(_entry(signal))
        self.count = sum(map(len, self.entries.values()))

    def promise(self) -> Ticket:
        """Return the ticket of all its signals; there must be some."""
        ticket = Ticket(self.count)
        for entries in self.entries.values():
            for entry in entries:
                entry.ticket = ticket
        return ticket


def _entry(signal: Signal) -> Entry:
    value = worth(signal)
    about = series_of(signal)
    key = hash((signal.type, about)) if about else 0
    return Entry(signal.id, to_us(signal.time), value, key, encode([signal])[1:-1])


def weigh(entries: Iterable[Entry]) -> int:
    """Return the bytes of memory that `entries` take."""
    return sum(entry.weight for entry in entries)


def records(entries: Sequence[Entry], most: int = BATCH_LIMIT) -> list[bytes]:
    """Return the signals of one cluster as records of up to `most`, as `codec.encode` has them."""
    found: list[bytes] = []
    parts: list[bytes] = []
    size = 0
    for entry in entries:
        more = len(entry.raw) + 1
        if parts and (len(parts) >= most or size + more >= RECORD_LIMIT):
            found.append(b"[" + b",".join(parts) + b"]")
            parts, size = [], 0
        parts.append(entry.raw)
        size += more
    if parts:
        found.append(b"[" + b",".join(parts) + b"]")
    return found


def settle(entries: Iterable[Entry]) -> None:
    """Take note that nobody need wait for `entries` any more."""
    for entry in entries:
        if entry.ticket is not None:
            entry.ticket.done()


def fail(entries: Iterable[Entry], error: Exception) -> None:
    """Tell those who wait for `entries` that not all was taken."""
    for entry in entries:
        if entry.ticket is not None:
            entry.ticket.fail(error)
