"""Links in mails: each lets one person decide one change once. To look is not to decide.

A token is `1.PAYLOAD.SIGNATURE`: change, digest, address and end as JSON, and its HMAC-SHA256.
It names no secret, and it is the same each time it is made. Its person decides once about one
question, so that a second use of it decides nothing.
"""

import asyncio
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from engine.changes.asking import asks
from engine.model.change import Risk
from engine.model.change_row import ChangeRow, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Ask, Occasion
from engine.model.errors import DogwatchError
from engine.model.ids import canonical
from engine.model.ports import Clock
from engine.report.applied import state_words
from engine.report.notice import MAIL, delivery_parts
from engine.web.body import kind_of, small_body
from engine.web.headers import HEADERS
from engine.web.ports import Desk
from engine.web.refusal import Refusal, refusal_of
from engine.web.render import page

if TYPE_CHECKING:
    from engine.changes.policy import Needed, User

PATH: Final = "/decide"
KEY_BYTES: Final = 32
"""The least length of a key."""
FORM: Final = "application/x-www-form-urlencoded"
_FORM_LIMIT: Final = 16 << 10
_TOKEN: Final = re.compile(r"1\.([A-Za-z0-9_-]{1,800})\.([A-Za-z0-9_-]{43})")
_FOR: Final = b"dogwatch decides by mail, 1\n"
"""Stands before what is signed: a signature of something else under the same key is none."""
_OPEN: Final = frozenset({ChangeState.PROPOSED, ChangeState.AWAITING})
_FOREIGN: Final = "It is not whole, or it was not made by dogwatch."
_TITLE: Final = "This link decides nothing"


class Named(NamedTuple):
    """What a token names; `until` in whole seconds since 1970."""

    change: str
    digest: str
    address: str
    until: int


@dataclass(frozen=True)
class LinkPorts:
    """What the pages behind links ask of the engine.

    Attributes:
        desk: knows the users, takes decisions, remembers what was used.
        clock: wall clock.
        keys: the keys as they are now, each of KEY_BYTES or more; none closes the pages.
        change: the change of an id as it stands; blocks, and raises StoreError.
        needed: what approving it asks for.
        base: path below which a proxy serves the pages, empty for none.
    """

    desk: Desk
    clock: Clock
    keys: Callable[[], Sequence[bytes]]
    change: Callable[[str], ChangeRow | None]
    needed: "Callable[[ChangeRow], Needed]"
    base: str = ""


def signer(
    keys: Callable[[], Sequence[bytes]], url: str, knows: Callable[[str], bool]
) -> Callable[[Ask, str], str]:
    """Return what makes the link of a mail for one recipient, empty where there is none.

    Args:
        keys: as in LinkPorts; the first one signs.
        url: where the pages are served; without it there are no links.
        knows: whether an address is that of a user of the policy.
    """

    def sign(ask: Ask, address: str) -> str:
        found = [key for key in keys() if len(key) >= KEY_BYTES]
        if not (url and found and knows(address)):
            return ""
        named = Named(ask.change, ask.digest, address, _seconds(ask.expires))
        return f"{url.rstrip('/')}{PATH}/{token_of(named, found[0])}"

    return sign


def token_of(named: Named, key: bytes) -> str:
    """Return the token that names `named`, signed with `key`."""
    payload = canonical(list(named))
    return f"1.{_text(payload)}.{_text(_signature(payload, key))}"


def read(token: str, keys: Sequence[bytes], now: datetime) -> Named:
    """Return what `token` names. Raises Refusal: it is not ours, or too late."""
    match = _TOKEN.fullmatch(token)
    found = [key for key in keys if len(key) >= KEY_BYTES]
    if match is None or not found or len(match[1]) % 4 == 1:
        raise Refusal(HTTPStatus.FORBIDDEN, _FOREIGN)
    payload, signature = _bytes(match[1]), _bytes(match[2])
    fits = [hmac.compare_digest(_signature(payload, key), signature) for key in found]
    # One token has one spelling: another one of the same bytes could be used once more.
    if not any(fits) or token != f"1.{_text(payload)}.{_text(signature)}":
        raise Refusal(HTTPStatus.FORBIDDEN, _FOREIGN)
    named = Named(*json.loads(payload))
    if now.timestamp() >= named.until:
        ended = datetime.fromtimestamp(named.until, UTC)
        raise Refusal(HTTPStatus.GONE, f"It could be used until {ended:%Y-%m-%d %H:%M} UTC.")
    return named


def routes(ports: LinkPorts) -> list[Route]:
    """Return the route that links in mails lead to: GET shows, POST decides."""

    async def link(request: Request) -> Response:
        try:
            return await _answer(ports, request)
        except Refusal as refusal:
            return _refused(ports, refusal)
        except DogwatchError as error:
            return _refused(ports, refusal_of(error))

    return [Route(f"{PATH}/{{token}}", link, methods=["GET", "POST"])]


async def _answer(ports: LinkPorts, request: Request) -> Response:
    token = request.path_params["token"]
    named = read(token, ports.keys(), ports.clock.now())
    user, row = await asyncio.to_thread(_standing, ports, named)
    if request.method != "POST":
        return _shown(ports, user, row)
    fields = await _fields(request)
    verdict = _verdict(fields.get("verdict", ""))
    typed = fields.get("typed", "").strip()
    wanted = ports.needed(row).typed
    if verdict is Verdict.APPROVE and wanted and typed != wanted:
        said = f"To approve it, type its name exactly: {wanted}"
        return _shown(ports, user, row, said, HTTPStatus.UNPROCESSABLE_ENTITY)
    # One person decides once about one question: that it was decided is what uses the link up.
    decided = await ports.desk.decide(
        user,
        named.change,
        named.digest,
        verdict,
        via="email",
        typed=typed,
        comment=fields.get("comment", ""),
    )
    return _page(ports, "link_used", HTTPStatus.OK, title=row.draft.title, text=decided.text)


def _standing(ports: LinkPorts, named: Named) -> "tuple[User, ChangeRow]":
    """Return whose link it is, and the change as it stands. Raises Refusal: it cannot be decided.

    What was signed may be out of date: the policy, the change and its state count as they are.
    """
    user = ports.desk.user_of_email(named.address)
    if user is None:
        raise Refusal(HTTPStatus.FORBIDDEN, "Its address is nobody's in the policy of dogwatch.")
    row = ports.change(named.change)
    if row is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "Its change is not known.")
    if row.state not in _OPEN and not _confirms(row):
        _, word, meaning = state_words(row.state)
        why = row.reason or meaning
        raise Refusal(HTTPStatus.CONFLICT, f"The change is {word} by now{f': {why}' * bool(why)}")
    if _confirms(row) and row.expires is not None and _seconds(row.expires) == named.until:
        raise Refusal(HTTPStatus.CONFLICT, "It was for the approval, which is over.")
    if row.digest != named.digest:
        raise Refusal(HTTPStatus.CONFLICT, "What the mail showed is not what would be done by now.")
    return user, row


def _seconds(at: datetime) -> int:
    return int(at.timestamp())


def _confirms(row: ChangeRow) -> bool:
    """Whether it was applied, and is rolled back unless somebody lets it stay."""
    lockout = row.change is not None and row.change.risk is Risk.LOCKOUT
    return lockout and row.state is ChangeState.VERIFYING


async def _fields(request: Request) -> Mapping[str, str]:
    """Return the fields of the form. Raises Refusal: it is none."""
    if kind_of(request) != FORM:
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Allowed is {FORM}.")
    body = await small_body(request, _FORM_LIMIT)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=5, errors="strict")
    except ValueError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, "What was sent is no form.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\0" in value for value in fields.values()):
        raise Refusal(HTTPStatus.BAD_REQUEST, "What was sent is no form of dogwatch.")
    return fields


def _verdict(word: str) -> Verdict:
    if word not in set(Verdict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "It takes one of two words: approve, deny.")
    return Verdict(word)


def _shown(
    ports: LinkPorts, user: "User", row: ChangeRow, said: str = "", status: int = HTTPStatus.OK
) -> Response:
    """Return the page that shows the change, with the form that decides."""
    needed, now = ports.needed(row), ports.clock.now()
    alone = replace(row, sinks=("email",))
    (asked,) = asks(alone, Occasion.APPROVAL, now, url="", needed=needed)
    parts = list(delivery_parts(asked, MAIL))
    fields = {"title": row.draft.title, "user": user.name, "typed": needed.typed, "said": said}
    return _page(ports, "link", status, parts_shown=parts, **fields)


def _refused(ports: LinkPorts, refusal: Refusal) -> Response:
    answer = _page(ports, "link_used", refusal.status, title=_TITLE, text=refusal.text)
    answer.headers.update(refusal.headers)
    return answer


def _page(ports: LinkPorts, name: str, status: int, **fields: Any) -> Response:
    robots = {"X-Robots-Tag": "noindex, nofollow"}
    text = page(name, {"base": ports.base, **fields})
    return HTMLResponse(text, status, headers={**HEADERS, **robots})


def _signature(payload: bytes, key: bytes) -> bytes:
    return hmac.new(key, _FOR + payload, sha256).digest()


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
