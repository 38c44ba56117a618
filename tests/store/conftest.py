"""A store of its own for every test, on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.store.store import Store
from tests.store.rows import Hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.testbeds.postgres import Postgres

SQLITE, POSTGRES = "sqlite", "postgres"


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture(params=[SQLITE, POSTGRES])
def new_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], str]]:
    """Give places for stores, each empty."""
    if request.param == SQLITE:
        yield lambda: str(tmp_path_factory.mktemp("store") / "store.db")
        return
    server: Postgres = request.getfixturevalue("postgres")
    made: list[str] = []

    def database() -> str:
        made.append(server.database())
        return server.url(made[-1])

    yield database
    for name in made:
        server.drop(name)


@pytest.fixture
def place(new_place: Callable[[], str]) -> str:
    """Where the store of this test is, for those that open it again."""
    return new_place()


@pytest.fixture
def store(place: str, clock: Hand) -> Iterator[Store]:
    store = Store.open(place, clock=clock, chance=lambda: 0.5)
    yield store
    store.close()


@pytest.fixture
def other(store: Store, place: str, clock: Hand) -> Iterator[Store]:
    """The same store as another process has it."""
    other = Store.open(place, clock=clock, chance=lambda: 0.5)
    yield other
    other.close()
