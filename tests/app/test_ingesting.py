"""What comes by HTTP is looked at; the gauges tell of a cluster that was never reached, too."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine import meters
from engine.app.config import ClusterConfig
from engine.app.ingesting import Watching, accept
from engine.app.reaching import reach
from engine.bus.codec import encode
from engine.bus.embedded import EmbeddedBus
from engine.model.signal import SECOND_STAGE, Signal
from engine.model.watch import ResourceStatus
from engine.store.store import Store


@dataclass
class Hand:
    """A clock that is set by hand."""

    at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


async def test_a_cluster_that_was_never_reached_grows_stale(tmp_path: Path) -> None:
    config = ClusterConfig(name="down", kubeconfig=str(tmp_path / "gone"))
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "signals.db", clock=clock)
    async with reach(config) as reader:
        watching = Watching(config, reader, bus, clock)
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
    batch = [
        Signal(id=kind, source="x", type=kind, time=clock.at, cluster="c1")
        for kind in sorted(SECOND_STAGE)
    ]
    taken = await accept(encode(batch), bus, store, clock)
    assert taken.accepted == await bus.end() == 0
    assert taken.rejected == tuple(
        f"type: signals of type '{kind}' are made by dogwatch itself, of what it saw"
        for kind in sorted(SECOND_STAGE)
    )
    await bus.aclose()
    store.close()
