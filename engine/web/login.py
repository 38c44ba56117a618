"""The login: a user's token for a session."""

import asyncio
import re
from collections import deque
from datetime import datetime, timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from engine.web.ports import People
from engine.web.refusal import Refusal
from engine.web.render import page
from engine.web.session import COOKIE, FORM_COOKIE, SESSION_S, Signer
from engine.web.visit import Visit, endpoint, sent_form

FAILED = 10
"""Logins that may fail within PAUSE; then nobody logs in here until that is over."""
PAUSE = timedelta(minutes=1)
_WITHIN = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")
"""A place of ours: nothing that a browser takes for another host."""


def routes(people: People) -> list[Route]:
    """Return the routes of the login and the end of a session."""
    failed: deque[datetime] = deque(maxlen=FAILED)

    async def login(request: Request) -> Response:
        if request.method == "POST":
            return await _logged_in(people, request, failed)
        return _asked(people, request.query_params.get("next", "/"))

    async def logout(visit: Visit) -> Response:
        await visit.form()
        answer = visit.go("/login")
        answer.delete_cookie(COOKIE, path=people.base or "/")
        return answer

    return [
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", endpoint(people, logout), methods=["POST"]),
    ]


async def _logged_in(people: People, request: Request, failed: deque[datetime]) -> Response:
    """Begin a session for who has the token of a user; ask again for who has not.

    `failed` are the instants at which somebody had not, the last ones.
    """
    visitor = request.cookies.get(FORM_COOKIE, "")
    try:
        fields = await sent_form(people, request, visitor)
    except Refusal as refusal:
        return _asked(people, "/", refusal.text, refusal.status)
    wanted = fields.get("next", "/")
    token = fields.get("token", "").strip()
    now = people.clock.now()
    if len(failed) == FAILED and timedelta() <= now - failed[0] < PAUSE:
        answer = _asked(
            people, wanted, "Too many logins failed; wait a minute.", HTTPStatus.TOO_MANY_REQUESTS
        )
        answer.headers["Retry-After"] = str(int(PAUSE.total_seconds()))
        return answer
    user = await asyncio.to_thread(people.desk.user_of_token, token) if token else None
    if user is None:
        failed.append(now)
        said = (
            "This is the token of no user of the policy."
            if people.desk.policy is not None
            else "No valid policy is in force, so nobody is known."
        )
        return _asked(people, wanted, said, HTTPStatus.UNAUTHORIZED)
    place = wanted if _WITHIN.fullmatch(wanted) else "/"
    begun = RedirectResponse(f"{people.base}{place}", HTTPStatus.SEE_OTHER)
    _keep(people, begun, COOKIE, Signer(people.key).cookie(user, people.new_id(), now), SESSION_S)
    return begun


def _asked(people: People, wanted: str, said: str = "", status: int = HTTPStatus.OK) -> Response:
    """Return the form that asks for a token; it leads to `wanted`."""
    visitor = people.new_id()
    fields = {
        "base": people.base,
        "next": wanted,
        "said": said,
        "form": Signer(people.key).form_token(visitor),
    }
    answer = HTMLResponse(page("login", fields), status)
    _keep(people, answer, FORM_COOKIE, visitor, SESSION_S)
    return answer


def _keep(people: People, answer: Response, name: str, value: str, for_s: int) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=for_s,
        path=people.base or "/",
        secure=people.secure,
        httponly=True,
        samesite="strict",
    )
