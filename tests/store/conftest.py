"""A store of its own for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.store.store import Store
from tests.store.rows import Hand


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def store(tmp_path: Path, clock: Hand) -> Iterator[Store]:
    store = Store.open(tmp_path / "store.db", clock=clock, chance=lambda: 0.5)
    yield store
    store.close()
