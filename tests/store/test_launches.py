"""Chains of missions: bounded in how often, and in how many."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from engine.store.checkpoint import Commit
from tests.store.rows import NOON, SECOND, Hand, a_launch, a_run

if TYPE_CHECKING:
    from engine.model.firing import Launch
    from engine.store.store import Store


def a_link(mission: str, parent: str = "m-0", **fields: Any) -> Launch:
    """A launch in a chain."""
    link = replace(a_launch(mission), depth=2, parent=parent, params={"for": mission})
    return replace(link, **fields)


def launched(store: Store, *links: Launch) -> tuple[list[str], list[str]]:
    """Return the missions that are new, and those that were left out."""
    done = store.commit(0, store.claim(0), Commit(1, launches=links))
    return list(done.new_missions), [one.mission for one in done.refused]


def test_a_launch_brings_what_its_mission_may_do(store: Store) -> None:
    may: dict[str, Any] = {
        "mode": "apply",
        "approval": "policy",
        "targets": {"all": True},
        "advise": "rank",
    }
    launched(store, a_link("m-1", **may))
    row = store.mission("m-1")
    assert row is not None
    assert {name: getattr(row, name) for name in may} == may
    assert (row.requester, row.phase, row.wake_at) == ("rule:crash-loop", 1, None)


def test_who_ran_the_first_mission_of_a_chain_asked_for_all_of_it(store: Store) -> None:
    store.add_mission(a_run("m-0", requester="ann"))
    launched(store, a_link("m-1", "m-0"), a_link("m-2", "m-1"), a_launch("m-3"))
    store.add_mission(a_run("m-4"))
    launched(store, a_link("m-5", "m-3"), a_link("m-6", "m-4"), a_link("m-7", "m-9"))
    asked = {row.id: row.requester for row in store.missions() if row.id not in {"m-0", "m-4"}}
    assert asked == {
        "m-1": "ann",
        "m-2": "ann",
        **dict.fromkeys(["m-3", "m-5", "m-6", "m-7"], "rule:crash-loop"),
    }


def test_a_chain_does_not_launch_the_same_twice_in_a_day(store: Store, clock: Hand) -> None:
    same: dict[str, Any] = {"params": {"namespace": "shop"}}
    assert launched(store, a_link("m-1", **same), a_link("m-2", "m-9", **same)) == (
        ["m-1"],
        ["m-2"],
    )
    other = a_link("m-3", **same, clusters=("west",)), a_link("m-4", **same, kind="capacity-plan")
    assert launched(store, *other) == (["m-3", "m-4"], [])
    clock.at = NOON + timedelta(days=1) - SECOND
    assert launched(store, a_link("m-2", "m-9", **same)) == ([], ["m-2"])
    clock.at = NOON + timedelta(days=1)
    assert launched(store, a_link("m-2", "m-9", **same)) == (["m-2"], [])


def test_what_a_firing_launches_is_not_bounded(store: Store) -> None:
    over = [replace(a_launch(name), depth=2) for name in ("m-3", "m-4")]  # over other firings
    every = [a_launch("m-1"), a_launch("m-2"), *over]
    assert launched(store, *every) == (["m-1", "m-2", "m-3", "m-4"], [])


def test_a_mission_launches_ten_others_at_most(store: Store) -> None:
    links = [a_link(f"m-{number}") for number in range(1, 13)]
    assert launched(store, *links) == ([f"m-{n}" for n in range(1, 11)], ["m-11", "m-12"])
    done = store.commit(0, store.claim(0), Commit(2, launches=[a_link("m-13")]))
    assert done.refused[0].why == "10 missions were launched by m-0 already"
    assert launched(store, a_link("m-14", parent="m-1")) == (["m-14"], [])


def test_a_launch_that_comes_again_is_neither_new_nor_refused(store: Store) -> None:
    links = [a_link(f"m-{number}") for number in range(1, 11)]
    launched(store, *links)
    assert launched(store, *links) == ([], [])


def test_two_partitions_do_not_launch_the_same(store: Store, other: Store) -> None:
    store.add_mission(a_run("m-0"))
    epochs = [store.claim(number) for number in range(8)]

    def commit(number: int) -> int:
        link = a_link(f"m-{number + 1}", params={"namespace": "shop"})
        at = (store, other)[number % 2]
        return len(at.commit(number, epochs[number], Commit(1, launches=[link])).new_missions)

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(commit, range(8))) == 1
