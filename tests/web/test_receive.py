"""Who may post to a receiver, what is read of a post, and what is answered."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.applications import Starlette

from engine.model.errors import Overloaded, StoreError
from engine.web import receive
from engine.web.app import BODY_LIMIT, Accepted
from engine.web.receive import Gate, Reception, Way, routes
from tests.web.test_unpacking import bomb

BEARER = {"authorization": "Bearer s3cret"}


@dataclass
class Inside:
    """What stands behind the receivers in these tests: our own port, filled by hand."""

    secret: str | None = "s3cret"
    answer: Accepted | StoreError | Overloaded = field(default_factory=lambda: Accepted(1))
    taken: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)
    away: list[tuple[str, str]] = field(default_factory=list)
    room: int = 1 << 30
    held: list[int] = field(default_factory=list)

    async def receive(self, name: str, headers: Mapping[str, str], body: bytes) -> Accepted:
        self.taken.append((name, headers, body))
        if not isinstance(self.answer, Accepted):
            raise self.answer
        return self.answer

    def turn_away(self, name: str, reason: str, detail: str) -> None:
        assert "s3cret" not in detail
        self.away.append((name, reason))

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        if size > self.room:
            raise Overloaded("too much waits", retry_s=3)
        self.held.append(size)
        try:
            yield
        finally:
            self.held.append(-size)

    def app(self) -> Starlette:
        gates = {
            "am": Gate(Way.BEARER, lambda: self.secret),
            "basic": Gate(Way.BASIC, lambda: f"user:{self.secret}"),
            "console": Gate(Way.PATH, lambda: self.secret),
        }
        return Starlette(routes=routes(Reception(gates, self.receive, self.turn_away, self.hold)))


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
async def client(inside: Inside) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(inside.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def basic(text: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("path", "headers"),
    [("am", BEARER), ("basic", basic("user:s3cret")), ("console/s3cret", {})],
)
async def test_who_knows_the_secret_may_post(
    client: httpx.AsyncClient, inside: Inside, path: str, headers: dict[str, str]
) -> None:
    answer = await client.post(f"/v1/receive/{path}", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    ((name, shown, body),) = inside.taken
    assert (name, body) == (path.partition("/")[0], b"{}")
    assert "s3cret" not in str(shown)
    assert "authorization" not in shown


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("am", {}, 401),
        ("am", {"authorization": "Bearer wrong"}, 401),
        ("am", {"authorization": "Bearer "}, 401),
        ("am", {"authorization": "s3cret"}, 401),
        ("am", basic("s3cret"), 401),
        ("basic", {}, 401),
        ("basic", basic("user:wrong"), 401),
        ("basic", {"authorization": "Basic ###"}, 401),
        ("basic", {"authorization": "Basic /w=="}, 401),
        ("basic", {"authorization": "Bearer user:s3cret"}, 401),
        ("console/wrong", {}, 404),
        ("console/", {}, 404),
        ("console/s3cret/", {}, 404),
        ("console/%00%ff", {}, 404),
    ],
)
async def test_a_wrong_secret_is_turned_away_counted_and_nothing_is_read(
    client: httpx.AsyncClient, inside: Inside, path: str, headers: dict[str, str], status: int
) -> None:
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"{}")
        yield b"{}"

    answer = await client.post(f"/v1/receive/{path}", content=body(), headers=headers)
    assert answer.status_code == status
    assert inside.away == [(path.partition("/")[0], "unauthorized")]
    assert (read, inside.taken, inside.held) == ([], [], [])
    assert "s3cret" not in answer.text + str(answer.headers)


@pytest.mark.parametrize(
    "path", ["nobody", "nobody/x", "console", "am/s3cret", "basic/user:s3cret"]
)
async def test_what_is_not_there_is_404_with_any_secret(
    client: httpx.AsyncClient, inside: Inside, path: str
) -> None:
    answer = await client.post(f"/v1/receive/{path}", content=b"{}", headers=BEARER)
    assert answer.status_code == 404
    assert answer.json() == {"error": "there is no such receiver"}
    assert inside.taken == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_one_can_only_post(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/v1/receive/am", headers=BEARER)
    assert answer.status_code == 405


async def test_the_secret_is_read_at_each_request(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.secret = "new"
    assert (await client.post("/v1/receive/am", headers=BEARER)).status_code == 401
    new = {"authorization": "Bearer new"}
    assert (await client.post("/v1/receive/am", headers=new)).status_code == 202


async def test_without_a_secret_a_receiver_is_closed_and_the_sender_may_come_again(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.secret = None
    answer = await client.post("/v1/receive/am", headers={"authorization": "Bearer "})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert inside.away == [("am", "no-secret")]


@pytest.mark.parametrize("error", [StoreError("starting"), Overloaded("too much", retry_s=7)])
async def test_what_could_not_be_taken_is_kept_by_the_sender(
    client: httpx.AsyncClient, inside: Inside, error: StoreError | Overloaded
) -> None:
    inside.answer = error
    answer = await client.post("/v1/receive/am", content=b"{}", headers=BEARER)
    retry = "7" if isinstance(error, Overloaded) else "1"
    assert (answer.status_code, answer.headers["retry-after"]) == (503, retry)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Accepted(0), 202),
        (Accepted(1, ("bad-form: x",)), 202),
        (Accepted(0, ("bad-form: x", "content-type: y")), 422),
        (Accepted(0, ("content-type: y",)), 415),
    ],
)
async def test_a_request_of_which_nothing_is_good_is_refused(
    client: httpx.AsyncClient, inside: Inside, answer: Accepted, status: int
) -> None:
    inside.answer = answer
    got = await client.post("/v1/receive/am", content=b"{}", headers=BEARER)
    told = {"accepted": answer.accepted, "rejected": list(answer.rejected)}
    assert (got.status_code, got.json()) == (status, told)


async def test_a_packed_body_is_unpacked(client: httpx.AsyncClient, inside: Inside) -> None:
    headers = {**BEARER, "content-encoding": "gzip"}
    body = gzip.compress(json.dumps({"a": 1}).encode())
    await client.post("/v1/receive/am", content=body, headers=headers)
    assert json.loads(inside.taken[0][2]) == {"a": 1}
    assert inside.held == [BODY_LIMIT, -BODY_LIMIT]


@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b" " * (BODY_LIMIT + 1), "identity", 413, "too-large"),
        (bomb(64 << 20), "gzip", 413, "too-large"),
        (b"{}", "gzip", 400, "bad-body"),
        (b"{}", "br", 415, "encoding"),
    ],
    ids=["large", "bomb", "not-gzip", "br"],
)
async def test_a_body_that_is_no_body_is_refused_and_counted(
    client: httpx.AsyncClient, inside: Inside, body: bytes, encoding: str, status: int, reason: str
) -> None:
    headers = {**BEARER, "content-encoding": encoding}
    answer = await client.post("/v1/receive/am", content=body, headers=headers)
    assert answer.status_code == status
    assert inside.away == [("am", reason)]
    assert inside.taken == []
    assert sum(inside.held) == 0


async def test_a_body_without_room_is_not_kept(client: httpx.AsyncClient, inside: Inside) -> None:
    inside.room = 1000
    answer = await client.post("/v1/receive/am", content=b" " * 1001, headers=BEARER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert (inside.taken, inside.held) == ([], [])


async def test_a_body_that_does_not_come_is_given_up(
    client: httpx.AsyncClient, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receive, "BODY_S", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    answer = await client.post("/v1/receive/am", content=slow(), headers=BEARER)
    assert (answer.status_code, answer.headers["connection"]) == (408, "close")
    assert inside.away == [("am", "slow")]
    assert inside.held == [BODY_LIMIT, -BODY_LIMIT]
