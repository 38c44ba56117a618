"""An API server of few words: it answers as the test says, over plain HTTP."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.cluster.contexts import Context

PODS = {"name": "pods", "kind": "Pod", "verbs": ["list", "watch"]}
DISCOVERY = {"resources": [PODS, {"name": "pods/log", "kind": "Pod", "verbs": ["get"]}]}


@dataclass
class Answer:
    """One response; a `silent` one never ends, a `mute` one never begins."""

    body: bytes | dict[str, Any] = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    mute: bool = False


Respond = Callable[[str, dict[str, str]], Answer]


def plain(port: int, folder: Path, token: str = "") -> Context:
    """Return a context of a server that speaks plain HTTP."""
    config = {
        "current-context": "plain",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "plain", "context": {"cluster": "c", "user": "u"}}],
    }
    file = folder / "plain"
    file.write_text(json.dumps(config))
    return Context(str(file))


class Answers:
    """What was asked, as (path, query), and how to reach the server."""

    def __init__(self, respond: Respond) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.times: list[float] = []
        self.port = 0
        self._respond = respond

    def context(self, folder: Path) -> Context:
        return plain(self.port, folder)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                url = urlsplit(head.split()[1])
                query = dict(parse_qsl(url.query))
                self.asked.append((url.path, query))
                self.times.append(asyncio.get_running_loop().time())
                await self._send(writer, self._answer(url.path, query))
        writer.transport.abort()

    def _answer(self, path: str, query: dict[str, str]) -> Answer:
        if path == "/api/v1":
            return Answer(DISCOVERY)
        return self._respond(path, query)

    async def _send(self, writer: asyncio.StreamWriter, answer: Answer) -> None:
        if answer.mute:
            await asyncio.Event().wait()
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        size = len(body) + (1 if answer.silent else 0)
        headers = {"Content-Length": str(size), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{lines}\r\n".encode() + body)
        await writer.drain()


@contextlib.asynccontextmanager
async def answering(respond: Respond) -> AsyncGenerator[Answers]:
    answers = Answers(respond)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(answers.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    answers.port = server.sockets[0].getsockname()[1]
    try:
        yield answers
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
