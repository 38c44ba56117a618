"""What comes by HTTP is looked at; the gauges tell of a cluster that was never reached, too."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from engine import meters
from engine.app.config import ClusterConfig
from engine.app.ingesting import Watching, accept
from engine.app.intake.intake import Intake, Limits
from engine.app.intake.progress import EmbeddedProgress
from engine.app.reaching import reach
from engine.bus.codec import encode
from engine.bus.embedded import EmbeddedBus
from engine.model.signal import NEWS, ROSTER, SECOND_STAGE, Signal
from engine.model.watch import WHOLE, ChangeType, Observation, Part, ResourceStatus
from engine.store.store import Store
from tests.watchers.sources import Script, an_object, change, saw
from watchers.cluster import Means

OWN = sorted({*SECOND_STAGE, ROSTER, NEWS})


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


def an_intake(bus: EmbeddedBus, clock: Hand) -> Intake:
    progress = EmbeddedProgress(bus, lambda: 0, clock)
    return Intake(bus, progress, Limits(1 << 20, 5, 1000), clock)


async def test_a_cluster_that_was_never_reached_grows_stale(tmp_path: Path) -> None:
    config = ClusterConfig(name="down", kubeconfig=str(tmp_path / "gone"))
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "signals.db", clock=clock)
    async with reach(config) as reader:
        watching = Watching(config, reader, an_intake(bus, clock), clock)
        clock.at += timedelta(seconds=90)
        watching.measure()
    await bus.aclose()
    labels = {"cluster": "down"}
    assert meters.REGISTRY.get_sample_value("dogwatch_watch_staleness_seconds", labels) == 90
    assert meters.REGISTRY.get_sample_value("dogwatch_cluster_reachable", labels) == 0
    watching.status.resources["pods"] = ResourceStatus(seen=clock.at)
    watching.measure()
    assert meters.REGISTRY.get_sample_value("dogwatch_cluster_reachable", labels) == 1


def test_no_series_tells_when_another_was_created() -> None:
    meters.SIGNALS.labels("k8s.object").inc()
    meters.STORE_SECONDS.observe(1)
    text = meters.exposition()
    assert b"dogwatch_signals_total" in text
    assert b"_created" not in text


async def test_nobody_else_can_send_what_the_engine_tells_its_second_stage(tmp_path: Path) -> None:
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "signals.db", clock=clock)
    store = Store.open(tmp_path / "dogwatch.db", clock=clock)
    batch = [Signal(id=kind, source="x", type=kind, time=clock.at, cluster="c1") for kind in OWN]
    taken = await accept(encode(batch), an_intake(bus, clock), store, clock)
    assert taken.accepted == await bus.end() == 0
    assert taken.rejected == tuple(
        f"type: signals of type '{kind}' are made by dogwatch itself, of what it saw"
        for kind in OWN
    )
    await bus.aclose()
    store.close()


@dataclass
class Relists:
    """Folding at our own port: it says that a part of the log was lost, when told so."""

    lost: int = 0

    async def lane(self, cluster: str) -> int:
        return 0

    async def look(self) -> None:
        return

    def relists(self, cluster: str) -> int:
        return self.lost

    def folded_us(self, lane: int) -> int:
        return 1 << 62


class Steady(Script):
    """A cluster with one pod; five seconds of its time pass in a moment.

    `steady`: it was watched for a while; `again`: it was listed a second time.
    """

    def __init__(self, *uids: str) -> None:
        super().__init__({}, identity=uids or ("uid",) * 9)
        self.steady = asyncio.Event()
        self.again = asyncio.Event()

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        self.asked.append(resource)
        if self.asked.count(resource) > 1:
            self.again.set()
        yield saw(0, change(ChangeType.SYNCED, an_object("Pod", "a")))
        for beat in count(1):
            await asyncio.sleep(0.01)
            yield saw(5 * beat)
            if beat > 3:
                self.steady.set()


async def test_a_cluster_whose_log_was_lost_in_part_is_listed_anew(tmp_path: Path) -> None:
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "signals.db", clock=clock)
    folding = Relists()
    intake = Intake(bus, folding, Limits(1 << 20, 5, 1000), clock)
    source = Steady()
    config = ClusterConfig(name="west", watchers={"objects": {"resources": ["pods"]}})
    watching = Watching(config, source, intake, clock)
    running = [asyncio.create_task(one) for one in (intake.run(), watching.run())]
    async with asyncio.timeout(20):
        await source.steady.wait()
        assert source.asked.count("pods") == 1
        folding.lost = 1
        await source.again.wait()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await bus.aclose()


async def test_another_cluster_that_answers_in_its_place_is_listed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.app.ingesting.IDENTITY_S", 0.01)
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "signals.db", clock=clock)
    intake = Intake(bus, Relists(), Limits(1 << 20, 5, 1000), clock)
    source, met = Steady("uid-1", "uid-1", *["uid-2"] * 1000), list[str]()

    async def meet(uid: str) -> None:
        met.append(uid)

    config = ClusterConfig(name="west", watchers={"objects": {"resources": ["pods"]}})
    watching = Watching(config, source, intake, clock, Means(met=meet))
    running = [asyncio.create_task(one) for one in (intake.run(), watching.run())]
    async with asyncio.timeout(20):
        await source.again.wait()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await bus.aclose()
    assert met == ["uid-1", "uid-2"]
