"""What is remembered of what may come again: bounded, the oldest first, however it was stored."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.stream import recent
from engine.stream.recent import Chunk, ChunkState, Recent

MOST = 20
SECOND = 1_000_000
Log = list[tuple[int, bool, bool]]
"""Of each signal: its second, whether it is a level, and whether it is stored after it."""


@pytest.fixture(autouse=True)
def _few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recent, "MOST_EVENTS", MOST)
        yield


def stored(kept: Recent, store: dict[Chunk, ChunkState]) -> Recent:
    """Return what is remembered after it was stored and read again."""
    for place, chunk in kept.dump():
        if chunk is None:
            store.pop(place, None)
        else:
            store[place] = ChunkState(list(chunk.ids), list(chunk.levels))
    again = Recent(2 * SECOND)
    again.load({place: ChunkState(list(c.ids), list(c.levels)) for place, c in store.items()})
    return again


def folded(log: Log, *, stores: bool) -> Recent:
    kept, store = Recent(2 * SECOND), dict[Chunk, ChunkState]()
    for number, (second, level, cut) in enumerate(log):
        kept.remember(f"i{number}", second * SECOND, "events", "web" if level else "")
        assert len(kept.ids) <= MOST
        if stores and cut:
            kept = stored(kept, store)
    return kept


def test_the_oldest_are_forgotten_first() -> None:
    kept = Recent(2 * SECOND)
    for number in range(100):
        kept.remember(f"i{number}", number * 100 * SECOND, "events")
    assert "i99" in kept.ids
    assert kept.ids == {f"i{number}" for number in range(100 - len(kept.ids), 100)}
    assert MOST * 3 // 4 <= len(kept.ids) <= MOST


def test_ids_of_what_never_comes_again_are_not_counted() -> None:
    kept = Recent(2 * SECOND)
    for number in range(100):
        kept.remember(f"i{number}", SECOND, "ids")
    assert len(kept.ids) == 100


def test_what_came_after_a_level_is_known_in_a_flood() -> None:
    kept = Recent(2 * SECOND)
    for number in range(2 * MOST):
        kept.remember(f"i{number}", number * SECOND, "events", "web")
    assert kept.after("web", (2 * MOST - 3) * SECOND) == [38 * SECOND, 39 * SECOND]


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans(), st.booleans()), max_size=120))
def test_what_is_remembered_does_not_depend_on_when_it_was_stored(log: Log) -> None:
    plain, cut = folded(log, stores=False), folded(log, stores=True)
    assert plain.ids == cut.ids
    assert plain.after("web", 0) == cut.after("web", 0)
