"""Sinks are made by name, with every fault of their options at once."""

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import sinks
from engine.model.errors import DogwatchError
from sinks.registry import TYPES, kinds, make
from tests.report.sample import a_delivery
from tests.sinks.outside import CANARY, a_sink, hook_options, slack_options, webhook_options
from tests.testbeds.receiver import Answer, Receiver

DECORATOR = "\n@sink("


def test_the_types_are_listed_with_what_they_do() -> None:
    assert list(kinds()) == ["console", "email", "slack", "webhook"]
    assert all(len(kind.summary) > 20 for kind in kinds().values())


def test_every_file_with_a_channel_is_listed() -> None:
    written = {
        path.stem for path in Path(sinks.__path__[0]).glob("*.py") if DECORATOR in path.read_text()
    }
    assert written == set(TYPES)
    assert [kind.name for kind in kinds().values()] == list(TYPES)


def test_an_unknown_type_names_the_known_ones_and_the_nearest() -> None:
    with pytest.raises(ValidationError) as caught:
        make("team", "webhok", {"secret": CANARY})
    message = str(caught.value)
    assert "unknown type 'webhok'; known: console, email, slack, webhook" in message
    assert "did you mean 'webhook'?" in message
    assert CANARY not in message


def test_all_faults_of_the_options_are_told_at_once() -> None:
    options = {"timeout_s": -1, "allow_networks": ["x"], "colour": "red"}
    with pytest.raises(ValidationError) as caught:
        make("team", "webhook", options)
    assert {error["loc"][0] for error in caught.value.errors()} == set(options)


@pytest.mark.parametrize(
    ("type_", "options"),
    [
        ("webhook", lambda url: webhook_options(f"{url}/{CANARY}")),
        ("webhook", lambda url: webhook_options(url, headers={"Authorization": CANARY})),
        ("slack", lambda url: slack_options(url, token=f"xoxb-{CANARY}")),
        ("slack", hook_options),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, CANARY.encode()),
        Answer(500, CANARY.encode()),
        Answer(200, b'{"ok":false,"error":"' + CANARY.encode() + b'"}'),
        Answer(drop=True),
        Answer(hang=True),
        Answer(301, headers={"Location": "/elsewhere"}),
    ],
    ids=["400", "500", "word", "drop", "hang", "301"],
)
async def test_no_secret_is_in_an_error_a_log_or_a_repr(
    type_: str, options: Any, answer: Answer, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.script(answer)
    said = ""
    async with a_sink(type_, {**options(receiver.url), "timeout_s": 1.5}) as channel:
        try:
            said += str(await channel.send(a_delivery(), None))
        except DogwatchError as error:
            said += str(error) + repr(error) + repr(error.__cause__) + repr(error.__context__)
        said += repr(channel) + str(channel.line.options) + repr(channel.line.options.model_dump())
    assert receiver.requests
    assert CANARY not in said
    assert CANARY not in caplog.text
