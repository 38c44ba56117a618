"""Repositories over HTTPS: with a token that nobody but their server sees."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.desired.git import Checkout
from engine.desired.repository import Repository
from engine.model.errors import DesiredError
from tests.desired.repositories import Origin
from tests.desired.smart_http import LOGIN, GitServer
from tests.testbeds.certificates import Authority


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    made = Origin(tmp_path / "origin")
    made.put({"a.yaml": "a: 1\n"})
    return made


@pytest.fixture
def server(origin: Origin, authority: Authority) -> Iterator[GitServer]:
    with GitServer(origin.folder.parent, authority) as server:
        yield server


@pytest.fixture
def at(server: GitServer, authority: Authority, tmp_path: Path) -> Repository:
    token = tmp_path / "token"
    token.write_text(f"{LOGIN[1]}\n")
    return Repository(
        server.url("origin/.git"), "main", LOGIN[0], str(token), str(authority.certificate)
    )


async def test_a_repository_is_fetched_by_a_token(at: Repository, tmp_path: Path) -> None:
    checkout = Checkout(at, tmp_path / "cache")
    tree = await checkout.tree(await checkout.fetch())
    assert await checkout.read(tree, tree.entries) == {"a.yaml": b"a: 1\n"}


async def test_a_wrong_token_and_none_are_unauthorized(at: Repository, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wr0ng-canary")
    for token in (str(wrong), str(tmp_path / "nothing"), None):
        with pytest.raises(DesiredError) as raised:
            await Checkout(replace(at, token_file=token), tmp_path / "cache").fetch()
        assert raised.value.reason == "unauthorized"
        assert "canary" not in str(raised.value)


async def test_a_server_that_nobody_trusts_and_a_repository_that_is_not_there_are_told(
    at: Repository, tmp_path: Path
) -> None:
    with pytest.raises(DesiredError) as raised:
        await Checkout(replace(at, ca_file=None), tmp_path / "cache").fetch()
    assert raised.value.reason == "unreachable"
    with pytest.raises(DesiredError) as raised:
        await Checkout(replace(at, url=f"{at.url}/no"), tmp_path / "cache").fetch()
    assert raised.value.reason == "not-found"


async def test_a_token_does_not_follow_to_another_server(
    at: Repository, server: GitServer, authority: Authority, tmp_path: Path
) -> None:
    with GitServer(tmp_path, authority) as other:
        server.moved = other.url("").rstrip("/")
        with pytest.raises(DesiredError):
            await Checkout(at, tmp_path / "cache").fetch()
        assert server.asked
        assert other.asked == []
