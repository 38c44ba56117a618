"""The embedded bus: an append-only table in a SQLite file of its own.

Appends that wait at the same time share one transaction and one fsync. Offsets count from 0
without gaps; a record keeps its offset for ever.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine.bus.codec import batches
from engine.bus.log_table import TRIM_RECORDS, LogTable, Record
from engine.failpoint import Point, around
from engine.model.errors import StoreError
from engine.model.ports import Clock
from engine.model.signal import Signal
from engine.sqlite import prepare, translated

MARK = 0x44574255  # DWBU
POLL_S = 0.05
"""How late a record of another process may be seen."""
T = TypeVar("T")


@dataclass
class _Pending:
    records: Sequence[Record]
    done: asyncio.Future[int] = field(repr=False)


class EmbeddedBus:
    """The log of one process, or of several on one machine; open it within a running loop.

    `problem` says why the last append was refused; it is empty while all is well, and again
    once an append or a `check` succeeds.

    Raises (every method):
        StoreError: the disk is full, refuses, or the file is damaged. Nothing was appended then,
            and the next call may succeed.
    """

    def __init__(self, path: str | Path, *, clock: Clock) -> None:
        self._path = Path(path)
        self._clock = clock
        self._pending: list[_Pending] = []
        self._flushing: asyncio.Task[None] | None = None
        self._grown = asyncio.Event()
        self._closed = False
        self._known_end: int = 0
        self._refused_bytes = 0
        self.problem = ""
        prepare(self._path, MARK)
        with translated(self._path):
            self._table = LogTable(self._path, clock)
        self._writer = ThreadPoolExecutor(1, "bus-writer")
        self._reader = ThreadPoolExecutor(1, "bus-reader")

    async def append(self, signals: Sequence[Signal]) -> int:
        """Append `signals`, one record a cluster and 500 signals, all or none of them.

        Returns:
            The offset of the last record, once all are durable; the end when there was none.

        Raises:
            ValueError: a signal has no JSON form.
        """
        return await self.append_records(list(batches(signals)))

    async def append_records(self, records: Sequence[Record]) -> int:
        """Append records as `batches` yields them, all or none; return as `append` does."""
        return await self._append(records) if records else await self.end()

    async def append_bytes(self, record: bytes, cluster: str = "") -> int:
        """Append one record as it is, readable or not; return its offset once it is durable."""
        return await self._append([(cluster, record)])

    async def read(self, offset: int) -> AsyncGenerator[tuple[int, bytes], None]:
        """Yield (offset, record) from `offset` on, waiting for more until the bus is closed.

        Where `offset` was trimmed away, the first record kept comes first. A record whose
        checksum differs comes as `Damaged`.
        """
        while not self._closed:
            grown = self._grown
            with around(Point.RECORD_FETCHED):
                found = await self._in(self._reader, partial(self._table.select, offset))
            for at, record in found:
                yield at, record
                offset = at + 1
            if not found:
                await _wait(grown)

    async def end(self) -> int:
        """Return the offset that the next record gets."""
        _, last = await self._ends()
        self._known_end = max(self._known_end, last + 1)
        return last + 1

    def holds(self, offset: int) -> bool:
        """Whether a record at `offset` is known to wait, without a look at the file."""
        return offset < self._known_end

    async def start(self) -> int:
        """Return the offset of the first record kept, or the end where there is none."""
        first, _ = await self._ends()
        return first

    async def appended_us(self, offset: int) -> int | None:
        """Return when the first record from `offset` on was appended, None where there is none."""
        return await self._in(self._reader, partial(self._table.appended, offset))

    async def check(self) -> None:
        """Where there is a `problem`, see whether as much as was refused could be written now.

        So the bus is well again by itself, also while nobody dares to append.
        """
        if self.problem:
            await self._in(self._writer, partial(self._table.probe, self._refused_bytes))
            self.problem = ""

    async def trim(
        self,
        before_offset: int,
        *,
        keep_s: float | None = None,
        keep_bytes: int | None = None,
    ) -> int:
        """Delete records below `before_offset` that are too old or too much; return how many.

        Args:
            before_offset: no record from here on goes, whatever the limits.
            keep_s: what is older goes; None stands for no such limit.
            keep_bytes: what lies beyond the newest records of this size goes; None: no limit.

        Without any limit all below `before_offset` goes. The newest record always stays, since
        it carries the count of offsets.
        """
        limits = partial(self._table.outside, keep_s, keep_bytes)
        before = min(before_offset, await self._in(self._reader, limits))
        total = 0
        while True:
            deleted = await self._in(self._writer, partial(self._table.delete, before))
            total += deleted
            if deleted < TRIM_RECORDS:
                return total

    async def aclose(self) -> None:
        """Finish what was appended, end every reading, close the file."""
        if self._closed:
            return
        self._closed = True
        if self._flushing is not None:
            await self._flushing
        self._wake()
        await asyncio.to_thread(self._reader.shutdown)
        await asyncio.to_thread(self._writer.shutdown)
        self._table.close()

    async def _append(self, records: Sequence[Record]) -> int:
        if self._closed:
            raise StoreError(f"{self._path}: the bus is closed")
        pending = _Pending(records, asyncio.get_running_loop().create_future())
        self._pending.append(pending)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return await pending.done

    async def _flush(self) -> None:
        while self._pending:
            group, self._pending = self._pending, []
            if not await self._try(group):
                for alone in group:
                    await self._try([alone], last=True)
            self._wake()
        self._flushing = None

    async def _try(self, group: list[_Pending], *, last: bool = False) -> bool:
        """Write `group` in one transaction; when it fails, one by one is tried after it."""
        last = last or len(group) == 1
        try:
            with translated(self._path), around(Point.SIGNAL_PRODUCED):
                write = partial(self._table.write, [pending.records for pending in group])
                offsets = await self._in(self._writer, write)
        except StoreError as error:
            self.problem = str(error)
            self._refused_bytes = sum(len(r) for p in group for _, r in p.records)
            for pending in group if last else ():
                if not pending.done.done():
                    pending.done.set_exception(error)
            return last
        self.problem = ""
        self._known_end = max(self._known_end, offsets[-1] + 1)
        for pending, offset in zip(group, offsets, strict=True):
            if not pending.done.done():
                pending.done.set_result(offset)
        return True

    async def _in(self, thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def run() -> T:
            with translated(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(thread, run)

    async def _ends(self) -> tuple[int, int]:
        return await self._in(self._reader, self._table.ends)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


async def _wait(grown: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_S):
            await grown.wait()
    except TimeoutError:
        return
