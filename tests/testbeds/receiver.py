"""A real HTTP server that records what it is sent and answers as it is told."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping
    from types import TracebackType

_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived: header names in lower case, `at` in seconds of the monotonic clock."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What to do with a request; `hang` waits until the receiver closes, `drop` resets."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    hang: bool = False
    drop: bool = False


def json_answer(body: Mapping[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def too_many(retry_after_s: int) -> Answer:
    return Answer(429, headers={"Retry-After": str(retry_after_s)})


def accept(_request: Request) -> Answer:
    return Answer()


class Receiver:
    """An HTTP or HTTPS server on loopback, in threads of its own.

    Answers that were scripted are given first, in their order; then `otherwise` decides.
    """

    def __init__(
        self,
        otherwise: Callable[[Request], Answer] = accept,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        self.otherwise = otherwise
        self.closing = threading.Event()
        self._script: deque[Answer] = deque()
        self._requests: list[Request] = []
        self._arrived = threading.Condition()
        self._server = _Server(("127.0.0.1", port), self)
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake is left to the thread of the connection: one silent client must not
            # keep the others waiting.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="receiver"
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in the order of their arrival."""
        with self._arrived:
            return list(self._requests)

    def script(self, *answers: Answer) -> None:
        """Give these answers next, one per request."""
        with self._arrived:
            self._script.extend(answers)

    def wait(self, number: int, timeout_s: float = 10.0) -> list[Request]:
        """Return all requests as soon as there are so many.

        Raises:
            TimeoutError: fewer have come; the text says how many.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= number, timeout_s):
                raise TimeoutError(f"{len(self._requests)} of {number} requests in {timeout_s} s")
            return list(self._requests)

    def take(self, request: Request) -> Answer:
        """Record a request and return the answer to give; called by the connections' threads."""
        with self._arrived:
            self._requests.append(request)
            self._arrived.notify_all()
            scripted = self._script.popleft() if self._script else None
        return scripted or self.otherwise(request)

    def close(self) -> None:
        """Stop: hanging requests end, open connections are shut, threads are joined."""
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.shut_connections()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], receiver: Receiver) -> None:
        super().__init__(address, _Connection)
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def shut_connections(self) -> None:
        """Wake the threads that wait for a next request on a connection kept alive."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # its client was faster

    def track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def handle_error(self, _request: Any, _address: Any) -> None:
        """Stay silent: clients that go away in the middle are part of the tests."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes: without this the second waits 40 ms for the client's ACK.
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.server.track(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.forget(self.request)
        super().finish()

    def log_message(self, *_arguments: Any) -> None:
        """Print nothing."""

    def answer(self) -> None:
        receiver = self.server.receiver
        length = int(self.headers.get("Content-Length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True  # its client died within the request: none arrived
            return
        request = Request(self.command, self.path, headers, body, monotonic())
        answer = receiver.take(request)
        receiver.closing.wait(None if answer.hang else answer.delay_s)
        if answer.drop or answer.hang:
            self._reset()
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _reset(self) -> None:
        """Close so that the client reads a reset instead of an answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.close_connection = True


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE"):  # the names the base class looks up
    setattr(_Connection, f"do_{_method}", _Connection.answer)


def slack(token: str) -> Callable[[Request], Answer]:
    """Return answers as Slack gives them, to its Web API and to incoming webhooks.

    Args:
        token: the bot token that the Web API takes; any other is `invalid_auth`.
    """
    stamps = count(1)

    def posted(body: dict[str, Any]) -> Answer:
        stamp = body.get("ts") or f"1700000000.{next(stamps):06d}"
        return json_answer({"ok": True, "ts": stamp, "channel": body.get("channel")})

    def answer(request: Request) -> Answer:
        if request.path.startswith("/services/"):
            return Answer(body=b"ok")
        if request.headers.get("authorization") != f"Bearer {token}":
            return json_answer({"ok": False, "error": "invalid_auth"})
        if request.path.rsplit("/", 1)[-1] not in {"chat.postMessage", "chat.update"}:
            return json_answer({"ok": False, "error": "unknown_method"})
        body = request.json()
        if not body.get("channel"):
            return json_answer({"ok": False, "error": "channel_not_found"})
        return posted(body)

    return answer
