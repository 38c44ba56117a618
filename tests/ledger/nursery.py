"""A nursery: processes of dogwatch without the cost of importing it, once for all of them.

A process that has imported everything (forks.py) forks a child for each `dogwatch` that is asked
for. The children run the command line as it is, and can be killed or stopped like any other
process; a kill during the imports would show nothing, as no file is open before they are done.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from tests.testbeds.process import NotReadyError, Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
_GONE_S = 20.0


class Child:
    """One process that the nursery started; `pid` is its own."""

    def __init__(self, nursery: Nursery, pid: int, log: Path) -> None:
        self.pid = pid
        self._nursery = nursery
        self._log = log
        # As long as it was not reaped its number is nobody else's.
        self._handle = os.pidfd_open(pid)
        self._reaped = False

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._reaped and not select.select([self._handle], [], [], 0)[0]

    def signal(self, number: int) -> None:
        """Send it a signal; harmless when it has ended."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    def kill(self) -> None:
        """End it by SIGKILL and wait until it is gone."""
        self.signal(signal.SIGKILL)
        assert self.wait(_GONE_S), f"process {self.pid} outlived SIGKILL"

    def stop(self, grace_s: float = _GONE_S) -> None:
        """Ask it to end in good order, and kill it if it does not in time."""
        self.signal(signal.SIGTERM)
        if not self.wait(grace_s):
            self.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it came, and let go of the process then."""
        if self._reaped:
            return True
        if not select.select([self._handle], [], [], timeout_s)[0]:
            return False
        self._nursery.ask(reap=self.pid)
        os.close(self._handle)
        self._reaped = True
        return True

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])


class Nursery:
    """Starts processes of dogwatch; a context manager, to be used from any thread."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        """`root` is the checkout whose code runs."""
        self._name = f"\0dogwatch-nursery-{uuid4()}"
        path = f"PYTHONPATH={root}"
        run = [sys.executable, "-m", "tests.ledger.forks", self._name[1:]]
        self._server = Server("nursery", ["/usr/bin/env", path, *run], folder / "nursery.log")
        self._connection: socket.socket | None = None
        self._lock = threading.Lock()

    def spawn(
        self, arguments: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> Child:
        """Start `dogwatch ARGUMENTS`; what it prints is appended to `log`."""
        answer = self.ask(spawn=list(arguments), log=str(log), environment=dict(environment or {}))
        return Child(self, answer["pid"], log)

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send one question and return the answer."""
        with self._lock:
            assert self._connection is not None, "the nursery is not open"
            self._connection.sendall(json.dumps(question).encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                part = self._connection.recv(4096)
                if not part:
                    raise NotReadyError(f"the nursery has ended:\n{self._server.tail()}")
                answer += part
        return dict(json.loads(answer))

    def _connect(self) -> socket.socket | None:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(self._name)
        except OSError:
            connection.close()
            return None
        return connection

    def __enter__(self) -> Self:
        self._server.start()
        try:
            self._connection = self._server.ready(self._connect, 60)
        except BaseException:
            self._server.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._connection is not None:
            self._connection.close()
        self._server.stop()
