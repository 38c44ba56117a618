"""The HTTP receiver records what arrives and answers as scripted."""

from __future__ import annotations

import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.conftest import SLACK_TOKEN
from tests.testbeds.receiver import Answer, Receiver, too_many

if TYPE_CHECKING:
    from tests.testbeds.certificates import Authority


def _post(url: str, **rest: object) -> httpx.Response:
    return httpx.post(url, trust_env=False, timeout=5.0, **rest)  # type: ignore[arg-type]


def test_a_request_is_recorded_whole(receiver: Receiver) -> None:
    answer = _post(f"{receiver.url}/hook?a=1", json={"b": 2}, headers={"X-Key": "k"})
    (request,) = receiver.requests
    assert answer.status_code == 200
    assert (request.method, request.path, request.json()) == ("POST", "/hook?a=1", {"b": 2})
    assert request.headers["x-key"] == "k"


def test_scripted_answers_come_first_and_in_order(receiver: Receiver) -> None:
    receiver.script(Answer(500, b"no"), too_many(7))
    answers = [_post(receiver.url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [500, 429, 200]
    assert answers[0].content == b"no"
    assert answers[1].headers["retry-after"] == "7"


def test_a_delayed_answer_comes_later(receiver: Receiver) -> None:
    receiver.script(Answer(delay_s=0.2))
    began = monotonic()
    assert _post(receiver.url).status_code == 200
    assert monotonic() - began >= 0.2


def test_a_dropped_connection_is_an_error_of_the_client_and_yet_recorded(
    receiver: Receiver,
) -> None:
    receiver.script(Answer(drop=True))
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        _post(receiver.url)
    assert len(receiver.requests) == 1


def test_a_hanging_answer_never_comes_and_does_not_keep_the_server_from_closing() -> None:
    with Receiver() as receiver:
        receiver.script(Answer(hang=True))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(receiver.url, trust_env=False, timeout=0.2)


def test_an_idle_connection_does_not_keep_the_server_from_closing() -> None:
    with httpx.Client(trust_env=False) as client, Receiver() as receiver:
        assert client.get(receiver.url).status_code == 200
        receiver.close()
        with pytest.raises(httpx.ConnectError):
            client.get(receiver.url)


def test_waiting_ends_with_the_request_or_says_how_many_came(receiver: Receiver) -> None:
    sender = threading.Timer(0.1, _post, [receiver.url])
    sender.start()
    assert len(receiver.wait(1)) == 1
    sender.join()
    with pytest.raises(TimeoutError, match=r"1 of 2 requests in 0\.05 s"):
        receiver.wait(2, timeout_s=0.05)


def test_a_request_that_was_cut_off_is_not_recorded(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=5.0) as half:
        half.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
        half.shutdown(socket.SHUT_WR)
        assert half.recv(100) == b""
    _post(f"{receiver.url}/whole")
    assert [request.path for request in receiver.requests] == ["/whole"]


def test_https_is_served_with_a_certificate_of_the_authority(authority: Authority) -> None:
    with Receiver(tls=authority.server_context()) as receiver:
        assert receiver.url.startswith("https://")
        answer = _post(receiver.url, verify=authority.client_context())
        assert answer.status_code == 200
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            _post(receiver.url)


@pytest.mark.parametrize(
    ("method", "token", "body", "expected"),
    [
        ("chat.postMessage", SLACK_TOKEN, {"channel": "C1"}, None),
        ("chat.update", SLACK_TOKEN, {"channel": "C1", "ts": "1.5"}, None),
        ("chat.postMessage", "other", {"channel": "C1"}, "invalid_auth"),
        ("chat.postMessage", SLACK_TOKEN, {}, "channel_not_found"),
        ("files.upload", SLACK_TOKEN, {"channel": "C1"}, "unknown_method"),
    ],
)
def test_slack_answers_in_its_own_form(
    slack_server: Receiver, method: str, token: str, body: dict[str, str], expected: str | None
) -> None:
    answer = _post(
        f"{slack_server.url}/api/{method}", json=body, headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert answer.get("error") == expected
    assert answer["ok"] is (expected is None)
    if answer["ok"]:
        assert answer["channel"] == "C1"
        assert answer["ts"] == body.get("ts", answer["ts"])


def test_two_slack_messages_have_two_timestamps(slack_server: Receiver) -> None:
    url, headers = f"{slack_server.url}/api/chat.postMessage", {"Authorization": "Bearer xoxb-test"}
    stamps = {_post(url, json={"channel": "C1"}, headers=headers).json()["ts"] for _ in range(2)}
    assert len(stamps) == 2


def test_an_incoming_webhook_answers_ok_in_plain_text(slack_server: Receiver) -> None:
    assert _post(f"{slack_server.url}/services/T1/B1/x", json={"text": "hi"}).text == "ok"
