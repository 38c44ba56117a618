"""HTTP to one source of metrics: credentials read anew, bounded answers, failures as words."""

import asyncio
import contextlib
import ssl
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from engine.model.errors import MetricsError

USER_AGENT: Final = "dogwatch"
_SHOWN = 300
_AT_ONCE: Final = 4
"""Requests to one source at a time: it has others to answer."""
_REASONS: Final[Mapping[int, str]] = {
    401: "unauthorized",
    403: "unauthorized",
    408: "timeout",
    413: "too-large",
    429: "throttled",
    504: "timeout",
}
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Access:
    """How one source is asked: files are read anew for each request, as tokens are renewed."""

    token_file: str | None = None
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 10.0
    limit_bytes: int = 50 << 20


@dataclass(frozen=True)
class Answer:
    """What came: `status` is below 500 and none of those that have a word of their own."""

    status: int
    content_type: str
    body: bytes


class Endpoint:
    """One source below `url`. Use from one event loop; `aclose` when done."""

    def __init__(self, url: str, access: Access) -> None:
        self._url = httpx.URL(url)
        self._access = access
        self._http: httpx.AsyncClient | None = None
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def host(self) -> str:
        """Host and port, for messages: a URL may hold a secret."""
        return self._url.netloc.decode("ascii", "replace").rpartition("@")[2]

    async def ask(
        self, path: str = "", query: Mapping[str, str] | None = None, *, form: bool = False
    ) -> Answer:
        """Return the answer to a GET, or with `form` to a POST of `query`.

        Raises:
            MetricsError: unreachable, timeout, unauthorized, throttled, unavailable (5xx without
                a body to look at), malformed, too-large, refused (a redirect).
        """
        try:
            async with self._turns, asyncio.timeout(self._access.timeout_s):
                return await self._asked(path, query or {}, form=form)
        except (httpx.TimeoutException, TimeoutError) as error:
            limit = f"{self._access.timeout_s:g} s"
            raise MetricsError("timeout", f"{self.host}: no answer within {limit}") from error
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            why = " ".join(str(error).split())[:_SHOWN] or type(error).__name__
            raise MetricsError("unreachable", f"{self.host}: {why}") from error

    async def aclose(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    async def _asked(self, path: str, query: Mapping[str, str], *, form: bool) -> Answer:
        http = self._client()
        request = http.build_request(
            "POST" if form else "GET",
            self._url.copy_with(raw_path=self._url.raw_path.rstrip(b"/") + path.encode())
            if path
            else self._url,
            headers=self._headers(),
            data=query if form else None,
            params=None if form else query or None,
        )
        response = await http.send(request, stream=True)
        async with contextlib.aclosing(response):
            body = await _whole(response, self._access.limit_bytes, self.host)
        answer = Answer(response.status_code, response.headers.get("content-type", ""), body)
        if reason := _reason(answer):
            text = " ".join(body[:_SHOWN].decode("utf-8", "replace").split())
            raise MetricsError(reason, f"{self.host}: HTTP {answer.status} {text}".rstrip())
        return answer

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                verify=self._trust(), trust_env=False, timeout=self._access.timeout_s
            )
        return self._http

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._access.ca_file)
        except OSError as error:  # an SSLError is one too
            why = error.strerror or "no certificates in it"
            raise MetricsError("unreachable", f"{self._access.ca_file}: {why}") from error

    def _headers(self) -> dict[str, str]:
        access = self._access
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", **access.headers}
        if access.token_file is not None:
            headers["Authorization"] = f"Bearer {_secret(access.token_file)}"
        elif access.username is not None and access.password_file is not None:
            pair = f"{access.username}:{_secret(access.password_file)}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        return headers


def _secret(file: str) -> str:
    """Return the first line of `file`."""
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no text"
        raise MetricsError("unauthorized", f"{file}: {why}") from error
    line = text.partition("\n")[0].strip()
    if not line.isascii() or not line.isprintable():
        raise MetricsError("unauthorized", f"{file}: a secret is printable ASCII")
    return line


def _reason(answer: Answer) -> str:
    if answer.status in _REASONS:
        return _REASONS[answer.status]
    if httpx.codes.is_redirect(answer.status):
        return "refused"
    return "unavailable" if answer.status >= _SERVER_ERROR and not _is_json(answer) else ""


def _is_json(answer: Answer) -> bool:
    return answer.content_type.partition(";")[0].strip() == "application/json"


async def _whole(response: httpx.Response, limit: int, host: str) -> bytes:
    """Return the body unpacked, refusing it as soon as it is too large: packed or not."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in _unpacked(response, limit, host):
        size += len(chunk)
        if size > limit:
            raise MetricsError("too-large", f"{host}: the answer has more than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _unpacked(response: httpx.Response, limit: int, host: str) -> AsyncIterator[bytes]:
    """Yield the body piece by piece; gzip is unpacked here, never further than `limit`."""
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding == "identity":
        async for chunk in response.aiter_raw():
            yield chunk
        return
    if coding != "gzip":
        raise MetricsError("malformed", f"{host}: Content-Encoding {coding[:50]}; allowed: gzip")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        async for chunk in response.aiter_raw():
            yield unpacker.decompress(chunk, limit + 1)
            if unpacker.unconsumed_tail:
                raise MetricsError("too-large", f"{host}: unpacked more than {limit} bytes")
    except zlib.error as error:
        raise MetricsError("malformed", f"{host}: what came is no gzip") from error
    if not unpacker.eof:
        raise MetricsError("malformed", f"{host}: the answer was cut off")
