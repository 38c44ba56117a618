"""Clicks in Slack: one decision for a true one, none for anything else."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from slack_sdk.signature import SignatureVerifier
from starlette.applications import Starlette
from starlette.types import Message

from engine.model.change_row import Verdict
from engine.model.errors import Retryable, StoreError
from engine.web.slack import PATH, SlackPorts, routes, signed
from tests.web.counting import ADA, NOW, CountingDesk, Hand

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
STAMP = str(int(NOW.timestamp()))
FORM = {"content-type": "application/x-www-form-urlencoded"}
HOOK = "https://hooks.slack.com/actions/T024BE7LD/1/abc"


@dataclass
class Inside:
    """The ports of the receiver, by hand."""

    desk: CountingDesk = field(default_factory=CountingDesk)
    clock: Hand = field(default_factory=Hand)
    secrets: list[str] = field(default_factory=lambda: [SECRET])
    told: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    deaf: bool = False

    async def reply(self, url: str, message: Mapping[str, Any]) -> None:
        if self.deaf:
            raise Retryable("no connection")
        self.told.append((url, message))

    def app(self) -> Starlette:
        ports = SlackPorts(self.desk, self.clock, lambda: self.secrets, self.reply)
        return Starlette(routes=routes(ports))


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
async def http(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(inside.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
        yield client


def a_click(inside: Inside, **changes: Any) -> dict[str, Any]:
    row = inside.desk.row
    return {
        "type": "block_actions",
        "api_app_id": "A02",
        "token": "verification",
        "team": {"id": ADA.slack[0], "domain": "example"},
        "user": {"id": ADA.slack[1], "username": "ada", "team_id": ADA.slack[0]},
        "channel": {"id": "C1", "name": "alerts"},
        "trigger_id": "1.2.3",
        "response_url": HOOK,
        "actions": [
            {
                "type": "button",
                "action_id": "dogwatch.approve",
                "block_id": "dogwatch.decide",
                "value": f"{row.id} {row.digest}",
                "action_ts": "1.1",
            }
        ],
        **changes,
    }


def an_action(inside: Inside, **changes: Any) -> list[dict[str, Any]]:
    return [{**a_click(inside)["actions"][0], **changes}]


def a_body(click: Any) -> bytes:
    return urlencode({"payload": json.dumps(click)}).encode()


def headers(body: bytes, stamp: str = STAMP, secret: str = SECRET) -> dict[str, str]:
    return {
        **FORM,
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": signed(secret, stamp, body),
    }


async def clicked(http: httpx.AsyncClient, click: Any) -> httpx.Response:
    body = a_body(click)
    return await http.post(PATH, content=body, headers=headers(body))


def test_the_signature_is_that_of_slacks_own_example() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&"
        b"channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&"
        b"command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands"
        b"%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.474456"
        b"29121.803a0bc887a14d10d2c447fce8b6703c"
    )
    expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signed(SECRET, "1531420618", body) == expected


@pytest.mark.parametrize(
    ("action", "verdict"), [("dogwatch.approve", Verdict.APPROVE), ("dogwatch.deny", Verdict.DENY)]
)
async def test_a_true_click_is_one_decision_of_who_clicked(
    action: str, verdict: Verdict, inside: Inside, http: httpx.AsyncClient
) -> None:
    click = a_click(inside, actions=an_action(inside, action_id=action))
    answer = await clicked(http, click)
    assert (answer.status_code, answer.content) == (200, b"")
    (taken,) = inside.desk.taken
    assert (taken.who, taken.verdict, taken.via) == ("ada", verdict, "slack")
    assert (taken.change, taken.digest) == (inside.desk.row.id, inside.desk.row.digest)
    ((url, message),) = inside.told
    assert url == HOOK
    assert message["response_type"] == "ephemeral"
    assert message["replace_original"] is False
    assert message["text"].startswith(f"You said {verdict}")


@pytest.mark.parametrize("seconds", [-300, -1, 0, 299, 300])
async def test_a_timestamp_within_five_minutes_is_fresh(
    seconds: int, inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.clock.at = NOW + timedelta(seconds=seconds)
    assert (await clicked(http, a_click(inside))).status_code == 200
    assert len(inside.desk.taken) == 1


async def test_either_of_two_secrets_will_do(inside: Inside, http: httpx.AsyncClient) -> None:
    inside.secrets = ["another-secret", SECRET]
    assert (await clicked(http, a_click(inside))).status_code == 200
    assert len(inside.desk.taken) == 1


async def test_the_same_request_counts_once(inside: Inside, http: httpx.AsyncClient) -> None:
    answers = [await clicked(http, a_click(inside)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 409, 409]
    assert inside.desk.asked == 1


async def test_a_late_click_is_told_how_it_ended(inside: Inside, http: httpx.AsyncClient) -> None:
    await clicked(http, a_click(inside))
    late = a_click(inside, actions=an_action(inside, action_id="dogwatch.deny"))
    assert (await clicked(http, late)).status_code == 200
    assert len(inside.desk.taken) == 1
    assert inside.told[-1][1]["text"] == "Nothing was decided: it is approve by ada already"


def forged(body: bytes) -> dict[str, str]:
    return headers(body, secret="not-the-secret")


def without(*names: str) -> Any:
    return lambda body: {key: one for key, one in headers(body).items() if key not in names}


def at(seconds: int) -> Any:
    stamp = str(int(NOW.timestamp()) + seconds)
    return lambda body: headers(body, stamp)


def given(**changes: str) -> Any:
    named = {key.replace("_", "-"): one for key, one in changes.items()}
    return lambda body: {**headers(body), **named}


def doubled(body: bytes) -> Any:
    return [*headers(body).items(), ("x-slack-signature", signed("x", STAMP, body))]


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (forged, 401),
        (doubled, 401),
        (without("x-slack-signature"), 401),
        (without("x-slack-request-timestamp"), 401),
        (without("content-type"), 415),
        (at(-301), 401),
        (at(301), 401),
        (at(-10_000_000), 401),
        (given(x_slack_signature=""), 401),
        (given(x_slack_signature="v0="), 401),
        (given(x_slack_signature="v0=" + "0" * 64), 401),
        (given(x_slack_signature="v1=" + "0" * 64), 401),
        (given(x_slack_request_timestamp="now"), 401),
        (given(x_slack_request_timestamp=STAMP + ".0"), 401),
        (given(x_slack_request_timestamp="0" + STAMP), 401),
        (given(x_slack_request_timestamp="-" + STAMP), 401),
        (given(x_slack_request_timestamp="9" * 40), 401),
        (given(content_type="application/json"), 415),
        (given(content_type="multipart/form-data; boundary=x"), 415),
    ],
)
async def test_a_request_that_slack_did_not_sign_now_decides_nothing(
    made: Any, status: int, inside: Inside, http: httpx.AsyncClient
) -> None:
    body = a_body(a_click(inside))
    answer = await http.post(PATH, content=body, headers=made(body))
    assert answer.status_code == status
    assert (inside.desk.asked, inside.told, inside.desk.used) == (0, [], set())


def recoded(body: bytes) -> bytes:
    """The same fields, with other escapes."""
    return body.replace(b"%22", b"\x22")


def spaced(body: bytes) -> bytes:
    return body + b"&"


def bigger(body: bytes) -> bytes:
    return body + b"+" * (10 << 20)


@pytest.mark.parametrize("change", [recoded, spaced, bigger, lambda body: body[:-9]])
async def test_a_body_that_was_changed_after_it_was_signed_decides_nothing(
    change: Any, inside: Inside, http: httpx.AsyncClient
) -> None:
    body = a_body(a_click(inside))
    answer = await http.post(PATH, content=change(body), headers=headers(body))
    assert answer.status_code in {401, 413}
    assert inside.desk.asked == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda inside: a_body(a_click(inside))[:-40],
        lambda inside: b"",
        lambda inside: b"payload=",
        lambda inside: b"payload=%7B",
        lambda inside: b"payload=" + b"%5B" * 60_000,
        lambda inside: b"payload=null",
        lambda inside: b"payload=[]",
        lambda inside: b"\xff\xfe=1",
        lambda inside: a_body(a_click(inside)).replace(b"payload", b"pay"),
        lambda inside: a_body(a_click(inside)) * 2,
        lambda inside: a_body(a_click(inside)) + b"&" + a_body(a_click(inside)),
        lambda inside: json.dumps(a_click(inside)).encode(),
        lambda inside: a_body(a_click(inside)) + b"&x=" + b"y" * (10 << 20),
        lambda inside: a_body(a_click(inside, type="view_submission")),
        lambda inside: a_body(a_click(inside, type="message_action")),
        lambda inside: a_body(a_click(inside, user=None)),
        lambda inside: a_body(a_click(inside, user={"id": 7})),
        lambda inside: a_body(a_click(inside, user={"id": "U1\nX"})),
        lambda inside: a_body(a_click(inside, team=None)),
        lambda inside: a_body(a_click(inside, actions=[])),
        lambda inside: a_body(a_click(inside, actions=an_action(inside) * 2)),
        lambda inside: a_body(a_click(inside, actions=an_action(inside, action_id="other"))),
        lambda inside: a_body(a_click(inside, actions=an_action(inside, action_id=None))),
        lambda inside: a_body(a_click(inside, actions=an_action(inside, value=""))),
        lambda inside: a_body(a_click(inside, actions=an_action(inside, value="c-1 d-1"))),
        lambda inside: a_body(
            a_click(inside, actions=an_action(inside, value=f"{inside.desk.row.id} {'A' * 64}"))
        ),
        lambda inside: a_body(
            a_click(inside, actions=an_action(inside, value=f"{inside.desk.row.id} {'0' * 64}\n"))
        ),
    ],
)
async def test_what_is_signed_and_is_no_click_of_ours_decides_nothing(
    make: Any, inside: Inside, http: httpx.AsyncClient
) -> None:
    body = make(inside)
    answer = await http.post(PATH, content=body, headers=headers(body))
    assert answer.status_code in {400, 413}
    assert (inside.desk.asked, inside.told) == (0, [])


@pytest.mark.parametrize(
    "who",
    [
        {"team": {"id": "T0OTHER"}, "user": {"id": ADA.slack[1]}},
        {"user": {"id": ADA.slack[1], "team_id": "T0OTHER"}},
        {"user": {"id": "U0OTHER", "team_id": ADA.slack[0]}},
    ],
)
async def test_a_person_that_the_policy_does_not_know_is_told_so(
    who: dict[str, Any], inside: Inside, http: httpx.AsyncClient
) -> None:
    assert (await clicked(http, a_click(inside, **who))).status_code == 200
    assert inside.desk.asked == 0
    assert "is nobody in the policy" in inside.told[0][1]["text"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("c-" + "0" * 20 + " " + "0" * 64, "there is no change"),
        (None, "is not what would be done by now"),
    ],
)
async def test_another_change_or_digest_is_refused_in_words(
    value: str | None, said: str, inside: Inside, http: httpx.AsyncClient
) -> None:
    named = value or f"{inside.desk.row.id} {'0' * 64}"
    await clicked(http, a_click(inside, actions=an_action(inside, value=named)))
    assert inside.desk.taken == []
    assert said in inside.told[0][1]["text"]


async def test_a_receiver_without_a_secret_is_closed(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.secrets = []
    assert (await clicked(http, a_click(inside))).status_code == 403
    inside.secrets = [""]
    body = a_body(a_click(inside))
    answer = await http.post(PATH, content=body, headers=headers(body, secret=""))
    assert answer.status_code == 403
    assert inside.desk.asked == 0


async def test_a_store_that_is_away_refuses_before_anything_is_decided(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.desk.fault = StoreError("away")
    answer = await clicked(http, a_click(inside))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert inside.desk.asked == 0


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://hooks.slack.com/x",
        "https://hooks.slack.com.evil.com/x",
        "https://hooks.slack.com@evil.com/x",
        "https://hooks.slack.com\\@evil.com/x",
        "https://hooks.slack.com:444/x",
        "https://evil.com/https://hooks.slack.com/",
        "https://evil.com#https://hooks.slack.com/",
        "https://hooks.slack.com/x?y=z\r\nHost: evil",
        "file:///etc/passwd",
        "https://169.254.169.254/latest",
        "https://[::1/",
    ],
)
async def test_an_answer_goes_to_slack_only(
    url: str, inside: Inside, http: httpx.AsyncClient
) -> None:
    assert (await clicked(http, a_click(inside, response_url=url))).status_code == 200
    assert len(inside.desk.taken) == 1
    assert inside.told == []


async def test_an_answer_that_cannot_be_sent_changes_nothing(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    inside.deaf = True
    assert (await clicked(http, a_click(inside))).status_code == 200
    assert len(inside.desk.taken) == 1


@dataclass
class Asked:
    """One click, sent by hand: what was answered, and what was decided by then."""

    inside: Inside
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    decided: int = -1

    async def send(self) -> None:
        body = a_body(a_click(self.inside))
        scope = {
            "type": "http",
            "method": "POST",
            "path": PATH,
            "query_string": b"",
            "headers": [(key.encode(), one.encode()) for key, one in headers(body).items()],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.status, self.decided = message["status"], len(self.inside.desk.taken)
            else:
                self.answered.set()

        await self.inside.app()(scope, receive, send)


async def test_the_decision_is_made_before_slack_is_answered(inside: Inside) -> None:
    asked = Asked(inside)
    await asked.send()
    assert (asked.status, asked.decided) == (200, 1)


async def test_slack_is_answered_in_time_where_the_decision_takes_longer(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.web.slack.DECIDE_S", 0.01)
    inside.desk.open = asyncio.Event()
    asked = Asked(inside)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(asked.send())
        await asked.answered.wait()
        assert (asked.status, asked.decided) == (200, 0)
        inside.desk.open.set()
    assert len(inside.desk.taken) == 1


async def test_a_decision_goes_on_where_its_request_is_given_up(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.web.slack.DECIDE_S", 0.01)
    inside.desk.open = asyncio.Event()
    asked = Asked(inside)
    async with asyncio.timeout(10):
        sending = asyncio.create_task(asked.send())
        await asked.answered.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        inside.desk.open.set()
        while not inside.told:  # noqa: ASYNC110 - nobody is told when the reply is sent
            await asyncio.sleep(0)
    assert len(inside.desk.taken) == 1


async def test_what_a_person_is_told_holds_no_mention_and_no_link(
    inside: Inside, http: httpx.AsyncClient
) -> None:
    row = inside.desk.row
    hostile = row.draft.model_copy(update={"title": "<!channel> @here `x` https://evil.com"})
    inside.desk.row = replace(row, draft=hostile)
    await clicked(http, a_click(inside))
    text = inside.told[0][1]["text"]
    assert "<" not in text
    assert "https://" not in text
    assert "@here" not in text


def test_slacks_own_library_makes_the_same_signature(inside: Inside) -> None:
    body = a_body(a_click(inside))
    own = SignatureVerifier(SECRET).generate_signature(timestamp=STAMP, body=body)
    assert own == signed(SECRET, STAMP, body)
