"""Which logs this process holds, and at which offset each goes on: none is skipped or repeated."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import structlog

from engine.bus.topics import Log
from engine.model.errors import DogwatchError, Fenced, StoreError

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


class Start(NamedTuple):
    """Where a log goes on: `at_ms` is the time of the record before `offset`, 0 if unknown."""

    offset: int
    at_ms: int = 0


class Owner(Protocol):
    """Who folds the logs that the group gives to this process."""

    async def assigned(self, log: Log) -> Start:
        """Take `log` over; return where to go on. StoreError: it is asked again."""
        ...

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        """Go on at `found`: those from `wanted` on are gone, or this is another log by now.

        StoreError: it is told again. Fenced: as in `take`.
        """
        ...

    async def take(self, log: Log, record: Record) -> None:
        """Fold one record. Fenced: somebody else owns the log now, and it was dropped."""
        ...

    async def revoked(self, logs: Collection[Log]) -> None:
        """Write what is pending, and drop what is held of `logs`; some may never have been."""
        ...


class Logs(Protocol):
    """The logs as they are on the brokers. Every method raises DogwatchError."""

    async def bounds(self, log: Log) -> tuple[int, int]:
        """Return the first offset kept, and the offset that the next record gets."""
        ...

    async def stands(self, log: Log, offset: int) -> tuple[int, int]:
        """Return offset and time (ms) of the first record from `offset` on, as it stands there."""
        ...

    async def seek(self, log: Log, offset: int) -> int:
        """Go on at `offset`; records fetched from then on carry the number that is returned."""
        ...


@dataclass(eq=False)
class _Held:
    """One log between assignment and revocation.

    `at_ms` is the time of the record before `next_offset`, 0 where it is not known; by it a log
    is known again. `turn` is the number of the last seek, _NOWHERE while records are of no use:
    then `work` sees to it that they come to be. `missed` counts how often the next record was
    sought in vain.
    """

    next_offset: int = 0
    at_ms: int = 0
    turn: int = _NOWHERE
    owned: bool = False
    missed: int = 0
    leaving: asyncio.Event = field(default_factory=asyncio.Event)
    folding: asyncio.Lock = field(default_factory=asyncio.Lock)
    work: "asyncio.Task[None] | None" = None


class Holdings:
    """Keeps the owner and the consumer in step, each log by itself.

    A log that the owner can not take over, or whose offsets can not be asked for, is asked for
    again until it works; the others go on. `problems` says why, by log.
    """

    def __init__(self, owner: Owner, log: Logs, *, again_s: float) -> None:
        """Hold nothing yet; `again_s` is how long a log that was lost is left alone."""
        self._owner = owner
        self._logs = log
        self._again_s = again_s
        self._held: dict[Log, _Held] = {}
        self._letting_go = asyncio.Lock()
        self._fault: BaseException | None = None
        self.problems: dict[Log, str] = {}

    def held(self) -> Collection[Log]:
        """Return the logs that are assigned, taken over or not."""
        return tuple(self._held)

    def offsets(self) -> dict[Log, int]:
        """Return the offset to fold next of each log that is folded now."""
        return {log: held.next_offset for log, held in self._held.items() if held.turn >= 0}

    def check(self) -> None:
        """Raise what the owner raised that is no DogwatchError: a fault of its own."""
        for held in self._held.values():
            self._note_fault(held)
        if self._fault is not None:
            raise self._fault

    def assigned(self, logs: Iterable[Log]) -> None:
        """Start to take over those of `logs` that are not held yet."""
        for log in logs:
            if log not in self._held:
                held = self._held[log] = _Held()
                held.work = asyncio.create_task(self._bring(log, held))

    async def revoked(self, logs: Iterable[Log]) -> None:
        """Let go of `logs`; returns once the owner has written what was pending of them.

        They are held no longer in any case. Raises what the owner raises.
        """
        async with self._letting_go:
            leaving = {log: self._held[log] for log in logs if log in self._held}
            for held in leaving.values():
                held.turn = _NOWHERE
                held.leaving.set()
            try:
                for held in leaving.values():
                    await self._at_rest(held)
                if leaving:
                    # Also what it dropped already: it may still tell why, or be about to take it.
                    await self._owner.revoked(tuple(leaving))
            finally:
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
            if record.offset > held.next_offset:
                # Records are missing here; whether they are gone only the brokers can say.
                held.missed += 1
                self.again(log)
                return
            try:
                await self._owner.take(log, record)
            except StoreError as error:
                self._lost(log, held, error)
            else:
                held.next_offset = record.offset + 1
                held.at_ms = record.at_ms
                held.missed = 0

    def lost(self, log: Log) -> None:
        """Take `log` over again after a while: somebody else owned it, and the group says no."""
        held = self._held.get(log)
        if held is not None and held.turn != _NOWHERE:
            self._lost(log, held, None)

    def again(self, log: Log) -> None:
        """Look for the next record of `log` once more: it did not come, or is not there."""
        held = self._held.get(log)
        if held is not None and held.turn != _NOWHERE:
            held.turn = _NOWHERE
            held.work = asyncio.create_task(self._bring(log, held))

    async def _bring(self, log: Log, held: _Held, wait_s: float = 0.0) -> None:
        """Take `log` over where it is not ours, and go on in it, however long that takes."""
        await self._pause(held, wait_s)
        while not held.leaving.is_set():
            try:
                await self._go_on(log, held)
            except Fenced:
                held.owned = False
                await self._pause(held, self._again_s)
            except DogwatchError as error:
                await self._refused(log, held, error)
            else:
                self.problems.pop(log, None)
                return

    async def _go_on(self, log: Log, held: _Held) -> None:
        """Seek the next record, or what there is instead of it. Raises DogwatchError."""
        async with held.folding:
            # A record that is still folded moves the position, or tells that the log is lost.
            pass
        if not held.owned:
            held.next_offset, held.at_ms = await self._owner.assigned(log)
            held.owned = True
        wanted = held.next_offset
        found = await self._found(log, held)
        if found != wanted:
            await self._owner.gap(log, wanted, found)
            held.next_offset, held.at_ms = found, 0
        turn = await self._logs.seek(log, found)
        if not held.leaving.is_set():
            held.turn = turn

    async def _at_rest(self, held: _Held) -> None:
        """Return once nothing goes on in a log that is left."""
        if held.work is not None:
            await asyncio.wait([held.work])
            self._note_fault(held)
        async with held.folding:
            pass

    def _note_fault(self, held: _Held) -> None:
        work = held.work
        if work is not None and work.done() and not work.cancelled() and work.exception():
            self._fault = work.exception()

    async def _found(self, log: Log, held: _Held) -> int:
        """Return the next offset, or the one to go on at where the brokers say that it is gone.

        Each such answer is asked for twice: a leader that is new may not know its end yet.
        """
        wanted, at_ms = held.next_offset, held.at_ms
        first, end = await self._logs.bounds(log)
        if not first <= wanted <= end:
            await self._pause(held, RETRY_S)
            first, end = await self._logs.bounds(log)
        if not first <= wanted <= end:
            return first
        # What was made again may have grown past `wanted` by now: being inside proves nothing.
        if at_ms and first < wanted:
            before = await self._logs.stands(log, wanted - 1)
            if before != (wanted - 1, at_ms):
                # Another record than the one that was folded: the topic was made again.
                return first
        if held.missed > 1 and wanted < end:
            await self._pause(held, RETRY_S)
            found, _ = await self._logs.stands(log, wanted)
            return found
        return wanted

    def _lost(self, log: Log, held: _Held, error: StoreError | None) -> None:
        """Leave `log` alone: its owner dropped it, whoever else has it now."""
        held.owned = False
        if error is not None and not isinstance(error, Fenced):
            self.problems[log] = str(error)
        if held.turn != _NOWHERE:
            held.turn = _NOWHERE
            held.work = asyncio.create_task(self._bring(log, held, self._again_s))

    async def _refused(self, log: Log, held: _Held, error: DogwatchError) -> None:
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
