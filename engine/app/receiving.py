"""The receivers of this process: who may post, what becomes of it, what is told of a flood."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from engine.app.config import AppConfig
from engine.app.configured import options
from engine.app.door import Sender, admitted
from engine.app.engine import Engine
from engine.app.ingesting import Remembered, take
from engine.bus.codec import Bad, batches
from engine.model.errors import Retryable, StoreError
from engine.model.ports import Clock
from engine.model.signal import Signal
from engine.web.app import Accepted
from engine.web.receive import Gate, Reception, Way
from sinks.secret import reveal
from watchers.receiving import SECRETS, Hall, Post, Received, Receiver, make
from watchers.refused import Told

MINUTE: Final = timedelta(minutes=1)
KEPT: Final = 100
"""Parts of one receiver that go to quarantine in a minute; all are counted."""
_TOLD: Final = 100
"""Reasons of which an answer has the sentences."""
_WAYS: Final = dict(zip(SECRETS, (Way.BEARER, Way.BASIC, Way.PATH), strict=True))


class Receivers:
    """All receivers of the configuration, over an engine that may not be there yet."""

    def __init__(self, settings: AppConfig, running: Callable[[], Engine], clock: Clock) -> None:
        self._of = {
            name: make(name, block.type, options(block))
            for name, block in settings.receivers.items()
        }
        self._running = running
        self._clock = clock
        self._told = Told(clock)
        self._room = _Room()

    def reception(self, hold: Callable[[int], AbstractContextManager[None]]) -> Reception:
        """Return what the routes of the receivers work with."""
        gates = {name: _gate(one) for name, one in self._of.items()}
        return Reception(gates, self.receive, self._told.refused, hold)

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> Accepted:
        """Take what was posted to the receiver `name`: the good onto the bus, as /v1/signals does.

        Raises:
            Overloaded: too many signals wait already; nothing was taken.
            StoreError: not all was taken; the sender may try again, an id counts once.
        """
        engine, now = self._running(), self._clock.now()
        if engine.intake is None:
            raise StoreError("this process takes no signals")
        receiver = self._of[name]
        hall = Hall(now, partial(Remembered, engine.store))
        received = await receiver.receive(Post(headers, body), hall)
        good, bad = judged(received, receiver, now, engine.watched())
        kept = self._room.of(name, [one for one in bad if one.raw], now)
        count = await take(good, kept, engine.intake, engine.store, self._clock)
        for one in bad:
            self._told.refused(name, one.reason, one.detail)
        said = tuple(f"{one.reason}: {one.detail}" for one in bad[:_TOLD])
        return Accepted(count, said)


class _Room:
    """How much of a flood goes to quarantine: each write there is one that all others wait for."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[datetime, int]] = {}

    def of(self, name: str, bad: list[Bad], now: datetime) -> list[Bad]:
        """Return those of `bad` that there is room for in this minute of the receiver `name`."""
        since, left = self._left.get(name, (now, KEPT))
        if now - since >= MINUTE:
            since, left = now, KEPT
        self._left[name] = since, max(0, left - len(bad))
        return bad[:left]


def judged(
    received: Received, receiver: Receiver, now: datetime, watched: Collection[str]
) -> tuple[list[Signal], list[Bad]]:
    """Return what of `received` may come onto the bus by the same door as everything, and what not.

    A sender may only speak of the clusters that its receiver allows; the sources of signals that
    the receiver made are not of the sender's choice.
    """
    allowed = receiver.options
    sender = Sender(allowed.cluster, frozenset(allowed.clusters), watched)
    made = replace(sender, fixed=True)
    records = [(record, made) for _, record in batches(received.signals)]
    records += [(record, sender) for record in received.records]
    good: list[Signal] = []
    bad = [Bad(one.reason, one.detail, one.raw) for one in received.refused]
    for record, who in records:
        fine, wrong = admitted(record, now, who)
        good += fine
        bad += wrong
    return good, bad


def _gate(receiver: Receiver) -> Gate:
    ((name, path),) = _secrets(receiver)
    way = _WAYS[name]

    def secret() -> str | None:
        try:
            text = reveal(None, path)
        except Retryable:
            return None
        return text.partition("\n")[0].rstrip() if text is not None else None

    return Gate(way, secret)


def _secrets(receiver: Receiver) -> Sequence[tuple[str, str]]:
    named = [(name, getattr(receiver.options, name)) for name in SECRETS]
    return [(name, path) for name, path in named if path is not None]
