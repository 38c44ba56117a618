"""Child servers: started on a leash, probed, stopped by pid; and ports that nobody else takes."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_LEASH = Path(__file__).with_name("leash.py")
# Below the range from which the kernel takes the ports of outgoing connections.
_PORTS = range(20_000, 32_000)
_GRACE_S = 5.0

# The kernel kills a leashed child when the *thread* that forked it ends, so that all are forked
# by one thread, which lives as long as this process.
_forker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="testbeds")


class NotReadyError(Exception):
    """A server did not become ready; the text has its last log lines."""


class Server:
    """One child process with its log file; can be stopped and started again."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start(self) -> None:
        """Start the process; what it prints is appended to the log. A running one is left alone."""
        if not self.running:
            self._child = _forker.submit(self._fork).result()

    def _fork(self) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-S", "-E", str(_LEASH), str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                leash + self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt of the tests is not for the servers
            )

    def stop(self) -> None:
        """Stop it by SIGTERM and, after 5 seconds, SIGKILL; harmless when it does not run."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._child.wait()
        self._child = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._child is not None:
            self._child.send_signal(signal.SIGKILL)
            self._child.wait()
            self._child = None

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def ready(self, probe: Callable[[], T | None], timeout_s: float = 30.0) -> T:
        """Wait until the probe returns something, and return that.

        Raises:
            NotReadyError: the process has ended, or the time is over.
        """
        value = eventually(lambda: probe() if self.running else None, timeout_s, self._has_ended)
        if value is None:
            state = "is not ready" if self.running else "has ended"
            raise NotReadyError(f"{self.name} {state}; its log ends with:\n{self.tail()}")
        return value

    def _has_ended(self) -> bool:
        return not self.running


def eventually(
    probe: Callable[[], T | None],
    timeout_s: float = 30.0,
    hopeless: Callable[[], bool] = lambda: False,
    every_s: float = 0.05,
) -> T | None:
    """Call the probe until it returns something; return that, or None when the time is over."""
    deadline = monotonic() + timeout_s
    pause = threading.Event()
    while (value := probe()) is None:
        if monotonic() > deadline or hopeless():
            return None
        pause.wait(every_s)
    return value


def reserve_port(held: ExitStack) -> int:
    """Return a free loopback port that no other test run takes while `held` is open.

    Servers bind their ports late and again after a restart; the reservation is a file lock, which
    the runs of all checkouts on this machine respect.
    """
    folder = Path(tempfile.gettempdir()) / f"dogwatch-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for port in random.sample(_PORTS, k=len(_PORTS)):
        if _take(held, folder / str(port)) and _is_free(port):
            return port
    raise NotReadyError(f"no free port in {_PORTS.start}-{_PORTS.stop}")


def _take(held: ExitStack, path: Path) -> bool:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    held.enter_context(file)
    return True


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
