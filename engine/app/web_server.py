"""uvicorn inside a process that has its own way to stop."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn


class Server(uvicorn.Server):
    """A server that leaves the process's signals alone; `should_exit` ends it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield
