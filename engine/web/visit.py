"""Visit: one look at a page, or one form sent, by a user who is logged in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from engine.model.errors import DogwatchError
from engine.web.body import kind_of, small_body
from engine.web.ports import People
from engine.web.refusal import Refusal, refusal_of
from engine.web.render import page
from engine.web.session import COOKIE, Session, Signer

if TYPE_CHECKING:
    from engine.changes.policy.policy import User

FORM_LIMIT = 64 << 10
"""Bytes of one form."""
FORM_FIELDS = 50
FORM = "application/x-www-form-urlencoded"
_OWN = {"same-origin", "none"}


@dataclass(frozen=True)
class Visit:
    """Who looks, and how the page is made."""

    people: People
    user: "User"
    session: Session
    request: Request

    async def see(self, look: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `look`, which blocks, returns for `arguments`."""
        return await asyncio.to_thread(look, *arguments)

    def show(self, name: str, status: int = HTTPStatus.OK, **fields: Any) -> Response:
        """Return the page of the template `name`."""
        signer = Signer(self.people.key)
        every = {
            "base": self.people.base,
            "user": self.user.name,
            "form": signer.form_token(self.session.id),
            "now": self.people.clock.now(),
            "here": name,
        }
        return HTMLResponse(page(name, {**every, **fields}), status)

    def go(self, path: str) -> Response:
        """Send the browser on to `path` after a form."""
        return RedirectResponse(f"{self.people.base}{path}", HTTPStatus.SEE_OTHER)

    @property
    def path(self) -> Mapping[str, str]:
        """The parts of the path."""
        return self.request.path_params

    async def form(self) -> dict[str, str]:
        """Return the fields of the form that was sent. Raises Refusal: it is not one of ours."""
        return await sent_form(self.people, self.request, self.session.id)


Act = Callable[[Visit], Awaitable[Response]]


def endpoint(people: People, act: Act) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of `act`, for users who are logged in; others go to the login."""

    async def answer(request: Request) -> Response:
        visit = await visit_of(people, request)
        if visit is None:
            return _unknown(people, request)
        try:
            return await act(visit)
        except Refusal as refusal:
            return _refused(visit, refusal)
        except DogwatchError as error:
            return _refused(visit, refusal_of(error))

    return answer


async def visit_of(people: People, request: Request) -> Visit | None:
    """Return the visit of who is logged in, None for anybody else."""
    signer = Signer(people.key)
    session = signer.session(request.cookies.get(COOKIE, ""), people.clock.now())
    if session is None:
        return None
    user = await asyncio.to_thread(people.desk.user_named, session.user)
    if user is None or not signer.proves(session, user):
        return None
    return Visit(people, user, session, request)


async def sent_form(people: People, request: Request, of: str) -> dict[str, str]:
    """Return the fields of a form that a page for `of` (session or visitor) has shown.

    Raises:
        Refusal: it is none, too long, or does not come of such a page.
    """
    if kind_of(request) != FORM:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"allowed is {FORM}")
    body = await small_body(request, FORM_LIMIT)
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS, errors="strict"
        )
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"no form: {error}") from error
    fields = dict(pairs)
    if any("\0" in value for value in fields.values()):
        raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "a field has a NUL in it")
    foreign = request.headers.get("sec-fetch-site", "none") not in _OWN
    if foreign or not Signer(people.key).holds(fields.get("form", ""), of):
        raise Refusal(HTTPStatus.FORBIDDEN, "this form is too old, or not of this page: try again")
    return fields


def _refused(visit: Visit, refusal: Refusal) -> Response:
    answer = visit.show(
        "refused", refusal.status, text=refusal.text, title=HTTPStatus(refusal.status).phrase
    )
    answer.headers.update(refusal.headers)
    return answer


def _unknown(people: People, request: Request) -> Response:
    """Send somebody who is not logged in to the login, or back here once.

    The cookie does not come with a click on a link in a mail or chat (SameSite=Strict); from
    the page that asks for the same address again it does.
    """
    if request.method not in {"GET", "HEAD"}:
        return HTMLResponse(
            page("bounce", {"base": people.base, "again": f"{people.base}/login"}),
            HTTPStatus.UNAUTHORIZED,
        )
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.headers.get("sec-fetch-site") == "cross-site":
        return HTMLResponse(page("bounce", {"base": people.base, "again": people.base + wanted}))
    return RedirectResponse(
        f"{people.base}/login?next={quote(wanted, safe='/')}", HTTPStatus.SEE_OTHER
    )
