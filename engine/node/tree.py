"""Reading sysfs below a root: bounded, and never more than a part that could not be read."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from engine.model.node_report import MAX_UNREAD, MAX_WORD

MAX_BYTES: Final = 4096
"""A file of sysfs is one page."""
MAX_NAMES: Final = 4096
_NOTHING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.EOPNOTSUPP})
"""There is no such thing, or it has no value now: the speed of a link that is down."""
T = TypeVar("T")


class Tree:
    """The files below `root`, in one look. Nothing raises: what is unread is counted and named.

    Attributes:
        faults: how many files could not be read, by reason.
        unread: the first of them, each `path: reason`.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.faults: Counter[str] = Counter()
        self.unread: list[str] = []

    def names(self, path: str) -> list[str] | None:
        """Return the names in a folder in order: none where there is none, None if unreadable."""
        try:
            with os.scandir(self._root / path) as entries:
                found = [entry.name for _, entry in zip(range(MAX_NAMES), entries, strict=False)]
        except OSError as error:
            return [] if self._nothing(path, error) else None
        return sorted(name for name in found if name.isascii() and name.isprintable())

    def text(self, path: str) -> str | None:
        """Return what a file holds without blanks around it; None: nothing, or it is unreadable."""
        try:
            return _page(self._root / path).decode().strip() or None
        except OSError as error:
            self._nothing(path, error)
        except UnicodeDecodeError:
            self._note(path, "garbage")
        return None

    def value(self, path: str, parse: Callable[[str], T | None]) -> T | None:
        """Return what `parse` makes of a file; a text of which it makes nothing is noted."""
        text = self.text(path)
        if text is None:
            return None
        value = parse(text)
        if value is None:
            self._note(path, "garbage")
        return value

    def link(self, path: str) -> str | None:
        """Return the last part of what a link points to; None where there is no such link."""
        try:
            return (self._root / path).readlink().name or None
        except OSError as error:
            self._nothing(path, error)
            return None

    def real(self, path: str) -> tuple[str, ...]:
        """Return the parts of the path without links; none where it leads nowhere."""
        try:
            return (self._root / path).resolve(strict=True).parts
        except OSError as error:
            self._nothing(path, error)
        except RuntimeError:  # how pathlib tells of links in a circle
            self._note(path, "ELOOP")
        return ()

    def has(self, path: str) -> bool:
        """Say whether there is such a thing."""
        return os.path.lexists(self._root / path)

    def _nothing(self, path: str, error: OSError) -> bool:
        """Say whether it is no fault that nothing was read; note it otherwise."""
        if error.errno in _NOTHING:
            return True
        self._note(path, errno.errorcode.get(error.errno or 0, "unreadable"))
        return False

    def _note(self, path: str, reason: str) -> None:
        self.faults[reason] += 1
        if len(self.unread) < MAX_UNREAD:
            plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in path)
            self.unread.append(f"{plain[: MAX_WORD - 20]}: {reason}")


def _page(path: Path) -> bytes:
    """Return the bytes of a file of one page at most. Raises OSError."""
    # What is no file, such as a pipe, must not hold the reader.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EBADF, "no file")
        data = os.read(handle, MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(data) > MAX_BYTES:
        raise OSError(errno.EFBIG, "too large")
    return data
