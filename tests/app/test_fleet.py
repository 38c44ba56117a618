"""The fleet: who came and went, over restarts, by the register in the store."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from engine.app.config import AppConfig, ClusterConfig
from engine.app.discovery.found import Seen, Sighting
from engine.app.discovery.settings import source
from engine.app.fleet_list import Row, rows
from engine.app.fleet_member import guarded
from engine.app.fleet_passages import Passages, Reached
from engine.app.fleet_register import Record, Turn, record_of, turn
from engine.app.fleet_sources import Sources
from engine.app.ingesting import Watching
from engine.app.intake.entry import Batch
from engine.app.opening import open_store
from engine.bus.codec import decode
from engine.model.errors import Overloaded, StoreError
from engine.store.store import Store
from tests.watchers.sources import NOON

if TYPE_CHECKING:
    from engine.model.signal import Signal


class Clock:
    def now(self) -> Any:
        return NOON


class Taken:
    """An intake that takes everything, unless the test gives it refusals."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.signals: list[Signal] = []

    async def accept(self, batch: Batch) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        for entries in batch.entries.values():
            self.signals += decode(b"[" + b",".join(one.raw for one in entries) + b"]").signals

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one.cluster, one.data["change"]) for one in self.signals]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(AppConfig(data_dir=str(tmp_path)), Clock())
    yield opened
    opened.close()


def passages(store: Store, intake: Taken) -> Passages:
    return Passages(store, intake, Clock())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uid", "record", "gone", "found"),
    [
        ("u1", None, "", Turn("joined")),
        ("", None, "", Turn("joined")),
        ("u1", None, "old", Turn("renamed", before="old")),
        ("u1", Record("u1"), "", Turn()),
        ("", Record("u1"), "", Turn()),
        ("u1", Record(""), "", Turn()),
        ("u2", Record("u1"), "", Turn("recreated", uid_before="u1")),
        ("u2", Record("u1"), "old", Turn("recreated", uid_before="u1")),
    ],
)
def test_what_it_means_to_reach_a_cluster(
    uid: str, record: Record | None, gone: str, found: Turn
) -> None:
    assert turn(uid, record, gone) == found


async def test_a_cluster_joins_once_whatever_restarts(store: Store) -> None:
    intake = Taken()
    for _ in range(2):
        await passages(store, intake).come(Reached("eu", "u1", server="https://eu"), "", "")
    assert intake.told == [("eu", "joined")]
    assert intake.signals[0].data == {
        "change": "joined",
        "uid": "u1",
        "server": "https://eu",
        "source": "configured",
    }


async def test_a_cluster_leaves_once_and_takes_its_memories_along(store: Store) -> None:
    intake = Taken()
    fleet = passages(store, intake)
    await fleet.come(Reached("eu", "u1"), "", "")
    store.remember("eu", "devices", {"n1": b"x"})
    await fleet.go("eu")
    await fleet.go("eu")
    assert intake.told == [("eu", "joined"), ("eu", "left")]
    assert store.memories("eu", "devices") == {}
    assert (await fleet.known(), await fleet.name_of("u1")) == ({}, "")


async def test_a_renamed_cluster_keeps_what_its_watchers_remember(store: Store) -> None:
    intake = Taken()
    fleet = passages(store, intake)
    await fleet.come(Reached("old", "u1"), "", "")
    store.remember("old", "devices", {"n1": b"x"})
    assert await fleet.name_of("u1") == "old"
    await fleet.come(Reached("new", "u1"), "old", "")
    await fleet.go("old")
    assert intake.told == [("old", "joined"), ("new", "renamed"), ("old", "moved")]
    assert (intake.signals[1].data["before"], intake.signals[2].data["after"]) == ("old", "new")
    assert store.memories("new", "devices") == {"n1": b"x"}
    assert await fleet.name_of("u1") == "new"


async def test_a_cluster_made_anew_is_told_with_both_identities_and_remembers_nothing_of_the_former(
    store: Store,
) -> None:
    intake = Taken()
    fleet = passages(store, intake)
    await fleet.come(Reached("eu", "u1"), "", "")
    store.remember("eu", "inventory", {"n1": b"x"})
    store.remember("us", "inventory", {"n2": b"y"})
    await fleet.come(Reached("eu", "u2"), "", "")
    assert store.memories("eu", "inventory") == {}
    assert store.memories("us", "inventory") == {"n2": b"y"}
    assert intake.told == [("eu", "joined"), ("eu", "recreated")]
    assert (intake.signals[1].data["uid"], intake.signals[1].data["uidBefore"]) == ("u2", "u1")


async def test_an_identity_that_is_hidden_for_a_while_is_not_forgotten(store: Store) -> None:
    fleet = passages(store, Taken())
    for uid in ("u1", "", "u1"):
        await fleet.come(Reached("eu", uid), "", "")
    assert (await fleet.known())["eu"].uid == "u1"


async def test_a_twin_takes_no_name_away_and_joins_once_the_other_is_gone(store: Store) -> None:
    intake = Taken()
    fleet = passages(store, intake)
    await fleet.come(Reached("one", "u1"), "", "")
    await fleet.hold(Reached("two", "u1"), "one")
    assert intake.told == [("one", "joined")]
    assert await fleet.name_of("u1") == "one"
    await fleet.come(Reached("two", "u1"), "one", "")
    assert intake.told[-1] == ("two", "renamed")
    assert await fleet.name_of("u1") == "two"


async def test_what_store_and_bus_refuse_is_told_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.app.fleet_passages.RETRY_S", 0.0)
    intake = Taken(StoreError("full"), Overloaded("many", retry_s=1))
    await passages(store, intake).come(Reached("eu", "u1"), "", "")
    assert intake.told == [("eu", "joined")]


def test_a_record_of_another_version_is_one_of_nobody() -> None:
    assert record_of(b"\xff{") == Record()
    assert record_of(b'{"uid": "u1", "more": 1}') == Record("u1")


class Shows:
    """A source that shows what the test says."""

    def __init__(self, *sightings: Sighting) -> None:
        self.sightings = list(sightings)

    async def look(self) -> Sighting:
        return self.sightings.pop(0) if len(self.sightings) > 1 else self.sightings[0]


def seen(*names: str) -> Sighting:
    return Sighting([Seen({"name": name}, f"{name}.yaml") for name in names])


def a_folder(path: str) -> Any:
    return source("kubeconfig-folder", {"folder_path": path, "every_s": 1})


async def test_the_first_to_have_a_name_keeps_it_and_the_other_is_told_of() -> None:
    one, two = a_folder("/a"), a_folder("/b")
    sources = Sources([one, two], [Shows(seen("eu", "hub")), Shows(seen("eu", "us"))], Clock())
    await sources.look()
    wanted = sources.wanted(["hub"])
    assert {name: found.source for name, found in wanted.items()} == {
        "eu": one.label,
        "us": two.label,
    }
    assert sources.problems() == {
        one.label: {"hub.yaml": "the name 'hub' is taken by the configuration"},
        two.label: {"eu.yaml": f"the name 'eu' is taken by {one.label}"},
    }


async def test_a_source_that_can_not_be_read_takes_nothing_away() -> None:
    config = a_folder("/a")
    broken = Sighting(faults={"": "gone"})
    sources = Sources([config], [Shows(seen("eu"), broken)], Clock())
    assert sources.unread(config.label, "eu.yaml")  # nobody looked yet
    await sources.look(now=True)
    assert not sources.unread(config.label, "other.yaml")
    await sources.look(now=True)
    assert list(sources.wanted(())) == ["eu"]
    assert sources.unread(config.label, "other.yaml")
    assert not sources.unread("a source that is configured no more", "eu.yaml")


async def test_a_place_that_can_not_be_read_keeps_only_what_was_there() -> None:
    config = a_folder("/a")
    partly = Sighting(seen("us").seen, {"eu.yaml": "no YAML"})
    sources = Sources([config], [Shows(seen("eu", "us", "old"), partly)], Clock())
    await sources.look(now=True)
    await sources.look(now=True)
    assert sorted(sources.wanted(())) == ["eu", "us"]


async def test_a_source_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.app.fleet_sources.LOOK_S", 0.01)

    class Stuck:
        async def look(self) -> Sighting:
            await asyncio.Event().wait()
            return Sighting()

    config = a_folder("/a")
    sources = Sources([config], [Stuck()], Clock())
    await sources.look()
    assert sources.problems()[config.label][""].startswith("timeout: a look took more than")


async def test_a_source_that_breaks_hinders_no_other_and_takes_nothing_away() -> None:
    class Breaks(Shows):
        async def look(self) -> Sighting:
            if not self.sightings:
                raise KeyError("maybe")
            return self.sightings.pop()

    one, two = a_folder("/a"), a_folder("/b")
    sources = Sources([one, two], [Breaks(seen("eu")), Shows(seen("us"))], Clock())
    await sources.look(now=True)
    await sources.look(now=True)
    assert sorted(sources.wanted(())) == ["eu", "us"]
    assert sources.problems()[one.label] == {"": "broken: KeyError"}


async def test_a_cluster_whose_watch_breaks_is_watched_again_and_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.app.fleet_member.AGAIN_S", 0.0)
    again = asyncio.Event()

    class Breaks(Watching):
        async def run(self) -> None:
            if self.status.fault:
                again.set()
                await asyncio.Event().wait()
            raise OverflowError("port")

    watching = Breaks(ClusterConfig(name="eu"), None, None, Clock())  # type: ignore[arg-type]
    task = asyncio.create_task(guarded(watching))
    met = asyncio.create_task(again.wait())
    await asyncio.wait({task, met}, return_when=asyncio.FIRST_COMPLETED)
    assert (met.done(), task.done()) == (True, False)
    assert watching.status.unreachable() == "broken: OverflowError"
    task.cancel()


async def test_the_list_names_clusters_and_what_is_wrong_where_they_are_found(
    store: Store,
) -> None:
    fleet = passages(store, Taken())
    found = Reached("eu", "u1", "kubeconfig-folder /a", "eu.yaml", "https://eu", (("env", "p"),))
    await fleet.come(found, "", "")
    await fleet.come(Reached("gone", "u2", "ocm old"), "", "")
    await fleet.faults({"kubeconfig-folder /a": {"bad.yaml": "no YAML"}, "ocm old": {"": "x"}})
    options = {"type": "kubeconfig-folder", "folder_path": "/a"}
    settings = AppConfig.model_validate({"clusters": [{"name": "hub"}], "discover": [options]})
    since = "2026-01-31T12:00:00Z"
    folder = "kubeconfig-folder /a"
    assert rows(store, settings) == [
        Row("eu", "u1", folder, "eu.yaml", "https://eu", "watched", since, {"env": "p"}),
        Row(
            "gone",
            "u2",
            "ocm old",
            state="leaving",
            since=since,
            problem="neither the configuration nor a source names it",
        ),
        Row("hub"),
        Row("", source=folder, place="bad.yaml", state="problem", problem="no YAML"),
    ]
