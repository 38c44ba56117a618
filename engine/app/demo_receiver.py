"""The demo's receiver: a small HTTP server on loopback that checks what the webhook sends."""

import asyncio
import base64
import json
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.app.web_server import Server


@dataclass(frozen=True)
class Taken:
    """One request: what it told of, its key, the answer, whether its signature was right."""

    change: str
    key: str
    status: int
    verified: bool


@dataclass
class Received:
    """Where the receiver listens, the secret it shares, and what came so far."""

    url: str
    secret: str
    taken: list[Taken] = field(default_factory=list)


@asynccontextmanager
async def receiver() -> AsyncIterator[Received]:
    """Serve on a free loopback port while the block runs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode()
        received = Received(f"http://127.0.0.1:{listener.getsockname()[1]}/hook", secret)

        async def take(request: Request) -> Response:
            body = await request.body()
            verified = _verified(secret, body, dict(request.headers))
            status = 200 if verified else 401
            change = str(json.loads(body).get("type", "")).rpartition(".")[2]
            key = request.headers.get("idempotency-key", "")
            received.taken.append(Taken(change, key, status, verified))
            return Response(status_code=status)

        app = Starlette(routes=[Route("/hook", take, methods=["POST"])])
        server = Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        try:
            yield received
        finally:
            server.should_exit = True
            await serving


def _verified(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True
