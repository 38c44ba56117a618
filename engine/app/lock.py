"""One process a data folder: an advisory lock that dies with its holder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.model.errors import StoreError


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold `folder`, made when absent, for this process.

    Raises:
        StoreError: another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise StoreError(f"data folder {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"data folder {folder}: another dogwatch runs on it") from error
        yield
