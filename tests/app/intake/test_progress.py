"""How far workers anywhere have folded, as a process with sources sees it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from engine import meters
from engine.app.intake.progress import SharedProgress
from engine.bus.kafka import KafkaBus
from engine.model.instant import to_us
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.bus.kafka_setup import Places, a_signal, settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.real
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at


def after(seconds: float) -> int:
    return to_us(START + timedelta(seconds=seconds))


def lag() -> float | None:
    return meters.REGISTRY.get_sample_value("dogwatch_consumer_lag_seconds")


async def declared(bus: KafkaBus) -> None:
    """Make the topics; return once each log has a leader."""
    await bus.declare()
    async with asyncio.timeout(30):
        while len(await bus.ends()) < 3:  # noqa: ASYNC110 - brokers tell nobody of it
            await asyncio.sleep(0.1)


async def test_what_is_committed_of_each_partition_says_how_far_folding_is(
    kafka: Cluster, tmp_path: Path
) -> None:
    clock = Hand()
    store = Store.open(tmp_path / "dogwatch.db", clock=clock)
    store.ask_relist(0)
    places = Places()
    places.kept = {"a": 0, "b": 1}
    async with KafkaBus(settings(kafka, partitions=2), places) as bus:
        await declared(bus)
        progress = SharedProgress(bus, store, clock)
        a, b = [await progress.lane(name) for name in ("a", "b")]
        assert (a, b) == (0, 1)
        clock.at += timedelta(seconds=1)
        await bus.append([a_signal("a", 1)])
        await bus.append([a_signal("a", 2)])
        await progress.look()
        # Nobody has folded `a` yet, and of `b` there is nothing to fold.
        assert (progress.folded_us(a), progress.folded_us(b)) == (after(0), after(1))
        assert lag() == 1
        assert progress.relists("a") == 0

        epoch = store.claim(a)
        store.commit(a, epoch, Commit(1, appended_us=after(0.5)))
        clock.at += timedelta(seconds=9)
        await progress.look()
        assert progress.folded_us(a) == after(0.5)
        assert lag() == pytest.approx(9.5)

        store.commit(a, epoch, Commit(2, appended_us=after(0.7)))
        store.ask_relist(a)
        await progress.look()
        assert progress.folded_us(a) == to_us(clock.at) == after(10)
        assert lag() == 0
        assert (progress.relists("a"), progress.relists("b")) == (1, 0)
    store.close()
