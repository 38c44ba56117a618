"""What one of several processes does is done by exactly one, and goes on when that one is gone."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import pytest

from engine.app.leasing import Alone, Leases, Terms
from engine.model.errors import StoreError
from engine.model.ports import SystemClock
from engine.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "cluster/prod"
SOON = Terms(term_s=3, renew_s=0.1, margin_s=0.5)


class Work:
    """Something that goes on; `doing` counts who does it now."""

    def __init__(self) -> None:
        self.doing: Counter[str] = Counter()
        self.changed = asyncio.Event()

    async def done_by(self, holder: str) -> None:
        self.doing[holder] += 1
        self.changed.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.doing[holder] -= 1
            self.changed.set()

    async def until(self, **wanted: int) -> None:
        """Wait until exactly this is going on."""
        async with asyncio.timeout(10):
            while +self.doing != Counter(wanted):
                self.changed.clear()
                await self.changed.wait()


class Silent:
    """A store that does not answer any more, until it is `over`."""

    def __init__(self, store: Store) -> None:
        self.answers = True
        self.over = threading.Event()
        self.give_back = store.give_back
        self._store = store

    def acquire(self, name: str, holder: str, ttl_s: float) -> int | None:
        if not self.answers:
            self.over.wait(30)
        return self._store.acquire(name, holder, ttl_s)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(tmp_path / "store.db", clock=SystemClock())
    yield store
    store.close()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_one_of_two_does_it_and_the_other_takes_over_when_it_stops(store: Store) -> None:
    work = Work()
    first, second = Leases(store, "first", SOON), Leases(store, "second", SOON)
    one = asyncio.create_task(first.hold(NAME, lambda: work.done_by("first")))
    await work.until(first=1)
    other = asyncio.create_task(second.hold(NAME, lambda: work.done_by("second")))
    await asyncio.sleep(0.3)
    assert +work.doing == Counter(first=1)
    assert (first.holds(NAME), second.holds(NAME)) == (True, False)
    await _stop(one)
    await work.until(second=1)
    assert (first.holds(NAME), second.holds(NAME)) == (False, True)
    await _stop(other)


async def test_one_that_is_gone_without_a_word_is_replaced_when_its_lease_ends(
    store: Store,
) -> None:
    assert store.acquire(NAME, "dead", 0.3) is not None
    work = Work()
    heir = asyncio.create_task(Leases(store, "heir", SOON).hold(NAME, lambda: work.done_by("heir")))
    await work.until(heir=1)
    await _stop(heir)


async def test_who_slept_too_long_stops_when_another_one_has_it(store: Store) -> None:
    work = Work()
    sleeper = Leases(store, "sleeper", SOON)
    task = asyncio.create_task(sleeper.hold(NAME, lambda: work.done_by("sleeper")))
    await work.until(sleeper=1)
    store.give_back(NAME, "sleeper")
    assert store.acquire(NAME, "other", 60) is not None
    await work.until()
    assert not sleeper.holds(NAME)
    await _stop(task)
    assert [one.holder for one in store.leases(NAME)] == ["other"]


async def test_who_cannot_renew_stops_before_its_lease_ends(store: Store, tmp_path: Path) -> None:
    work = Work()
    cut_off = Leases(store, "cut off", SOON)
    task = asyncio.create_task(cut_off.hold(NAME, lambda: work.done_by("holder")))
    await work.until(holder=1)
    store.close()
    (tmp_path / "store.db").rename(tmp_path / "away.db")
    (tmp_path / "store.db").mkdir()
    await work.until()
    assert "store.db" in cut_off.problem
    await _stop(task)


async def test_who_gets_no_answer_stops_before_its_lease_ends(store: Store) -> None:
    silent = Silent(store)
    work = Work()
    cut_off = Leases(cast("Store", silent), "cut off", SOON)
    task = asyncio.create_task(cut_off.hold(NAME, lambda: work.done_by("holder")))
    await work.until(holder=1)
    silent.answers = False
    await work.until()
    assert cut_off.problem == "the store does not answer"
    silent.over.set()
    await _stop(task)


async def test_what_ends_the_work_ends_the_holding(store: Store) -> None:
    async def fails() -> None:
        raise StoreError("no more")

    with pytest.raises(StoreError, match="no more"):
        await Leases(store, "one", SOON).hold(NAME, fails)


async def test_one_process_alone_asks_nobody() -> None:
    work = Work()
    task = asyncio.create_task(Alone().hold(NAME, lambda: work.done_by("me")))
    await work.until(me=1)
    assert Alone().holds(NAME)
    await _stop(task)
