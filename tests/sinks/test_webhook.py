"""The webhook sink, against a real server and the library's own verification."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from engine.model.delivery import Delivery, Occasion
from engine.model.errors import Retryable
from sinks.registry import make
from tests.report.sample import a_delivery
from tests.sinks.outside import CANARY, SECRET, a_sink, webhook_options
from tests.testbeds.certificates import Authority
from tests.testbeds.receiver import Answer, Receiver

OTHER = "whsec_" + "b3RoZXItc2VjcmV0LWtleS1vZi0zMi1ieXRlcy4uLi4="


@pytest.mark.parametrize("change", Occasion)
async def test_a_receiver_can_verify_and_read_every_delivery(
    change: Occasion, receiver: Receiver
) -> None:
    delivery = a_delivery(change)
    async with a_sink("webhook", webhook_options(receiver.url), datetime.now(UTC)) as channel:
        receipt = await channel.send(delivery, None)
    request = receiver.requests[0]
    body = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert body["type"] == f"dogwatch.{change}"
    assert body["timestamp"] == delivery.at.isoformat().replace("+00:00", "Z")
    assert Delivery.model_validate(body["data"]) == delivery
    assert request.headers["idempotency-key"] == request.headers["webhook-id"] == delivery.key
    assert request.headers["content-type"] == "application/json"
    assert receipt.detail == "answered 200"


async def test_a_body_that_was_changed_does_not_verify(receiver: Receiver) -> None:
    async with a_sink("webhook", webhook_options(receiver.url), datetime.now(UTC)) as channel:
        await channel.send(a_delivery(), None)
    request = receiver.requests[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(request.body.replace(b"web", b"WEB"), dict(request.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(request.body, dict(request.headers))


async def test_each_attempt_has_the_same_body_and_key(receiver: Receiver) -> None:
    receiver.script(Answer(503))
    async with a_sink("webhook", webhook_options(receiver.url)) as channel:
        with pytest.raises(Retryable):
            await channel.send(a_delivery(Occasion.RESULT), None)
        await channel.send(a_delivery(Occasion.RESULT), None)
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


async def test_a_secret_file_is_read_anew_and_may_hold_two_keys(
    receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    options = webhook_options(receiver.url, secret=None, secret_file=str(file))
    async with a_sink("webhook", options, datetime.now(UTC)) as channel:
        await channel.send(a_delivery(), None)
        file.write_text(f"{OTHER}\n{SECRET}\n")
        await channel.send(a_delivery(), None)
        file.write_text(OTHER)
        await channel.send(a_delivery(), None)
    old, both, new = receiver.requests
    Webhook(SECRET).verify(old.body, dict(old.headers))
    Webhook(SECRET).verify(both.body, dict(both.headers))
    Webhook(OTHER).verify(both.body, dict(both.headers))
    Webhook(OTHER).verify(new.body, dict(new.headers))


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe", b"short", b"not base64!"])
async def test_a_secret_file_that_is_no_secret_holds_the_delivery_back(
    content: bytes | None, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    options = webhook_options(receiver.url, secret=None, secret_file=str(file))
    async with a_sink("webhook", options) as channel:
        with pytest.raises(Retryable, match="secret"):
            await channel.send(a_delivery(), None)
    assert receiver.requests == []


async def test_own_headers_are_sent_and_never_shown(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"Bearer {CANARY}\n")
    options = webhook_options(
        receiver.url, headers={"X-Key": CANARY}, header_files={"Authorization": str(file)}
    )
    async with a_sink("webhook", options) as channel:
        await channel.send(a_delivery(), None)
        assert CANARY not in repr(channel)
    sent = receiver.requests[0].headers
    assert (sent["x-key"], sent["authorization"]) == (CANARY, f"Bearer {CANARY}")


async def test_a_header_file_of_two_lines_is_not_sent(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{CANARY}\r\nHost: evil")
    options = webhook_options(receiver.url, header_files={"X-Key": str(file)})
    async with a_sink("webhook", options) as channel:
        with pytest.raises(Retryable) as caught:
            await channel.send(a_delivery(), None)
    assert CANARY not in str(caught.value)
    assert receiver.requests == []


async def test_hostile_text_travels_as_data(receiver: Receiver) -> None:
    hostile = "\x00\x1b[31m</script>\u2028\U0001f4a9\r\nX-Evil: 1"
    delivery = a_delivery(title=hostile, group={"pod": hostile})
    async with a_sink("webhook", webhook_options(receiver.url)) as channel:
        await channel.send(delivery, None)
    assert json.loads(receiver.requests[0].body)["data"]["title"] == hostile


async def test_it_works_over_tls(authority: Authority) -> None:
    with Receiver(tls=authority.server_context()) as receiver:
        options = webhook_options(receiver.url, ca_file=str(authority.certificate))
        async with a_sink("webhook", options) as channel:
            assert (await channel.send(a_delivery(), None)).detail == "answered 200"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": None}, "a url is needed"),
        ({"url_file": "/x"}, "both url and url_file"),
        ({"secret": None}, "a secret is needed"),
        ({"secret": "whsec_c2hvcnQ="}, "5 bytes, allowed are 24 to 64"),
        ({"secret": f"{CANARY}!"}, "no base64"),
        ({"url": f"http://example.com/{CANARY}", "allow_loopback_http": False}, "https"),
        ({"url": f"https://u:{CANARY}@example.com/"}, "credentials"),
        ({"headers": {"Host": CANARY}}, "'Host' is set by dogwatch"),
        ({"headers": {"a b": CANARY}}, "is no header name"),
        ({"headers": {"X-Key": f"{CANARY}\nX: y"}}, "one line of ASCII"),
        ({"allow_networks": ["10.0.0.0/33"]}, "10.0.0.0/33"),
        ({"timeout_s": 0}, "greater than 0"),
        ({"retries": 3}, "Extra inputs"),
    ],
)
def test_bad_options_are_refused_without_showing_them(
    changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        make("hook", "webhook", webhook_options("https://example.com", **changes))
    assert CANARY not in str(caught.value)
