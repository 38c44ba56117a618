"""The Slack sink: threads, edits, refusals, against a real HTTP server."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.delivery import Occasion
from engine.model.errors import Rejected, Retryable
from sinks.registry import make
from sinks.slack import GONE_WORDS, RETRY_WORDS
from tests.report.sample import a_delivery, a_shared_delivery
from tests.sinks.outside import CANARY, a_sink, hook_options, slack_options
from tests.testbeds.receiver import Answer, Receiver, json_answer

FIRST = {"channel": "C024BE91L", "ts": "1700000000.000001"}


def methods(server: Receiver) -> list[str]:
    return [request.path.rsplit("/", 1)[-1] for request in server.requests]


def refusal(word: str) -> Answer:
    return json_answer({"ok": False, "error": word})


async def test_the_result_goes_into_the_thread_of_the_fire(slack_server: Receiver) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        fired = await channel.send(a_delivery(Occasion.FIRE), None)
        result = await channel.send(a_delivery(Occasion.RESULT), fired.thread)
    fire, reply = (request.json() for request in slack_server.requests)
    assert methods(slack_server) == ["chat.postMessage", "chat.postMessage"]
    assert "thread_ts" not in fire
    assert reply["thread_ts"] == fired.thread["ts"]
    assert result.thread == fired.thread
    assert slack_server.requests[0].headers["authorization"] == "Bearer xoxb-test"


async def test_a_resolve_edits_the_first_message_and_tells_the_thread(
    slack_server: Receiver,
) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.RESOLVE), FIRST)
    edit, reply = (request.json() for request in slack_server.requests)
    assert methods(slack_server) == ["chat.update", "chat.postMessage"]
    assert (edit["channel"], edit["ts"]) == (FIRST["channel"], FIRST["ts"])
    assert "blocks" in edit
    assert (reply["thread_ts"], reply["text"]) == (FIRST["ts"], edit["text"])
    assert edit["text"].startswith("Resolved after 12m: ")


async def test_a_reminder_is_a_reply_in_the_thread_and_leaves_the_first_message(
    slack_server: Receiver,
) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.REPEAT), FIRST)
    (reply,) = (request.json() for request in slack_server.requests)
    assert methods(slack_server) == ["chat.postMessage"]
    assert reply["thread_ts"] == FIRST["ts"]
    assert reply["text"].startswith("Still firing after 2h: ")


async def test_the_end_of_a_group_edits_its_first_message(slack_server: Receiver) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_shared_delivery(Occasion.REPEAT), FIRST)
        await channel.send(a_shared_delivery(Occasion.RESOLVE), FIRST)
    assert methods(slack_server) == ["chat.postMessage", "chat.update", "chat.postMessage"]
    assert "all 3 over" in slack_server.requests[1].json()["text"]


@pytest.mark.parametrize("word", sorted(GONE_WORDS))
async def test_a_resolve_is_told_though_the_first_message_is_gone(
    word: str, slack_server: Receiver
) -> None:
    slack_server.script(refusal(word))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.RESOLVE), FIRST)
    assert methods(slack_server) == ["chat.update", "chat.postMessage"]
    assert slack_server.requests[1].json()["blocks"]


async def test_a_resolve_without_a_thread_is_a_message(slack_server: Receiver) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.RESOLVE), None)
    assert methods(slack_server) == ["chat.postMessage"]


async def test_every_call_carries_the_key_and_asks_for_no_previews(
    slack_server: Receiver,
) -> None:
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        await channel.send(a_delivery(Occasion.RESOLVE), FIRST)
    for request in slack_server.requests:
        body = request.json()
        assert body["metadata"]["event_payload"]["key"] == a_delivery().key
        assert request.headers["idempotency-key"] == a_delivery().key
        assert body["unfurl_links"] is body["unfurl_media"] is False


@pytest.mark.parametrize("word", sorted(RETRY_WORDS))
async def test_an_error_word_that_passes_is_retryable(word: str, slack_server: Receiver) -> None:
    slack_server.script(refusal(word))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        with pytest.raises(Retryable, match=word):
            await channel.send(a_delivery(), None)


@pytest.mark.parametrize(
    "word",
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "invalid_auth",
        "token_revoked",
        "missing_scope",
        "invalid_blocks",
        "msg_too_long",
        "no_text",
        "a_word_of_next_year",
    ],
)
async def test_any_other_error_word_is_final(word: str, slack_server: Receiver) -> None:
    slack_server.script(refusal(word))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        with pytest.raises(Rejected, match=word):
            await channel.send(a_delivery(), None)


async def test_a_rate_limit_in_the_body_has_its_wait(slack_server: Receiver) -> None:
    body = json.dumps({"ok": False, "error": "ratelimited"}).encode()
    slack_server.script(Answer(200, body, {"Retry-After": "30"}))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        with pytest.raises(Retryable) as caught:
            await channel.send(a_delivery(), None)
    assert caught.value.retry_after_s == 30


@pytest.mark.parametrize("body", [b"", b"ok", b"[1]", b"null", b'{"ok":"true"}', b'{"ok":1}'])
async def test_an_answer_that_is_none_of_slack_is_no_success(
    body: bytes, slack_server: Receiver
) -> None:
    slack_server.script(Answer(200, body))
    async with a_sink("slack", slack_options(slack_server.url)) as channel:
        with pytest.raises((Retryable, Rejected)):
            await channel.send(a_delivery(), None)


async def test_a_token_file_is_read_at_each_send(slack_server: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"xoxb-{CANARY}\n")
    options = slack_options(slack_server.url, token=None, token_file=str(file))
    async with a_sink("slack", options) as channel:
        with pytest.raises(Rejected, match="invalid_auth") as caught:
            await channel.send(a_delivery(), None)
        assert CANARY not in str(caught.value)
        file.write_text("xoxb-test\n")
        assert (await channel.send(a_delivery(), None)).thread["ts"]
        file.write_text("xoxb-test\r\nX-Evil: 1")
        with pytest.raises(Retryable, match="single word"):
            await channel.send(a_delivery(), None)


async def test_an_incoming_webhook_gets_plain_messages(slack_server: Receiver) -> None:
    async with a_sink("slack", hook_options(slack_server.url)) as channel:
        receipt = await channel.send(a_delivery(Occasion.FIRE), None)
        await channel.send(a_delivery(Occasion.RESOLVE), receipt.thread)
    paths = {request.path for request in slack_server.requests}
    assert paths == {f"/services/T/B/{CANARY}"}
    assert all(set(request.json()) == {"text", "blocks"} for request in slack_server.requests)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a token is needed"),
        ({"token": "t"}, "channel is needed"),
        ({"token": "t", "token_file": "f", "channel": "#a"}, "both token and token_file"),
        ({"webhook_url": "https://x.example/a", "channel": "#a"}, "excludes"),
        ({"webhook_url": f"http://x.example/{CANARY}"}, "https"),
        ({"token": "t", "channel": "#a", "base_url": "http://slack.example"}, "https"),
        ({"token": "t", "channel": "a b"}, "pattern"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        make("chat", "slack", options)
    assert CANARY not in str(caught.value)
