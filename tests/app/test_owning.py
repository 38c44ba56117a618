"""A log that another process took over is left to it, and asked for again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.app.config import AppConfig
from engine.app.in_force import InForce
from engine.app.means import Means
from engine.app.owning import Partitions
from engine.bus.codec import encode
from engine.bus.faust_worker import Record
from engine.bus.kafka import KafkaBus
from engine.bus.topics import Log, Topic
from engine.model.errors import Fenced
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from engine.store.store import Store
from tests.acceptance.scaled import servers
from tests.stream.building import a_rule, a_set

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.real
LOG = Log(Topic.SIGNALS, 0)
RULES = a_set(a_rule("alert", on="alert", when="true", by=("cluster", "name")))


class Pair:
    """Two processes that both believe to be in the group alone."""

    def __init__(self, store: Store, bus: KafkaBus, settings: AppConfig) -> None:
        means = Means(store, InForce(RULES, (), store), settings.stream, SystemClock())
        self.store = store
        self.first, self.second = Partitions(means, bus), Partitions(means, bus)


@pytest.fixture
async def pair(kafka: Cluster, database: str) -> AsyncIterator[Pair]:
    whole = servers(database, kafka)
    whole["stream"] = {"checkpoint_s": 0.2}
    settings = AppConfig.model_validate(whole)
    assert settings.bus.kafka is not None
    store = Store.open(database, clock=SystemClock())

    async def placed(cluster: str, _: int) -> int:
        return store.place(cluster, 0)

    async with KafkaBus(settings.bus.kafka, placed) as bus:
        await bus.declare()
        pair = Pair(store, bus, settings)
        yield pair
        for one in (pair.first, pair.second):
            await one.revoked([LOG])
    store.close()


def a_record(offset: int, kind: str) -> Record:
    signal = Signal(
        id=f"s-{offset}",
        source="s",
        type=kind,
        time=datetime.now(UTC),
        cluster="c",
        data={"name": "n"},
    )
    return Record(offset, encode([signal]), b"c", (("from", b"\xff"),), 1_700_000_000_000)


async def test_who_lost_a_log_writes_nothing_and_says_so(pair: Pair) -> None:
    await pair.first.assigned(LOG)
    await pair.second.assigned(LOG)
    with pytest.raises(Fenced):
        await pair.first.take(LOG, a_record(0, "alert"))
    assert pair.first.folds() == {}
    assert "epoch" in pair.first.lost[LOG]
    assert pair.store.firings() == []
    with pytest.raises(Fenced):
        await pair.first.take(LOG, a_record(1, "alert"))
    await pair.second.take(LOG, a_record(0, "alert"))
    assert len(pair.store.firings()) == 1


async def test_a_loss_that_is_seen_beside_the_folding_is_told(pair: Pair) -> None:
    told = asyncio.Event()
    pair.first.gone = lambda _log: told.set()
    await pair.first.assigned(LOG)
    await pair.first.take(LOG, a_record(0, "audit"))
    await pair.second.assigned(LOG)
    async with asyncio.timeout(10):
        await told.wait()
    assert pair.first.folds() == {}


async def test_a_log_that_is_taken_again_is_no_problem_any_more(pair: Pair) -> None:
    await pair.first.assigned(LOG)
    await pair.second.assigned(LOG)
    with pytest.raises(Fenced):
        await pair.first.take(LOG, a_record(0, "alert"))
    start = await pair.first.assigned(LOG)
    assert (start.offset, pair.first.lost) == (0, {})


async def test_a_new_owner_goes_on_where_the_last_one_wrote(pair: Pair) -> None:
    await pair.first.assigned(LOG)
    await pair.first.take(LOG, a_record(0, "alert"))
    await pair.first.revoked([LOG])
    start = await pair.second.assigned(LOG)
    assert (start.offset, start.at_ms) == (1, 1_700_000_000_000)


async def test_lost_records_are_told_of_every_cluster_of_the_log_and_listed_again(
    pair: Pair,
) -> None:
    await pair.first.assigned(LOG)
    await pair.first.take(LOG, a_record(0, "alert"))
    before = pair.store.relists().get(0, 0)
    await pair.first.gap(LOG, 1, 7)
    assert pair.first.folds()[LOG].next_offset == 7
    assert pair.store.relists()[0] == before + 1
    await pair.first.revoked([LOG])
    assert (await pair.second.assigned(LOG)).offset == 7
