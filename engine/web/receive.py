"""POST /v1/receive/NAME: what other systems post, let in by a secret of each receiver."""

import asyncio
import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.model.errors import Overloaded, StoreError
from engine.web.app import BODY_LIMIT, Accepted
from engine.web.body import read_body
from engine.web.refusal import Refusal
from engine.web.unpacking import Unpacker, read_unpacked, unpacker_of

BODY_S: Final = 30.0
"""How long a body may take to come."""
CONTENT_TYPE: Final = "content-type"
"""The reason of a request whose content type or form is not known: answered 415."""
_DIGITS: Final = 9
_HIDDEN: Final = frozenset({"authorization", "proxy-authorization", "cookie"})
_REASONS: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: "bad-body",
    HTTPStatus.REQUEST_TIMEOUT: "slow",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too-large",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "encoding",
}


class Way(StrEnum):
    """How a sender shows that it may post."""

    BEARER = "Bearer"
    BASIC = "Basic"
    PATH = "path"


@dataclass(frozen=True)
class Gate:
    """Who may post to one receiver; `secret` is read at each request, None: there is none now."""

    way: Way
    secret: Callable[[], str | None]


@dataclass(frozen=True)
class Reception:
    """What stands behind the receivers.

    Attributes:
        gates: the receivers by name.
        receive: takes the name of a receiver, the headers without credentials, and the body;
            returns once what is good of it is durable. Raises Overloaded and StoreError.
        turn_away: takes the name of a receiver, a reason and a sentence: counts and tells it.
        hold: as in engine.web.app.Ports.
    """

    gates: Mapping[str, Gate]
    receive: Callable[[str, Mapping[str, str], bytes], Awaitable[Accepted]]
    turn_away: Callable[[str, str, str], None]
    hold: Callable[[int], AbstractContextManager[None]]


def routes(reception: Reception) -> list[Route]:
    """Return the routes of the receivers."""

    async def receive(request: Request) -> Response:
        name = request.path_params["name"]
        try:
            _let_in(reception, name, request)
            return await _received(reception, name, request)
        except Refusal as error:
            return _error(error.status, error.text, error.headers)
        except Overloaded as error:
            # The sender keeps all of it: never 429, as it is not the sender who is wrong.
            return _unavailable(str(error), error.retry_s)
        except StoreError as error:
            return _unavailable(str(error), 1)

    return [
        Route("/v1/receive/{name}", receive, methods=["POST"]),
        Route("/v1/receive/{name}/{secret:path}", receive, methods=["POST"]),
    ]


def _let_in(reception: Reception, name: str, request: Request) -> None:
    """Return where the sender may post to the receiver `name`, else raise Refusal.

    One with its secret in the path is not there for who does not know it.
    """
    gate = reception.gates.get(name)
    given = request.path_params.get("secret")
    if gate is None or (gate.way is Way.PATH) != (given is not None):
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such receiver")
    secret = gate.secret()
    if secret is None:
        reception.turn_away(name, "no-secret", "the file with its secret can not be read")
        raise Refusal(
            HTTPStatus.SERVICE_UNAVAILABLE, "closed for now: no secret", {"Retry-After": "5"}
        )
    shown = given if gate.way is Way.PATH else _credentials(request, gate.way)
    if shown is not None and hmac.compare_digest(shown.encode(), secret.encode()):
        return
    reception.turn_away(name, "unauthorized", "the secret is missing or wrong")
    if gate.way is Way.PATH:
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no such receiver")
    asked = {"WWW-Authenticate": gate.way.value}
    raise Refusal(HTTPStatus.UNAUTHORIZED, "credentials are missing or wrong", asked)


def _credentials(request: Request, way: Way) -> str | None:
    """Return what the sender gives of the scheme `way`, None for nothing that can be read."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != way.value.lower():
        return None
    if way is Way.BEARER:
        return given
    try:
        return base64.b64decode(given, validate=True).decode()
    except (binascii.Error, ValueError):
        return None


async def _received(reception: Reception, name: str, request: Request) -> Response:
    with ExitStack() as held:
        try:
            body = await _body(reception, request, held)
        except Refusal as error:
            reception.turn_away(name, _REASONS.get(error.status, "bad-body"), error.text)
            raise
        headers = {key: value for key, value in request.headers.items() if key not in _HIDDEN}
        taken = await reception.receive(name, headers, body)
    answer = {"accepted": taken.accepted, "rejected": list(taken.rejected)}
    return JSONResponse(answer, _status(taken))


def _status(taken: Accepted) -> int:
    if taken.accepted or not taken.rejected:
        return HTTPStatus.ACCEPTED
    if all(one.startswith(f"{CONTENT_TYPE}:") for one in taken.rejected):
        return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    return HTTPStatus.UNPROCESSABLE_ENTITY


async def _body(reception: Reception, request: Request, held: ExitStack) -> bytes:
    """Return the body, unpacked; it counts as waiting until `held` ends."""
    unpacker = unpacker_of(request, BODY_LIMIT)
    try:
        async with asyncio.timeout(BODY_S):
            try:
                held.enter_context(reception.hold(_room(request, unpacker)))
            except Overloaded:
                await read_body(request, keep=0)  # who still sends does not hear an answer
                raise
            return await read_unpacked(request, unpacker)
    except TimeoutError:
        why = f"the body took more than {BODY_S:.0f} s"
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, why, {"Connection": "close"}) from None


def _room(request: Request, unpacker: Unpacker) -> int:
    """Return how many bytes may be kept of the body of `request`."""
    told = request.headers.get("content-length", "")
    if unpacker.packed or not told.isdecimal() or len(told) > _DIGITS:
        return BODY_LIMIT
    return min(int(told), BODY_LIMIT)


def _error(status: int, text: str, headers: Mapping[str, str]) -> Response:
    return JSONResponse({"error": text}, status, headers=dict(headers))


def _unavailable(text: str, retry_s: int) -> Response:
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(retry_s)})
