"""Where built servers live: one folder per build, outside the tree, shared by all checkouts."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def root(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder: DOGWATCH_TESTBED_CACHE, else the user's XDG cache."""
    chosen = environ.get("DOGWATCH_TESTBED_CACHE")
    if chosen:
        return Path(chosen).expanduser().resolve()
    xdg = environ.get("XDG_CACHE_HOME")
    base = Path(xdg) if xdg else Path.home() / ".cache"
    return base / "dogwatch" / "testbeds"


def binary(name: str, server: str) -> Path:
    """Return where the build called `name` keeps its executable, there or not."""
    return root() / name / server


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock of one build: a second `make testbeds` waits and then finds the result."""
    folder = root()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
