"""Email: text and HTML in one message, by SMTP with TLS; an incident is one conversation."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple, Self

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
)
from pydantic import AfterValidator, Field, PositiveFloat, SecretStr, model_validator

from engine.model.delivery import Delivery, Receipt
from engine.model.errors import Rejected, Retryable
from engine.report import subject, to_plain
from engine.report.clean import clean
from engine.report.html import to_html
from sinks.registry import Line, Thread, sink
from sinks.secret import SinkOptions, one_of, reveal
from sinks.trust import trust

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_PERMANENT = 500
_QUIT_S = 1.0
_REMEMBERED = 1000
_PLAIN_ID = re.compile(r"[A-Za-z0-9-]{1,32}")
_MAX_DOMAIN = 40


def _address(text: str) -> str:
    name, spec = parseaddr(text)
    if not (text.isascii() and text.isprintable() and "@" in spec):
        raise ValueError("is no mail address; write for example sre@example.com")
    try:
        Address(name, addr_spec=spec)
    except (ValueError, MessageError, IndexError):
        raise ValueError("is no mail address; write for example sre@example.com") from None
    return text


MailAddress = Annotated[str, AfterValidator(_address)]


class EmailConfig(SinkOptions):
    """A mail server and who is written to.

    Attributes:
        host: name of the SMTP server, as its certificate has it.
        security: `starttls` (needed, never skipped), `tls` from the first byte, or `none`.
        port: 587, 465 or 25 by default, after `security`.
        username: to log in with, only over TLS; needs `password` or `password_file`.
        password: that of `username`.
        sender: the From address; written `from` in the file.
        to: the recipients.
        timeout_s: bound of the whole exchange.
        ca_file: further certificate authorities (PEM) to trust.
    """

    host: str = Field(pattern=r"^[A-Za-z0-9.:_-]{1,253}$")
    port: int | None = Field(default=None, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    password_file: str | None = None
    sender: MailAddress = Field(alias="from")
    to: list[MailAddress] = Field(min_length=1, max_length=100)
    timeout_s: PositiveFloat = Field(default=30.0, le=300.0)
    ca_file: str | None = None

    @property
    def domain(self) -> str:
        """The domain of the sender: ids of messages and the greeting are made of it."""
        return parseaddr(self.sender)[1].rpartition("@")[2]

    @model_validator(mode="after")
    def _login(self) -> Self:
        one_of(self, "password", needed=self.username is not None)
        if self.username is None and (self.password or self.password_file):
            raise ValueError("a password needs a username")
        if self.username is not None and self.security == "none":
            raise ValueError("a login without TLS would show the password; use starttls or tls")
        return self


@sink("email", config=EmailConfig)
async def send_email(line: Line[EmailConfig], delivery: Delivery, thread: Thread | None) -> Receipt:
    """Hand the message to the mail server once; its Message-ID is the same on every attempt.

    Args:
        line: options and clock.
        delivery: what to tell.
        thread: `message_id` of the first message of the incident.

    Returns:
        A receipt; its detail names the recipients that were refused for good.

    Raises:
        Retryable: 4xx, no connection, no TLS, a time-out; recipients that took the message are
            left out of the next attempt.
        Rejected: 5xx.

    Source: RFC 5321 (reply codes), RFC 5322 (threads), RFC 3834 (Auto-Submitted), RFC 2919.
    """
    options = line.options
    password = reveal(options.password, options.password_file)
    done = line.accepted.get(delivery.key, frozenset())
    to = [text for text in options.to if parseaddr(text)[1] not in done]
    letters = _letters(line, delivery, thread, to)
    refused: dict[str, int] = {}

    def told(letter: Letter, answers: dict[str, int]) -> None:
        refused.update(answers)
        _remember(line, delivery.key, frozenset(letter.to) - set(answers))

    try:
        await _transmit(options, password, letters, told)
    except SMTPResponseException as error:
        raise _fault(error.code, f"{options.host}: {_said(error, password)}") from None
    except TimeoutError:
        raise Retryable(f"{options.host}: no answer within {options.timeout_s:g} s") from None
    except (SMTPException, OSError) as error:
        raise Retryable(f"{options.host}: {_said(error, password)}") from None
    detail = _outcome(line, delivery.key, refused)
    first = (thread or {}).get("message_id") or _message_id(delivery.key, options.domain)
    return Receipt(detail=detail, thread={"message_id": first})


class Letter(NamedTuple):
    """One message and the addresses that it goes to."""

    message: EmailMessage
    to: tuple[str, ...]


def _letters(
    line: Line[EmailConfig], delivery: Delivery, thread: Thread | None, to: Sequence[str]
) -> list[Letter]:
    """Return one message for all of `to`, or one of their own for who may decide by a link."""
    links = {text: _link(line, delivery, parseaddr(text)[1]) for text in to}
    letters = [
        Letter(
            compose(line, _with_link(delivery, link), thread, text),
            (parseaddr(text)[1],),
        )
        for text, link in links.items()
        if link
    ]
    others = tuple(parseaddr(text)[1] for text, link in links.items() if not link)
    return [*letters, *([Letter(compose(line, delivery, thread), others)] if others else [])]


def _link(line: Line[EmailConfig], delivery: Delivery, address: str) -> str:
    alone = delivery.ask is not None and not delivery.ask.more
    return line.sign(delivery.ask, address) if alone and delivery.ask else ""


def _with_link(delivery: Delivery, link: str) -> Delivery:
    ask = delivery.ask.model_copy(update={"url": link}) if delivery.ask else None
    return delivery.model_copy(update={"ask": ask})


def compose(
    line: Line[EmailConfig], delivery: Delivery, thread: Thread | None, only: str = ""
) -> EmailMessage:
    """Return the message: plain text and HTML, the same but for its Date on each attempt.

    `only` names the one recipient where it is for nobody else.
    """
    options = line.options
    message = EmailMessage(policy=SMTP_POLICY)
    message["From"] = options.sender
    message["To"] = only or ", ".join(options.to)
    message["Subject"] = subject(delivery)
    message["Date"] = format_datetime(line.clock.now())
    own = f"{delivery.key} {only}" if only else delivery.key
    message["Message-ID"] = _message_id(own, options.domain)
    root = _message_id(delivery.incident, options.domain)
    first = clean((thread or {}).get("message_id", ""))
    if first and first != message["Message-ID"]:
        message["In-Reply-To"] = first
    message["References"] = " ".join(filter(None, (root, first)))
    message["List-Id"] = f"dogwatch <{line.name}.dogwatch.{options.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(to_plain(delivery), cte="quoted-printable")
    message.add_alternative(to_html(delivery), subtype="html", cte="quoted-printable")
    message.set_boundary("=_" + sha256(own.encode()).hexdigest()[:32])
    return message


async def _transmit(
    options: EmailConfig,
    password: str | None,
    letters: Sequence[Letter],
    told: Callable[[Letter, dict[str, int]], None],
) -> None:
    """Send `letters`; tell of each the recipients that were refused with their reply codes."""
    async with _connection(options) as client:
        async with asyncio.timeout(options.timeout_s):
            await _greet(client, options, password)
            for letter in letters:
                told(letter, await _send(client, options, letter))
        with suppress(SMTPException, OSError):
            await client.execute_command(b"QUIT", timeout=_QUIT_S)


async def _send(client: SMTP, options: EmailConfig, letter: Letter) -> dict[str, int]:
    sender = parseaddr(options.sender)[1]
    try:
        errors, _ = await client.send_message(
            letter.message, sender=sender, recipients=list(letter.to)
        )
    except SMTPRecipientsRefused as refused:
        return {one.recipient: one.code for one in refused.recipients}
    return {recipient: reply.code for recipient, reply in errors.items()}


class _Client(SMTP):
    """A client whose `close` aborts: a silent server must not keep a closed connection."""

    def close(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


@asynccontextmanager
async def _connection(options: EmailConfig) -> AsyncIterator[_Client]:
    """Give a client; its connection is dropped at once, without waiting for a TLS farewell."""
    client = _Client(
        hostname=options.host,
        port=options.port or _PORTS[options.security],
        use_tls=options.security == "tls",
        start_tls=False,
        tls_context=trust(options.ca_file),
        local_hostname=options.domain,
        timeout=options.timeout_s,
    )
    try:
        yield client
    finally:
        client.close()
        await asyncio.sleep(0)


async def _greet(client: SMTP, options: EmailConfig, password: str | None) -> None:
    await client.connect()
    if options.security == "starttls":
        await client.starttls()
    if options.username is not None:
        await client.login(options.username, password or "")


def _remember(line: Line[EmailConfig], key: str, taken: frozenset[str]) -> None:
    """Keep who took the message: another attempt leaves them out."""
    line.accepted[key] = taken | line.accepted.pop(key, frozenset())
    while len(line.accepted) > _REMEMBERED:
        line.accepted.pop(next(iter(line.accepted)))


def _outcome(line: Line[EmailConfig], key: str, refused: dict[str, int]) -> str:
    """Return who took the message in words, or raise for those that did not take it yet."""
    names = ", ".join(f"{recipient} ({code})" for recipient, code in sorted(refused.items()))
    if any(code < _PERMANENT for code in refused.values()):
        raise Retryable(f"{line.options.host} did not take the mail now for {names}")
    taken = line.accepted.pop(key, frozenset())
    if not taken:
        raise Rejected(f"{line.options.host} refused every recipient: {names}")
    return f"accepted for {len(taken)}" + (f"; refused for {names}" if names else "")


def _message_id(name: str, domain: str) -> str:
    """Return the id of a message; one too long for a header line is hashed."""
    if not _PLAIN_ID.fullmatch(name):
        name = sha256(name.encode()).hexdigest()[:32]
    return f"<{name}@{domain if len(domain) <= _MAX_DOMAIN else 'dogwatch.invalid'}>"


def _fault(code: int, message: str) -> Rejected | Retryable:
    return Rejected(message) if code >= _PERMANENT else Retryable(message)


def _said(error: Exception, password: str | None) -> str:
    """Return what the server said, without the password should it repeat it."""
    text = clean(" ".join(map(str, error.args)), 200) or type(error).__name__
    return text.replace(password, "***") if password else text
