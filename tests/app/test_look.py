"""Dead letters as a person sees them, and what a person does to them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.app.look import dead_letters, drop_dead, path_text
from engine.model.delivery import Change, Delivery
from engine.model.errors import DogwatchError
from engine.model.ports import SystemClock
from engine.store.store import Store

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_dead_letter(store: Store, key: str) -> None:
    told = Delivery(
        key=key,
        sink="hook",
        change=Change.FIRE,
        incident="f-1",
        rule="storm",
        group={},
        at=NOON,
        title="storm",
    )
    store.enqueue([told])
    store.give_up(key, "answered 400", NOON)


def test_a_key_that_is_unknown_keeps_no_other_from_being_dropped(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("data_dir: .\n")
    store = Store.open(tmp_path / "dogwatch.db", clock=SystemClock())
    a_dead_letter(store, "d-1")
    a_dead_letter(store, "d-2")
    store.close()
    with pytest.raises(DogwatchError, match="no delivery 'd-0'; done to 2 of 3"):
        drop_dead(str(config), ["d-1", "d-0", "d-2"])
    assert dead_letters(str(config), 10) == []


def test_a_delivery_on_a_path_says_its_key_and_what_keeps_it() -> None:
    what = {"sink": "hook", "change": "fire", "state": "waiting", "error": "503", "detail": ""}
    at = "2026-03-01T12:00:00Z"
    told = path_text([{"noun": "delivery", "id": "d-1", "parent": "", "at": at, "what": what}])
    assert told == f"{at}  delivery   d-1 fire to hook: waiting 503"


def test_dead_letters_are_told_the_newest_first_and_no_more_than_asked(tmp_path: Path) -> None:
    config = tmp_path / "dogwatch.yaml"
    config.write_text("data_dir: .\n")
    store = Store.open(tmp_path / "dogwatch.db", clock=SystemClock())
    for key in ("d-1", "d-2", "d-3"):
        a_dead_letter(store, key)
    store.close()
    assert [row["key"] for row in dead_letters(str(config), 2)] == ["d-3", "d-2"]
