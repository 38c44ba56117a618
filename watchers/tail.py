"""The lines of a log that grows and is rotated, each once; what is half written waits.

Rotation by rename or by copytruncate, several at once, while nobody reads, and inodes that are
used again are all told apart by inode, size and the first bytes of a file.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from io import FileIO

CHUNK: Final = 1 << 20
"""Bytes that are read at once."""
LINE_LIMIT: Final = 4 << 20
"""Bytes of a line; a longer one is skipped."""
_HEAD: Final = 256


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a file was read; `digest` is that of its first `head` bytes."""

    inode: int
    offset: int
    head: int
    digest: str


@dataclass
class Lines:
    """What one read gave.

    Attributes:
        lines: whole lines without their ends; empty ones are left out.
        skipped: lines that were too long, or cut off by the end of their file.
        lost: a part of the log is gone before it was read.
        more: there may be more to read at once.
    """

    lines: list[bytes] = field(default_factory=list)
    skipped: int = 0
    lost: bool = False
    more: bool = False


class Tail:
    """Reads a log on from a place, or from its end; `close` it. Every call may wait for a disk."""

    def __init__(self, path: str, place: Place | None, *, from_start: bool) -> None:
        self._path = Path(path)
        self._from_start = from_start or place is not None
        self._remembered = place
        self._file: FileIO | None = None
        self._head = b""
        self._start = 0  # of the line that is not whole yet
        self._cursor = 0
        self._rest = b""
        self._skipping = False

    @property
    def place(self) -> Place | None:
        """Up to where all lines were given; None before a file was opened."""
        if self._file is None:
            return self._remembered
        inode = os.fstat(self._file.fileno()).st_ino
        return Place(inode, self._start, len(self._head), _digest(self._head))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def read(self) -> Lines:
        """Return what is new, at most CHUNK bytes of it. Raises OSError."""
        found = Lines()
        if self._file is None:
            self._begin(found)
        data = self._data()
        after = None if data else self._after()
        if after is not None:
            data = self._data()  # what was written before that file was begun
            if not data:
                found.skipped += bool(self._rest) or self._skipping
                self._open(after, 0)
                data = self._data()
        self._split(data, found)
        found.more = len(data) == CHUNK
        return found

    def _begin(self, found: Lines) -> None:
        """Open the file with which reading begins, at its place."""
        place = self._remembered
        if place is not None:
            old = next((one for one in self._family() if _is_at(one, place)), None)
            found.lost = old is None
            self._open(old or self._path, 0 if old is None else place.offset)
            self._remembered = None
            return
        try:
            self._open(self._path, 0)
        except FileNotFoundError:
            self._from_start = True  # all that will be in it is new
            raise
        if not self._from_start:
            self._cursor = self._start = self._size()
            self._skipping = self._cursor > 0 and self._at(self._cursor - 1, 1) != b"\n"

    def _open(self, path: Path, offset: int) -> None:
        if not path.is_file():  # opening a pipe would wait for its writer
            raise FileNotFoundError(path)
        file = path.open("rb", buffering=0)
        self.close()
        self._file = file
        self._head = self._at(0, _HEAD)
        self._rewind(offset)

    def _rewind(self, offset: int) -> None:
        self._start = self._cursor = offset
        self._rest, self._skipping = b"", False

    def _data(self) -> bytes:
        """Return the next bytes; begins anew where the file was cut."""
        if self._size() < self._cursor or self._at(0, len(self._head)) != self._head:
            self._head = b""
            self._rewind(0)
        if len(self._head) < _HEAD:
            self._head = self._at(0, _HEAD)
        data = self._at(self._cursor, CHUNK)
        self._cursor += len(data)
        return data

    def _split(self, data: bytes, found: Lines) -> None:
        *whole, last = (self._rest + data).split(b"\n")
        if self._skipping:
            if not whole:
                return
            del whole[0]
            self._skipping = False
            found.skipped += 1
        found.lines = [line for line in whole if 0 < len(line) <= LINE_LIMIT]
        found.skipped += sum(len(line) > LINE_LIMIT for line in whole)
        self._start = self._cursor - len(last)
        self._skipping = len(last) > LINE_LIMIT
        self._rest = b"" if self._skipping else last

    def _after(self) -> Path | None:
        """Return the file to go on with, None where this one may still be written to.

        That is the one that was begun after this one: there may be several.
        """
        ours, now = os.fstat(self._descriptor()), self._path.stat()
        if now.st_ino == ours.st_ino:
            return None
        later = [
            (status.st_mtime_ns, str(one))
            for one in self._family()
            if (status := one.stat()).st_mtime_ns > ours.st_mtime_ns
            and status.st_ino != ours.st_ino
        ]
        after = Path(min(later)[1]) if later else self._path
        return None if after == self._path and not now.st_size else after

    def _family(self) -> Iterator[Path]:
        """Yield the log and what it was renamed to, such as audit-2026-01-31T12-00-00.000.log."""
        yield self._path
        for one in sorted(self._path.parent.glob(f"{_escaped(self._path.stem)}*")):
            if one.suffix != ".gz" and one.is_file() and one != self._path:
                yield one

    def _descriptor(self) -> int:
        if self._file is None:
            raise ValueError("no file is open")
        return self._file.fileno()

    def _size(self) -> int:
        return os.fstat(self._descriptor()).st_size

    def _at(self, offset: int, count: int) -> bytes:
        return os.pread(self._descriptor(), count, offset)


def _is_at(path: Path, place: Place) -> bool:
    """Whether `path` is the file of `place`, and as long."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return (
                status.st_ino == place.inode
                and status.st_size >= place.offset
                and _digest(os.pread(file.fileno(), place.head, 0)) == place.digest
            )
    except OSError:
        return False


def _digest(head: bytes) -> str:
    return sha256(head).hexdigest()[:32]


def _escaped(name: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)
