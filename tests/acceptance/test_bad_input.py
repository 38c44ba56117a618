"""Malformed and hostile signals: quarantined with their reason, harmless to all the others."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.lab import RULES, Lab, a_beat, a_lab, an_alarm
from tests.conftest import MAIL_LOGIN, SLACK_TOKEN
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.certificates import Authority
    from tests.testbeds.receiver import Receiver
    from tests.testbeds.smtp import MailServer

pytestmark = pytest.mark.timeout(120)

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\x1b[8m"
TRICKS = "\u202egnp.exe\u200b\u2066"
MENTIONS = "<!channel> <@U0123> <https://evil.example|click>"
MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
HOSTILE = f"attic {ESCAPES}{TRICKS} {MENTIONS} {MARKUP} =cmd|'/c calc'!A1 \r\nBcc: x@evil.example"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_lab(tmp_path_factory.mktemp("signals")) as lab:
        yield lab


def spelled(**changes: Any) -> bytes:
    return json.dumps(an_alarm(**changes)).encode()


def replaced(old: bytes, new: bytes) -> bytes:
    whole = spelled(data={"celsius": 50, "note": "NOTE"})
    assert old in whole
    return whole.replace(old, new)


def without(name: str) -> bytes:
    return json.dumps({k: v for k, v in an_alarm().items() if k != name}).encode()


THIS_YEAR = str(datetime.now(UTC).year)
BAD = {
    "cut off": (spelled()[:-20], "truncated"),
    "bad UTF-8": (replaced(b"NOTE", b"\xff\xfe"), "bad-utf8"),
    "a lone surrogate": (replaced(b"NOTE", b"\\ud800"), "bad-attribute"),
    "NaN": (replaced(b'"NOTE"', b"NaN"), "not-a-number"),
    "10,000 deep": (replaced(b'"NOTE"', b"[" * 10_000 + b"]" * 10_000), "too-deep"),
    "a key twice": (replaced(b'"note"', b'"celsius"'), "duplicate-key"),
    "400 digits": (replaced(b'"NOTE"', b"9" * 400), "number-range"),
    "a double too large": (replaced(b'"NOTE"', b"1e999"), "number-range"),
    "2 MiB": (replaced(b"NOTE", b"x" * (2 << 20)), "too-large"),
    "no zone": (spelled(time=f"{THIS_YEAR}-01-01T00:00:00"), "bad-time"),
    "no time": (without("time"), "missing-attribute"),
    "year 9000": (spelled(time="9000-01-01T00:00:00Z"), "future"),
    "year 9999": (spelled(time="9999-12-31T23:59:59Z"), "bad-time"),
    "year 1": (spelled(time="0001-01-01T00:00:00Z"), "bad-time"),
    "30th of February": (spelled(time=f"{THIS_YEAR}-02-30T00:00:00Z"), "bad-time"),
    "no cluster": (without("cluster"), "cluster"),
    "an empty cluster": (spelled(cluster=""), "cluster"),
    "a number for an id": (spelled(id=7), "bad-attribute"),
    "an empty id": (spelled(id=""), "bad-attribute"),
    "a zero character": (spelled(subject="a\0b"), "bad-attribute"),
    "a list for data": (spelled(data=[1]), "bad-data"),
    "base64": (spelled(data_base64="AAAA"), "bad-data"),
    "a coming version": (spelled(specversion="2.0"), "specversion"),
    "a number": (b"7", "not-an-event"),
    "null": (b"null", "not-an-event"),
}


def quarantine(lab: Lab) -> list[dict[str, Any]]:
    found = json.loads(
        lab.dogwatch.command("quarantine", "list", "--limit", "500", "--output", "json")
    )
    rows: list[dict[str, Any]] = found["records"]
    return rows


def test_each_bad_signal_is_quarantined_with_its_reason_and_the_good_beside_it_fire(
    lab: Lab,
) -> None:
    for number, (name, (bad, reason)) in enumerate(BAD.items()):
        before = lab.metric("signals_quarantined_total", reason=reason)
        good = spelled(subject=f"good-{number}")
        tail = [json.dumps(a_beat()).encode()]
        # What is cut off takes with it what follows: it must come last.
        parts = [good, *tail, bad] if name == "cut off" else [good, bad, *tail]
        answer = lab.post(b"[" + b",".join(parts) + b"]")
        assert answer.status_code == 202, (name, answer.text)
        body = answer.json()
        assert body["accepted"] == 2, (name, body)
        assert [text.partition(":")[0] for text in body["rejected"]] == [reason], (name, body)
        assert lab.metric("signals_quarantined_total", reason=reason) == before + 1, name
    for number in range(len(BAD)):
        lab.await_told("fire", f"good-{number}", 20)
    kept = quarantine(lab)
    for name, (_, reason) in BAD.items():
        assert any(row["reason"] == reason and row["detail"] for row in kept), (name, reason)
    assert lab.readiness()[0] == 200
    assert lab.dogwatch.process.running


WHOLE = {
    "nothing": (b"", "not-a-batch"),
    "no JSON": (b"hello", "not-a-batch"),
    "a text": (b'"x"', "not-a-batch"),
    "an endless list": (b"[" * 200_000, "truncated"),
    "zero bytes": (b"\0" * 100, "not-a-batch"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_body_that_is_no_batch_is_refused_with_its_reason(lab: Lab, name: str) -> None:
    body, reason = WHOLE[name]
    before = lab.metric("signals_quarantined_total")
    answer = lab.post(body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["rejected"][0].startswith(f"{reason}:"), answer.text
    assert lab.metric("signals_quarantined_total") == before + 1


def test_a_body_of_10_mib_is_refused_and_counted(lab: Lab) -> None:
    before = lab.metric("signals_quarantined_total", reason="too-large")
    answer = lab.post(b"[" + b" " * (10 << 20) + b"]")
    assert answer.status_code == 413
    assert "4194304" in answer.text
    assert lab.metric("signals_quarantined_total", reason="too-large") == before + 1
    assert any(row["reason"] == "too-large" for row in quarantine(lab))


def test_another_content_type_is_refused_in_words(lab: Lab) -> None:
    answer = lab.post(spelled(), "text/plain")
    assert answer.status_code == 415
    assert "application/cloudevents-batch+json" in answer.json()["error"]


def test_one_structured_event_cannot_carry_a_second_one(lab: Lab) -> None:
    body = spelled(subject="first") + b"," + spelled(subject="stowaway")
    answer = lab.post(body, "application/cloudevents+json")
    assert answer.status_code == 422, answer.text
    lab.fire("witness")
    lab.await_told("fire", "witness")
    assert lab.told("fire", "stowaway") == []


@pytest.mark.parametrize(
    "celsius",
    [None, "hot", True, [50], {"is": 50}, "missing", 2**63, -0.0, 1e308],
    ids=str,
)
def test_a_wrong_type_where_a_rule_reads_neither_fires_wrongly_nor_stops_the_rest(
    lab: Lab, celsius: Any
) -> None:
    odd = f"odd-{celsius}"
    data = {} if celsius == "missing" else {"celsius": celsius}
    answer = lab.dogwatch.send([an_alarm(odd, data=data), an_alarm(f"sane-{celsius}"), a_beat()])
    assert answer.json()["accepted"] == 3
    lab.await_told("fire", f"sane-{celsius}")
    is_hot = isinstance(celsius, (int, float)) and not isinstance(celsius, bool) and celsius > 40
    assert bool(lab.told("fire", odd)) is is_hot


def test_types_of_a_sender_s_own_do_not_grow_the_metrics(lab: Lab) -> None:
    lab.dogwatch.send([an_alarm(type=f"own-{number}") for number in range(50)])
    lab.fire("types")
    lab.await_told("fire", "types")
    assert lab.metric("signals_total", type="other") >= 50
    assert "own-7" not in lab.dogwatch.get("/metrics")


def test_what_is_quarantined_cannot_steer_the_terminal(lab: Lab) -> None:
    lab.post(b"[" + json.dumps(HOSTILE, ensure_ascii=False).encode() + b', "\x1b[2J"]')
    for output in ("text", "json"):
        shown = lab.dogwatch.command("quarantine", "list", "--output", output)
        assert_harmless(shown)


RULES_WITH_TEXT = (
    RULES.rstrip()
    + """
      annotations: {summary: "{{ key.subject }} is hot", description: "at {{ key.subject }}"}
      mission: {kind: incident-response, params: {namespace: "{{ key.subject }}"}}
"""
)


def test_hostile_text_is_dead_at_every_end(
    tmp_path: Path, slack_server: Receiver, smtp: MailServer, authority: Authority
) -> None:
    (tmp_path / "slack").write_text(SLACK_TOKEN)
    (tmp_path / "mail").write_text(MAIL_LOGIN[1])
    sinks = {
        "oncall": {
            "type": "slack",
            "token_file": "slack",
            "channel": "#oncall",
            "base_url": f"{slack_server.url}/api",
            "allow_loopback_http": True,
        },
        "mail": {
            "type": "email",
            "host": "localhost",
            "port": smtp.port,
            "username": MAIL_LOGIN[0],
            "password_file": "mail",
            "from": "dogwatch@example.com",
            "to": ["sre@example.com"],
            "ca_file": str(authority.certificate),
        },
        "out": {"type": "console"},
    }
    with a_lab(tmp_path, RULES_WITH_TEXT, sinks) as lab:
        lab.fire(HOSTILE)
        assert eventually(lambda: (len(lab.hook.requests) >= 2) or None, 20)
        assert eventually(lambda: (len(slack_server.requests) >= 2) or None, 20)
        assert eventually(lambda: (len(smtp.mails) >= 2) or None, 20)
        assert eventually(lambda: (lab.metric("deliveries_total", sink="out") >= 2) or None, 20)
        firing = lab.hook.requests[0].json()["data"]["incident"]
        for form in ("text", "json"):
            assert_harmless(lab.dogwatch.command("show", firing, "--output", form))
            assert_harmless(lab.dogwatch.command("mission", "list", "--output", form))

        for request in lab.hook.requests:
            assert_harmless(request.body.decode())
            told = request.json()["data"]
            assert_harmless(told["title"] + told.get("text", ""))
        for request in slack_server.requests:
            assert_no_mentions(request.json())
            assert_harmless(request.body.decode())
        for mail in smtp.mails:
            assert mail.recipients == ("sre@example.com",)
            assert mail.message["Bcc"] is None
            assert_harmless(str(mail.message["Subject"]))
            for part in mail.message.walk():
                if part.get_content_type() == "text/html":
                    assert_inert(part.get_content())
                elif part.get_content_type() == "text/plain":
                    assert_harmless(part.get_content())
        assert_harmless((tmp_path / "dogwatch.log").read_text())


def assert_harmless(text: str) -> None:
    """Nothing in it steers a terminal or turns the direction of reading."""
    bad = re.findall(
        r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text
    )
    assert not bad, (bad, text)


def assert_no_mentions(value: Any) -> None:
    """No text of Slack's own markup calls anybody or hides where a link leads."""
    if isinstance(value, dict):
        marked = value.get("type") == "mrkdwn" or "ts" in value or "channel" in value
        if marked and isinstance(value.get("text"), str):
            assert not re.search(r"<[!@#]|<https?://evil", value["text"]), value["text"]
        for item in value.values():
            assert_no_mentions(item)
    elif isinstance(value, list):
        for item in value:
            assert_no_mentions(item)


def assert_inert(page: str) -> None:
    """No markup of the sender is markup in the page."""
    assert_harmless(page)
    assert not re.search(r"<\s*(img|script)", page, re.IGNORECASE)
    assert "<img src=x" in html.unescape(page)
    assert not re.search(r"href=.?https://evil", page)
