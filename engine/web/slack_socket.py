"""Slack's Socket Mode: clicks are fetched, where nothing can come in from outside.

The connection is made to Slack, with a token of the app: what comes by it needs no signature.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from engine.model.errors import DogwatchError
from engine.web.refusal import Refusal
from engine.web.slack import DECIDE_S, SlackPorts, decide, fresh, understood

LOG = structlog.get_logger()
AGAIN_S = 30.0
"""Seconds until the next attempt, after one that failed."""
CONNECT_S = 30.0
"""Seconds within which a connection is made, or made again after it broke.

The library tries for ever, but with an address of Slack that holds for a short time only.
"""
END_S = 2.0
"""Seconds that a decision may take when the process stops, or the connection is lost."""
_LOOKS = 3
Listener = Callable[[AsyncBaseSocketModeClient, SocketModeRequest], Awaitable[None]]


async def fetch(
    ports: SlackPorts,
    app_token: Callable[[], str],
    *,
    again_s: float = AGAIN_S,
    connect_s: float = CONNECT_S,
) -> None:
    """Take clicks for ever, by a connection that is made again whenever it breaks.

    `app_token` returns the token as it is now; it raises DogwatchError where it cannot be read.
    """
    while True:
        try:
            await _connected(ports, app_token(), connect_s)
        except Exception as error:  # noqa: BLE001 - whatever Slack answers must not end the process
            LOG.warning("socket mode broken", why=type(error).__name__, error=_word(error))
        await asyncio.sleep(again_s)


async def _connected(ports: SlackPorts, app_token: str, connect_s: float) -> None:
    """Serve one connection and those that follow it. Raises TimeoutError: it was lost."""
    web = AsyncWebClient(base_url=f"{ports.base_url.rstrip('/')}/")
    opened = await web.apps_connections_open(app_token=app_token)
    client = SocketModeClient(app_token, web_client=web)
    client.wss_uri = opened["url"]
    going: set[asyncio.Task[None]] = set()
    client.socket_mode_request_listeners.append(_listener(ports, going))
    try:
        async with asyncio.timeout(connect_s):
            await client.connect()  # type: ignore[no-untyped-call]
        await _lost(client, connect_s)
    finally:
        if going:
            await asyncio.wait(going, timeout=END_S)
        await client.close()  # type: ignore[no-untyped-call]


async def _lost(client: SocketModeClient, after_s: float) -> None:
    """Wait while there is a connection. Raises TimeoutError: for `after_s` there was none."""
    looks = 0
    while looks < _LOOKS:
        await asyncio.sleep(after_s / _LOOKS)
        looks = 0 if await client.is_connected() else looks + 1
    raise TimeoutError("the connection was lost")


def _listener(ports: SlackPorts, going: set[asyncio.Task[None]]) -> Listener:
    """Return what takes what comes; `going` holds what is being decided."""

    async def listen(client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        deciding = asyncio.create_task(_taken(ports, request))
        going.add(deciding)
        deciding.add_done_callback(going.discard)
        # Slack waits for three seconds, and sends again what nobody took.
        await asyncio.wait({deciding}, timeout=DECIDE_S)
        await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))

    return listen


async def _taken(ports: SlackPorts, request: SocketModeRequest) -> None:
    if request.type != "interactive":
        return
    try:
        click, choice = understood(request.payload)
        if await fresh(ports, f"socket:{request.envelope_id}"):
            await decide(ports, click, choice)
    except Refusal as refusal:
        LOG.warning("click refused", status=refusal.status, why=refusal.text)


def _word(error: Exception) -> str:
    """Return what Slack said, never the token, an address with a ticket, nor a whole answer."""
    answer: Any = getattr(error, "response", None)
    if hasattr(answer, "get"):
        return str(answer.get("error", ""))
    return str(error)[:200] if isinstance(error, DogwatchError | OSError) else ""
