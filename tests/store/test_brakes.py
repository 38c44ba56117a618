"""Brakes: locks, freezes, and what was done lately; and what is taken once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.failpoint import Point
from engine.model.change_row import Freeze, Step, Usage
from engine.model.change_state import ChangeEvent as E
from engine.model.change_state import ChangeState as S
from engine.model.errors import Fenced, Frozen, IllegalMove, StoreError
from tests.store.answers import an_answer_lost
from tests.store.changes_of import HOUR, Scene, a_draft, a_row, a_target, a_write
from tests.store.rows import NOON, SECOND
from tests.store.test_leases import run_out

if TYPE_CHECKING:
    from engine.store.store import Store

WEB, DB = "east/u-web", "east/u-db"


def a_scene(store: Store, *names: str, object_: str = "") -> Scene:
    """Drafts of `names`, each of an object of its own where `object_` is not given."""
    scene = Scene(store)
    drafts = [a_draft(name, a_target(object_ or name).ref) for name in names]
    scene.waits_for(*(a_row(draft.id, draft=draft) for draft in drafts))
    return scene


def test_locks_are_taken_all_or_none_and_kept_by_their_holder(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2", "c-3")
    take = store.take_locks
    assert take("c-1", [WEB, DB], epoch=scene.epoch) == ""
    assert take("c-1", [DB, WEB, DB], epoch=scene.epoch) == ""
    assert take("c-2", ["east/u-other", DB], epoch=scene.epoch) == "c-1"
    assert take("c-3", ["east/u-other"], epoch=scene.epoch) == ""
    assert take("c-2", ["west/u-db"], epoch=scene.epoch) == ""
    assert take("c-2", [], epoch=scene.epoch) == ""


@pytest.mark.parametrize("event", [E.REFUSE, E.EXPIRE])
def test_a_change_that_ends_lets_go_of_its_locks(store: Store, event: E) -> None:
    scene = a_scene(store, "c-1", "c-2")
    store.take_locks("c-1", [WEB], epoch=scene.epoch)
    scene.move("c-1", event)
    assert store.take_locks("c-2", [WEB], epoch=scene.epoch) == ""
    with pytest.raises(IllegalMove, match="takes no locks"):
        store.take_locks("c-1", [DB], epoch=scene.epoch)


def test_who_lost_the_lease_takes_no_lock(store: Store, other: Store) -> None:
    scene = a_scene(store, "c-1", "c-2")
    run_out(store, "writer")
    epoch = other.acquire("writer", "v", 30)
    assert epoch is not None
    with pytest.raises(Fenced):
        store.take_locks("c-1", [WEB], epoch=scene.epoch)
    assert other.take_locks("c-2", [WEB], epoch=epoch) == ""


def test_one_of_many_takes_a_lock(store: Store, other: Store) -> None:
    names = [f"c-{number}" for number in range(8)]
    for name in names:
        scene = Scene(store, f"m-{name}")
        scene.waits_for(a_row(name, mission=scene.mission))
    epoch = store.acquire("writer", "w", 3600) or 0

    def take(number: int, turn: int) -> str:
        some = [f"{turn}/{(number + offset) % 8}" for offset in range(5)]
        at = (store, other)[number % 2]
        return at.take_locks(names[number], some, epoch=epoch)

    with ThreadPoolExecutor(8) as threads:
        for turn in range(5):
            found = list(threads.map(take, range(8), [turn] * 8))
            assert found.count("") == 1
            assert set(found) == {"", names[found.index("")]}


def test_a_lock_is_taken_or_it_is_not(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2")
    for side, holder in (("before", ""), ("after", "c-1")):
        with pytest.raises(StoreError), an_answer_lost(Point.LOCK_TAKEN, side):
            store.take_locks("c-1", [WEB], epoch=scene.epoch)
        taken = store.take_locks("c-2", [WEB, DB], epoch=scene.epoch)
        assert taken == holder
        if not holder:
            scene.move("c-2", E.REFUSE)
            break


def test_a_freeze_lasts_until_its_end_or_a_thaw(store: Store) -> None:
    always = Freeze("all", "ann", "a sale", NOON)
    hour = Freeze("cluster/east", "bob", "an upgrade", NOON + SECOND, NOON + HOUR)
    store.freeze(always)
    store.freeze(hour)
    assert store.freezes(NOON) == [always, hour]
    assert store.freezes(NOON + HOUR) == [always]
    assert not store.thaw("cluster/west", "ann", NOON)
    assert store.thaw("all", "bob", NOON)
    assert not store.thaw("all", "bob", NOON)
    assert store.freezes(NOON) == [hour]
    assert [(one.actor, one.frm, one.to, one.reason) for one in store.audit()] == [
        ("ann", "", "frozen", "all: a sale"),
        ("bob", "", "frozen", "cluster/east until 2026-01-31T13:00:00+00:00: an upgrade"),
        ("bob", "frozen", "thawed", "all"),
    ]


def test_nobody_shortens_the_freeze_of_another_one(store: Store) -> None:
    store.freeze(Freeze("all", "ann", "a sale", NOON))
    store.freeze(Freeze("all", "engine", "three roll-backs", NOON, NOON + HOUR))
    assert [one.who for one in store.freezes(NOON + 2 * HOUR)] == ["ann"]
    store.freeze(Freeze("all", "ann", "a short sale", NOON, NOON + HOUR))
    assert store.freezes(NOON + 2 * HOUR) == []


@pytest.mark.parametrize("scope", ["all", "cluster/east", "who knows"])
def test_nothing_is_begun_while_frozen_but_what_undoes_it(store: Store, scope: str) -> None:
    scene = a_scene(store, "c-1")
    scene.applying("c-1")
    store.freeze(Freeze(scope, "ann", "a sale", NOON, NOON + HOUR))
    with pytest.raises(Frozen, match=f"{scope} is frozen by ann: a sale"):
        store.begin_write("c-1", a_write(), epoch=scene.epoch)
    assert scene.at("c-1").written == ()
    store.begin_write("c-1", a_write(at=NOON + HOUR), epoch=scene.epoch)
    for event in (E.FAIL, E.ROLL_BACK):
        scene.move("c-1", event)
    undo = a_write(Step.UNDO)
    store.begin_write("c-1", undo, epoch=scene.epoch)
    assert undo in scene.at("c-1").written


def test_a_freeze_elsewhere_or_that_is_over_stops_no_write(store: Store) -> None:
    scene = a_scene(store, "c-1")
    scene.applying("c-1")
    store.freeze(Freeze("cluster/west", "ann", "a sale", NOON))
    store.freeze(Freeze("all", "ann", "a sale", NOON))
    store.thaw("all", "bob", NOON)
    store.begin_write("c-1", a_write(), epoch=scene.epoch)
    assert len(scene.at("c-1").written) == 1


def test_changes_begun_within_an_hour_count_for_their_cluster(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2", "c-3")
    row = scene.at("c-3")
    assert store.usage(row, NOON) == Usage()
    scene.applying("c-1")
    scene.applying("c-2", NOON + SECOND)
    scene.approved("c-3")
    assert store.usage(row, NOON + HOUR - SECOND).begun == 2
    assert store.usage(row, NOON + HOUR).begun == 1
    elsewhere = a_row("c-9", draft=a_draft("c-9", a_target(cluster="west").ref))
    assert store.usage(elsewhere, NOON).begun == 0
    assert store.usage(scene.at("c-2"), NOON).begun == 1, "a change does not count against itself"


def test_a_later_wave_is_no_other_change(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2")
    scene.applying("c-1")
    scene.move("c-1", E.APPLIED, NOON + HOUR)
    scene.move("c-1", E.NEXT_WAVE, NOON + HOUR)
    assert scene.at("c-1").state is S.APPLYING
    assert store.usage(scene.at("c-2"), NOON + HOUR).begun == 0


def test_failures_of_the_same_rule_and_object_are_found_and_the_last_time(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2", "c-3", object_="web")
    for number, name in enumerate(("c-1", "c-2")):
        at = NOON + number * HOUR
        scene.applying(name, at)
        for event in (E.FAIL, E.ROLL_BACK, E.ROLLED_BACK):
            scene.move(name, event, at + SECOND)
    row = scene.at("c-3")
    used = store.usage(row, NOON + HOUR + 2 * SECOND)
    assert used.failures == (NOON + HOUR + SECOND, NOON + SECOND)
    assert used.same == NOON + HOUR
    assert used.rolled_back == 1
    assert len(store.usage(row, NOON + timedelta(hours=48, seconds=2)).failures) == 1
    other_rule = a_row("c-9", rule="another", draft=a_draft("c-9"))
    assert store.usage(other_rule, NOON + HOUR).failures == ()
    other_way = a_row("c-9", draft=a_draft("c-9", template="restart"))
    assert store.usage(other_way, NOON + HOUR).same is None
    other_object = a_row("c-9", draft=a_draft("c-9", a_target("db").ref))
    assert store.usage(other_object, NOON + HOUR).failures == ()


def test_who_thaws_everything_forgives_what_was_rolled_back(store: Store) -> None:
    scene = a_scene(store, "c-1", "c-2", "c-3")
    for name in ("c-1", "c-2"):
        scene.applying(name)
        scene.move(name, E.FAIL)
    scene.move("c-1", E.ROLL_BACK)
    store.freeze(Freeze("all", "engine", "three roll-backs", NOON))
    row = scene.at("c-3")
    assert store.usage(row, NOON).rolled_back == 1
    assert store.usage(row, NOON).freezes == tuple(store.freezes(NOON))
    store.thaw("all", "ann", NOON + SECOND)
    assert store.usage(row, NOON + SECOND).rolled_back == 0
    scene.move("c-2", E.ROLL_BACK, NOON + 2 * SECOND)
    assert store.usage(row, NOON + 2 * SECOND).rolled_back == 1


def test_a_nonce_is_taken_once_also_by_two_at_once(store: Store, other: Store) -> None:
    until = NOON + timedelta(minutes=5)
    with ThreadPoolExecutor(8) as threads:
        ask = lambda n: (store, other)[n % 2].once("v0:1", until, NOON)  # noqa: E731
        assert sum(threads.map(ask, range(16))) == 1
    assert store.once("v0:2", until, NOON)
    assert not store.once("v0:1" + "", until, until)
    assert store.once("x" * 5000, until, NOON)
    assert not store.once("x" * 5000, until, NOON)


def test_a_clock_that_is_set_back_lets_no_nonce_in_again(store: Store) -> None:
    until = NOON + timedelta(minutes=5)
    store.once("v0:1", until, NOON)
    store.once("v0:2", until + HOUR, NOON + HOUR)
    assert not store.once("v0:1", until, NOON)
    store.once("v0:3", until + timedelta(days=2), NOON + timedelta(days=2))
    assert store.once("v0:1", until, NOON), "nonces do not pile up for ever"


def test_the_last_policy_is_kept_and_the_audit_tells_of_another_one(store: Store) -> None:
    assert store.last_policy() is None
    for text in ("one", "two", "two", "one"):
        store.keep_policy(text, f"digest of {text}")
        assert store.last_policy() == text
    assert [one.digest for one in store.audit()] == [
        "digest of one",
        "digest of two",
        "digest of one",
    ]
