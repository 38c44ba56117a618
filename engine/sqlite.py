"""SQLite files that are whole or refused: born complete, marked, checked when opened.

Source: SQLite file format and WAL format, sqlite.org/fileformat2.html.
"""

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from engine.model.errors import StoreError

BUSY_S = 30.0
"""Seconds that a write waits for another process."""
FULL_CHECK_BYTES = 64 << 20
"""Larger files are checked without comparing each index with its table."""

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    f"PRAGMA busy_timeout={int(BUSY_S * 1000)}",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cell_size_check=ON",
)
_WAL_HEADER = struct.Struct(">8I")
_WAL_FRAME = struct.Struct(">6I")
_WAL_MAGIC = 0x377F0682
_WAL_READS = 3

_SENTENCES = {
    sqlite3.SQLITE_FULL: "the disk is full; nothing was written, free some space",
    sqlite3.SQLITE_READONLY: "the file or its folder is read-only; allow this user to write",
    sqlite3.SQLITE_IOERR: "the disk refused a read or a write",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore it from a backup",
    sqlite3.SQLITE_NOTADB: "this is no SQLite file, or its head is damaged; restore a backup",
    sqlite3.SQLITE_BUSY: f"another process kept it locked for {BUSY_S:g} s",
    sqlite3.SQLITE_LOCKED: "another connection kept it locked",
    sqlite3.SQLITE_CANTOPEN: "it can not be opened; check that its folder exists and is writable",
    sqlite3.SQLITE_PERM: "this user may not use the file",
}


def prepare(path: Path, mark: int) -> None:
    """Create the file at `path` whole, or check the one that is there.

    `mark` is the application id that tells our kinds of files apart. A file that exists is
    never taken for a new one: an empty one has lost its content.

    Raises:
        StoreError: it is damaged, cut off, of another kind, or can not be opened.
    """
    with translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _create(path, mark)
        if path.stat().st_size == 0:
            raise StoreError(f"{path}: the file is empty, it lost its content; restore a backup")
        _check_wal(path)
        with closing(sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)) as connection:
            _check(connection, path, mark)


def explain(error: BaseException, path: Path | str) -> StoreError:
    """Return the StoreError that says what `error` of SQLite or of the system means."""
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OSError):
        return StoreError(f"{path}: {error.strerror or error}")
    sentence = _SENTENCES.get(code & 0xFF) if code is not None else None
    return StoreError(f"{path}: {sentence} ({error})" if sentence else f"{path}: {error}")


@contextmanager
def translated(path: Path | str) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into StoreError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


def _create(path: Path, mark: int) -> None:
    log = Path(f"{path}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(f"{path}: the file is gone but its log {log.name} is there; restore both")
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id={mark}")
            connection.execute("PRAGMA journal_mode=WAL")
        _sync(new)
        with suppress(FileExistsError):  # another process was first; its file is as good
            os.link(new, path)
        _sync(path.parent)
    finally:
        new.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(connection: sqlite3.Connection, path: Path, mark: int) -> None:
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != mark:
        raise StoreError(f"{path}: marked {found:#010x}, not {mark:#010x}: a file of another kind")
    thorough = path.stat().st_size <= FULL_CHECK_BYTES
    check = "integrity_check" if thorough else "quick_check"
    faults = [row[0] for row in connection.execute(f"PRAGMA {check}(3)")]
    if faults != ["ok"]:
        shown = "; ".join(" ".join(str(fault).split()) for fault in faults)
        raise StoreError(f"{path}: the file is damaged ({shown}); restore it from a backup")


def _check_wal(path: Path) -> None:
    """Refuse a log whose damage lies before a transaction that was completed after it.

    SQLite itself stops at the first frame with a wrong checksum and forgets what follows. That
    is right for a write that was cut off, which can only be the last one; anything whole behind
    it was durable once.
    """
    log = Path(f"{path}-wal")
    damage = ""
    for _ in range(_WAL_READS):
        # A writer at work may change the log under a reading: damage is what stays.
        damage = _wal_damage(log.read_bytes()) if log.exists() else ""
        if not damage:
            return
    raise StoreError(f"{path}: its log is damaged ({damage}); restore a backup")


def _wal_damage(content: bytes) -> str:
    if len(content) < _WAL_HEADER.size:
        return ""
    magic, _, page, _, salt1, salt2, *sums = _WAL_HEADER.unpack_from(content)
    state = _wal_sum(content[: _WAL_HEADER.size - 8], (0, 0), magic)
    if magic & ~1 != _WAL_MAGIC or state != tuple(sums):
        return "wrong checksum of its head"
    broken = 0
    size = _WAL_FRAME.size + page
    for at in range(_WAL_HEADER.size, len(content) - size + 1, size):
        _, commit, salt_a, salt_b, *want = _WAL_FRAME.unpack_from(content, at)
        if (salt_a, salt_b) != (salt1, salt2):
            broken = broken or at
            continue
        if broken and commit:
            return f"wrong checksum at byte {broken}"
        body = content[at : at + 8] + content[at + _WAL_FRAME.size : at + size]
        state = _wal_sum(body, state, magic)
        broken = broken or (0 if state == tuple(want) else at)
    return ""


def _wal_sum(content: bytes, start: tuple[int, int], magic: int) -> tuple[int, int]:
    order = ">" if magic & 1 else "<"
    first, second = start
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second
