"""What may change something is sent once, unless the server turned it away unread."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.cluster.client import Call, Client
from engine.cluster.contexts import Context
from engine.model.change import Operation, Target, Verb
from engine.model.errors import ClusterError
from tests.cluster.answers import plain
from tests.cluster.writers import a_writer
from tests.testbeds.receiver import Answer, Receiver, Request, json_answer

CALL = Call("/x", {"dryRun": "All"}, "PATCH", {"a": 1}, "application/merge-patch+json")
DONE = json_answer({"metadata": {"name": "x"}})
NAMED = Target(
    cluster="west",
    cluster_uid="",
    api_version="v1",
    kind="Pod",
    resource="pods",
    namespace="n",
    name="x",
    uid="u",
)


def refused(code: int, message: str, wait_s: int | None = None, **details: Any) -> Answer:
    body = {"kind": "Status", "message": message, "details": details}
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    return Answer(code, json.dumps(body).encode(), headers)


async def send(context: Context, call: Call = CALL, head_s: float = 5.0) -> Any:
    client = Client(context)
    try:
        return await client.send(call, head_s=head_s)
    finally:
        await client.aclose()


async def failure(context: Context, head_s: float = 5.0) -> ClusterError:
    with pytest.raises(ClusterError) as caught:
        await send(context, head_s=head_s)
    return caught.value


async def write(context: Context, verb: Verb) -> ClusterError:
    async with a_writer(context) as writer:
        with pytest.raises(ClusterError) as caught:
            await writer.write(Operation(verb=verb, target=NAMED), version="7", dry_run=False)
    return caught.value


async def test_what_is_sent_names_its_type_and_who_it_acts_as(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.script(DONE)
    context = Context(plain(receiver.port, tmp_path).kubeconfig, act_as="somebody")
    assert await send(context) == {"metadata": {"name": "x"}}
    (request,) = receiver.requests
    assert (request.method, request.path) == ("PATCH", "/x?dryRun=All")
    assert request.json() == {"a": 1}
    assert request.headers["content-type"] == "application/merge-patch+json"
    assert request.headers["impersonate-user"] == "somebody"
    assert request.headers["user-agent"] == "dogwatch"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(hang=True), "timeout"),
        (Answer(drop=True), "unreachable"),
        (refused(500, "etcdserver: leader changed"), "unavailable"),
        (refused(503, "shutting down", 0), "unavailable"),
        (refused(504, "took too long", 0), "timeout"),
        (Answer(200, b"nonsense"), "malformed"),
        (Answer(302, headers={"Location": "/y"}), "refused"),
        (refused(409, "moved on", 0), "conflict"),
        (refused(401, "who are you"), "unauthorized"),
        (refused(429, "too many"), "throttled"),
        (refused(429, "too many", 3600), "throttled"),
    ],
)
async def test_whatever_comes_of_it_it_is_sent_once(
    receiver: Receiver, tmp_path: Path, answer: Answer, reason: str
) -> None:
    receiver.otherwise = lambda _: answer
    error = await failure(plain(receiver.port, tmp_path), 0.3 if answer.hang else 5.0)
    assert error.reason == reason
    assert len(receiver.requests) == 1


async def test_a_server_that_has_too_much_to_do_is_asked_three_times(
    receiver: Receiver, tmp_path: Path
) -> None:
    busy = Answer(429, b"Too many requests, please try again later.", {"Retry-After": "0"})
    receiver.script(busy, busy, DONE)
    assert await send(plain(receiver.port, tmp_path))
    receiver.script(busy, busy, busy, DONE)
    assert (await failure(plain(receiver.port, tmp_path))).reason == "throttled"
    assert len(receiver.requests) == 6
    assert len({each.body for each in receiver.requests}) == 1


async def test_a_real_write_is_not_kept_back_for_later(receiver: Receiver, tmp_path: Path) -> None:
    busy = Answer(429, b"Too many requests, please try again later.", {"Retry-After": "0"})
    receiver.script(busy, DONE)
    assert (await write(plain(receiver.port, tmp_path), Verb.PATCH)).reason == "throttled"
    assert len(receiver.requests) == 1


async def test_credentials_that_were_renewed_meanwhile_are_tried_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    def answer(request: Request) -> Answer:
        plain(receiver.port, tmp_path, token="new")
        return DONE if request.headers["authorization"] == "Bearer new" else refused(401, "no")

    receiver.otherwise = answer
    assert await send(plain(receiver.port, tmp_path, token="old"))
    assert len(receiver.requests) == 2


@pytest.mark.parametrize("answer", [Answer(500), Answer(200, b"nonsense"), Answer(200, b"[]")])
@pytest.mark.parametrize("verb", [Verb.PATCH, Verb.EVICT, Verb.DELETE, Verb.APPLY])
async def test_a_write_that_may_have_been_done_is_told_as_that(
    receiver: Receiver, tmp_path: Path, answer: Answer, verb: Verb
) -> None:
    receiver.otherwise = lambda _: answer
    assert (await write(plain(receiver.port, tmp_path), verb)).reason == "unreachable"
    assert len(receiver.requests) == 1


async def test_a_budget_that_is_not_known_yet_blocks_and_is_not_asked_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    cause = {"reason": "DisruptionBudget", "message": "still being processed"}
    receiver.otherwise = lambda _: refused(429, "Cannot evict pod", 1, causes=[cause])
    error = await write(plain(receiver.port, tmp_path), Verb.EVICT)
    assert (error.reason, error.retry_after_s) == ("blocked", 1)
    assert len(receiver.requests) == 1


async def test_a_refusal_of_many_words_is_understood_and_cut(
    receiver: Receiver, tmp_path: Path
) -> None:
    long = "x" * 100_000
    receiver.script(refused(400, f'pods "{long}" is forbidden: exceeded quota'))
    error = await failure(plain(receiver.port, tmp_path))
    assert error.reason == "refused"
    assert len(str(error)) < 400
