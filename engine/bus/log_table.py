"""The table of the embedded log: what its two threads do to the file."""

import sqlite3
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from engine.bus.codec import Damaged
from engine.model.instant import MICROS, to_us
from engine.model.ports import Clock
from engine.sqlite import BUSY_S, PRAGMAS

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


class LogTable:
    """Two connections to the file, each for one thread: `writing` and `reading`.

    Raises (every method): sqlite3.Error, OSError.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self.writing = self._connect()
        self.reading = self._connect()
        self.writing.execute(_SCHEMA)

    def close(self) -> None:
        """Close both connections."""
        self.reading.close()
        self.writing.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
        for pragma in PRAGMAS:
            connection.execute(pragma)
        return connection

    def write(self, group: Sequence[Sequence[Record]]) -> list[int]:
        """Append each of `group`, all in one transaction; return their last offsets."""
        at = to_us(self._clock.now())
        connection = self.writing
        connection.execute("BEGIN IMMEDIATE")
        try:
            last = [[self._insert(*record, at) for record in records][-1] for records in group]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return last

    def probe(self, size: int) -> None:
        """Write `size` bytes the way a record is written, and take them away again."""
        connection = self.writing
        connection.execute("CREATE TABLE IF NOT EXISTS probe (bytes BLOB NOT NULL) STRICT")
        try:
            connection.execute("INSERT INTO probe VALUES (zeroblob(?))", (size,))
        finally:
            connection.execute("DELETE FROM probe")

    def _insert(self, cluster: str, record: bytes, at: int) -> int:
        row = (cluster, record, zlib.crc32(record), at)
        return int(self.writing.execute(_APPEND, row).fetchall()[0][0])

    def select(self, offset: int) -> list[tuple[int, bytes]]:
        """Return records from `offset` on, up to READ_RECORDS and about READ_BYTES."""
        found: list[tuple[int, bytes]] = []
        size = 0
        with closing(self.reading.execute(_READ, (offset, READ_RECORDS))) as rows:
            for at, record, checksum in rows:
                whole = zlib.crc32(record) == checksum
                found.append((at, record if whole else Damaged(record)))
                size += len(record)
                if size >= READ_BYTES:
                    break
        return found

    def ends(self) -> tuple[int, int]:
        """Return the offsets of the first and the last record, (0, -1) where there is none."""
        first, last = self.reading.execute(_ENDS).fetchone()
        return (0, -1) if last is None else (first, last)

    def appended(self, offset: int) -> int | None:
        """Return when the first record from `offset` on was appended, in microseconds."""
        found = self.reading.execute(_APPENDED, (offset,)).fetchone()
        return int(found[0]) if found else None

    def outside(self, keep_s: float | None, keep_bytes: int | None) -> int:
        """Return the offset below which every record is outside of a limit; never the end."""
        _, last = self.ends()
        cuts = []
        if keep_s is not None:
            oldest = to_us(self._clock.now()) - int(keep_s * MICROS)
            young = self.reading.execute(_YOUNG, (oldest,)).fetchone()
            cuts.append(young[0] if young else last)
        if keep_bytes is not None:
            cuts.append(self._beyond(keep_bytes))
        return min(last, max(cuts, default=last))

    def _beyond(self, keep_bytes: int) -> int:
        with closing(self.reading.execute(_SIZES)) as rows:
            for at, size in rows:
                keep_bytes -= size
                if keep_bytes < 0:
                    return int(at) + 1
        return 0

    def delete(self, before: int) -> int:
        """Delete up to TRIM_RECORDS records below `before`; return how many."""
        return self.writing.execute(_TRIM, (before, TRIM_RECORDS)).rowcount
