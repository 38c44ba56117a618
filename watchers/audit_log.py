"""The audit log of an API server as a file that grows, followed over restarts."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from pydantic import PositiveFloat

from engine.model.config import Config
from engine.model.errors import StoreError
from engine.model.ports import Clock, Memory
from watchers.tail import Lines, Place, Tail

KEY: Final = "place"
KEEP_BACK: Final = timedelta(seconds=15)
"""What was read since then is read again after a crash: it may not have been on the bus yet."""
KEEP_EVERY: Final = timedelta(seconds=5)
_RETRY_S: Final = 5.0


class LogConfig(Config):
    """A log of JSON lines.

    Attributes:
        file_path: the file; what it is renamed to stays in the same folder.
        from_start: at the very first start read all that is in it; else what comes from then on.
        every_s: how often to look for more.
    """

    file_path: str = ""
    from_start: bool = False
    every_s: PositiveFloat = 1.0


@dataclass(frozen=True)
class Seen:
    """What one look at the log gave; `fault` says why it could not be read, empty if it could."""

    at: datetime
    lines: Lines
    fault: str = ""


async def follow(config: LogConfig, memory: Memory, clock: Clock) -> AsyncGenerator[Seen]:
    """Yield what is new in the log, a bounded part at a time, at least every `every_s` seconds.

    The next part is read once the one before was taken. The place is remembered some seconds
    late, so that after a crash a few lines come twice, and none is left out.
    """
    place = await _recalled(memory)
    tail = Tail(config.file_path, place, from_start=config.from_start)
    keeping = _Keeping(memory, place)
    try:
        while True:
            seen = await _look(tail, clock)
            if seen.lines.lines:
                yield seen
                await keeping.at(tail.place, seen.at)
            else:
                await keeping.at(tail.place, seen.at, at_once=True)
                yield seen
            if not seen.lines.more:
                await asyncio.sleep(config.every_s)
    finally:
        tail.close()


async def _look(tail: Tail, clock: Clock) -> Seen:
    try:
        lines = await asyncio.to_thread(tail.read)
    except FileNotFoundError:
        return Seen(clock.now(), Lines(), "not-found: there is no such file")
    except PermissionError:
        return Seen(clock.now(), Lines(), "forbidden: the file may not be read")
    except OSError as error:
        return Seen(clock.now(), Lines(), f"unavailable: {error.strerror or 'can not be read'}")
    return Seen(clock.now(), lines)


async def _recalled(memory: Memory) -> Place | None:
    """Return the place that is remembered; wait for the store as long as needed."""
    while True:
        try:
            kept = (await memory.recall([KEY])).get(KEY)
        except StoreError:
            await asyncio.sleep(_RETRY_S)
            continue
        if kept is None:
            return None
        try:
            return msgspec.json.decode(kept, type=Place)
        except msgspec.DecodeError:
            return None  # of a version to come


class _Keeping:
    """Remembers places once they are old enough."""

    def __init__(self, memory: Memory, kept: Place | None) -> None:
        self._memory = memory
        self._waiting: deque[tuple[datetime, Place]] = deque()
        self._kept = kept
        self._next: datetime | None = None

    async def at(self, place: Place | None, now: datetime, *, at_once: bool = False) -> None:
        """Take note that the log was read up to `place` by `now`.

        `at_once`: nothing was read yet; where reading begins is then remembered without delay.
        """
        last = self._waiting[-1][1] if self._waiting else self._kept
        if place is not None and place != last:
            self._waiting.append((now, place))
        if self._next is not None and now < self._next:
            return
        old: Place | None = None
        back = timedelta(0) if at_once and self._kept is None else KEEP_BACK
        while self._waiting and now - self._waiting[0][0] >= back:
            old = self._waiting.popleft()[1]
        if old is None:
            return
        self._next = now + KEEP_EVERY
        try:
            await self._memory.keep({KEY: msgspec.json.encode(old)})
        except StoreError:
            self._waiting.appendleft((now - KEEP_BACK, old))
        else:
            self._kept = old
