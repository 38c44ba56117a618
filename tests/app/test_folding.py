"""The loop commits at once when somebody waits, and lets waiting records share a commit."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.app.config import AppConfig
from engine.app.folding import GROUP_RECORDS, Fold
from engine.app.in_force import InForce, routes_of
from engine.app.means import Means, Part
from engine.app.reading import fold_log
from engine.bus.embedded import EmbeddedBus
from engine.model.delivery import Delivery, Receipt
from engine.model.instant import from_us
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.rules.rule import Notice
from engine.store.store import Store
from engine.stream.second_stage import gap
from engine.stream.stage import Stage as StageOf
from tests.stream.building import T0, a_rule, a_set

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.rules.rule import RuleSet
    from engine.store.checkpoint import Committed


RULES = a_set(
    a_rule("alert", on="alert", when="true", by=("cluster", "name"), labels={"team": "shop"})
)
SETTINGS = AppConfig.model_validate({"routes": [{"sinks": "out", "match": {"team": "shop"}}]})


class Stage:
    """A bus and a store, and a fold that tells of its commits."""

    def __init__(
        self, folder: Path, rules: RuleSet | None = None, part: Part | None = None
    ) -> None:
        clock = SystemClock()
        self.store = Store.open(folder / "store.db", clock=clock)
        self.bus = EmbeddedBus(folder / "bus.db", clock=clock)
        self.commits: list[Committed] = []
        self.force = InForce(rules or RULES, routes_of(SETTINGS), self.store)
        means = Means(self.store, self.force, SETTINGS.stream, clock, self._note)
        self.fold = Fold(means, part or Part())
        self._grown = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def alert(self, number: int) -> None:
        """Append one record that opens a firing of its own."""
        data = {"name": f"n-{number}"}
        at = from_us(T0 + number)
        signal = Signal(id=str(number), source="s", type="alert", time=at, cluster="c", data=data)
        await self.bus.append([signal])

    async def fold_on(self, until: int) -> None:
        """Fold until the record before `until` is committed."""
        if self._running is None:
            self._running = asyncio.create_task(fold_log(self.fold, self.bus))
        async with asyncio.timeout(10):
            while self.fold.committed_offset < until:
                self._grown.clear()
                await self._grown.wait()

    def _note(self, done: Committed) -> None:
        self.commits.append(done)
        self._grown.set()

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self.bus.aclose()
        self.store.close()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    await stage.close()


async def test_a_firing_is_committed_at_once(stage: Stage) -> None:
    for number in range(3):
        await stage.alert(number)
        await stage.fold_on(number + 1)
    assert [len(done.new_firings) for done in stage.commits] == [1, 1, 1]


async def test_records_that_wait_share_a_commit(stage: Stage) -> None:
    for number in range(GROUP_RECORDS + 5):
        await stage.alert(number)
    await stage.fold_on(GROUP_RECORDS + 5)
    assert [len(done.new_firings) for done in stage.commits] == [GROUP_RECORDS, 5]


async def test_what_waited_before_the_start_shares_commits_too(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    for number in range(5):
        await first.alert(number)
    await first.close()
    second = Stage(tmp_path)
    await second.fold_on(5)
    await second.close()
    assert [len(done.new_firings) for done in second.commits] == [5]


async def test_who_was_told_of_a_firing_hears_its_end_when_the_rule_is_removed(
    stage: Stage,
) -> None:
    await stage.alert(1)
    await stage.fold_on(1)
    stage.force.swap(a_set())
    await stage.fold.swap()
    firing = stage.store.firings()[0]
    rule = stage.force.rule_of("alert", firing.id)
    assert rule is not None
    assert rule.labels == {"team": "shop"}
    assert [one.change for one in _told(stage)] == ["fire", "resolve"]


async def test_a_rule_removed_while_nothing_ran_is_told_of_by_the_labels_of_its_firing(
    tmp_path: Path,
) -> None:
    first = Stage(tmp_path)
    await first.alert(1)
    await first.fold_on(1)
    await first.close()
    second = Stage(tmp_path, a_set())
    await second.alert(2)
    await second.fold_on(2)
    firing = second.store.firings()[0]
    rule = second.force.rule_of("alert", firing.id)
    assert rule is not None
    assert rule.labels == {"team": "shop"}
    changes = [row.change for row in _told(second)]
    assert changes == ["fire", "resolve"]
    await second.close()


def _told(stage: Stage) -> list[Delivery]:
    """Return every delivery of the sink, each taken so that the next of its incident is due."""
    told: list[Delivery] = []
    while due := stage.store.due("out", SystemClock().now()):
        told += due
        for one in due:
            stage.store.sent(one.key, Receipt(), SystemClock().now())
    return told


async def test_a_shadow_rule_tells_nobody(tmp_path: Path) -> None:
    rules = a_set(*(replace(rule, mode="shadow") for rule in RULES.rules))
    stage = Stage(tmp_path, rules)
    await stage.alert(1)
    await stage.fold_on(1)
    assert [row.state for row in stage.store.firings()] == ["firing"]
    assert _told(stage) == []
    await stage.close()


async def test_a_notice_that_debounce_put_off_is_filled_from_the_signal_that_decided(
    tmp_path: Path,
) -> None:
    rules = a_set(
        *(
            replace(
                rule,
                debounce_us=5_000_000,
                repeat_us=10_000_000,
                annotations={"summary": "{{ signal.data.name }} fails"},
            )
            for rule in RULES.rules
        )
    )
    first = Stage(tmp_path, rules)
    await first.alert(1)
    await first.fold_on(1)
    assert _told(first) == []
    await first.close()
    second = Stage(tmp_path, rules)
    await second.alert(20_000_000)
    await second.fold_on(2)
    told = _told(second)
    await second.close()
    assert [(one.change, one.annotations["summary"]) for one in told] == [
        ("fire", "n-1 fails"),
        ("repeat", "n-1 fails"),
    ]


async def test_firings_of_a_group_reach_the_sink_as_one_message(tmp_path: Path) -> None:
    notice = Notice("out", group_by=("cluster",))
    rules = a_set(*(replace(rule, notify=(notice,)) for rule in RULES.rules))
    stage = Stage(tmp_path, rules)
    for number in range(3):
        await stage.alert(number)
    await stage.fold_on(3)
    now = SystemClock().now()
    assert stage.store.due("out", now) == []
    (message,) = stage.store.due("out", now + timedelta(seconds=31))
    await stage.close()
    assert message.title == "alert: c"
    assert [one.group for one in message.episodes] == [{"name": f"n-{n}"} for n in range(3)]


async def test_a_signal_of_a_cluster_that_is_placed_elsewhere_is_put_aside(tmp_path: Path) -> None:
    stage = Stage(tmp_path, part=Part(belongs=lambda cluster: cluster != "c"))
    await stage.alert(1)
    await stage.fold_on(1)
    found = stage.store.quarantined()
    assert stage.store.firings() == []
    assert [(one.reason, one.offset) for one in found] == [("misplaced", 0)]
    assert b'"n-1"' in found[0].raw
    await stage.close()


async def test_a_record_folded_already_is_not_folded_again(stage: Stage) -> None:
    await stage.alert(1)
    await stage.alert(2)
    (_, first), (_, second) = [found async for found in _first(stage.bus, 2)]
    await stage.fold.take(0, first)
    await stage.fold.take(0, second)
    assert [row.key["name"] for row in stage.store.firings()] == ["n-1"]


async def test_conditions_stand_in_the_store_with_their_firing(tmp_path: Path) -> None:
    stage = Stage(tmp_path, part=Part(3, StageOf.FIRST))
    await stage.alert(1)
    await stage.fold_on(1)
    firing = stage.store.firings()[0]
    kept = [name for _, name, _ in stage.store.unpublished(3, 10)]
    assert kept == [firing.id]
    await stage.close()


async def test_a_fold_that_ends_while_the_store_refuses_waits_for_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    await stage.alert(1)
    stage.store.close()
    (tmp_path / "store.db").rename(tmp_path / "away.db")
    (tmp_path / "store.db").mkdir()
    running = asyncio.create_task(fold_log(stage.fold, stage.bus))
    async with asyncio.timeout(20):
        while not stage.fold.problem:  # noqa: ASYNC110 - a fold tells nobody that it stands still
            await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await stage.fold.close()
    await stage.bus.aclose()


async def test_the_lag_is_known_by_when_the_newest_record_came(stage: Stage) -> None:
    await stage.alert(1)
    ((_, record),) = [found async for found in _first(stage.bus, 1)]
    await stage.fold.take(0, record, appended_us=T0)
    assert stage.store.positions()[0].appended_us == T0


async def _first(bus: EmbeddedBus, count: int) -> AsyncIterator[tuple[int, bytes]]:
    async for found in bus.read(0):
        yield found
        if found[0] + 1 == count:
            return


async def test_a_firing_whose_rule_is_gone_ends_although_no_record_comes(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    await first.alert(1)
    await first.fold_on(1)
    await first.close()
    second = Stage(tmp_path, a_set())
    await second.fold.close()
    assert [row.state for row in second.store.firings()] == ["resolved"]
    assert [one.change for one in _told(second)] == ["fire", "resolve"]
    await second.close()


async def test_records_that_are_gone_are_skipped_and_told_in_one_commit(tmp_path: Path) -> None:
    stage = Stage(tmp_path, part=Part(3, StageOf.FIRST))
    await stage.fold.skip(7, gap("c", T0, 2, 7))
    assert stage.store.positions()[3].next_offset == 7
    assert [name for _, name, _ in stage.store.unpublished(3, 10)] == [
        one.id for one in gap("c", T0, 2, 7)
    ]
    await stage.close()
