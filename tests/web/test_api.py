"""The HTTP API: users of the policy only, right statuses, and a document that is true."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.model.change_row import Verdict
from engine.model.change_state import ChangeState
from engine.model.errors import StoreError
from engine.web.api import CALLS
from engine.web.call import LIMIT
from engine.web.headers import HEADERS
from engine.web.openapi import document
from tests.web.calls import PAGE, fresh
from tests.web.people import ALICE_TOKEN, BOB_TOKEN, Inside
from tests.web.served import an_app
from tests.web.shown import a_row

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALICE = {"authorization": f"Bearer {ALICE_TOKEN}"}
BOB = {"authorization": f"Bearer {BOB_TOKEN}"}
GETS = sorted({call.path for call in CALLS if call.method == "GET"})
DOCUMENT = document(CALLS)
TEXTS = st.text() | st.sampled_from(["c-1", "m-1", "\0", "lab", "2026-01-01"])
NUMBERS = st.integers() | st.floats()
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
ANYTHING = st.recursive(LEAVES, lambda one: st.lists(one) | st.dictionaries(st.text(), one))
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXTS,
    "integer": NUMBERS,
    "number": NUMBERS,
    "null": st.none(),
}
KNOWN = {"id": "m-1", "name": "crash-loop"}


def client_of(inside: Inside) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(an_app(inside.people()), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test")


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
async def client(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(inside) as client:
        yield client


@pytest.mark.parametrize("path", GETS)
async def test_every_page_of_data_is_for_users_alone(client: httpx.AsyncClient, path: str) -> None:
    url = path.replace("/changes/{id}", "/changes/c-1").format(**KNOWN)
    assert (await client.get(url)).status_code == 401
    wrong = await client.get(url, headers={"authorization": "Bearer nobody"})
    assert (wrong.status_code, wrong.headers["www-authenticate"]) == (401, "Bearer")
    answer = await client.get(url, headers=BOB)
    assert answer.status_code == 200, answer.text
    assert answer.headers.items() >= {k.lower(): v for k, v in HEADERS.items()}.items()


@pytest.mark.parametrize(
    ("verb", "verdict"), [("approve", Verdict.APPROVE), ("deny", Verdict.DENY)]
)
async def test_a_decision_names_its_digest(
    client: httpx.AsyncClient, inside: Inside, verb: str, verdict: Verdict
) -> None:
    url, word = f"/v1/changes/c-1/{verb}", {"digest": inside.row.digest, "comment": "now"}
    stale = await client.post(url, json={**word, "digest": "another"}, headers=ALICE)
    assert (stale.status_code, stale.json()["error"]) == (409, "the change is another one by now")
    answer = await client.post(url, json=word, headers=ALICE)
    assert answer.status_code == 200
    assert answer.json()["change"]["state"] == inside.row.state
    (decision,) = inside.row.decisions
    assert (decision.who, decision.verdict, decision.via) == ("alice", verdict, "http")
    again = await client.post(url, json=word, headers=ALICE)
    assert again.status_code == 409
    assert len(inside.row.decisions) == 1


async def test_who_may_not_decide_is_forbidden_and_nothing_is_kept(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    word = {"digest": inside.row.digest}
    answer = await client.post("/v1/changes/c-1/approve", json=word, headers=BOB)
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "bob is in none of the groups sre"},
    )
    assert inside.row.decisions == ()


async def test_what_is_raw_in_a_change_is_not_shown(client: httpx.AsyncClient) -> None:
    assert "raw" not in (await client.get("/v1/changes/c-1", headers=ALICE)).text


@pytest.mark.parametrize(
    ("method", "url", "sent", "status"),
    [
        ("POST", "/v1/missions", {"content": b"{"}, 400),
        ("POST", "/v1/missions", {"content": b"\xff"}, 400),
        ("POST", "/v1/missions", {"content": b"[" * 5000}, 400),
        ("POST", "/v1/missions", {"content": b"{}", "headers": {"content-type": "a/b"}}, 415),
        ("POST", "/v1/missions", {"content": b" " * (LIMIT + 1)}, 413),
        ("POST", "/v1/missions", {"json": {}}, 422),
        ("POST", "/v1/missions", {"json": []}, 422),
        ("POST", "/v1/missions", {"json": {"kind": "x", "more": 1}}, 422),
        ("POST", "/v1/missions", {"json": {"kind": "a\0b"}}, 422),
        ("POST", "/v1/missions", {"json": {"kind": "unheard-of", "targets": {"all": True}}}, 422),
        ("POST", "/v1/freeze", {"content": b'{"reason": "x", "for_s": NaN}'}, 400),
        ("POST", "/v1/freeze", {"json": {"reason": "x", "for_s": 1e300}}, 422),
        ("POST", "/v1/missions/m-1/resume", {}, 409),
        ("POST", "/v1/missions/m-2/cancel", {}, 404),
        ("POST", "/v1/changes/c-2/approve", {"json": {"digest": "d"}}, 404),
        ("GET", "/v1/changes/c-2", {}, 404),
        ("GET", "/v1/changes/c%00", {}, 422),
        ("GET", "/v1/rules/none", {}, 404),
        ("GET", "/v1/missions?limit=0", {}, 422),
        ("GET", "/v1/missions?state=done&state=sad", {}, 422),
        ("GET", "/v1/missions?what=1", {}, 422),
        ("GET", "/v1/nothing", {}, 404),
        ("DELETE", "/v1/missions", {}, 405),
        ("POST", "/v1/sinks", {}, 405),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said(
    client: httpx.AsyncClient, method: str, url: str, sent: dict[str, Any], status: int
) -> None:
    kind = {"content-type": "application/json"}
    headers = {**ALICE, **kind, **sent.pop("headers", {})}
    answer = await client.request(method, url, headers=headers, **sent)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


async def test_several_states_may_be_asked_for(client: httpx.AsyncClient, inside: Inside) -> None:
    both = await client.get("/v1/changes?state=awaiting&state=approved", headers=ALICE)
    other = await client.get("/v1/changes?state=verified", headers=ALICE)
    assert (len(both.json()), other.json()) == (1, [])


async def test_a_store_that_is_away_asks_to_come_again(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.fault = StoreError("the disk is full")
    answer = await client.get("/v1/missions", headers=ALICE)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"error": "the disk is full"}


async def test_a_freeze_comes_and_goes(client: httpx.AsyncClient, inside: Inside) -> None:
    new = {"cluster": "lab", "reason": "release", "for_s": 3600}
    made = await client.post("/v1/freeze", json=new, headers=ALICE)
    assert (made.status_code, made.json()["scope"], made.json()["who"]) == (
        201,
        "cluster/lab",
        "alice",
    )
    assert len((await client.get("/v1/freezes", headers=BOB)).json()) == 1
    for thawed in (True, False):
        answer = await client.post("/v1/thaw", json={"cluster": "lab"}, headers=ALICE)
        assert answer.json() == {"thawed": thawed}


async def test_a_mission_is_ordered_in_the_name_of_the_user(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    order = {"kind": "incident-response", "targets": {"clusters": ["lab"]}, "mode": "apply"}
    made = await client.post("/v1/missions", json=order, headers=ALICE)
    assert made.status_code == 201
    ((who, verb, ordered),) = inside.ordered
    assert (who, verb, getattr(ordered, "mode", "")) == ("alice", "run", "apply")


async def test_the_document_names_every_call_and_each_reference_leads_somewhere(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/v1/openapi.json")).status_code == 401
    document = (await client.get("/v1/openapi.json", headers=ALICE)).json()
    named = {(m.upper(), path) for path, found in document["paths"].items() for m in found}
    assert named == {(call.method, call.path) for call in CALLS}
    schemas = document["components"]["schemas"]
    text = json.dumps(document)
    used = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= set(schemas)
    assert "#/$defs" not in text


def test_the_page_about_the_calls_is_true() -> None:
    assert PAGE.read_text() == fresh(), "run: python -m tests.web.calls"


def values(schema: dict[str, Any], schemas: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return JSON values that fit `schema` more or less, and some that do not."""
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | st.text()
    if "anyOf" in schema:
        return st.one_of([values(one, schemas) for one in schema["anyOf"]])
    if "properties" in schema:
        fields = {name: values(one, schemas) for name, one in schema["properties"].items()}
        must = {name: fields.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(must, optional=fields)
    if schema.get("type") == "array":
        return st.lists(values(schema["items"], schemas), max_size=3)
    return PLAIN.get(schema.get("type", ""), ANYTHING)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Return a request as the document describes one, or nearly so."""
    schemas = DOCUMENT["components"]["schemas"]
    path = draw(st.sampled_from(sorted(DOCUMENT["paths"])))
    method = draw(st.sampled_from(sorted(DOCUMENT["paths"][path])))
    call = DOCUMENT["paths"][path][method]
    part = st.sampled_from(["c-1", "m-1", "crash-loop"]) | st.text(min_size=1)
    query = {
        one["name"]: draw(values(one["schema"], schemas))
        for one in call["parameters"]
        if one["in"] == "query" and draw(st.booleans())
    }
    request: dict[str, Any] = {
        "method": method.upper(),
        "url": "/".join(
            quote(draw(part), safe="") if "{" in one else one for one in path.split("/")
        ),
        "params": {n: str(v).encode("utf-8", "replace").decode() for n, v in query.items()},
        "headers": draw(st.sampled_from([{}, ALICE, BOB, {"authorization": "Bearer x"}])),
    }
    if "requestBody" in call:
        body = call["requestBody"]["content"]["application/json"]["schema"]
        value = draw(values(body, schemas) | values({}, schemas))
        text = json.dumps(value).encode() if draw(st.integers(0, 9)) else draw(st.binary())
        request["content"] = text
        request["headers"] = {**request["headers"], "content-type": "application/json"}
    return request


@given(request=requests())
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
async def test_no_request_makes_it_fail_and_none_gets_in_without_a_token(
    request: dict[str, Any],
) -> None:
    inside = Inside(a_row(state=ChangeState.AWAITING))
    known = request["headers"].get("authorization", "") in {*ALICE.values(), *BOB.values()}
    async with client_of(inside) as client:
        answer = await client.request(**request)
    assert answer.status_code < 500
    assert known or not answer.is_success
    if not answer.is_success and not answer.is_redirect:
        assert answer.json()["error"]
