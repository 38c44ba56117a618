"""The pages for people: who gets in, which forms count, what a browser may do with them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.model.change import Risk
from engine.model.change_state import ChangeState
from engine.model.errors import StoreError
from engine.web.headers import HEADERS
from engine.web.login import FAILED, PAUSE
from engine.web.session import COOKIE, SESSION_S, Signer
from tests.web.people import ALICE, ALICE_TOKEN, BOB_TOKEN, KEY, Inside
from tests.web.served import an_app
from tests.web.shown import NOON, a_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.applications import Starlette

PATHS = (
    "/",
    "/missions",
    "/missions/m-1",
    "/approvals",
    "/changes/c-1",
    "/rules",
    "/rules/crash-loop",
    "/sinks",
    "/clusters",
    "/audit",
)
FORMS = (
    "/changes/c-1/decision",
    "/missions/m-1/cancel",
    "/missions/m-1/resume",
    "/freeze",
    "/thaw",
    "/logout",
)


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def app(inside: Inside) -> Starlette:
    return an_app(inside.people())


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def form_of(answer: httpx.Response) -> str:
    found = re.search(r'name="form" value="(\w+)"', answer.text)
    assert found
    return found[1]


async def log_in(
    client: httpx.AsyncClient, token: str = ALICE_TOKEN, wanted: str = "/"
) -> httpx.Response:
    form = form_of(await client.get("/login"))
    return await client.post("/login", data={"form": form, "token": token, "next": wanted})


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_is_shown_before_the_login(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")
    await log_in(client)
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers.items() >= {k.lower(): v for k, v in HEADERS.items()}.items()


async def test_the_cookie_is_for_this_site_and_no_script(client: httpx.AsyncClient) -> None:
    cookie = (await log_in(client)).headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_S}"} <= set(
        cookie.split("; ")
    )
    assert ALICE_TOKEN not in cookie


async def test_behind_https_the_cookie_never_goes_by_http(inside: Inside) -> None:
    people = replace(inside.people(), secure=True, base="/dog")
    transport = httpx.ASGITransport(an_app(people))
    async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
        page = await client.get("/login")
    assert 'action="/dog/login"' in page.text
    assert {"Secure", "Path=/dog"} <= set(page.headers["set-cookie"].split("; "))


async def test_a_wrong_token_gets_no_session(client: httpx.AsyncClient, inside: Inside) -> None:
    answer = await log_in(client, "nobody")
    assert answer.status_code == 401
    assert COOKIE not in client.cookies
    assert "No valid policy is in force" in answer.text


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/changes/c-1", "/changes/c-1"),
        ("/rules/a?key=b%3Dc", "/rules/a?key=b%3Dc"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
async def test_the_login_leads_to_no_other_site(
    client: httpx.AsyncClient, wanted: str, place: str
) -> None:
    assert (await log_in(client, wanted=wanted)).headers["location"] == place


async def test_a_session_ends_after_eight_hours(client: httpx.AsyncClient, inside: Inside) -> None:
    await log_in(client)
    inside.clock.at = NOON + timedelta(seconds=SESSION_S - 1)
    assert (await client.get("/")).status_code == 200
    inside.clock.at = NOON + timedelta(seconds=SESSION_S)
    assert (await client.get("/")).status_code == 303


async def test_a_session_ends_with_the_token_that_it_was_begun_with(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.users = [replace(ALICE, ends=NOON + timedelta(minutes=5))]
    await log_in(client)
    inside.users = [ALICE]
    inside.clock.at = NOON + timedelta(seconds=299)
    assert (await client.get("/")).status_code == 200
    inside.clock.at = NOON + timedelta(minutes=5)
    assert (await client.get("/")).status_code == 303


async def test_after_ten_logins_that_failed_nobody_logs_in_for_a_minute(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    answers = [(await log_in(client, f"guess-{n}")).status_code for n in range(12)]
    assert answers == [401] * FAILED + [429] * 2
    late = await log_in(client)
    assert (late.status_code, late.headers["retry-after"]) == (429, "60")
    assert "Too many logins failed" in late.text
    inside.clock.at += PAUSE
    assert (await log_in(client)).status_code == 303
    assert (await client.get("/")).status_code == 200


async def test_who_left_the_policy_or_has_a_new_token_is_out_at_once(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await log_in(client)
    inside.users = [replace(ALICE, token_sha256="0" * 64)]
    assert (await client.get("/")).status_code == 303
    inside.users = []
    assert (await client.get("/")).status_code == 303


async def test_a_cookie_that_was_made_or_changed_elsewhere_is_none(
    client: httpx.AsyncClient,
) -> None:
    good = Signer(KEY).cookie(ALICE, "id", NOON)
    body, _, signature = good.partition(".")
    foreign = Signer(b"x" * 32).cookie(ALICE, "id", NOON)
    for cookie in (foreign, f"{body}A.{signature}", body, f"{body}.", f".{signature}", "ä", ""):
        client.cookies.clear()
        answer = await client.get("/", headers={b"cookie": f"{COOKIE}={cookie}".encode()})
        assert answer.status_code == 303, cookie
    answer = await client.get("/", headers={"cookie": f"{COOKIE}={good}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_counts_only_from_a_page_of_this_session(
    client: httpx.AsyncClient, inside: Inside, path: str
) -> None:
    fields = {"digest": inside.row.digest, "verdict": "approve", "reason": "x", "scope": "all"}
    assert (await client.post(path, data=fields)).status_code == 401
    await log_in(client, BOB_TOKEN)
    foreign = form_of(await client.get("/"))
    client.cookies.clear()
    await log_in(client)
    own = form_of(await client.get("/"))
    for sent in (fields, {**fields, "form": ""}, {**fields, "form": foreign}):
        assert (await client.post(path, data=sent)).status_code == 403
    elsewhere = {"sec-fetch-site": "cross-site"}
    sent = {**fields, "form": own}
    assert (await client.post(path, data=sent, headers=elsewhere)).status_code == 403
    assert (await client.post(path, json=sent)).status_code == 415
    assert (await client.post(path, data={**sent, "comment": "x" * 70_000})).status_code == 413
    assert (inside.row.decisions, inside.ordered, inside.frozen) == ((), [], [])


async def test_a_form_of_the_login_is_bound_to_its_visitor(client: httpx.AsyncClient) -> None:
    form = form_of(await client.get("/login"))
    client.cookies.clear()
    answer = await client.post("/login", data={"form": form, "token": ALICE_TOKEN})
    assert answer.status_code == 403
    assert COOKIE not in client.cookies


async def test_a_link_from_elsewhere_comes_back_once_for_the_cookie(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.get("/changes/c-1", headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 200
    assert 'content="0;url=/changes/c-1"' in answer.text


async def test_orders_are_given_and_refused_by_a_form(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await log_in(client)
    form = {"form": form_of(await client.get("/"))}
    answer = await client.post("/missions/m-1/cancel", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/missions/m-1")
    assert inside.ordered == [("alice", "cancel", "m-1")]
    answer = await client.post("/missions/m-1/resume", data=form)
    assert (answer.status_code, "waiting, not failed" in answer.text) == (409, True)
    answer = await client.post("/freeze", data={**form, "reason": "release", "hours": "2"})
    assert (answer.status_code, inside.frozen[0].until) == (303, NOON + timedelta(hours=2))
    assert (await client.post("/thaw", data={**form, "scope": "all"})).status_code == 303
    assert inside.frozen == []
    for hours in ("-1", "x", "inf", "nan", "1e9"):
        sent = {**form, "reason": "release", "hours": hours}
        assert (await client.post("/freeze", data=sent)).status_code == 422
    assert (await client.post("/logout", data=form)).headers["location"] == "/login"
    assert COOKIE not in client.cookies


async def test_what_may_lock_people_out_asks_again_whether_it_may_stay(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await log_in(client)
    sent = {"form": form_of(await client.get("/")), "verdict": "approve"}
    inside.row = a_row(Risk.LOCKOUT)
    sent["digest"] = inside.row.digest
    assert (await client.post("/changes/c-1/decision", data=sent)).status_code == 303
    assert "You have decided already" not in (await client.get("/changes/c-1")).text
    inside.row = replace(inside.row, state=ChangeState.VERIFYING)
    page = (await client.get("/changes/c-1")).text
    assert "It may stay" in page
    assert "http-equiv" not in page  # what is being written is not taken away


async def test_only_approve_and_deny_are_decisions(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await log_in(client)
    form = form_of(await client.get("/"))
    sent = {"form": form, "digest": inside.row.digest, "verdict": "perhaps"}
    assert (await client.post("/changes/c-1/decision", data=sent)).status_code == 422


async def test_where_there_is_no_page_there_is_a_way_back(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    before = await client.get("/nowhere")
    assert (before.status_code, before.text) == (404, "Not Found\n")
    await log_in(client)
    answer = await client.get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert 'href="/"' in answer.text
    wrong = await client.post("/missions")
    assert (wrong.status_code, "GET" in wrong.headers["allow"]) == (405, True)
    assert (await client.get("/v1/nowhere")).json() == {"error": "Not Found"}


async def test_a_store_that_is_away_is_said_in_a_page(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await log_in(client)
    inside.fault = StoreError("the disk is full")
    answer = await client.get("/")
    assert (answer.status_code, "the disk is full" in answer.text) == (503, True)


async def test_the_style_sheet_may_be_kept_as_its_name_is_its_digest(
    client: httpx.AsyncClient,
) -> None:
    found = re.search(r'href="(/style-\w{16}\.css)"', (await client.get("/login")).text)
    assert found
    answer = await client.get(found[1])
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")


async def test_without_people_there_are_neither_pages_nor_calls() -> None:
    transport = httpx.ASGITransport(an_app(None))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/")).status_code == 404
        assert (await client.get("/v1/missions")).status_code == 404
        assert (await client.get("/livez")).status_code == 200
