"""Slack's Socket Mode: clicks are fetched, where nothing can come in from outside.

The connection is made to Slack, with a token of the app: what comes by it needs no signature.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from engine.model.errors import DogwatchError
from engine.web.refusal import Refusal
from engine.web.slack import SlackPorts, decide, fresh, understood

LOG = structlog.get_logger()
AGAIN_S = 30.0
"""Seconds until the next attempt, after Slack refused the token."""
Listener = Callable[[AsyncBaseSocketModeClient, SocketModeRequest], Awaitable[None]]


async def fetch(
    ports: SlackPorts, app_token: Callable[[], str], *, again_s: float = AGAIN_S
) -> None:
    """Take clicks for ever, by a connection that is made again whenever it breaks.

    `app_token` returns the token as it is now; it raises DogwatchError where it cannot be read.
    """
    while True:
        try:
            await _connected(ports, app_token())
        except (SlackClientError, DogwatchError, OSError) as error:
            LOG.warning("socket mode refused", why=type(error).__name__, error=_word(error))
        await asyncio.sleep(again_s)


async def _connected(ports: SlackPorts, app_token: str) -> None:
    """Serve one connection and those that follow it, until it is cancelled."""
    web = AsyncWebClient(base_url=f"{ports.base_url.rstrip('/')}/")
    opened = await web.apps_connections_open(app_token=app_token)
    client = SocketModeClient(app_token, web_client=web)
    client.wss_uri = opened["url"]
    client.socket_mode_request_listeners.append(_listener(ports))
    try:
        await client.connect()  # type: ignore[no-untyped-call]
        await asyncio.Event().wait()
    finally:
        await client.close()  # type: ignore[no-untyped-call]


def _listener(ports: SlackPorts) -> Listener:
    async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        # Slack waits for three seconds, and sends again what nobody took.
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
        if request.type != "interactive":
            return
        try:
            click, choice = understood(request.payload)
            if await fresh(ports, f"socket:{request.envelope_id}"):
                await decide(ports, click, choice)
        except Refusal as refusal:
            LOG.warning("click refused", status=refusal.status, why=refusal.text)

    return listen


def _word(error: Exception) -> str:
    """Return what Slack said, never the token nor a whole answer."""
    answer: Any = getattr(error, "response", None)
    return str(answer.get("error", "")) if hasattr(answer, "get") else str(error)[:200]
