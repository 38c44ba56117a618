"""What every long-running process does: serve its pages, work until a signal, end in order."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, TypeVar

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from engine import meters
from engine.app.web_server import Server
from engine.model.errors import ConfigError, StoreError
from engine.model.ports import Clock

LOG = structlog.get_logger()
LOCAL = "local"
"""Name of a process that has no peers."""
AGAIN_S = 2.0
"""Between attempts to open a store that others serve."""
ALIVE_S = 10.0
TICK_S = 1.0
T = TypeVar("T")
THREADS = 32
"""For calls that wait, such as those of the store: one that hangs shall not block the others."""


class Process:
    """Serves `app` on `listener` from its start on, and works until it is asked to stop.

    `app` may be replaced by one that can do more, once the work has begun.
    """

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self.app = app
        self._listener = listener
        self._web = Server(
            uvicorn.Config(
                self._serve,
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=2,
            )
        )
        self.stop = asyncio.Event()
        """Set once a signal asks this process to end."""
        self._serving: asyncio.Task[None] | None = None

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    @property
    def url(self) -> str:
        """Where the pages are."""
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}"

    async def run(
        self, work: Callable[[], Awaitable[None]], beside: Coroutine[Any, Any, None]
    ) -> None:
        """Do `work`, with the pages and `beside` going on until it is done."""
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(THREADS, "worker"))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the start reads all anyway
        meters.BUILD.labels(version("dogwatch")).set(1)
        async with asyncio.TaskGroup() as group:
            self._serving = group.create_task(self._web.serve(sockets=[self._listener]))
            going_on = group.create_task(beside)
            try:
                await work()
            finally:
                self._web.should_exit = True
                going_on.cancel()
        LOG.info("stopped")

    async def opened(
        self, opening: Callable[[], Awaitable[T]], waits: Callable[[str], None] | None
    ) -> T | None:
        """Return what `opening` gives once its store can be reached.

        Args:
            opening: raises StoreError as long as it can not.
            waits: is told why it is waited; None for a store that nobody else serves.

        Returns:
            None when this process is asked to stop before.

        Raises:
            StoreError: that of `opening`, where there is nothing to wait for.
        """
        stopping = asyncio.ensure_future(self.stop.wait())
        last = ""
        try:
            while not stopping.done():
                try:
                    return await opening()
                except StoreError as error:
                    if waits is None:
                        raise
                    if last != str(error):
                        LOG.warning("waiting for the store", error=str(error))
                    last = str(error)
                    waits(last)
                await asyncio.wait({stopping}, timeout=AGAIN_S)
            return None
        finally:
            stopping.cancel()

    async def until_stopped(self) -> None:
        """Return once this process was asked to stop, and who was promised an answer has it."""
        await self.stop.wait()
        LOG.info("stopping")
        self._web.should_exit = True
        if self._serving is not None:
            await self._serving


class Pulse:
    """Takes note, every second, that the loop turns."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._turned = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the loop turned lately."""
        return time.monotonic() - self._turned < ALIVE_S

    async def beat(self) -> None:
        """Wait for the next second, and take note that it has come."""
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        self._turned = time.monotonic()
        meters.HEARTBEAT.set(self._clock.now().timestamp())
        meters.LAG.set(self._turned - due)


def process_name() -> str:
    """Return a name that no other process has: of the host, with the pid and a few random letters.

    Containers of a set may share host name and pid over their restarts.
    """
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def listening(address: str, setting: str) -> Iterator[socket.socket]:
    """Give a socket that listens on `address`. Raises ConfigError, which names `setting`."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, the protocol lets asyncio send at once what is small: an answer is not 40 ms late.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, int(port)))
        except OSError as error:
            raise ConfigError(f"{setting} {address}: {error.strerror}") from error
        listener.listen()
        yield listener
