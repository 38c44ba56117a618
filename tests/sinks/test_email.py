"""The email sink, against a real SMTP server with STARTTLS and a login."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from engine.model.delivery import Occasion
from engine.model.errors import Rejected, Retryable
from engine.report import to_plain
from sinks.registry import make
from tests.conftest import MAIL_LOGIN
from tests.report.sample import a_delivery
from tests.sinks.outside import CANARY, NOW, a_sink
from tests.testbeds.certificates import Authority
from tests.testbeds.smtp import MailServer, Trouble

TO = ["sre@example.org", "On Call <oncall@example.org>"]


def options(server: MailServer, authority: Authority, **more: Any) -> dict[str, Any]:
    return {
        "host": server.host,
        "port": server.port,
        "username": MAIL_LOGIN[0],
        "password": MAIL_LOGIN[1],
        "from": "dogwatch <dogwatch@example.com>",
        "to": TO,
        "ca_file": str(authority.certificate),
        **more,
    }


@pytest.fixture
def open_smtp() -> Iterator[MailServer]:
    """A mail server without TLS and login."""
    with MailServer() as server:
        yield server


@asynccontextmanager
async def a_raw_server(*lines: bytes, pause_s: float = 0.0) -> AsyncIterator[int]:
    """A server that greets and then answers each command with the next line."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for number, line in enumerate(lines):
                if number:
                    await reader.readline()
                await asyncio.sleep(pause_s)
                writer.write(line + b"\r\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def test_the_mail_arrives_encrypted_by_its_login_in_text_and_html(
    smtp: MailServer, authority: Authority
) -> None:
    async with a_sink("email", options(smtp, authority)) as channel:
        receipt = await channel.send(a_delivery(Occasion.RESULT), None)
    mail = smtp.wait(1)[0]
    assert (mail.user, mail.encrypted) == (MAIL_LOGIN[0], True)
    assert mail.sender == "dogwatch@example.com"
    assert mail.recipients == ("sre@example.org", "oncall@example.org")
    message = mail.message
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.iter_parts()
    assert plain.get_content().replace("\r\n", "\n") == to_plain(a_delivery(Occasion.RESULT))
    assert html.get_content_type() == "text/html"
    assert "LIKELY CAUSE" in plain.get_content()
    assert receipt.detail == "accepted for 2"


async def test_the_headers_say_that_a_program_wrote_it_and_when(
    smtp: MailServer, authority: Authority
) -> None:
    async with a_sink("email", options(smtp, authority)) as channel:
        await channel.send(a_delivery(), None)
    message = smtp.wait(1)[0].message
    assert message["Subject"] == "[critical] pod-crash-loop: prod-eu, shop, web"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "dogwatch <team.dogwatch.example.com>"
    assert parsedate_to_datetime(message["Date"]) - NOW < timedelta(seconds=1)


async def test_an_incident_is_one_conversation(smtp: MailServer, authority: Authority) -> None:
    fire, result = a_delivery(key="d-fire"), a_delivery(Occasion.RESULT, key="d-result")
    async with a_sink("email", options(smtp, authority)) as channel:
        first = await channel.send(fire, None)
        second = await channel.send(result, first.thread)
        await channel.send(a_delivery(Occasion.RESOLVE, key="d-resolve"), second.thread)
    one, two, three = (mail.message for mail in smtp.wait(3))
    assert one["Message-ID"] == "<d-fire@example.com>" == first.thread["message_id"]
    assert two["In-Reply-To"] == three["In-Reply-To"] == one["Message-ID"]
    assert one["Message-ID"] in two["References"]
    assert set(one["References"].split()) <= set(three["References"].split())
    assert len({message["Message-ID"] for message in (one, two, three)}) == 3


async def test_each_attempt_is_the_same_mail(smtp: MailServer, authority: Authority) -> None:
    async with a_sink("email", options(smtp, authority)) as channel:
        await channel.send(a_delivery(Occasion.RESULT), None)
        await channel.send(a_delivery(Occasion.RESULT), None)
    one, two = (mail.message.as_bytes() for mail in smtp.wait(2))
    assert one == two


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("451 4.3.0 later", Retryable),
        ("421 4.3.2 closing", Retryable),
        ("550 5.1.1 no", Rejected),
        ("554 5.7.1 spam", Rejected),
    ],
)
async def test_4xx_is_tried_again_and_5xx_is_final(
    step: Any, reply: str, error: type[Exception], smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble(step, Trouble(reply), times=2)
    async with a_sink("email", options(smtp, authority)) as channel:
        with pytest.raises(error):
            await channel.send(a_delivery(), None)
    assert smtp.mails == []


async def test_a_wrong_password_is_final_and_not_shown(
    smtp: MailServer, authority: Authority
) -> None:
    async with a_sink("email", options(smtp, authority, password=CANARY)) as channel:
        with pytest.raises(Rejected, match="535") as caught:
            await channel.send(a_delivery(), None)
        assert CANARY not in str(caught.value) + repr(channel)


async def test_a_password_that_the_server_repeats_is_not_shown(
    smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble("MAIL", Trouble(f"550 5.7.1 I know that you are {MAIL_LOGIN[1]}"))
    async with a_sink("email", options(smtp, authority)) as channel:
        with pytest.raises(Rejected, match=r"550 5\.7\.1 I know that you are \*\*\*"):
            await channel.send(a_delivery(), None)


async def test_a_password_file_is_read_at_each_send(
    smtp: MailServer, authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    more = options(smtp, authority, password=None, password_file=str(file))
    async with a_sink("email", more) as channel:
        with pytest.raises(Retryable, match="password"):
            await channel.send(a_delivery(), None)
        file.write_text(MAIL_LOGIN[1] + "\n")
        await channel.send(a_delivery(), None)
    assert len(smtp.wait(1)) == 1


@pytest.mark.parametrize("trouble", [Trouble(drop=True), Trouble(hang=True)], ids=["drop", "hang"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
async def test_a_server_that_goes_silent_is_left_in_time(
    step: Any, trouble: Trouble, smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble(step, trouble)
    start = time.monotonic()
    async with a_sink("email", options(smtp, authority, timeout_s=0.7)) as channel:
        with pytest.raises(Retryable):
            await channel.send(a_delivery(), None)
    assert time.monotonic() - start < 3


async def test_a_recipient_refused_for_good_is_named_and_the_others_get_the_mail(
    smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble("RCPT", Trouble("550 5.1.1 unknown"))
    async with a_sink("email", options(smtp, authority)) as channel:
        receipt = await channel.send(a_delivery(), None)
    assert receipt.detail == "accepted for 1; refused for sre@example.org (550)"
    assert smtp.wait(1)[0].recipients == ("oncall@example.org",)


async def test_who_has_the_mail_does_not_get_it_again_when_others_are_tried_again(
    smtp: MailServer, authority: Authority
) -> None:
    smtp.trouble("RCPT", Trouble("450 4.2.0 greylisted"))
    async with a_sink("email", options(smtp, authority)) as channel:
        with pytest.raises(Retryable, match=r"sre@example\.org \(450\)"):
            await channel.send(a_delivery(), None)
        receipt = await channel.send(a_delivery(), None)
    assert receipt.detail == "accepted for 2"
    assert [mail.recipients for mail in smtp.wait(2)] == [
        ("oncall@example.org",),
        ("sre@example.org",),
    ]


async def test_without_starttls_nothing_is_sent_unless_the_config_wants_it(
    open_smtp: MailServer, authority: Authority
) -> None:
    more = options(open_smtp, authority, username=None, password=None)
    async with a_sink("email", more) as channel:
        with pytest.raises(Retryable):
            await channel.send(a_delivery(), None)
    assert open_smtp.mails == []
    async with a_sink("email", {**more, "security": "none"}) as channel:
        await channel.send(a_delivery(), None)
    assert open_smtp.wait(1)[0].encrypted is False


async def test_a_certificate_of_nobody_we_trust_or_of_another_name_is_refused(
    smtp: MailServer, authority: Authority
) -> None:
    for change in ({"ca_file": None}, {"host": "127.0.0.2"}):
        async with a_sink("email", options(smtp, authority, timeout_s=2, **change)) as channel:
            with pytest.raises(Retryable):
                await channel.send(a_delivery(), None)
    assert smtp.mails == []


async def test_what_is_no_smtp_server_is_retryable(authority: Authority) -> None:
    scripts = [(b"HTTP/1.1 400 Bad",), (b"",), (b"\x00\xff",), (b"220 hi", b"???"), ()]
    for script in scripts:
        async with a_raw_server(*script) as port:
            base = {"host": "127.0.0.1", "port": port, "from": "a@example.com", "to": ["b@c.de"]}
            async with a_sink("email", {**base, "timeout_s": 1}) as channel:
                with pytest.raises((Retryable, Rejected)):
                    await channel.send(a_delivery(), None)


async def test_a_dripping_server_cannot_hold_it() -> None:
    async with a_raw_server(*[b"220-more"] * 100, pause_s=0.1) as port:
        base = {"host": "127.0.0.1", "port": port, "from": "a@example.com", "to": ["b@c.de"]}
        start = time.monotonic()
        async with a_sink("email", {**base, "timeout_s": 0.5}) as channel:
            with pytest.raises(Retryable):
                await channel.send(a_delivery(), None)
        assert time.monotonic() - start < 2


async def test_hostile_text_adds_no_header_and_no_recipient(
    smtp: MailServer, authority: Authority
) -> None:
    evil = "x\r\nBcc: evil@example.net\r\n\r\n<script>\x00\x1b[31m\u202e " + "é" * 500
    delivery = a_delivery(
        key=evil,
        incident=evil,
        title=evil,
        severity=evil,
        rule=evil,
        text=evil,
        group={evil: evil},
        annotations={"summary": evil, "runbook_url": evil},
        members=[evil],
    )
    async with a_sink("email", options(smtp, authority)) as channel:
        await channel.send(delivery, {"message_id": evil})
    mail = smtp.wait(1)[0]
    assert mail.recipients == ("sre@example.org", "oncall@example.org")
    assert mail.message["Bcc"] is None
    assert len(mail.message["Subject"]) <= 140
    assert mail.message.defects == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"to": []}, "at least 1"),
        ({"to": ["a@b.de\r\nBcc: c@d.de"]}, "no mail address"),
        ({"from": "nobody"}, "no mail address"),
        ({"from": "x@"}, "no mail address"),
        ({"host": "a b"}, "pattern"),
        ({"password": None}, "a password is needed"),
        ({"username": None}, "needs a username"),
        ({"password_file": "/x"}, "both password and password_file"),
        ({"security": "none"}, "without TLS"),
        ({"security": "ssl"}, "'starttls', 'tls' or 'none'"),
        ({"sender": "a@b.de"}, "Extra inputs"),
    ],
)
def test_bad_options_are_refused(change: dict[str, Any], said: str) -> None:
    good = {
        "host": "mail.example.com",
        "username": "u",
        "password": CANARY,
        "from": "a@example.com",
        "to": ["b@example.com"],
    }
    with pytest.raises(ValidationError, match=said) as caught:
        make("mail", "email", {**good, **change})
    assert CANARY not in str(caught.value)
