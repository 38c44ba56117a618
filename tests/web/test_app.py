"""The pages: health for everybody, control only with the token."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest

from engine.model.errors import Overloaded, StoreError
from engine.web.app import BODY_LIMIT, Accepted, Health, Ports, build

BATCH = {"content-type": "application/cloudevents-batch+json"}
AUTH = {"authorization": "Bearer s3cret"}


@dataclass
class Inside:
    """What stands behind the pages in these tests: our own ports, filled by hand."""

    alive: bool = True
    problems: dict[str, str] = field(default_factory=dict)
    token: str | None = "s3cret"
    taken: list[bytes] = field(default_factory=list)
    refused: list[tuple[str, str, bytes]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    answer: Accepted | StoreError | Overloaded = field(default_factory=lambda: Accepted(1))
    room: int = 1 << 30
    held: list[int] = field(default_factory=list)

    async def metrics(self) -> tuple[bytes, str]:
        return b"dogwatch_up 1\n", "text/plain"

    async def accept(self, batch: bytes) -> Accepted:
        self.taken.append(batch)
        if not isinstance(self.answer, Accepted):
            raise self.answer
        return self.answer

    async def refuse(self, reason: str, detail: str, raw: bytes) -> None:
        self.refused.append((reason, detail, raw))

    async def reload(self) -> list[str]:
        return self.faults

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        if size > self.room:
            raise Overloaded("too much waits", retry_s=3)
        self.held.append(size)
        yield
        self.held.append(-size)


@pytest.fixture
def inside() -> Inside:
    return Inside()


@pytest.fixture
def ports(inside: Inside) -> Ports:
    return Ports(
        live=lambda: inside.alive,
        checks=lambda: [
            Health(name, why, fatal=name in {"store", "bus"})
            for name, why in inside.problems.items()
        ],
        metrics=inside.metrics,
        accept=inside.accept,
        refuse=inside.refuse,
        reload=inside.reload,
        token=lambda: inside.token,
        hold=inside.hold,
    )


@pytest.fixture
async def client(ports: Ports) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(build(ports))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_livez_follows_the_loop(client: httpx.AsyncClient, inside: Inside) -> None:
    assert (await client.get("/livez")).status_code == 200
    inside.alive = False
    assert (await client.get("/livez")).status_code == 503


async def test_readyz_names_what_is_wrong(client: httpx.AsyncClient, inside: Inside) -> None:
    inside.problems = {"store": "the disk is full", "bus": ""}
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.text) == (503, "[-] store the disk is full\n")


async def test_readyz_verbose_names_every_check(client: httpx.AsyncClient, inside: Inside) -> None:
    inside.problems = {"store": "", "bus": ""}
    answer = await client.get("/readyz?verbose")
    assert (answer.status_code, answer.text) == (200, "ready\n[+] store ok\n[+] bus ok\n")


async def test_a_cluster_out_of_reach_is_shown_and_does_not_end_readiness(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.problems = {"store": "", "cluster prod": "unreachable: no route"}
    answer = await client.get("/readyz?verbose")
    assert answer.status_code == 200
    assert answer.text == "ready\n[+] store ok\n[!] cluster prod unreachable: no route\n"
    assert (await client.get("/readyz")).text == "ready\n"


async def test_metrics_are_open(client: httpx.AsyncClient) -> None:
    assert (await client.get("/metrics")).text == "dogwatch_up 1\n"


@pytest.mark.parametrize("path", ["/v1/signals", "/-/reload"])
@pytest.mark.parametrize(
    ("headers", "token", "status"),
    [
        ({}, "s3cret", 401),
        ({"authorization": "Bearer wrong"}, "s3cret", 401),
        ({"authorization": "s3cret"}, "s3cret", 401),
        ({"authorization": "Basic s3cret"}, "s3cret", 401),
        ({"authorization": "Bearer "}, None, 403),
        (AUTH, None, 403),
    ],
)
async def test_control_needs_the_token(
    client: httpx.AsyncClient,
    inside: Inside,
    path: str,
    headers: dict[str, str],
    token: str | None,
    status: int,
) -> None:
    inside.token = token
    answer = await client.post(path, content=b"[]", headers={**BATCH, **headers})
    assert answer.status_code == status
    assert inside.taken == []


async def test_good_signals_are_accepted_once_they_are_durable(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    answer = await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert inside.taken == [b"[{}]"]


async def test_only_bad_signals_are_422_with_their_reasons(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.answer = Accepted(0, ("time: no zone",))
    answer = await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert (answer.status_code, answer.json()["rejected"]) == (422, ["time: no zone"])


async def test_data_of_a_binary_event_that_would_override_its_headers_is_quarantined(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    headers = {**AUTH, "content-type": "application/json", "ce-specversion": "1.0"}
    body = b'{}, "cluster": "x"'
    answer = await client.post("/v1/signals", content=body, headers={**headers, "ce-cluster": "a"})
    assert answer.status_code == 422
    assert answer.json()["rejected"][0].startswith("bad-json: data of a binary event: ")
    assert inside.taken == []
    assert [(reason, raw) for reason, _, raw in inside.refused] == [("bad-json", body)]


async def test_a_full_disk_asks_the_sender_to_come_again(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.answer = StoreError("the disk is full")
    answer = await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_where_too_much_waits_the_sender_keeps_all_and_hears_when_to_come_again(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    inside.answer = Overloaded("too much waits", retry_s=7)
    answer = await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json() == {"error": "too much waits"}


async def test_a_body_counts_as_waiting_while_it_is_there(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert inside.held == [4, -4]

    async def pieces() -> AsyncIterator[bytes]:
        yield b"[{}"
        yield b"]"

    await client.post("/v1/signals", content=pieces(), headers={**BATCH, **AUTH})
    assert inside.held[2:] == [BODY_LIMIT, -BODY_LIMIT]


async def test_a_body_without_room_is_not_kept(client: httpx.AsyncClient, inside: Inside) -> None:
    inside.room = 1000
    answer = await client.post("/v1/signals", content=b" " * 1001, headers={**BATCH, **AUTH})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
    assert (inside.taken, inside.held) == ([], [])


async def test_a_process_that_takes_no_signals_says_which_one_does(ports: Ports) -> None:
    transport = httpx.ASGITransport(build(replace(ports, accept=None)))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/v1/signals", content=b"[{}]", headers={**BATCH, **AUTH})
    assert answer.status_code == 404
    assert "--role web" in answer.json()["error"]


async def test_a_body_over_the_limit_is_refused_and_its_head_handed_on(
    client: httpx.AsyncClient, inside: Inside
) -> None:
    body = b" " * (BODY_LIMIT + 1)
    answer = await client.post("/v1/signals", content=body, headers={**BATCH, **AUTH})
    assert answer.status_code == 413
    assert inside.taken == []
    ((reason, detail, head),) = inside.refused
    assert (reason, len(head)) == ("too-large", BODY_LIMIT)
    assert str(BODY_LIMIT + 1) in detail


async def test_reload_answers_with_the_faults(client: httpx.AsyncClient, inside: Inside) -> None:
    assert (await client.post("/-/reload", headers=AUTH)).status_code == 200
    inside.faults = ["rules/a.yaml:1:1 no"]
    answer = await client.post("/-/reload", headers=AUTH)
    assert (answer.status_code, answer.json()) == (422, {"faults": ["rules/a.yaml:1:1 no"]})
