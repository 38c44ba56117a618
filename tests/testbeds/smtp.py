"""A real SMTP server with STARTTLS and AUTH that keeps what it receives and fails as it is told."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage
    from types import TracebackType

Step = Literal["AUTH", "MAIL", "RCPT", "DATA"]


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that was accepted; `user` is who had logged in, `encrypted` whether TLS was on."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    user: str | None
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """What to do at a step: reply so, or hang until the server closes, or drop the connection."""

    reply: str = ""
    hang: bool = False
    drop: bool = False


class MailServer:
    """An SMTP server on loopback in a thread with an event loop of its own.

    Args:
        tls: context of STARTTLS; None when the server shall not offer it.
        login: user and password that AUTH takes, after STARTTLS only; None when nobody logs in.
        port: 0 for any.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        login: tuple[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.login = login
        self._tls = tls
        self._troubles: dict[Step, deque[Trouble]] = {}
        self._mails: list[Mail] = []
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        self._protocols: list[SMTP] = []
        self._server = self._loop.run_until_complete(
            self._loop.create_server(self._protocol, "127.0.0.1", port)
        )
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp")
        self._thread.start()

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def mails(self) -> list[Mail]:
        """All mails accepted so far, in the order of their arrival."""
        with self._arrived:
            return list(self._mails)

    def trouble(self, step: Step, trouble: Trouble, *, times: int = 1) -> None:
        """Do not accept the next so many commands of a step.

        Args:
            step: the command; at DATA the message has been sent already.
            trouble: such as `Trouble("451 4.3.0 try again later")`. AUTH can only be replied to.
            times: how often.
        """
        with self._arrived:
            self._troubles.setdefault(step, deque()).extend([trouble] * times)

    def wait(self, number: int, timeout_s: float = 10.0) -> list[Mail]:
        """Return all mails as soon as there are so many.

        Raises:
            TimeoutError: fewer have come; the text says how many.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._mails) >= number, timeout_s):
                raise TimeoutError(f"{len(self._mails)} of {number} mails in {timeout_s} s")
            return list(self._mails)

    def close(self) -> None:
        """Stop: hanging commands end, connections are shut, the thread is joined."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _protocol(self) -> SMTP:
        protocol = SMTP(
            _Handler(self),
            tls_context=self._tls,
            require_starttls=self._tls is not None,
            auth_required=self.login is not None,
            authenticator=self._authenticate,
            loop=self._loop,
            hostname="localhost",
            ident="dogwatch tests",
        )
        self._protocols.append(protocol)
        return protocol

    def _authenticate(
        self, _smtp: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        if trouble := self._next("AUTH"):
            return AuthResult(success=False, handled=False, message=trouble.reply)
        given = cast("LoginPassword", data)
        pair = (given.login.decode(), given.password.decode())
        return AuthResult(success=pair == self.login, handled=False, auth_data=pair[0])

    def _next(self, step: Step) -> Trouble | None:
        with self._arrived:
            scripted = self._troubles.get(step)
            return scripted.popleft() if scripted else None

    async def refusal(self, step: Step, smtp: SMTP) -> str | None:
        """Return the scripted reply to a step, or None to accept; called by the handler."""
        trouble = self._next(step)
        if trouble is None:
            return None
        if trouble.hang:
            await self._closing.wait()
        if trouble.hang or trouble.drop:
            _abort(smtp)
        return trouble.reply or "421 4.3.2 closing"

    def keep(self, mail: Mail) -> None:
        """Store an accepted mail and wake who waits for it; called by the handler."""
        with self._arrived:
            self._mails.append(mail)
            self._arrived.notify_all()

    async def _end(self) -> None:
        self._closing.set()
        self._server.close()
        for protocol in self._protocols:
            _abort(protocol)
        await self._server.wait_closed()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)


def _abort(smtp: SMTP) -> None:
    if smtp.transport is not None:
        cast("asyncio.Transport", smtp.transport).abort()


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd looks handlers up by the command's name
        self, smtp: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refused := await self._server.refusal("MAIL", smtp):
            return refused
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, smtp: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if refused := await self._server.refusal("RCPT", smtp):
            return refused
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if refused := await self._server.refusal("DATA", smtp):
            return refused
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        self._server.keep(
            Mail(
                sender=envelope.mail_from or "",
                recipients=tuple(envelope.rcpt_tos),
                message=message_from_bytes(raw, policy=policy.default),
                user=cast("str | None", session.auth_data) if session.authenticated else None,
                encrypted=session.ssl is not None,
            )
        )
        return "250 OK"
