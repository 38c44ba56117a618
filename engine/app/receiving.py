"""The receivers of this process: who may post, what becomes of it, what is told of a flood."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from engine import meters
from engine.app.config import AppConfig
from engine.app.configured import options
from engine.app.door import Sender, admitted
from engine.app.engine import Engine
from engine.app.ingesting import Remembered, take
from engine.bus.codec import Bad, batches
from engine.model.errors import Retryable, StoreError
from engine.model.ports import Clock
from engine.model.signal import Signal
from engine.report.clean import clean
from engine.web.app import Accepted
from engine.web.receive import Gate, Reception, Way
from sinks.secret import reveal
from watchers.receiving import SECRETS, Hall, Post, Received, Receiver, make

LOG = structlog.get_logger()
EVERY: Final = timedelta(minutes=1)
"""How often one reason of one receiver is logged: a flood of garbage is one line a minute."""
_SHOWN: Final = 200
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
        good, bad = judged(received, receiver, now)
        kept = [one for one in bad if one.raw]
        count = await take(good, kept, engine.intake, engine.store, self._clock)
        for one in bad:
            self._told.refused(name, one.reason, one.detail)
        said = tuple(f"{one.reason}: {one.detail}" for one in bad[:_TOLD])
        return Accepted(count, said)


def judged(received: Received, receiver: Receiver, now: datetime) -> tuple[list[Signal], list[Bad]]:
    """Return what of `received` may come onto the bus by the same door as everything, and what not.

    A sender may only speak of the clusters that its receiver allows.
    """
    allowed = receiver.options
    sender = Sender(allowed.cluster, frozenset(allowed.clusters))
    records = [record for _, record in batches(received.signals)] + received.records
    good: list[Signal] = []
    bad = [Bad(one.reason, one.detail, one.raw) for one in received.refused]
    for record in records:
        fine, wrong = admitted(record, now, sender)
        good += fine
        bad += wrong
    return good, bad


@dataclass
class Told:
    """What was refused: all counted, and of each receiver and reason one line a minute."""

    clock: Clock
    _since: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _untold: Counter[tuple[str, str]] = field(default_factory=Counter)

    def refused(self, receiver: str, reason: str, detail: str) -> None:
        """Count something that was refused; log it if nothing like it was for a minute."""
        meters.RECEIVER_REFUSED.labels(receiver, reason).inc()
        key, now = (receiver, reason), self.clock.now()
        last = self._since.get(key)
        if last is not None and now - last < EVERY:
            self._untold[key] += 1
            return
        self._since[key] = now
        LOG.warning(
            "a receiver refused",
            receiver=receiver,
            reason=reason,
            detail=clean(detail, _SHOWN),
            before=self._untold.pop(key, 0),
        )


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
