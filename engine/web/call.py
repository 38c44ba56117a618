"""Call: one thing that the HTTP API does, as data: its route and its description come of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.model.config import Config
from engine.model.errors import DogwatchError
from engine.web.body import kind_of, small_body
from engine.web.ports import People
from engine.web.refusal import Refusal, refusal_of

if TYPE_CHECKING:
    from engine.changes.policy.policy import User

LIMIT = 64 << 10
"""Bytes of the body of one call."""
JSON = "application/json"
_SHOWN = 5
"""Faults of a body or query that are told."""


@dataclass(frozen=True)
class Asked:
    """One call that was made: by whom, about what, with which query and body, checked."""

    people: People
    user: "User"
    path: Mapping[str, str]
    query: Any = None
    body: Any = None

    async def see(self, look: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `look`, which blocks, returns for `arguments`."""
        return await asyncio.to_thread(look, *arguments)


@dataclass(frozen=True)
class Call:
    """One method of one path.

    `answer` is the type of what is returned, `query` and `body` models of what is asked.
    `faults` are the statuses that it may refuse with, beside those that every call has.
    """

    method: str
    path: str
    summary: str
    act: Callable[[Asked], Awaitable[Any]]
    answer: Any
    query: type[Config] | None = None
    body: type[Config] | None = None
    status: int = HTTPStatus.OK
    faults: tuple[int, ...] = field(default=())


def endpoint(people: People, calls: Mapping[str, Call]) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of one path; `calls` are by method."""

    async def answer(request: Request) -> Response:
        call = calls["GET" if request.method == "HEAD" else request.method]
        try:
            return await _answered(people, call, request)
        except Refusal as refusal:
            return refused(refusal)
        except DogwatchError as error:
            return refused(refusal_of(error))

    return answer


def refused(refusal: Refusal) -> Response:
    """Return `refusal` as JSON."""
    return JSONResponse({"error": refusal.text}, refusal.status, headers=refusal.headers)


async def _answered(people: People, call: Call, request: Request) -> Response:
    user = await caller(people, request)
    path = {name: _plain(name, str(value)) for name, value in request.path_params.items()}
    query = _query(call.query, request) if call.query else None
    body = await _body(call.body, request) if call.body else None
    found = await call.act(Asked(people, user, path, query, body))
    content = TypeAdapter(call.answer).dump_json(found)
    return Response(content, call.status, media_type=JSON)


async def caller(people: People, request: Request) -> "User":
    """Return whose bearer token this is. Raises Refusal (401)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    user = None
    if scheme.lower() == "bearer" and token.strip():
        user = await asyncio.to_thread(people.desk.user_of_token, token.strip())
    if user is None:
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "bearer token missing, or of no user of the policy",
            {"WWW-Authenticate": "Bearer"},
        )
    return user


def _query(model: type[Config], request: Request) -> Config:
    given: dict[str, Any] = {}
    for name in request.query_params:
        known = model.model_fields.get(name)
        values = request.query_params.getlist(name)
        several = known is not None and get_origin(known.annotation) is tuple
        given[name] = values if several else values[-1]
    return _checked(model, given)


async def _body(model: type[Config], request: Request) -> Config:
    if (kind := kind_of(request)) != JSON:
        why = f"content type '{kind}'; allowed is {JSON}"
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, why)
    try:
        given = from_json(await small_body(request, LIMIT), allow_inf_nan=False)
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"body is no JSON: {error}") from error
    return _checked(model, given)


def _checked(model: type[Config], given: Any) -> Config:
    _plain("a text", given)
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)[:_SHOWN]
        told = (f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in faults)
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(told)) from error


def _plain(name: str, value: Any) -> Any:
    """Return `value`, in which no text has a NUL: no database takes one."""
    match value:
        case str() if "\0" in value:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name} has a NUL in it")
        case dict():
            _plain(name, list(value))
            _plain(name, list(value.values()))
        case list():
            for one in value:
                _plain(name, one)
        case _:
            pass
    return value
