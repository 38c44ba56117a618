"""The agent of a node: when it looks, what it sends again, and what it makes of answers."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from engine.app.config import AppConfig, NodeConfig
from engine.app.node_agent import Newest, NodeProcess, begun, phase_s
from engine.app.roles import Role, roles_of
from engine.model.errors import ConfigError, Retryable
from engine.model.node_report import Device, Report
from engine.node.sending import Accepted, RefusedError, Sender
from tests.testbeds.receiver import Answer, Receiver

if TYPE_CHECKING:
    from pathlib import Path

NIC = Device("nic", "k", "ens3", {"state": "up"})


def a_report(*devices: Device, node: str = "n1") -> Report:
    return Report(node, "west", looked=["nic"], devices=list(devices))


def settings(name: str = "n1") -> NodeConfig:
    return NodeConfig(cluster="west", name=name, url="http://127.0.0.1:1/x", token_file="token")


def test_a_thousand_nodes_look_at_a_thousand_moments() -> None:
    phases = [phase_s(settings(f"node-{number}")) for number in range(1000)]
    assert all(0 <= phase < 30 for phase in phases)
    per_second = Counter(int(phase) for phase in phases)
    assert len(per_second) == 30
    assert max(per_second.values()) < 60


async def test_of_reports_that_wait_the_newest_is_sent() -> None:
    newest = Newest()
    for node in ("old", "new"):
        newest.put(a_report(node=node))
    assert (await newest.take()).node == "new"
    waiting = asyncio.ensure_future(newest.take())
    await asyncio.sleep(0)
    newest.put(a_report(node="later"))
    assert (await waiting).node == "later"


async def test_a_report_that_was_not_sent_waits_unless_there_is_a_newer_one() -> None:
    newest = Newest()
    newest.give_back(a_report(node="old"))
    assert (await newest.take()).node == "old"
    newest.put(a_report(node="new"))
    newest.give_back(a_report(node="old"))
    assert (await newest.take()).node == "new"


def test_what_was_taken_and_is_the_same_is_marked_for_an_hour() -> None:
    accepted, report = Accepted(), a_report(NIC)
    first = accepted.marked(report, 0)
    assert [one.same for one in first.devices] == [False]
    accepted.take(first, 0)
    later = accepted.marked(report, 3599)
    assert [one.same for one in later.devices] == [True]
    accepted.take(later, 3599)
    assert [one.same for one in accepted.marked(report, 3600).devices] == [False]
    other = a_report(Device("nic", "k", "ens3", {"state": "down"}))
    assert [one.same for one in accepted.marked(other, 1).devices] == [False]


def test_what_was_not_taken_is_not_marked() -> None:
    accepted = Accepted()
    accepted.marked(a_report(NIC), 0)
    assert [one.same for one in accepted.marked(a_report(NIC), 1).devices] == [False]


async def post(receiver: Receiver, folder: Path, token: bytes | None = b"tok\n") -> None:
    file = folder / "token"
    if token is not None:
        file.write_bytes(token)
    sender = Sender(f"{receiver.url}/v1/receive/nodes", str(file), None)
    try:
        await sender.post(a_report(NIC))
    finally:
        await sender.aclose()


async def test_a_report_is_posted_with_the_token(receiver: Receiver, tmp_path: Path) -> None:
    await post(receiver, tmp_path)
    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer tok"
    body = request.json()
    assert (body["cluster"], body["node"], body["devices"][0]["name"]) == ("west", "n1", "ens3")


@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 404, 413, 415, 422])
async def test_a_no_is_told_as_one(receiver: Receiver, tmp_path: Path, status: int) -> None:
    receiver.script(Answer(status, headers={"Location": "http://127.0.0.1:1/"}))
    with pytest.raises(RefusedError, match=f"answered {status}"):
        await post(receiver, tmp_path)


@pytest.mark.parametrize("status", [408, 425, 500, 502, 503, 504])
async def test_a_receiver_in_trouble_is_asked_again(
    receiver: Receiver, tmp_path: Path, status: int
) -> None:
    receiver.script(Answer(status))
    with pytest.raises(Retryable, match=f"answered {status}") as caught:
        await post(receiver, tmp_path)
    assert not isinstance(caught.value, RefusedError)


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), ("86400", 300.0), ("soon", None)])
async def test_the_wait_that_is_asked_for_is_kept_within_reason(
    receiver: Receiver, tmp_path: Path, asked: str, waited: float | None
) -> None:
    receiver.script(Answer(429, headers={"Retry-After": asked}))
    with pytest.raises(Retryable) as caught:
        await post(receiver, tmp_path)
    assert caught.value.retry_after_s == waited


async def test_a_receiver_that_is_cut_off_is_asked_again(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.script(Answer(drop=True))
    with pytest.raises(Retryable, match="no answer"):
        await post(receiver, tmp_path)


@pytest.mark.parametrize("token", [None, b"\xff\xfe", b"a\x00b\n", "tök".encode()])
async def test_a_token_that_cannot_be_sent_is_told_without_it(
    receiver: Receiver, tmp_path: Path, token: bytes | None
) -> None:
    with pytest.raises(Retryable) as caught:
        await post(receiver, tmp_path, token)
    assert "a\x00b" not in str(caught.value)
    assert "tök" not in str(caught.value)


def test_a_ca_file_without_certificates_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("nothing")
    with pytest.raises(ConfigError, match=r"node\.ca_file .* holds no PEM certificate"):
        Sender("https://127.0.0.1:1/", "token", str(tmp_path / "ca"))


@pytest.mark.parametrize(
    "url",
    [
        "http://dogwatch.dogwatch.svc:9095/x",
        "http://127.0.0.1.example.com/x",
        "http://localhost@e/",
    ],
)
def test_a_token_goes_in_the_clear_only_where_somebody_says_so(url: str) -> None:
    own = {"cluster": "west", "name": "n1", "token_file": "token"}
    with pytest.raises(ValidationError, match="the token goes in the clear"):
        NodeConfig(url=url, **own)
    assert NodeConfig(url=url, allow_http=True, **own).url == url
    for here in (
        "http://127.0.0.1:9095/x",
        "http://[::1]:9095",
        "http://localhost/x",
        "https://e/x",
    ):
        assert NodeConfig(url=here, **own).url == here


async def test_a_look_that_hangs_keeps_no_process_from_its_end() -> None:
    done, seen = threading.Event(), []

    def hangs() -> Report:
        seen.append(threading.current_thread())
        done.wait(20)
        return a_report()

    outcome = begun(hangs)
    done.set()
    assert (await asyncio.wrap_future(outcome)).node == "n1"
    assert [(thread.name, thread.daemon) for thread in seen] == [("look", True)]


async def test_what_a_look_raises_is_raised_where_it_is_awaited() -> None:
    def breaks() -> Report:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await asyncio.wrap_future(begun(breaks))


def test_without_its_block_the_role_says_what_it_needs() -> None:
    with (
        socket.socket() as listener,
        pytest.raises(ConfigError, match="no `node`, what to read and where to report"),
    ):
        NodeProcess(AppConfig(), listener)


def test_the_role_goes_alone_and_is_none_of_those_that_a_process_has_by_itself() -> None:
    assert Role.NODE not in roles_of([], AppConfig())
    assert roles_of([Role.NODE], AppConfig()) == {Role.NODE}
    with pytest.raises(ConfigError, match="--role node goes alone: it runs on every node"):
        roles_of([Role.NODE, Role.WEB], AppConfig())
