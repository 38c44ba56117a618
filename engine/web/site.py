"""The pages for people: what there is, and the forms that decide."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from engine.model.change_row import Verdict
from engine.model.change_state import ChangeState
from engine.model.errors import Refused
from engine.report.content import report_parts
from engine.web import login
from engine.web.api import FOREVER_S, V1, fault
from engine.web.ports import People, scope_of
from engine.web.refusal import Refusal
from engine.web.render import style
from engine.web.views import MOVING, ChangeView
from engine.web.visit import Act, Visit, endpoint, visit_of

VIA = "web"
SHOWN = 100
"""Missions, changes and entries on one page."""
FEW = 8
"""The same on the overview."""
_ASKED: Final = (ChangeState.AWAITING,)
_PLANNED: Final = (ChangeState.PROPOSED,)
_MOVING: Final = tuple(one for one in ChangeState if one in MOVING)
_OVER: Final = tuple(one for one in ChangeState if one.final)


def routes(people: People) -> Sequence[BaseRoute]:
    """Return the routes of all pages."""
    name, text = style()

    async def sheet(_: Request) -> Response:
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(text, media_type="text/css", headers=kept)

    return [
        Route(f"/{name}", sheet),
        *login.routes(people),
        *(
            Route(path, endpoint(people, act), methods=["POST" if path in _FORMS else "GET"])
            for path, act in (_LOOKS | _FORMS).items()
        ),
    ]


def faults(people: People) -> Mapping[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """Return what answers where there is no such page: with a way back for who is logged in."""

    async def answer(request: Request, error: Exception) -> Response:
        plain = await fault(request, error)
        visit = None if request.url.path.startswith(V1) else await visit_of(people, request)
        if visit is None:
            return plain
        told = "There is no such page." if plain.status_code == HTTPStatus.NOT_FOUND else ""
        title = HTTPStatus(plain.status_code).phrase
        shown = visit.show("refused", plain.status_code, text=told or title, title=title)
        if allowed := plain.headers.get("allow"):
            shown.headers["Allow"] = allowed
        return shown

    return {HTTPException: answer}


async def _overview(visit: Visit) -> Response:
    pages = visit.people.pages
    changes, missions, clusters, sinks, freezes = await asyncio.gather(
        visit.see(pages.changes, _ASKED, "", FEW),
        visit.see(pages.missions, (), "", FEW),
        visit.see(pages.clusters),
        visit.see(pages.sinks),
        visit.see(pages.freezes),
    )
    return visit.show(
        "overview",
        changes=changes,
        missions=missions,
        clusters=clusters,
        sinks=sinks,
        freezes=freezes,
    )


async def _missions(visit: Visit) -> Response:
    found = await visit.see(visit.people.pages.missions, (), "", SHOWN)
    return visit.show("missions", missions=found)


async def _mission(visit: Visit) -> Response:
    found = await visit.see(visit.people.pages.mission, visit.path["id"])
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such mission.")
    parts = list(report_parts(found.report)) if found.report else []
    return visit.show("mission", mission=found, parts=parts)


async def _approvals(visit: Visit) -> Response:
    parts = {"asked": _ASKED, "planned": _PLANNED, "moving": _MOVING, "over": _OVER}
    look = visit.people.pages.changes
    found = await asyncio.gather(*(visit.see(look, states, "", SHOWN) for states in parts.values()))
    return visit.show("approvals", **dict(zip(parts, found, strict=True)))


async def _change(visit: Visit) -> Response:
    return visit.show("change", change=await _found(visit), said="")


async def _found(visit: Visit) -> ChangeView:
    found: ChangeView | None = await visit.see(
        visit.people.pages.change, visit.path["id"], visit.user
    )
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such change.")
    return found


async def _decide(visit: Visit) -> Response:
    """Take the decision; one that does not count is told above the change as it is now."""
    fields = await visit.form()
    change = (await _found(visit)).id
    try:
        await visit.people.desk.decide(
            visit.user,
            change,
            fields.get("digest", ""),
            _verdict(fields.get("verdict", "")),
            via=VIA,
            typed=fields.get("typed", "").strip(),
            comment=fields.get("comment", "").strip(),
        )
    except Refused as refused:
        return visit.show(
            "change", HTTPStatus.CONFLICT, change=await _found(visit), said=str(refused)
        )
    return visit.go(f"/changes/{change}")


def _verdict(word: str) -> Verdict:
    if word not in list(Verdict):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Approve or deny; nothing else counts.")
    return Verdict(word)


async def _cancel(visit: Visit) -> Response:
    return await _ordered(visit, "cancel")


async def _resume(visit: Visit) -> Response:
    return await _ordered(visit, "resume")


async def _ordered(visit: Visit, order: str) -> Response:
    """Cancel or resume the mission of the path."""
    await visit.form()
    mission = visit.path["id"]
    if await visit.see(visit.people.pages.mission, mission) is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such mission.")
    await visit.see(getattr(visit.people.orders, order), visit.user, mission)
    return visit.go(f"/missions/{mission}")


async def _rules(visit: Visit) -> Response:
    return visit.show("rules", rules=await visit.see(visit.people.pages.rules))


async def _rule(visit: Visit) -> Response:
    key = visit.request.query_params.get("key", "")
    found = await visit.see(visit.people.pages.rule, visit.path["name"], key)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "There is no such rule in force.")
    return visit.show("rule", rule=found)


async def _sinks(visit: Visit) -> Response:
    return visit.show("sinks", sinks=await visit.see(visit.people.pages.sinks))


async def _clusters(visit: Visit) -> Response:
    clusters = await visit.see(visit.people.pages.clusters)
    freezes = await visit.see(visit.people.pages.freezes)
    return visit.show("clusters", clusters=clusters, freezes=freezes)


async def _freeze(visit: Visit) -> Response:
    fields = await visit.form()
    reason = fields.get("reason", "").strip()
    if not reason:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Say why: others will ask.")
    scope = scope_of(fields.get("cluster", ""))
    freeze = visit.people.orders.freeze
    await visit.see(freeze, visit.user, scope, reason[:500], _hours(fields.get("hours", "")))
    return visit.go("/clusters")


def _hours(text: str) -> float | None:
    """Return the seconds of so many hours, None for no end."""
    if not text.strip():
        return None
    try:
        seconds = float(text) * 3600
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= FOREVER_S:
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Hours are a number above 0, or nothing.")
    return seconds


async def _thaw(visit: Visit) -> Response:
    fields = await visit.form()
    await visit.see(visit.people.orders.thaw, visit.user, fields.get("scope", ""))
    return visit.go("/clusters")


async def _audit(visit: Visit) -> Response:
    query = visit.request.query_params
    found = await visit.see(
        visit.people.pages.audit, query.get("mission", ""), query.get("change", ""), SHOWN
    )
    return visit.show("audit", audit=found)


_LOOKS: Final[dict[str, Act]] = {
    "/": _overview,
    "/missions": _missions,
    "/missions/{id}": _mission,
    "/approvals": _approvals,
    "/changes/{id}": _change,
    "/rules": _rules,
    "/rules/{name}": _rule,
    "/sinks": _sinks,
    "/clusters": _clusters,
    "/audit": _audit,
}
_FORMS: Final[dict[str, Act]] = {
    "/changes/{id}/decision": _decide,
    "/missions/{id}/cancel": _cancel,
    "/missions/{id}/resume": _resume,
    "/freeze": _freeze,
    "/thaw": _thaw,
}
