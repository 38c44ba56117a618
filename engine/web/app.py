"""HTTP: health, metrics, reload, the receiver of CloudEvents; for people API and pages."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.model.cloudevents import BadData, BadRequest, to_batch
from engine.model.errors import DogwatchError, Overloaded, StoreError
from engine.web import api, site
from engine.web.body import read_body
from engine.web.headers import Guarded
from engine.web.ports import People
from engine.web.refusal import Refusal

BODY_LIMIT = 4 << 20
"""Bytes of one request; more is refused with 413."""


@dataclass(frozen=True)
class Health:
    """One check of readiness: `problem` is empty when it passes.

    One that is not `fatal` is shown and counts nothing: others can do no better.
    """

    name: str
    problem: str = ""
    fatal: bool = True

    def __str__(self) -> str:
        mark = "+" if not self.problem else "-" if self.fatal else "!"
        return f"[{mark}] {self.name} {self.problem or 'ok'}"


@dataclass(frozen=True)
class Accepted:
    """What became of one request of signals; `rejected` holds one reason a bad signal."""

    accepted: int
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ports:
    """What the pages ask of the engine.

    Attributes:
        live: whether the loop turned lately.
        checks: the checks of readiness, each named.
        metrics: the exposition text and its content type.
        accept: takes CloudEvents, an array or one; returns once the good ones are durable; None
            where this process takes no signals.
        refuse: takes a reason, a sentence, and the first bytes of what was not read.
        reload: reads the rule files again; returns the faults, none when they are in force.
        token: the bearer token, read at each request; None refuses all.
        hold: given the bytes of a request that is going to be read, counts them as waiting
            within a context; raises Overloaded where too much waits already.
    """

    live: Callable[[], bool]
    checks: Callable[[], list[Health]]
    metrics: Callable[[], Awaitable[tuple[bytes, str]]]
    accept: Callable[[bytes], Awaitable[Accepted]] | None
    refuse: Callable[[str, str, bytes], Awaitable[None]]
    reload: Callable[[], Awaitable[list[str]]]
    token: Callable[[], str | None]
    hold: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()


def build(ports: Ports, people: People | None = None, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the ASGI application over `ports`.

    With `people` it has the HTTP API and the pages too; `more` are routes of channels.
    """
    routes = [*_health(ports), *_control(ports), *more]
    if people is None:
        return Starlette(routes=routes)
    return Starlette(
        routes=[*routes, *api.routes(people), *site.routes(people)],
        middleware=[Middleware(Guarded)],
        exception_handlers=site.faults(people),
    )


def _health(ports: Ports) -> list[Route]:
    """Return the pages that anybody may read."""

    async def livez(_: Request) -> Response:
        return _plain(ok=ports.live(), text="the loop turns", other="the loop stands still")

    async def readyz(request: Request) -> Response:
        checks = ports.checks()
        bad = [check for check in checks if check.problem and check.fatal]
        lines = [str(one) for one in (checks if "verbose" in request.query_params else bad)]
        return _plain(ok=not bad, text="\n".join(["ready", *lines]), other="\n".join(lines))

    async def metrics(_: Request) -> Response:
        body, kind = await ports.metrics()
        return Response(body, media_type=kind)

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/startupz", readyz),
        Route("/metrics", metrics),
    ]


def _control(ports: Ports) -> list[Route]:
    """Return the pages that need the bearer token."""

    async def signals(request: Request) -> Response:
        if refusal := _refuse(request, ports.token()):
            return refusal
        return await _answer(ports, request)

    async def reload(request: Request) -> Response:
        if refusal := _refuse(request, ports.token()):
            return refusal
        try:
            faults = await ports.reload()
        except DogwatchError as error:
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        return JSONResponse({"faults": faults}, 422 if faults else 200)

    return [
        Route("/v1/signals", signals, methods=["POST"]),
        Route("/-/reload", reload, methods=["POST"]),
    ]


async def _answer(ports: Ports, request: Request) -> Response:
    """Take the signals of `request`; return the answer, be it that they were not taken."""
    try:
        return await _taken(ports, request)
    except (BadRequest, Refusal) as error:
        return _error(error.status, str(error))
    except Overloaded as error:
        # The sender keeps all of it: never 429, as it is not the sender who is wrong.
        return _unavailable(str(error), error.retry_s)
    except StoreError as error:
        return _unavailable(str(error), 1)


async def _taken(ports: Ports, request: Request) -> Response:
    """Hand the body of `request` on; return the answer that says what became of it."""
    if ports.accept is None:
        return _error(HTTPStatus.NOT_FOUND, "this process takes no signals: run `--role web`")
    with ExitStack() as held:
        try:
            held.enter_context(ports.hold(_length(request)))
        except Overloaded:
            await read_body(request, keep=0)
            raise
        head, size = await read_body(request, keep=BODY_LIMIT)
        if size > BODY_LIMIT:
            why = f"body of {size} bytes or more; allowed are {BODY_LIMIT}"
            await ports.refuse("too-large", why, head)
            return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, why)
        try:
            taken = await ports.accept(to_batch(request.headers, head))
        except BadData as error:
            await ports.refuse("bad-json", str(error), head)
            taken = Accepted(0, (f"bad-json: {error}",))
    answer = {"accepted": taken.accepted, "rejected": list(taken.rejected)}
    return JSONResponse(answer, 422 if taken.rejected and not taken.accepted else 202)


def _length(request: Request) -> int:
    """Return how many bytes may be kept of the body of `request`."""
    told = request.headers.get("content-length", "")
    return min(int(told), BODY_LIMIT) if told.isdecimal() else BODY_LIMIT


def _plain(*, ok: bool, text: str, other: str) -> Response:
    return PlainTextResponse(f"{text if ok else other}\n", 200 if ok else 503)


def _error(status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"error": text}, status, headers=headers)


def _unavailable(text: str, retry_s: int) -> Response:
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(retry_s)})


def _refuse(request: Request, token: str | None) -> Response | None:
    """Return the refusal of a request without the right bearer token."""
    if token is None:
        return _error(HTTPStatus.FORBIDDEN, "closed: http.token_file is not configured")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode()):
        return None
    asked = {"WWW-Authenticate": "Bearer"}
    return _error(HTTPStatus.UNAUTHORIZED, "bearer token missing or wrong", asked)
