"""Which logs this process holds, and at which offset each goes on: none is skipped or repeated."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import structlog

from engine.bus.topics import Log
from engine.model.errors import Fenced, StoreError

LOG = structlog.get_logger()
RETRY_S: Final = 1.0
"""How long to wait before the store or the brokers are asked again."""
_NOWHERE: Final = -1


class Record(NamedTuple):
    """One record as it stands in its log; `at_ms` is when it was appended (Unix time)."""

    offset: int
    value: bytes
    key: bytes
    headers: tuple[tuple[str, bytes], ...]
    at_ms: int


class Owner(Protocol):
    """Who folds the logs that the group gives to this process."""

    async def assigned(self, log: Log) -> int:
        """Take `log` over; return the offset to fold next. StoreError: it is asked again."""
        ...

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        """Go on at `found`: `wanted` and those up to it are gone, or the log ended before."""
        ...

    async def take(self, log: Log, record: Record) -> None:
        """Fold one record. Fenced: somebody else owns the log now, and it was dropped."""
        ...

    async def revoked(self, logs: Collection[Log]) -> None:
        """Write what is pending, and drop what was held of `logs`."""
        ...


Bounds = Callable[[Log], Awaitable[tuple[int, int]]]
"""First offset kept, and the offset that the next record gets. Raises StoreError."""
Seek = Callable[[Log, int], Awaitable[int]]
"""Goes on at an offset; records that were fetched after it carry the number that is returned.

Raises StoreError.
"""


@dataclass(eq=False)
class _Held:
    """One log between assignment and revocation.

    `turn` is the number of the last seek, _NOWHERE while records are of no use; `doubted`
    says that records were missing, and that they were sought once more.
    """

    next_offset: int = 0
    turn: int = _NOWHERE
    owned: bool = False
    doubted: bool = False
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    folding: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: "asyncio.Task[None] | None" = None


class Holdings:
    """Keeps the owner and the consumer in step, each log by itself.

    A log that the owner can not take over, or whose offsets can not be asked for, is asked for
    again until it works; the others go on. `problems` says why, by log.
    """

    def __init__(self, owner: Owner, bounds: Bounds, seek: Seek, *, again_s: float) -> None:
        """Hold nothing yet; `again_s` is how long a log that was lost is left alone."""
        self._owner = owner
        self._bounds = bounds
        self._seek = seek
        self._again_s = again_s
        self._held: dict[Log, _Held] = {}
        self._letting_go = asyncio.Lock()
        self.problems: dict[Log, str] = {}

    def held(self) -> Collection[Log]:
        """Return the logs that are assigned, taken over or not."""
        return tuple(self._held)

    def offsets(self) -> dict[Log, int]:
        """Return the offset to fold next of each log that is folded now."""
        return {log: held.next_offset for log, held in self._held.items() if held.turn >= 0}

    def check(self) -> None:
        """Raise what the owner raised that is no StoreError: a fault of its own."""
        for held in self._held.values():
            if held.work is not None and held.work.done():
                held.work.result()

    def assigned(self, logs: Iterable[Log]) -> None:
        """Start to take over those of `logs` that are not held yet."""
        for log in logs:
            if log not in self._held:
                held = self._held[log] = _Held()
                held.work = asyncio.create_task(self._take_over(log, held))

    async def revoked(self, logs: Iterable[Log]) -> None:
        """Let go of `logs`; returns once the owner has written what was pending of them."""
        async with self._letting_go:
            leaving = {log: self._held[log] for log in logs if log in self._held}
            for held in leaving.values():
                held.turn = _NOWHERE
                held.leaving.set()
            for held in leaving.values():
                if held.work is not None:
                    await held.work
                async with held.folding:
                    pass
            owned = [log for log, held in leaving.items() if held.owned]
            if owned:
                await self._owner.revoked(owned)
            for log in leaving:
                del self._held[log]
                self.problems.pop(log, None)

    async def take(self, log: Log, turn: int, record: Record) -> None:
        """Let the owner fold `record`, if it is the next one of its log.

        Args:
            log: where it stands.
            turn: the seek that it was fetched after; what comes of an earlier one is ignored.
            record: whole; never a second time for the same assignment.
        """
        held = self._held.get(log)
        if held is None or turn != held.turn:
            return
        async with held.folding:
            if turn != held.turn or record.offset < held.next_offset:
                return
            try:
                if record.offset > held.next_offset and not await self._crossed(log, held, record):
                    return
                await self._owner.take(log, record)
            except StoreError as error:
                self._lost(log, held, error)
            else:
                held.next_offset = record.offset + 1
                held.doubted = False

    def lost(self, log: Log) -> None:
        """Take `log` over again after a while: somebody else owned it, and the group says no."""
        held = self._held.get(log)
        if held is not None and held.turn != _NOWHERE:
            self._lost(log, held, None)

    def again(self, log: Log) -> None:
        """Look for the next record of `log` once more: it did not come, or is not there."""
        held = self._held.get(log)
        if held is not None and held.owned and (held.work is None or held.work.done()):
            held.turn = _NOWHERE
            held.work = asyncio.create_task(self._go_on(log, held, held.next_offset))

    async def _take_over(self, log: Log, held: _Held, wait_s: float = 0.0) -> None:
        await self._pause(held, wait_s)
        while not held.leaving.is_set():
            try:
                offset = await self._owner.assigned(log)
            except StoreError as error:
                await self._refused(log, held, error)
                continue
            held.owned = True
            await self._go_on(log, held, offset)
            return

    async def _go_on(self, log: Log, held: _Held, wanted: int) -> None:
        """Seek `wanted`, or what there is instead of it, however long that takes."""
        outside = False
        while not held.leaving.is_set():
            try:
                first, end = await self._bounds(log)
                if not first <= wanted <= end:
                    if not outside:
                        # A leader that is new may not know its end yet: ask twice.
                        outside = True
                        await self._pause(held, RETRY_S)
                        continue
                    await self._owner.gap(log, wanted, first)
                    wanted = first
                held.next_offset = wanted
                held.turn = await self._seek(log, wanted)
            except Fenced as error:
                self._lost(log, held, error)
                return
            except StoreError as error:
                await self._refused(log, held, error)
            else:
                self.problems.pop(log, None)
                return

    async def _crossed(self, log: Log, held: _Held, record: Record) -> bool:
        """Whether to go on with `record`, before which others are missing.

        The first time they are sought again; when they are missing still, they are gone.
        """
        if not held.doubted:
            held.doubted = True
            self.again(log)
            return False
        await self._owner.gap(log, held.next_offset, record.offset)
        return True

    def _lost(self, log: Log, held: _Held, error: StoreError | None) -> None:
        """Leave `log` alone: its owner dropped it, whoever else has it now."""
        held.turn = _NOWHERE
        held.owned = False
        if error is not None and not isinstance(error, Fenced):
            self.problems[log] = str(error)
        if not held.leaving.is_set():
            held.work = asyncio.create_task(self._take_over(log, held, self._again_s))

    async def _refused(self, log: Log, held: _Held, error: StoreError) -> None:
        if log not in self.problems:
            LOG.warning(
                "log waits", topic=str(log.topic), partition=log.partition, error=str(error)
            )
        self.problems[log] = str(error)
        await self._pause(held, RETRY_S)

    @staticmethod
    async def _pause(held: _Held, wait_s: float) -> None:
        if wait_s <= 0:
            return
        try:
            async with asyncio.timeout(wait_s):
                await held.leaving.wait()
        except TimeoutError:
            return
