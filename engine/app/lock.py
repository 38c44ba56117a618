"""One process a data folder: an advisory lock that dies with its holder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.model.errors import StoreError


@contextmanager
def hold(folder: Path, role: str = "") -> Iterator[None]:
    """Hold `folder`, made when absent, for this process, or what `role` does there.

    Raises:
        StoreError: another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / (f"{role}.lock" if role else "lock")).open("w")
    except OSError as error:
        raise StoreError(f"data folder {folder}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = f"another {role}" if role else "another dogwatch"
            raise StoreError(f"data folder {folder}: {who} runs on it") from error
        yield
