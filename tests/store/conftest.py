"""A store of its own for every test, on each kind of database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from engine.store.schema import metadata
from engine.store.store import Store
from tests.store.rows import Hand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.testbeds.postgres import Postgres

SQLITE, POSTGRES = "sqlite", "postgres"


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture(scope="session")
def worn_database(postgres: Postgres) -> str:
    """A database that many tests use one after the other: to make one takes half a second."""
    url = postgres.url(postgres.database())
    Store.open(url, clock=Hand()).close()
    return url


@pytest.fixture(params=[SQLITE, POSTGRES])
def new_place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], str]:
    """Give a place for a store, empty at each call; what was there before is gone."""
    if request.param == SQLITE:
        return lambda: str(tmp_path_factory.mktemp("store") / "store.db")
    url: str = request.getfixturevalue("worn_database")
    empty = "; ".join(f'DELETE FROM "{name}"' for name in metadata.tables)

    def emptied() -> str:
        with psycopg.connect(url) as connection:
            connection.execute(empty)
        return url

    return emptied


@pytest.fixture(params=[SQLITE, POSTGRES])
def bare_place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where no store was ever made."""
    if request.param == SQLITE:
        return str(tmp_path / "store.db")
    url: str = request.getfixturevalue("database")
    return url


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
