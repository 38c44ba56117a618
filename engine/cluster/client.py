"""HTTP to one API server: fresh credentials, bounded rate, every failure a ClusterError."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from engine.cluster.contexts import Access, Context, access
from engine.cluster.login import address
from engine.cluster.pace import Pace
from engine.cluster.refusal import refusal
from engine.model.errors import ClusterError

CONNECT_S = 10.0
READ_S = 30.0
HEAD_S = CONNECT_S + READ_S
ATTEMPTS = 3
MAX_WAIT_S = 30.0
MAX_BODY_BYTES = 256 << 20
USER_AGENT = "dogwatch"

Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `body` is sent as JSON of the type `media`."""

    path: str
    params: Params | None = None
    method: str = "GET"
    body: Any = None
    media: str = "application/json"


class Client:
    """One API server, asked as one identity. Use from one event loop; `aclose` when done."""

    def __init__(self, context: Context, *, requests_per_s: float = 20.0, burst: int = 40) -> None:
        self._context = context
        self._pace = Pace(requests_per_s, burst)
        self._access: Access | None = None
        self._http: httpx.AsyncClient | None = None
        self._retired: httpx.AsyncClient | None = None
        self._read_at = 0.0
        self._refreshing = asyncio.Lock()
        self.shown = b""
        """The certificate (DER) that the server showed last, empty before that or without TLS."""

    async def json(self, path: str, params: Params | None = None) -> Any:
        """Return the decoded answer of a GET. Raises ClusterError."""
        return _decoded(await self.get(path, params), path)

    async def send(self, call: Call, *, head_s: float = HEAD_S, waits: bool = True) -> Any:
        """Send what may change something, and return the decoded answer.

        It is sent again, three times at most, only where the server turned it away before it
        looked at it: too many requests, or credentials that had to be renewed. Without `waits`
        not the former: who asked has to look first whether it is still to be sent.

        Raises:
            ClusterError: as `get`, and conflict, invalid, blocked. After timeout, unreachable,
                unavailable and malformed nobody knows whether it was done.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._exchange(call, read_s=READ_S, head_s=head_s) as chunks:
                    return _decoded(await _whole(chunks, call.path, None), call.path)
            except ClusterError as error:
                if attempt == ATTEMPTS or not await self._turned_away(error, waits=waits):
                    raise
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    async def get(
        self, path: str, params: Params | None = None, *, tail_bytes: int | None = None
    ) -> bytes:
        """Return the body of a GET; told to wait, it waits and asks again, three times at most.

        Args:
            path: path on the server.
            params: query.
            tail_bytes: return only that much of the end; None refuses what is too large.

        Raises:
            ClusterError: unreachable, unauthorized, forbidden, not-found, expired, timeout,
                throttled, unavailable, config, malformed, refused.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self.stream(path, params, read_s=READ_S) as chunks:
                    return await _whole(chunks, path, tail_bytes)
            except ClusterError as error:
                if attempt == ATTEMPTS or not await self._worth_another(error):
                    raise
        raise AssertionError  # pragma: no cover - the last attempt returns or raises

    def stream(
        self, path: str, params: Params | None, *, read_s: float, head_s: float = HEAD_S
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a GET and give its chunks.

        Args:
            path: path on the server.
            params: query.
            read_s: seconds of silence between two chunks.
            head_s: seconds until the server begins to answer.

        Raises:
            ClusterError: as `get`, at the start or while the chunks are read.
        """
        return self._exchange(Call(path, params), read_s=read_s, head_s=head_s)

    @contextlib.asynccontextmanager
    async def _exchange(
        self, call: Call, *, read_s: float, head_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        await self._pace.turn()
        http = await self._connection()
        where = address(self._access.server) if self._access else ""
        try:
            async with asyncio.timeout(head_s):
                with _usable(where):
                    response = await http.send(self._request(http, call, read_s), stream=True)
            self.shown = _shown(response) or self.shown
            async with contextlib.aclosing(response):
                if not response.is_success:
                    raise await refusal(response, call.path)
                yield response.aiter_bytes()
        except (httpx.TimeoutException, TimeoutError) as error:
            raise ClusterError("timeout", f"{where}: no answer in time ({_name(error)})") from error
        except (httpx.HTTPError, ssl.SSLError) as error:
            why = " ".join(str(error).split())[:200] or _name(error)
            raise ClusterError("unreachable", f"{where}: {why}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        for http in (self._http, self._retired):
            if http is not None:
                await http.aclose()
        self._http = self._retired = None

    async def _worth_another(self, error: ClusterError) -> bool:
        """Wait or renew the credentials where that may help; say whether it may."""
        if error.reason == "unauthorized":
            return await self._renewed()
        if await _waited(error):
            return True
        # A connection that was idle may have been closed under us: once more, on a new one.
        return isinstance(error.__cause__, httpx.RemoteProtocolError | httpx.ReadError)

    async def _turned_away(self, error: ClusterError, *, waits: bool) -> bool:
        """The same of a request that must not be done twice."""
        if error.reason == "unauthorized":
            return await self._renewed()
        return waits and error.reason == "throttled" and await _waited(error)

    async def _renewed(self) -> bool:
        """Read the credentials again; say whether they are others."""
        stale = self._access
        self._read_at = float("-inf")
        await self._connection()
        return stale is not None and stale.headers != self._access_now().headers

    async def _connection(self) -> httpx.AsyncClient:
        async with self._refreshing:
            now = asyncio.get_running_loop().time()
            if self._access is None or now - self._read_at >= self._access.refresh_s:
                fresh = await access(self._context)
                if self._access is None or fresh.material != self._access.material:
                    await self._reconnect(fresh)
                self._access, self._read_at = fresh, now
            if self._http is None:
                raise ClusterError("config", "this client is closed")
            return self._http

    async def _reconnect(self, fresh: Access) -> None:
        """Use new certificates; streams on the old connection live until the next change."""
        with _usable(address(fresh.server)):
            http = httpx.AsyncClient(
                base_url=fresh.server,
                transport=httpx.AsyncHTTPTransport(
                    verify=fresh.tls,
                    limits=httpx.Limits(max_connections=None, keepalive_expiry=20.0),
                    proxy=httpx.Proxy(fresh.proxy) if fresh.proxy else None,
                    socket_options=_KEEPALIVE,
                ),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json"},
                follow_redirects=False,
                trust_env=False,
            )
        if self._retired is not None:
            await self._retired.aclose()
        self._retired, self._http = self._http, http

    def _access_now(self) -> Access:
        if self._access is None:
            raise ClusterError("config", "this client has no credentials")
        return self._access

    def _request(self, http: httpx.AsyncClient, call: Call, read_s: float) -> httpx.Request:
        now = self._access_now()
        headers = dict(now.headers)
        content = None
        if self._context.act_as:
            headers["Impersonate-User"] = self._context.act_as
        if call.body is not None:
            headers["Content-Type"] = call.media
            content = msgspec.json.encode(call.body)
        return http.build_request(
            call.method,
            call.path,
            params=call.params,
            headers=headers,
            content=content,
            timeout=httpx.Timeout(read_s, connect=CONNECT_S),
            extensions={"sni_hostname": now.server_name} if now.server_name else {},
        )


_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (
            ("TCP_KEEPIDLE", 15),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 3),
            ("TCP_USER_TIMEOUT", 30_000),
        )
        if hasattr(socket, name)
    ),
]
"""A peer that is gone is noticed after about 30 s."""


_ODD = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, ImportError),
    *(httpx.InvalidURL, ExceptionGroup),
)
"""What the clients of HTTP and TLS raise for addresses, ports, names and proxies that are none; in
a group where several addresses were tried at once."""


@contextlib.contextmanager
def _usable(where: str) -> Iterator[None]:
    """Raise ClusterError, without what it holds, where a kubeconfig leads nowhere."""
    try:
        yield
    except _ODD as error:
        why = f"server, proxy or name in its kubeconfig can not be used ({_name(error)})"
        raise ClusterError("config", f"{where}: {why}" if where else why) from error


async def _waited(error: ClusterError) -> bool:
    """Wait as long as the server asked, if it did and it is not too long; say whether."""
    if error.retry_after_s is None or error.retry_after_s > MAX_WAIT_S:
        return False
    await asyncio.sleep(error.retry_after_s)
    return True


def _decoded(raw: bytes, path: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise ClusterError("malformed", f"{path}: the answer is no JSON") from error


async def _whole(chunks: AsyncIterator[bytes], path: str, tail_bytes: int | None) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if tail_bytes is not None:
            del body[:-tail_bytes]
        elif len(body) > MAX_BODY_BYTES:
            raise ClusterError("malformed", f"{path}: more than {MAX_BODY_BYTES >> 20} MiB")
    return bytes(body)


def _shown(response: httpx.Response) -> bytes:
    stream = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    return (tls.getpeercert(binary_form=True) or b"") if tls is not None else b""


def _name(error: Exception) -> str:
    return type(error).__name__
