"""The HTTP API below /v1: one table of calls, of which routes and document are made."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TypeVar

from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from engine.model.change_row import Freeze, Verdict
from engine.model.change_state import ChangeState
from engine.model.config import Config
from engine.model.mission import MissionState
from engine.web.call import Asked, Call, caller, endpoint, refused
from engine.web.openapi import document
from engine.web.ports import Order, People, scope_of
from engine.web.refusal import Refusal
from engine.web.views import (
    AuditView,
    ChangeLine,
    ChangeView,
    ClusterView,
    MissionLine,
    MissionView,
    RuleLine,
    RuleView,
    SinkView,
    View,
)

T = TypeVar("T")
VIA = "http"
V1 = "/v1/"
OPENAPI = "/v1/openapi.json"
FOREVER_S = 366 * 86400


class MissionsQuery(Config):
    """Which missions."""

    state: tuple[MissionState, ...] = ()
    kind: str = ""
    limit: int = Field(50, ge=1, le=1000)


class ChangesQuery(Config):
    """Which changes."""

    state: tuple[ChangeState, ...] = ()
    mission: str = ""
    limit: int = Field(50, ge=1, le=1000)


class RuleQuery(Config):
    """Which key of the rule: `namespace=shop,name=web`, or a part of it."""

    key: str = Field("", max_length=1000)


class AuditQuery(Config):
    """Which entries."""

    mission: str = ""
    change: str = ""
    limit: int = Field(100, ge=1, le=1000)


class Word(Config):
    """A decision on exactly `digest`; `typed` is the name, where the risk class asks for it."""

    digest: str = Field(min_length=1, max_length=100)
    typed: str = Field("", max_length=300)
    comment: str = Field("", max_length=2000)


class NewFreeze(Config):
    """What to freeze: one cluster, or without `cluster` all; until thawed without `for_s`."""

    cluster: str = Field("", max_length=100)
    reason: str = Field(min_length=1, max_length=500)
    for_s: float | None = Field(None, gt=0, le=FOREVER_S)


class Thaw(Config):
    """What to thaw: the freeze of one cluster, or without `cluster` that of all."""

    cluster: str = Field("", max_length=100)


class DecidedView(View):
    """The change after a decision, and what became of that in words."""

    text: str
    change: ChangeView


class Thawed(View):
    """Whether there was such a freeze."""

    thawed: bool


def routes(people: People) -> Sequence[BaseRoute]:
    """Return the routes of all calls, and of the document that describes them."""
    paths: dict[str, dict[str, Call]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = call
    described = document(CALLS)

    async def openapi(request: Request) -> Response:
        try:
            await caller(people, request)
        except Refusal as refusal:
            return refused(refusal)
        return JSONResponse(described)

    return [
        Route(OPENAPI, openapi),
        *(
            Route(path, endpoint(people, calls), methods=list(calls))
            for path, calls in paths.items()
        ),
    ]


async def _missions(asked: Asked) -> object:
    query: MissionsQuery = asked.query
    return await asked.see(asked.people.pages.missions, query.state, query.kind, query.limit)


async def _mission(asked: Asked) -> object:
    return _there(await asked.see(asked.people.pages.mission, asked.path["id"]), "mission")


async def _run(asked: Asked) -> object:
    return await asked.see(asked.people.orders.run, asked.user, asked.body)


async def _cancel(asked: Asked) -> object:
    await _mission(asked)
    return await asked.see(asked.people.orders.cancel, asked.user, asked.path["id"])


async def _resume(asked: Asked) -> object:
    await _mission(asked)
    return await asked.see(asked.people.orders.resume, asked.user, asked.path["id"])


async def _changes(asked: Asked) -> object:
    query: ChangesQuery = asked.query
    return await asked.see(asked.people.pages.changes, query.state, query.mission, query.limit)


async def _change(asked: Asked) -> ChangeView:
    look = asked.people.pages.change
    found: ChangeView = _there(await asked.see(look, asked.path["id"], asked.user), "change")
    return found


async def _approve(asked: Asked) -> DecidedView:
    return await _decide(asked, Verdict.APPROVE)


async def _deny(asked: Asked) -> DecidedView:
    return await _decide(asked, Verdict.DENY)


async def _decide(asked: Asked, verdict: Verdict) -> DecidedView:
    change = await _change(asked)
    if change.asking is not None:
        approves = verdict is Verdict.APPROVE
        why_not = change.asking.no_approval if approves else change.asking.no_denial
        if why_not:
            raise Refusal(HTTPStatus.FORBIDDEN, why_not)
    word: Word = asked.body
    decided = await asked.people.desk.decide(
        asked.user,
        change.id,
        word.digest,
        verdict,
        via=VIA,
        typed=word.typed,
        comment=word.comment,
    )
    return DecidedView(text=decided.text, change=await _change(asked))


async def _rules(asked: Asked) -> object:
    return await asked.see(asked.people.pages.rules)


async def _rule(asked: Asked) -> object:
    look = asked.people.pages.rule
    return _there(await asked.see(look, asked.path["name"], asked.query.key), "rule")


async def _sinks(asked: Asked) -> object:
    return await asked.see(asked.people.pages.sinks)


async def _clusters(asked: Asked) -> object:
    return await asked.see(asked.people.pages.clusters)


async def _freezes(asked: Asked) -> object:
    return await asked.see(asked.people.pages.freezes)


async def _freeze(asked: Asked) -> object:
    new: NewFreeze = asked.body
    freeze = asked.people.orders.freeze
    return await asked.see(freeze, asked.user, scope_of(new.cluster), new.reason, new.for_s)


async def _thaw(asked: Asked) -> object:
    scope = scope_of(asked.body.cluster)
    return Thawed(thawed=await asked.see(asked.people.orders.thaw, asked.user, scope))


async def _audit(asked: Asked) -> object:
    query: AuditQuery = asked.query
    return await asked.see(asked.people.pages.audit, query.mission, query.change, query.limit)


def _there(found: T | None, noun: str) -> T:
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no such {noun}")
    return found


async def fault(request: Request, error: Exception) -> Response:
    """Return what is wrong with a path or a method: below /v1 as JSON, else as one line."""
    status, headers = 500, None
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    text = HTTPStatus(status).phrase
    if request.url.path.startswith(V1):
        return JSONResponse({"error": text}, status, headers=headers)
    return PlainTextResponse(f"{text}\n", status, headers=headers)


_GONE = (HTTPStatus.NOT_FOUND,)
_CLASH = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_WORD = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)

CALLS = (
    Call("GET", "/v1/missions", "The newest missions.", _missions, list[MissionLine],
         query=MissionsQuery),
    Call("POST", "/v1/missions", "Queue a mission.", _run, MissionLine, body=Order,
         status=HTTPStatus.CREATED, faults=(HTTPStatus.CONFLICT,)),
    Call("GET", "/v1/missions/{id}", "One mission, from its signal to its deliveries.", _mission,
         MissionView, faults=_GONE),
    Call("POST", "/v1/missions/{id}/cancel", "End a mission, and withdraw its changes.", _cancel,
         MissionLine, faults=_CLASH),
    Call("POST", "/v1/missions/{id}/resume", "Queue a failed mission again.", _resume,
         MissionLine, faults=_CLASH),
    Call("GET", "/v1/changes", "The newest changes.", _changes, list[ChangeLine],
         query=ChangesQuery),
    Call("GET", "/v1/changes/{id}", "One change: diff, risk, decisions, audit.", _change,
         ChangeView, faults=_GONE),
    Call("POST", "/v1/changes/{id}/approve", "Approve exactly the change of this digest.",
         _approve, DecidedView, body=Word, faults=_WORD),
    Call("POST", "/v1/changes/{id}/deny", "Deny the change of this digest.", _deny, DecidedView,
         body=Word, faults=_WORD),
    Call("GET", "/v1/rules", "The rules in force, and how many of their firings are open.",
         _rules, list[RuleLine]),
    Call("GET", "/v1/rules/{name}", "One rule, and why a key of it is in its state.", _rule,
         RuleView, query=RuleQuery, faults=_GONE),
    Call("GET", "/v1/sinks", "The sinks, and what waits for them.", _sinks, list[SinkView]),
    Call("GET", "/v1/clusters", "The clusters, and whether they answer.", _clusters,
         list[ClusterView]),
    Call("GET", "/v1/freezes", "The freezes in force.", _freezes, list[Freeze]),
    Call("POST", "/v1/freeze", "Stop new changes of one cluster, or of all.", _freeze, Freeze,
         body=NewFreeze, status=HTTPStatus.CREATED),
    Call("POST", "/v1/thaw", "End a freeze.", _thaw, Thawed, body=Thaw,
         faults=(HTTPStatus.CONFLICT,)),
    Call("GET", "/v1/audit", "The newest entries of the audit, and whether its chain is whole.",
         _audit, AuditView, query=AuditQuery),
)  # fmt: skip
