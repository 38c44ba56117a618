"""Leases: one holder at a time, a dead one is replaced, and a zombie is told so."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from engine.store import schema
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from engine.store.store import Store
    from tests.store.rows import Hand


def run_out(store: Store, name: str) -> None:
    """Let the time of a lease be over."""
    own = schema.leases.c.name == name
    with store.write() as connection:
        connection.execute(update(schema.leases).where(own).values(until=1))


def held(store: Store, prefix: str = "") -> list[tuple[str, str, int]]:
    return [(lease.name, lease.holder, lease.epoch) for lease in store.leases(prefix)]


def test_a_lease_has_one_holder_who_renews_it_in_the_same_epoch(store: Store, other: Store) -> None:
    assert [store.acquire("cluster/east", "a", 30) for _ in range(3)] == [1, 1, 1]
    assert other.acquire("cluster/east", "b", 30) is None
    assert other.acquire("cluster/west", "b", 30) == 1
    assert held(store, "cluster/") == [("cluster/east", "a", 1), ("cluster/west", "b", 1)]
    assert held(store, "sink/") == []


def test_a_lease_given_back_is_free_at_once_and_changes_hands(store: Store, other: Store) -> None:
    store.acquire("sink/web", "a", 30)
    other.give_back("sink/web", "b")  # not its to give
    assert held(store) == [("sink/web", "a", 1)]
    store.give_back("sink/web", "a")
    assert held(store) == []
    assert other.acquire("sink/web", "b", 30) == 2
    other.give_back("sink/web", "b")
    assert other.acquire("sink/web", "b", 30) == 3


def test_a_lease_that_ran_out_is_taken_over_and_its_zombie_refused(
    store: Store, other: Store
) -> None:
    assert store.acquire("sink/web", "a", 30) == 1
    run_out(store, "sink/web")
    assert held(store) == []
    assert other.acquire("sink/web", "b", 30) == 2
    assert store.acquire("sink/web", "a", 30) is None
    store.give_back("sink/web", "a")
    assert held(other) == [("sink/web", "b", 2)]


def test_a_holder_that_was_late_goes_on_where_nobody_was_quicker(store: Store) -> None:
    assert store.acquire("sink/web", "a", 30) == 1
    run_out(store, "sink/web")
    assert store.acquire("sink/web", "a", 30) == 1
    assert held(store) == [("sink/web", "a", 1)]


def test_a_prefix_is_taken_by_its_letters(store: Store) -> None:
    store.acquire("cluster/a_b", "a", 30)
    store.acquire("cluster/a%b", "a", 30)
    store.acquire("cluster/axb", "a", 30)
    assert [name for name, _, _ in held(store, "cluster/a_")] == ["cluster/a_b"]
    assert [name for name, _, _ in held(store, "cluster/a%")] == ["cluster/a%b"]


@pytest.mark.parametrize("new_place", ["postgres"], indirect=True)
def test_time_is_the_clock_of_the_server(store: Store, other: Store, clock: Hand) -> None:
    assert store.acquire("sink/web", "a", 30) == 1
    clock.at += timedelta(days=1)
    assert other.acquire("sink/web", "b", 30) is None
    (lease,) = store.leases()
    assert abs(lease.until - clock.at) > timedelta(days=1)
    assert store.acquire("sink/web", "a", 0.2) == 1
    assert eventually(lambda: other.acquire("sink/web", "b", 30)) == 2


def test_there_are_never_two_holders(store: Store, other: Store) -> None:
    inside: list[str] = []
    taken: list[int] = []
    doubled: list[list[str]] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        mine, me = (store, other)[number % 2], f"p-{number}"
        start.wait()
        for _ in range(25):
            epoch = mine.acquire("cluster/east", me, 60)
            if epoch is None:
                continue
            inside.append(me)
            taken.append(epoch)
            holders = [lease.holder for lease in mine.leases("cluster/")]
            if inside != [me] or holders != [me]:
                doubled.append([me, *inside, *holders])
            inside.remove(me)
            mine.give_back("cluster/east", me)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert doubled == []
    assert sorted(taken) == list(range(1, len(taken) + 1))
    assert len(taken) >= 25
