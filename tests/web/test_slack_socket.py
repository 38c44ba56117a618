"""Clicks that are fetched: taken, decided once, and the connection made again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from engine.web.slack import SlackPorts
from engine.web.slack_socket import fetch
from tests.web.test_slack import Inside, a_click, an_action

TOKEN = "xapp-1-A-1-test"


@dataclass
class Slack:
    """A stand-in of Slack: hands out a socket, sends what it is told, keeps what it is sent."""

    url: str = ""
    refusals: int = 0
    fault: Callable[[], web.Response] = lambda: web.json_response(
        {"ok": False, "error": "invalid_auth"}
    )
    opened: int = 0
    closed: int = 0
    sockets: int = 0
    acknowledged: list[str] = field(default_factory=list)
    to_send: "asyncio.Queue[Mapping[str, Any] | None]" = field(default_factory=asyncio.Queue)

    async def open(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        self.opened += 1
        if self.opened <= self.refusals:
            return self.fault()
        return web.json_response({"ok": True, "url": f"{self.url.replace('http', 'ws')}/socket"})

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        if self.closed:
            self.closed -= 1
            raise web.HTTPServiceUnavailable
        self.sockets += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        sending = asyncio.create_task(self._send(socket))
        try:
            async for message in socket:
                self.acknowledged.append(json.loads(message.data)["envelope_id"])
        finally:
            sending.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse) -> None:
        while (message := await self.to_send.get()) is not None:
            await socket.send_json(message)
        await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})

    def say(self, payload: Any, envelope: str = "e-1", kind: str = "interactive") -> None:
        self.to_send.put_nowait(
            {
                "type": kind,
                "envelope_id": envelope,
                "payload": payload,
                "accepts_response_payload": False,
            }
        )


@asynccontextmanager
async def serving(slack: Slack) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/api/apps.connections.open", slack.open)
    app.router.add_get("/socket", slack.socket)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    slack.url = f"http://{host}:{port}"
    try:
        yield
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fetching(inside: Inside, slack: Slack) -> AsyncIterator[None]:
    async with serving(slack):
        ports = SlackPorts(
            inside.desk, inside.clock, list, inside.reply, base_url=f"{slack.url}/api"
        )
        task = asyncio.create_task(fetch(ports, lambda: TOKEN, again_s=0.01, connect_s=0.5))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(true: Any) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - what happens at the stand-in calls nobody
            await asyncio.sleep(0.01)


@pytest.fixture
def inside() -> Inside:
    return Inside()


async def test_a_click_is_acknowledged_and_is_one_decision(inside: Inside) -> None:
    slack = Slack()
    async with fetching(inside, slack):
        slack.say(a_click(inside))
        await until(lambda: inside.told)
    assert slack.acknowledged == ["e-1"]
    assert inside.desk.taken[0].who == "ada"
    assert inside.told[0][1]["text"].startswith("You said approve")


async def test_what_is_sent_twice_counts_once(inside: Inside) -> None:
    slack = Slack()
    async with fetching(inside, slack):
        for envelope in ("e-1", "e-1", "e-2"):
            slack.say(a_click(inside), envelope)
        await until(lambda: len(slack.acknowledged) == 3 and len(inside.told) == 2)
    assert inside.desk.asked == 2
    assert len(inside.desk.taken) == 1


async def test_what_is_no_click_of_ours_is_acknowledged_and_decides_nothing(
    inside: Inside,
) -> None:
    slack = Slack()
    async with fetching(inside, slack):
        slack.say(a_click(inside), "e-1", "slash_commands")
        slack.say({"type": "view_submission"}, "e-2")
        slack.say(a_click(inside, actions=an_action(inside, action_id="other")), "e-3")
        slack.say(a_click(inside, user={"id": "U0OTHER"}), "e-4")
        await until(lambda: len(slack.acknowledged) == 4 and inside.told)
    assert inside.desk.asked == 0
    assert "is nobody in the policy" in inside.told[0][1]["text"]


async def test_a_connection_that_slack_ends_is_made_again(inside: Inside) -> None:
    slack = Slack()
    async with fetching(inside, slack):
        slack.to_send.put_nowait(None)
        await until(lambda: slack.opened == 2)
        slack.say(a_click(inside))
        await until(lambda: inside.told)
    assert len(inside.desk.taken) == 1


async def test_a_token_that_slack_refuses_is_tried_again_later(inside: Inside) -> None:
    slack = Slack(refusals=2)
    async with fetching(inside, slack):
        slack.say(a_click(inside))
        await until(lambda: inside.told)
    assert slack.opened == 3


@pytest.mark.parametrize(
    "fault",
    [
        lambda: web.Response(text="<html>", content_type="text/html", status=502),
        lambda: web.Response(text="{", content_type="application/json"),
        lambda: web.json_response({"ok": True, "url": 7}),
        lambda: web.json_response({"ok": True, "url": "wss://["}),
        lambda: web.json_response({"ok": True, "url": "http://127.0.0.1:1/socket"}),
        lambda: web.Response(status=429, headers={"Retry-After": "x"}),
    ],
)
async def test_whatever_slack_answers_it_is_told_and_tried_again(
    fault: Callable[[], web.Response], inside: Inside
) -> None:
    slack = Slack(refusals=1, fault=fault)
    with capture_logs() as logs:
        async with fetching(inside, slack):
            slack.say(a_click(inside))
            await until(lambda: inside.told)
    assert slack.opened == 2
    assert any(one["event"] == "socket mode broken" for one in logs)


async def test_a_connection_that_cannot_be_made_again_by_its_address_gets_another_one(
    inside: Inside,
) -> None:
    slack = Slack()
    async with fetching(inside, slack):
        await until(lambda: slack.sockets == 1)
        slack.closed = 1
        slack.to_send.put_nowait(None)
        await until(lambda: slack.opened == 3)
        slack.say(a_click(inside))
        await until(lambda: inside.told)
    assert len(inside.desk.taken) == 1


async def test_a_click_is_decided_before_it_is_acknowledged_and_before_the_end(
    inside: Inside,
) -> None:
    inside.desk.open = asyncio.Event()
    slack = Slack()
    async with fetching(inside, slack):
        slack.say(a_click(inside))
        await until(lambda: inside.desk.asked)
        assert slack.acknowledged == []
        asyncio.get_running_loop().call_later(0.1, inside.desk.open.set)
    assert len(inside.desk.taken) == 1
