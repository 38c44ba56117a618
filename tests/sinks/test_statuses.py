"""One table of statuses for every sink over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.model.errors import DogwatchError, Rejected, Retryable
from sinks.answers import Verdict, retry_after, verdict
from tests.report.sample import a_delivery
from tests.sinks.outside import NOW, a_sink, hook_options, slack_options, webhook_options
from tests.testbeds.receiver import Answer, Receiver, json_answer

HTTP_SINKS: dict[str, tuple[str, Callable[[str], dict[str, Any]]]] = {
    "webhook": ("webhook", webhook_options),
    "slack by token": ("slack", slack_options),
    "slack by webhook": ("slack", hook_options),
}
LATER = {408, 425, 429}


def expected(status: int) -> type[DogwatchError] | None:
    """What is written in the promise, apart from the code's table."""
    if status // 100 == 2:
        return None
    return Retryable if status in LATER or status // 100 == 5 else Rejected


@pytest.mark.parametrize("status", range(600))
def test_each_status_has_one_verdict(status: int) -> None:
    names: dict[type[DogwatchError] | None, Verdict] = {
        None: Verdict.DONE,
        Retryable: Verdict.RETRY,
        Rejected: Verdict.REJECT,
    }
    assert verdict(status) is names[expected(status)]


@pytest.mark.parametrize("name", HTTP_SINKS)
async def test_every_http_sink_maps_every_status_alike(name: str, receiver: Receiver) -> None:
    type_, options = HTTP_SINKS[name]
    seen: dict[int, type[BaseException] | None] = {}
    async with a_sink(type_, options(receiver.url)) as channel:
        for status in range(200, 600):
            body = {"ok": True, "ts": "1.2", "channel": "C1"}
            receiver.script(Answer(status) if status in {204, 304} else json_answer(body, status))
            try:
                await channel.send(a_delivery(), None)
                seen[status] = None
            except DogwatchError as error:
                seen[status] = type(error)
    if name == "slack by token":  # without a body nothing says that Slack took it
        assert seen.pop(204) is Retryable
    assert seen == {status: expected(status) for status in seen}


@pytest.mark.parametrize("name", HTTP_SINKS)
@pytest.mark.parametrize("answer", [Answer(drop=True), Answer(hang=True)], ids=["drop", "hang"])
async def test_no_answer_is_retryable_within_the_bound(
    name: str, answer: Answer, receiver: Receiver
) -> None:
    type_, options = HTTP_SINKS[name]
    receiver.script(answer)
    async with a_sink(type_, {**options(receiver.url), "timeout_s": 0.4}) as channel:
        with pytest.raises(Retryable):
            await channel.send(a_delivery(), None)


@pytest.mark.parametrize("name", HTTP_SINKS)
async def test_a_receiver_that_is_not_there_is_retryable(name: str) -> None:
    type_, options = HTTP_SINKS[name]
    with Receiver() as gone:
        url = gone.url
    async with a_sink(type_, options(url)) as channel:
        with pytest.raises(Retryable):
            await channel.send(a_delivery(), None)


@pytest.mark.parametrize("name", HTTP_SINKS)
async def test_a_name_without_address_is_retryable(name: str) -> None:
    type_, options = HTTP_SINKS[name]
    async with a_sink(type_, options("https://no-such-name.invalid")) as channel:
        with pytest.raises(Retryable, match=r"no-such-name\.invalid"):
            await channel.send(a_delivery(), None)


@pytest.mark.parametrize("name", HTTP_SINKS)
async def test_a_redirect_is_rejected_and_not_followed(name: str, receiver: Receiver) -> None:
    type_, options = HTTP_SINKS[name]
    receiver.otherwise = lambda _: Answer(307, headers={"Location": f"{receiver.url}/elsewhere"})
    async with a_sink(type_, options(receiver.url)) as channel:
        with pytest.raises(Rejected, match="307"):
            await channel.send(a_delivery(), None)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("name", HTTP_SINKS)
async def test_the_wait_that_a_receiver_asks_for_is_passed_on(
    name: str, receiver: Receiver
) -> None:
    type_, options = HTTP_SINKS[name]
    receiver.script(Answer(429, headers={"Retry-After": "17"}))
    async with a_sink(type_, options(receiver.url)) as channel:
        with pytest.raises(Retryable) as caught:
            await channel.send(a_delivery(), None)
    assert caught.value.retry_after_s == 17


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("99999999999999999999", 86_400),
        ("Tue, 24 Nov 2026 12:31:15 GMT", 60),
        ("Tue, 24 Nov 2026 12:00:00 GMT", 0),
        ("Tue, 24 Nov 2036 12:00:00 GMT", 86_400),
        ("Tue, 99 Nov 2026 12:00:00 GMT", None),
        ("1.5", None),
        ("\u0663", None),
    ],
)
def test_retry_after_takes_seconds_and_dates_only(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds
