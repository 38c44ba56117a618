"""What the verbs show of the store, and what a person does to it, on each kind of database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.app.configured import load_config
from engine.app.look import (
    dead_letters,
    drop_dead,
    mission_report,
    missions,
    path_of,
    path_text,
    replay_dead,
)
from engine.app.opening import open_store
from engine.model.errors import DogwatchError, StoreError
from engine.model.firing import Launch, State, Transition
from engine.model.instant import to_us
from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from tests.store.rows import a_dead_letter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.store.store import Store
    from tests.testbeds.postgres import Postgres

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The file of a configuration with a store of its own, on each kind of database."""
    path = tmp_path / "dogwatch.yaml"
    if request.param == "sqlite":
        path.write_text("data_dir: .\n")
        yield str(path)
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = server.database()
    path.write_text(f"store: {{url: '{server.url(name)}'}}\n")
    yield str(path)
    server.drop(name)


@pytest.fixture
def store(config: str) -> Iterator[Store]:
    """Its store."""
    store = open_store(load_config(config, {}), SystemClock())
    yield store
    store.close()


def test_a_key_that_is_unknown_keeps_no_other_from_being_dropped(config: str, store: Store) -> None:
    a_dead_letter(store, "d-1", NOON)
    a_dead_letter(store, "d-2", NOON)
    with pytest.raises(DogwatchError, match="no delivery 'd-0'; done to 2 of 3"):
        drop_dead(config, ["d-1", "d-0", "d-2"])
    assert dead_letters(config, 10) == []


def test_a_delivery_on_a_path_says_its_key_and_what_keeps_it() -> None:
    what = {"sink": "hook", "change": "fire", "state": "waiting", "error": "503", "detail": ""}
    at = "2026-03-01T12:00:00Z"
    told = path_text([{"noun": "delivery", "id": "d-1", "parent": "", "at": at, "what": what}])
    assert told == f"{at}  delivery   d-1 fire to hook: waiting 503"


def test_dead_letters_are_told_the_newest_first_and_no_more_than_asked(
    config: str, store: Store
) -> None:
    for key in ("d-1", "d-2", "d-3"):
        a_dead_letter(store, key, NOON)
    assert [row["key"] for row in dead_letters(config, 2)] == ["d-3", "d-2"]


def test_a_dead_letter_that_is_replayed_waits_again(config: str, store: Store) -> None:
    a_dead_letter(store, "d-1", NOON)
    assert replay_dead(config, ["d-1"]) == 1
    assert dead_letters(config, 10) == []
    assert [one.key for one in store.due("hook", SystemClock().now(), 10)] == ["d-1"]


def test_missions_their_reports_and_paths_are_read_from_any_store(
    config: str, store: Store
) -> None:
    lab = {"cluster": "lab"}
    launch = Launch(to_us(NOON), "hot", lab, "f-1", "m-1", "incident-response", lab)
    opened = Transition(to_us(NOON), "hot", lab, State.FIRING, {}, "f-1")
    store.commit(0, store.claim(0), Commit(1, transitions=[opened], launches=[launch]))
    (row,) = missions(config, kind=None, state="queued", limit=5)
    assert (row["id"], row["rule"], row["params"]) == ("m-1", "hot", lab)
    assert missions(config, kind=None, state="done", limit=5) == []
    assert mission_report(config, "m-1", "text", colour=False).startswith("m-1: incident-response")
    path = [one["noun"] for one in path_of(config, "f-1")]
    assert (path[0], path[-1]) == ("firing", "mission")
    with pytest.raises(StoreError, match="there is no mission 'm-0'"):
        mission_report(config, "m-0", "text", colour=False)
