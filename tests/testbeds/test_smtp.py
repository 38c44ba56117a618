"""The mail server wants TLS and a login, keeps mails, and fails as scripted."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from tests.conftest import MAIL_LOGIN
from tests.testbeds.smtp import MailServer, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testbeds.certificates import Authority


@pytest.fixture
def client(smtp: MailServer, authority: Authority) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(smtp.host, smtp.port, timeout=5) as connection:
        connection.starttls(context=authority.client_context())
        yield connection


def _mail(to: str = "ops@example.test") -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "dogwatch@example.test", to, "prüfen"
    mail.set_content("text")
    mail.add_alternative("<p>text</p>", subtype="html")
    return mail


def test_a_mail_is_kept_with_its_envelope_parts_and_login(
    smtp: MailServer, client: smtplib.SMTP
) -> None:
    client.login(*MAIL_LOGIN)
    client.send_message(_mail())
    (mail,) = smtp.wait(1)
    assert (mail.sender, mail.recipients) == ("dogwatch@example.test", ("ops@example.test",))
    assert mail.message["Subject"] == "prüfen"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == [
        "text/plain", "text/html",
    ]  # fmt: skip
    assert (mail.user, mail.encrypted) == (MAIL_LOGIN[0], True)


def test_without_tls_nothing_is_accepted(smtp: MailServer) -> None:
    with smtplib.SMTP(smtp.host, smtp.port, timeout=5) as plain:
        with pytest.raises(smtplib.SMTPException, match="Must issue a STARTTLS command first"):
            plain.send_message(_mail())
        plain.quit()
    assert smtp.mails == []


def test_without_a_login_nothing_is_accepted(smtp: MailServer, client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPException, match="Authentication required"):
        client.send_message(_mail())
    assert smtp.mails == []


def test_a_wrong_password_is_refused(client: smtplib.SMTP) -> None:
    with pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(MAIL_LOGIN[0], "wrong")


def test_a_server_without_tls_and_login_takes_mail_as_it_comes() -> None:
    with MailServer() as server, smtplib.SMTP(server.host, server.port, timeout=5) as plain:
        plain.send_message(_mail())
        (mail,) = server.wait(1)
    assert (mail.user, mail.encrypted) == (None, False)


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_a_scripted_refusal_happens_once(smtp: MailServer, client: smtplib.SMTP, step: str) -> None:
    client.login(*MAIL_LOGIN)
    smtp.trouble(step, Trouble("451 4.3.0 later"))  # type: ignore[arg-type]
    with pytest.raises(smtplib.SMTPException, match=r"4\.3\.0 later"):
        client.send_message(_mail())
    client.send_message(_mail())
    assert len(smtp.mails) == 1


def test_a_scripted_refusal_of_the_login(smtp: MailServer, client: smtplib.SMTP) -> None:
    smtp.trouble("AUTH", Trouble("454 4.7.0 temporary failure"), times=2)  # PLAIN, then LOGIN
    with pytest.raises(smtplib.SMTPAuthenticationError, match=r"4\.7\.0 temporary failure"):
        client.login(*MAIL_LOGIN)


def test_a_dropped_connection_is_an_error_of_the_client(
    smtp: MailServer, client: smtplib.SMTP
) -> None:
    client.login(*MAIL_LOGIN)
    smtp.trouble("DATA", Trouble(drop=True))
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
        client.send_message(_mail())
    assert smtp.mails == []


def test_a_hanging_command_times_out_and_does_not_keep_the_server_from_closing() -> None:
    with MailServer() as server, smtplib.SMTP(server.host, server.port, timeout=0.3) as plain:
        server.trouble("RCPT", Trouble(hang=True))
        with pytest.raises(smtplib.SMTPServerDisconnected, match="timed out"):
            plain.send_message(_mail())


def test_waiting_for_a_mail_that_does_not_come_says_so(smtp: MailServer) -> None:
    with pytest.raises(TimeoutError, match=r"0 of 1 mails in 0\.05 s"):
        smtp.wait(1, timeout_s=0.05)
