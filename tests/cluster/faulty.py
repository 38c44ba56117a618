"""A proxy before a real API server that answers, tears, freezes, slows and shuffles as it is told.

It speaks plain HTTP to the client and TLS to the server, so it sees every line of a watch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kube import Kube


@dataclass(frozen=True)
class Asked:
    """One request: a list or a watch of a path."""

    path: str
    watch: bool
    at: float


@dataclass(frozen=True)
class Refuse:
    """Answer with a status instead, 410 as the API does when a version is too old."""

    status: int
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Expire:
    """End a watch with an ERROR event of code 410, after so many lines."""

    lines: int = 0


@dataclass(frozen=True)
class Tear:
    """Close the connection within a line, after so many bytes."""

    after_bytes: int


@dataclass(frozen=True)
class Freeze:
    """Pass on so many bytes, then nothing more, and keep the connection."""

    after_bytes: int = 0


@dataclass(frozen=True)
class Slow:
    """Wait before each piece."""

    wait_s: float


@dataclass(frozen=True)
class Shuffle:
    """Hold lines for a while and pass them on in another order."""

    hold_s: float = 0.3


Fault = Refuse | Expire | Tear | Freeze | Slow | Shuffle
Plan = Callable[[Asked], Fault | None]
EXPIRED = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
}


def _healthy(_: Asked) -> Fault | None:
    return None


@dataclass
class Faulty:
    """`plan` says what happens to each request; `asked` is every request so far."""

    port: int = 0
    plan: Plan = _healthy
    asked: list[Asked] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def heal(self) -> None:
        """Pass on all that comes from now on; connections that are frozen stay so."""
        self.plan = _healthy

    def count(self, path: str) -> int:
        return sum(one.path == path for one in self.asked)


@contextlib.asynccontextmanager
async def a_faulty_proxy(kube: Kube) -> AsyncGenerator[Faulty]:
    """Serve a proxy of the cluster's API server for the length of a block."""
    faulty = Faulty()
    tls = ssl.create_default_context(cafile=str(kube.ca))
    timeout = aiohttp.ClientTimeout(total=None)
    connector = aiohttp.TCPConnector(ssl=tls, limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        handler = _Handler(faulty, session, f"https://127.0.0.1:{kube.site.api_port}")
        app = web.Application()
        app.router.add_route("GET", "/{path:.*}", handler.answer)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        faulty.port = runner.addresses[0][1]
        try:
            yield faulty
        finally:
            await runner.cleanup()


@dataclass
class _Handler:
    faulty: Faulty
    session: aiohttp.ClientSession
    target: str

    async def answer(self, request: web.Request) -> web.StreamResponse:
        now = asyncio.get_running_loop().time()
        asked = Asked(request.path, "watch" in request.query, now)
        self.faulty.asked.append(asked)
        fault = self.faulty.plan(asked)
        if isinstance(fault, Refuse):
            return _refusal(fault)
        kept = ("Authorization", "Accept", "User-Agent")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        url = f"{self.target}{request.path_qs}"
        async with self.session.get(url, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            await response.prepare(request)
            with contextlib.suppress(ConnectionResetError):
                await self._pass(answer, request, response, fault)
        return response

    async def _pass(
        self,
        answer: aiohttp.ClientResponse,
        request: web.Request,
        response: web.StreamResponse,
        fault: Tear | Freeze | Expire | Shuffle | Slow | None,
    ) -> None:
        try:
            async for piece in _through(answer.content.iter_any(), fault, self.faulty.chance):
                await response.write(piece)
        except _TornError:
            if request.transport is not None:
                request.transport.abort()


def without_tls(port: int, kube: Kube, folder: Path) -> Path:
    """Return the kubeconfig of the admin by the proxy."""
    config = {
        "current-context": "west",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": kube.tokens["admin"]}}],
        "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u"}}],
    }
    file = folder / f"by-{port}"
    file.write_text(json.dumps(config))
    return file


class _TornError(Exception):
    pass


def _refusal(fault: Refuse) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": fault.status, "message": "injected"}
    wait = fault.retry_after_s
    headers = {} if wait is None else {"Retry-After": str(wait)}
    return web.json_response(body, status=fault.status, headers=headers)


async def _through(
    pieces: AsyncIterator[bytes],
    fault: Tear | Freeze | Expire | Shuffle | Slow | None,
    chance: random.Random,
) -> AsyncIterator[bytes]:
    if isinstance(fault, Tear | Freeze):
        passed = _up_to(pieces, fault.after_bytes, torn=isinstance(fault, Tear))
    elif isinstance(fault, Expire):
        passed = _expired(pieces, fault.lines)
    elif isinstance(fault, Shuffle):
        passed = _shuffled(pieces, fault.hold_s, chance)
    else:
        passed = _slowed(pieces, fault.wait_s if fault else 0)
    async for piece in passed:
        yield piece


async def _slowed(pieces: AsyncIterator[bytes], wait_s: float) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if wait_s:
            await asyncio.sleep(wait_s)
        yield piece


async def _up_to(pieces: AsyncIterator[bytes], left: int, *, torn: bool) -> AsyncIterator[bytes]:
    async for piece in pieces:
        yield piece[:left]
        left -= len(piece)
        if left <= 0:
            if torn:
                raise _TornError
            await asyncio.Event().wait()


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"


async def _expired(pieces: AsyncIterator[bytes], left: int) -> AsyncIterator[bytes]:
    if left:
        async for line in _lines(pieces):
            yield line
            left -= 1
            if left == 0:
                break
    yield json.dumps(EXPIRED).encode() + b"\n"


async def _shuffled(
    pieces: AsyncIterator[bytes], hold_s: float, chance: random.Random
) -> AsyncIterator[bytes]:
    """Pass on what comes within a time together, in another order; nothing is left out."""
    lines = aiter(_lines(pieces))
    coming = asyncio.ensure_future(anext(lines, None))
    try:
        ended = False
        while not ended:
            held: list[bytes] = []
            await asyncio.wait({coming})
            until = asyncio.get_running_loop().time() + hold_s
            while (left := until - asyncio.get_running_loop().time()) > 0 and not ended:
                await asyncio.wait({coming}, timeout=left)
                if coming.done():
                    line = coming.result()
                    ended = line is None
                    if line is not None:
                        held.append(line)
                        coming = asyncio.ensure_future(anext(lines, None))
            chance.shuffle(held)
            for line in held:
                yield line
    finally:
        coming.cancel()
