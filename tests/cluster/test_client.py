"""What the client makes of every kind of answer; those that a healthy server never gives."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.client import Client
from engine.cluster.contexts import Context
from engine.model.errors import ClusterError
from engine.model.watch import ChangeType
from tests.cluster.answers import Answer, Answers, answering
from tests.cluster.readers import QUICK, a_reader, following


def a_list(*names: str, version: int = 7, following: str = "") -> dict[str, Any]:
    items = [{"metadata": {"name": n, "uid": n, "resourceVersion": str(version)}} for n in names]
    return {"metadata": {"resourceVersion": str(version), "continue": following}, "items": items}


def gone() -> Answer:
    return Answer({"message": "too old", "reason": "Expired"}, status=410)


async def failure(answers: Answers, folder: Path) -> ClusterError:
    async with a_reader(answers.context(folder)) as reader:
        with pytest.raises(ClusterError) as caught:
            await reader.list("pods")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    return caught.value


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "refused"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not-found"),
        (410, "expired"),
        (429, "throttled"),
        (500, "unavailable"),
        (503, "unavailable"),
        (504, "timeout"),
    ],
)
async def test_every_status_has_its_reason(tmp_path: Path, status: int, reason: str) -> None:
    answer = Answer(b"<html>\n" + b"no " * 1000, status=status)
    async with answering(lambda *_: answer) as answers:
        error = await failure(answers, tmp_path)
    assert error.reason == reason


def leading(cluster: dict[str, Any], token: Any = "hush") -> Context:
    server = {"server": "http://127.0.0.1:1", **cluster}
    login = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": server}],
        "users": [{"name": "x", "user": {"token": token}}],
    }
    return Context(login=lambda: login)


@pytest.mark.parametrize(
    "context",
    [
        *(leading({"server": f"http://{where}"}) for where in ("127.0.0.1:99999", "[::1", "a b")),
        *(leading({"server": f"http://{where}"}) for where in ("\0", "xn--\xe9", "a" * 300)),
        *(leading({"server": one}) for one in ("", "ftp://x", 7, ["x"], {"a": 1}, 1.5)),
        *(leading({"proxy-url": one}) for one in ("socks5://127.0.0.1:1", "//", "x:1", "http://[")),
        *(leading({"proxy-url": one}) for one in (7, ["x"], {"a": 1}, "\0", "http://x:99999")),
        *(leading({"server": "https://[::1]:1", "tls-server-name": one}) for one in (7, "\0")),
        *(leading({}, token) for token in ("hush\xe9", "hush\n1", "hush\0", 7, ["hush"], "\ud800")),
    ],
)
async def test_a_kubeconfig_that_leads_nowhere_is_told_of_without_its_token(
    context: Context,
) -> None:
    async with a_reader(context) as reader:
        with pytest.raises(ClusterError) as caught:
            await reader.identity()
    assert caught.value.reason in {"config", "unreachable"}
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("token", ["hush\n1", "hush\0", "hush\xe9", "\x7fhush"])
async def test_a_token_that_no_header_can_hold_is_never_shown(token: str) -> None:
    async with answering(lambda *_: Answer({})) as answers:
        context = leading({"server": f"http://127.0.0.1:{answers.port}"}, token)
        async with a_reader(context) as reader:
            with pytest.raises(ClusterError) as caught:
                await reader.identity()
    assert caught.value.reason == "config"
    assert "hush" not in str(caught.value)


async def test_an_answer_that_is_no_text_is_malformed(tmp_path: Path) -> None:
    async with answering(lambda *_: Answer(b'{"items": ["\xff"]}')) as answers:
        error = await failure(answers, tmp_path)
    assert error.reason == "malformed"


async def test_a_server_that_asks_for_patience_gets_it(tmp_path: Path) -> None:
    waits = iter(["1", "0"])

    def respond(_path: str, _query: dict[str, str]) -> Answer:
        wait = next(waits, None)
        if wait is None:
            return Answer(a_list("p"))
        return Answer({"message": "busy"}, status=429, headers={"Retry-After": wait})

    async with answering(respond) as answers, a_reader(answers.context(tmp_path)) as reader:
        assert len(await reader.list("pods")) == 1
    asked = [
        at for at, (path, _) in zip(answers.times, answers.asked, strict=True) if "pods" in path
    ]
    assert len(asked) == 3
    assert asked[1] - asked[0] >= 1


async def test_a_server_that_asks_for_too_much_patience_is_told_of(tmp_path: Path) -> None:
    answer = Answer({"message": "busy"}, status=503, headers={"Retry-After": "3600"})
    async with answering(lambda *_: answer) as answers:
        error = await failure(answers, tmp_path)
    assert (error.reason, error.retry_after_s) == ("unavailable", 3600)


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"{}", b'{"metadata": 3}', b"[" * 5000])
async def test_an_answer_that_is_no_list_is_malformed(tmp_path: Path, body: bytes) -> None:
    async with answering(lambda *_: Answer(body)) as answers:
        assert (await failure(answers, tmp_path)).reason == "malformed"


async def test_a_server_that_does_not_begin_to_answer_is_given_up(tmp_path: Path) -> None:
    async with answering(lambda *_: Answer(mute=True)) as answers:
        client = Client(answers.context(tmp_path))
        with pytest.raises(ClusterError) as caught:
            async with client.stream("/watch", None, read_s=600, head_s=0.2):
                pass
        await client.aclose()
    assert caught.value.reason == "timeout"


async def test_a_connection_that_was_closed_while_idle_is_replaced(tmp_path: Path) -> None:
    async with (
        answering(lambda *_: Answer(a_list("p"), headers={"Connection": "close"})) as answers,
        a_reader(answers.context(tmp_path)) as reader,
    ):
        for _ in range(3):
            assert len(await reader.list("pods")) == 1


async def test_pages_are_asked_for_until_the_last_and_anew_when_they_expired(
    tmp_path: Path,
) -> None:
    script = iter(
        [
            Answer(a_list("a", following="x")),
            gone(),
            Answer(a_list("b", following="y")),
            Answer(a_list("c")),
        ]
    )
    async with (
        answering(lambda *_: next(script)) as answers,
        a_reader(answers.context(tmp_path)) as reader,
    ):
        assert [o["metadata"]["name"] for o in await reader.list("pods")] == ["b", "c"]
    queries = [query for path, query in answers.asked if path.endswith("/pods")]
    assert [q.get("continue") for q in queries] == [None, "x", None, "y"]
    assert {q["limit"] for q in queries} == {"500"}


async def test_of_a_long_log_the_end_is_kept(tmp_path: Path) -> None:
    log = b"early\n" + b"x" * 200_000 + b"\xffend\n"
    async with (
        answering(lambda *_: Answer(log)) as answers,
        a_reader(answers.context(tmp_path)) as reader,
    ):
        text = await reader.log(("a/b", "p"), "main", previous=True)
    assert len(text) == 64 << 10
    assert text.endswith("x\ufffdend\n")
    path, query = answers.asked[-1]
    assert path == "/api/v1/namespaces/a%2Fb/pods/p/log"
    assert (query["previous"], query["container"]) == ("true", "main")


def an_event(kind: str, name: str, version: int) -> bytes:
    metadata = {"name": name, "uid": name, "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"metadata": metadata}}).encode() + b"\n"


GONE = json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n"


async def test_a_410_inside_the_stream_leads_to_a_list_at_once_and_one_deletion(
    tmp_path: Path,
) -> None:
    lists = iter([a_list("a", "b", version=7), a_list("b", version=20)])
    streams = iter([an_event("MODIFIED", "b", 9) + GONE])

    def respond(_path: str, query: dict[str, str]) -> Answer:
        if "watch" not in query:
            return Answer(next(lists))
        return Answer(next(streams, b""), silent=True)

    async with (
        answering(respond) as answers,
        a_reader(answers.context(tmp_path)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: seen.status.restarts == 2, "second watch", 5)
        await seen.live()
    assert seen.told() == [
        (ChangeType.SYNCED, "a"),
        (ChangeType.SYNCED, "b"),
        (ChangeType.MODIFIED, "b"),
        (ChangeType.MODIFIED, "b"),
        (ChangeType.DELETED, "a"),
    ]
    asked = [
        at for at, (path, _) in zip(answers.times, answers.asked, strict=True) if "pods" in path
    ]
    assert asked[2] - asked[1] < 0.5
    versions = [q["resourceVersion"] for _, q in answers.asked if "watch" in q]
    assert versions == ["7", "20"]


async def test_a_server_that_always_says_410_is_not_hammered(tmp_path: Path) -> None:
    def respond(_path: str, query: dict[str, str]) -> Answer:
        return gone() if "watch" in query else Answer(a_list("a"))

    async with (
        answering(respond) as answers,
        a_reader(answers.context(tmp_path)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: seen.status.relists["expired"] >= 4, "relists", 30)
    spans = answers.times[-1] - answers.times[0]
    assert spans > 0.8
    assert "expired" in seen.faults


async def test_an_older_list_is_refused_until_a_newer_one_comes(tmp_path: Path) -> None:
    lists = iter([a_list("a", "b", version=30), a_list("a", version=12), a_list("a", version=40)])
    streams = iter([GONE])

    def respond(_path: str, query: dict[str, str]) -> Answer:
        if "watch" not in query:
            return Answer(next(lists))
        return Answer(next(streams, b""), silent=True)

    async with (
        answering(respond) as answers,
        a_reader(answers.context(tmp_path)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: seen.status.restarts == 2, "second watch", 20)
    assert "stale" in seen.faults
    assert [pair for pair in seen.told() if pair[0] is ChangeType.DELETED] == [
        (ChangeType.DELETED, "b")
    ]
    assert len(answers.asked) >= 5


async def test_bookmarks_are_where_the_next_watch_begins(tmp_path: Path) -> None:
    streams = iter([an_event("BOOKMARK", "", 99)])

    def respond(_path: str, query: dict[str, str]) -> Answer:
        if "watch" not in query:
            return Answer(a_list("a"))
        body = next(streams, None)
        return Answer(body) if body else Answer(silent=True)

    async with (
        answering(respond) as answers,
        a_reader(answers.context(tmp_path), replace(QUICK, short_s=0.0)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: seen.status.restarts == 2, "second watch", 10)
    assert [q["resourceVersion"] for _, q in answers.asked if "watch" in q] == ["7", "99"]
    assert dict(seen.status.relists) == {"start": 1}


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"type": "ADDED"}\n', b'{"type": "ADDED", "object": {}}\n']
)
async def test_a_malformed_event_ends_the_stream_and_is_told_of(
    tmp_path: Path, line: bytes
) -> None:
    streams = iter([line])

    def respond(_path: str, query: dict[str, str]) -> Answer:
        if "watch" not in query:
            return Answer(a_list("a"))
        return Answer(next(streams, b""), silent=True)

    async with (
        answering(respond) as answers,
        a_reader(answers.context(tmp_path)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: seen.status.restarts == 2, "second watch", 10)
        await seen.live()
    assert seen.faults == ["malformed"]


async def test_during_an_outage_a_resource_asks_seldom(tmp_path: Path) -> None:
    async with (
        answering(lambda *_: Answer({"message": "down"}, status=500)) as answers,
        a_reader(answers.context(tmp_path)) as reader,
        following(reader, "pods") as seen,
    ):
        await seen.until(lambda: len(seen.faults) >= 4, "four refusals", 30)
    pods = [path for path, _ in answers.asked if path.endswith("/pods")]
    assert len(pods) == len(seen.faults)
