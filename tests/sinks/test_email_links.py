"""Mails that ask: each person gets a link of their own, and nobody another's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import StringIO
from typing import Any

import pytest

from engine.model.delivery import Ask, Occasion
from engine.model.errors import Retryable
from sinks.registry import Channel, make
from tests.report.sample import PAGE, a_delivery, a_digest
from tests.sinks.outside import NOW, StandingClock
from tests.sinks.test_email import options
from tests.testbeds.certificates import Authority
from tests.testbeds.smtp import Mail, MailServer, Trouble

LINK = "https://dogwatch.example.com/decide/1.for-"


def sign(_ask: Ask, address: str) -> str:
    known = {"sre@example.org": "sre", "oncall@example.org": "oncall"}
    return LINK + known[address] if address in known else ""


@asynccontextmanager
async def a_mail_sink(made: dict[str, Any]) -> AsyncIterator[Channel[Any]]:
    channel = make("team", "email", made, clock=StandingClock(NOW), stream=StringIO(), sign=sign)
    try:
        yield channel
    finally:
        await channel.aclose()


def bodies(mail: Mail) -> str:
    return "\n".join(part.get_content() for part in mail.message.iter_parts())


@pytest.mark.parametrize("occasion", [Occasion.APPROVAL, Occasion.REMINDER])
async def test_each_person_gets_a_mail_with_a_link_of_their_own(
    occasion: Occasion, smtp: MailServer, authority: Authority
) -> None:
    to = ["sre@example.org", "On Call <oncall@example.org>", "list@example.org"]
    async with a_mail_sink(options(smtp, authority, to=to)) as channel:
        receipt = await channel.send(a_delivery(occasion), None)
    assert receipt.detail == "accepted for 3"
    sent = smtp.wait(3)
    by = {mail.recipients: bodies(mail) for mail in sent}
    assert set(by) == {("sre@example.org",), ("oncall@example.org",), ("list@example.org",)}
    for name in ("sre", "oncall"):
        text = by[f"{name}@example.org",]
        assert text.count(LINK) == text.count(LINK + name) == 2
        assert PAGE not in text
    assert LINK not in by["list@example.org",]
    assert PAGE in by["list@example.org",]
    assert len({mail.message["Message-ID"] for mail in sent}) == 3
    assert {mail.message["To"] for mail in sent if len(mail.recipients) == 1} >= {
        "sre@example.org",
        "On Call <oncall@example.org>",
    }


async def test_other_occasions_and_digests_are_one_mail_without_links(
    smtp: MailServer, authority: Authority
) -> None:
    async with a_mail_sink(options(smtp, authority)) as channel:
        for number, delivery in enumerate((a_delivery(Occasion.CHANGE), a_digest()), start=1):
            told = delivery.model_copy(update={"key": f"d-{number}"})
            await channel.send(told, None)
    change, digest = smtp.wait(2)
    assert len(change.recipients) == len(digest.recipients) == 2
    assert LINK not in bodies(change) + bodies(digest)


async def test_who_has_their_mail_does_not_get_it_again(
    smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble("RCPT", Trouble("450 4.2.0 greylisted"))
    async with a_mail_sink(options(smtp, authority)) as channel:
        with pytest.raises(Retryable, match="sre@example"):
            await channel.send(a_delivery(Occasion.APPROVAL), None)
        receipt = await channel.send(a_delivery(Occasion.APPROVAL), None)
    assert receipt.detail == "accepted for 2"
    assert [mail.recipients for mail in smtp.wait(2)] == [
        ("oncall@example.org",),
        ("sre@example.org",),
    ]
