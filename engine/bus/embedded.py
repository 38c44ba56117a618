"""The embedded bus: an append-only table in a SQLite file of its own.

Appends that wait at the same time share one transaction and one fsync. Offsets count from 0
without gaps; a record keeps its offset for ever.
"""

import asyncio
import sqlite3
import zlib
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from engine.bus.codec import Damaged, batches
from engine.failpoint import Point, around
from engine.model.errors import StoreError
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.model.signal import Signal
from engine.sqlite import BUSY_S, PRAGMAS, prepare, translated

MARK = 0x44574255  # DWBU
POLL_S = 0.05
"""How late a record of another process may be seen."""
READ_BYTES = 4 << 20
READ_RECORDS = 256
TRIM_RECORDS = 1000
"""Records deleted in one transaction."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
    "offset" INTEGER PRIMARY KEY,
    cluster TEXT NOT NULL,
    bytes BLOB NOT NULL,
    checksum INTEGER NOT NULL,
    appended_at INTEGER NOT NULL
) STRICT
"""
_APPEND = """
INSERT INTO log SELECT coalesce(max("offset") + 1, 0), ?, ?, ?, ? FROM log RETURNING "offset"
"""
_READ = 'SELECT "offset", bytes, checksum FROM log WHERE "offset" >= ? ORDER BY "offset" LIMIT ?'
_ENDS = 'SELECT min("offset"), max("offset") FROM log'
_SIZES = 'SELECT "offset", length(bytes) FROM log ORDER BY "offset" DESC'
_APPENDED = 'SELECT appended_at FROM log WHERE "offset" >= ? ORDER BY "offset" LIMIT 1'
_YOUNG = 'SELECT "offset" FROM log WHERE appended_at >= ? ORDER BY "offset" LIMIT 1'
_TRIM = """
DELETE FROM log WHERE "offset" IN
    (SELECT "offset" FROM log WHERE "offset" < ? ORDER BY "offset" LIMIT ?)
"""

Record = tuple[str, bytes]
"""(cluster, batch bytes)"""
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
            self._write_connection = self._connect()
            self._read_connection = self._connect()
            self._write_connection.execute(_SCHEMA)
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
                found = await self._in(self._reader, partial(self._select, offset))
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
        return await self._in(self._reader, partial(self._appended, offset))

    async def check(self) -> None:
        """Where there is a `problem`, see whether as much as was refused could be written now.

        So the bus is well again by itself, also while nobody dares to append.
        """
        if self.problem:
            await self._in(self._writer, partial(self._probe, self._refused_bytes))
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
        limits = partial(self._outside, keep_s, keep_bytes)
        before = min(before_offset, await self._in(self._reader, limits))
        total = 0
        while True:
            deleted = await self._in(self._writer, partial(self._delete, before))
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
        self._read_connection.close()
        self._write_connection.close()

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
                write = partial(self._write, [pending.records for pending in group])
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
        return await self._in(self._reader, self._first_and_last)

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection

    def _write(self, group: Sequence[Sequence[Record]]) -> list[int]:
        at = to_us(self._clock.now())
        connection = self._write_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = [[self._insert(*record, at) for record in records][-1] for records in group]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return last

    def _probe(self, size: int) -> None:
        """Write `size` bytes the way a record is written, and take them away again."""
        connection = self._write_connection
        connection.execute("CREATE TABLE IF NOT EXISTS probe (bytes BLOB NOT NULL) STRICT")
        try:
            connection.execute("INSERT INTO probe VALUES (zeroblob(?))", (size,))
        finally:
            connection.execute("DELETE FROM probe")

    def _insert(self, cluster: str, record: bytes, at: int) -> int:
        row = (cluster, record, zlib.crc32(record), at)
        return int(self._write_connection.execute(_APPEND, row).fetchall()[0][0])

    def _select(self, offset: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        size = 0
        with closing(self._read_connection.execute(_READ, (offset, READ_RECORDS))) as rows:
            for at, record, checksum in rows:
                whole = zlib.crc32(record) == checksum
                found.append((at, record if whole else Damaged(record)))
                size += len(record)
                if size >= READ_BYTES:
                    break
        return found

    def _first_and_last(self) -> tuple[int, int]:
        first, last = self._read_connection.execute(_ENDS).fetchone()
        return (0, -1) if last is None else (first, last)

    def _appended(self, offset: int) -> int | None:
        found = self._read_connection.execute(_APPENDED, (offset,)).fetchone()
        return int(found[0]) if found else None

    def _outside(self, keep_s: float | None, keep_bytes: int | None) -> int:
        """Return the offset below which every record is outside of a limit; never the end."""
        _, last = self._first_and_last()
        cuts = []
        if keep_s is not None:
            oldest = to_us(self._clock.now()) - int(keep_s * MICROS)
            young = self._read_connection.execute(_YOUNG, (oldest,)).fetchone()
            cuts.append(young[0] if young else last)
        if keep_bytes is not None:
            cuts.append(self._beyond(keep_bytes))
        return min(last, max(cuts, default=last))

    def _beyond(self, keep_bytes: int) -> int:
        with closing(self._read_connection.execute(_SIZES)) as rows:
            for at, size in rows:
                keep_bytes -= size
                if keep_bytes < 0:
                    return int(at) + 1
        return 0

    def _delete(self, before: int) -> int:
        return self._write_connection.execute(_TRIM, (before, TRIM_RECORDS)).rowcount


async def _wait(grown: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_S):
            await grown.wait()
    except TimeoutError:
        return
