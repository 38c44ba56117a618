"""Slack: the receiver of clicks on the buttons of messages about changes.

Who clicked is known by the policy alone: a Slack team and user are mapped to one of its users.
"""

import asyncio
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qsl

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.background import BackgroundTask
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.model.change_row import Verdict
from engine.model.errors import DogwatchError, Refused, StoreError
from engine.model.ports import Clock
from engine.report.inert import brief
from engine.report.slack import ACTIONS
from engine.web.body import kind_of, small_body
from engine.web.ports import Desk
from engine.web.refusal import Refusal

if TYPE_CHECKING:
    from engine.changes.policy import User

LOG = structlog.get_logger()
PATH: Final = "/slack/actions"
WINDOW: Final = timedelta(seconds=300)
"""How far the timestamp of a request may be from now, either way."""
BODY_LIMIT: Final = 256 << 10
FORM: Final = "application/x-www-form-urlencoded"
HOME: Final = "https://hooks.slack.com"
"""Where answers go, beside the base URL that is configured."""
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}")
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")
_VALUE: Final = re.compile(r"(c-[0-9a-f]{20}) ([0-9a-f]{64})")
_URL: Final = re.compile(r"(https?://[A-Za-z0-9.:\[\]-]+)/[A-Za-z0-9/._~%-]*")
_LONGEST: Final = 500
_NO_CLICK: Final = "the body is no click on a button"
_ONCE_S: Final = 1.0
"""Seconds that the store may take before a click is refused: Slack waits for three."""
DECIDE_S: Final = 1.5
"""Seconds that deciding and telling may take before Slack has its answer."""


@dataclass(frozen=True)
class SlackPorts:
    """What the receiver asks of the engine.

    Attributes:
        desk: knows the users, takes decisions, remembers what was used.
        clock: wall clock.
        secrets: the signing secrets as they are now, several while one is exchanged; none
            closes the receiver. Raises DogwatchError: they cannot be read.
        reply: POSTs a JSON object to a URL of Slack; raises DogwatchError.
        base_url: of Slack's Web API, where it is another one.
    """

    desk: Desk
    clock: Clock
    secrets: Callable[[], Sequence[str]]
    reply: Callable[[str, Mapping[str, Any]], Awaitable[None]]
    base_url: str = "https://slack.com/api"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class _Place(_Part):
    id: str = Field(pattern=r"^[A-Z0-9]{1,32}$")


class _Who(_Place):
    team_id: str = Field(default="", pattern=r"^[A-Z0-9]{0,32}$")


class _Action(_Part):
    action_id: str
    value: str = Field(default="", max_length=200)


class Click(_Part):
    """A payload of Slack of type block_actions, as far as it is read."""

    type: Literal["block_actions"]
    team: _Place
    user: _Who
    actions: list[_Action] = Field(min_length=1, max_length=1)
    response_url: str = Field(default="", max_length=2000)


@dataclass(frozen=True)
class Choice:
    """What a click says: of which change, of which digest, and what."""

    change: str
    digest: str
    verdict: Verdict


def routes(ports: SlackPorts) -> list[Route]:
    """Return the route that Slack's interactivity request URL leads to."""

    async def actions(request: Request) -> Response:
        try:
            click, choice = await _received(ports, request)
        except Refusal as refusal:
            LOG.warning("click refused", status=refusal.status, why=refusal.text)
            return JSONResponse({"error": refusal.text}, refusal.status, headers=refusal.headers)
        deciding = asyncio.create_task(decide(ports, click, choice))
        # Slack waits for three seconds. What takes longer goes on after the answer: a process that
        # stops waits for it, as it does for who was promised an answer.
        await asyncio.wait({deciding}, timeout=DECIDE_S)
        return Response(status_code=200, background=BackgroundTask(_finish, deciding))

    return [Route(PATH, actions, methods=["POST"])]


async def decide(ports: SlackPorts, click: Click, choice: Choice) -> None:
    """Take the decision of `click`, and tell who clicked what came of it."""
    said = await _decided(ports, click, choice)
    LOG.info("click", change=choice.change, verdict=choice.verdict.value, said=said)
    await _tell(ports, click, said)


async def _finish(deciding: "asyncio.Task[None]") -> None:
    """Wait for a decision, and go on with it should the request be given up."""
    await asyncio.shield(deciding)


def signed(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of `body` as Slack makes it (`v0=` and hex)."""
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, sha256).hexdigest()


async def _received(ports: SlackPorts, request: Request) -> tuple[Click, Choice]:
    """Return the click that `request` brings. Raises Refusal: nothing is done about it."""
    if kind_of(request) != FORM:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"allowed is {FORM}")
    body = await small_body(request, BODY_LIMIT)
    timestamp, signature = _signature(request.headers)
    _check(ports, timestamp, signature, body)
    click, choice = _understood(body)
    if not await fresh(ports, f"{timestamp}:{signature}"):
        raise Refusal(HTTPStatus.CONFLICT, "this request was taken already")
    return click, choice


def _signature(headers: Headers) -> tuple[str, str]:
    """Return timestamp and signature of a request that has one of each, in form."""
    stamps = headers.getlist("x-slack-request-timestamp")
    signatures = headers.getlist("x-slack-signature")
    if len(stamps) != 1 or len(signatures) != 1:
        raise Refusal(HTTPStatus.UNAUTHORIZED, "signature or timestamp missing")
    if not (_TIMESTAMP.fullmatch(stamps[0]) and _SIGNATURE.fullmatch(signatures[0])):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "signature or timestamp is none")
    return stamps[0], signatures[0]


def _check(ports: SlackPorts, timestamp: str, signature: str, body: bytes) -> None:
    """Raise Refusal unless one of the secrets made `signature`, now."""
    try:
        secrets = [secret for secret in ports.secrets() if secret]
    except DogwatchError as error:
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "1"}) from error
    if not secrets:
        raise Refusal(HTTPStatus.FORBIDDEN, "closed: no sink has a signing_secret_file")
    # Every secret is tried, so that the time tells nothing of which one fits.
    fits = [hmac.compare_digest(signed(secret, timestamp, body), signature) for secret in secrets]
    if not any(fits):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "the signature is wrong")
    away = abs(ports.clock.now().timestamp() - int(timestamp))
    if away > WINDOW.total_seconds():
        raise Refusal(HTTPStatus.UNAUTHORIZED, f"the timestamp is {away:.0f} s away from now")


async def fresh(ports: SlackPorts, name: str) -> bool:
    """Whether the request of this name comes for the first time. Raises Refusal: nobody knows."""
    nonce = "slack:" + sha256(name.encode()).hexdigest()
    try:
        async with asyncio.timeout(_ONCE_S):
            return await ports.desk.once(nonce, ports.clock.now() + 3 * WINDOW)
    except (StoreError, TimeoutError) as error:
        why = str(error) or "the store does not answer"
        raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, {"Retry-After": "1"}) from error


def _understood(body: bytes) -> tuple[Click, Choice]:
    """Return what `body` says. Raises Refusal: it is no click of ours."""
    try:
        fields = parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=1)
        ((name, text),) = fields
        payload = json.loads(text) if name == "payload" else None
    except (ValueError, RecursionError) as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, _NO_CLICK) from error
    return understood(payload)


def understood(payload: Any) -> tuple[Click, Choice]:
    """Return what a payload of Slack says. Raises Refusal: it is no click of ours."""
    try:
        click = Click.model_validate(payload)
    except ValidationError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, _NO_CLICK) from error
    action = click.actions[0]
    verdict = ACTIONS.get(action.action_id)
    value = _VALUE.fullmatch(action.value)
    if verdict is None or value is None:
        raise Refusal(HTTPStatus.BAD_REQUEST, "an action that is none of dogwatch")
    return click, Choice(value[1], value[2], verdict)


async def _decided(ports: SlackPorts, click: Click, choice: Choice) -> str:
    """Decide as who clicked; return the sentence for them."""
    team = click.user.team_id or click.team.id
    try:
        user = await _user(ports, team, click.user.id)
        if user is None:
            return (
                f"Nothing was decided: Slack user {click.user.id} of team {team} is nobody in the "
                "policy of dogwatch."
            )
        decided = await ports.desk.decide(
            user, choice.change, choice.digest, choice.verdict, via="slack"
        )
    except Refused as refused:
        return f"Nothing was decided: {refused}"
    except DogwatchError as error:
        LOG.warning("click not taken", change=choice.change, error=str(error))
        return "Nothing was decided: dogwatch cannot take decisions right now; try again."
    return decided.text


async def _user(ports: SlackPorts, team: str, member: str) -> "User | None":
    return await asyncio.to_thread(ports.desk.user_of_slack, team, member)


async def _tell(ports: SlackPorts, click: Click, said: str) -> None:
    """Tell who clicked, and nobody else; a URL that is not Slack's is left alone."""
    if not _of_slack(click.response_url, ports.base_url):
        LOG.warning("click answered nowhere", why="response_url is not Slack's")
        return
    message = {"response_type": "ephemeral", "replace_original": False, "text": _inert(said)}
    try:
        await ports.reply(click.response_url, message)
    except DogwatchError as error:
        LOG.warning("click answered nowhere", why=str(error))


def _inert(said: str) -> str:
    text = brief(said, _LONGEST).replace("`", "'")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _of_slack(url: str, base_url: str) -> bool:
    """Whether `url` leads to Slack, or to the server that is configured in its place."""
    found, own = _URL.fullmatch(url), _URL.match(base_url)
    return found is not None and found[1] in {HOME, own[1] if own else HOME}
