"""Receivers over an engine: what is posted passes the same door, and a flood stays small."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from engine import meters
from engine.app.config import AppConfig
from engine.app.engine import Engine
from engine.app.receiving import KEPT, Receivers
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import StoreError
from engine.store.store import Store
from engine.web.app import Accepted
from engine.web.receive import Gate, Way
from tests.app.test_ingesting import Hand, an_intake
from tests.watchers.test_alertmanager import a_post, an_alert

EVENTS = {"content-type": "application/cloudevents-batch+json"}


@dataclass
class Inside:
    """The parts of an engine that receivers use."""

    store: Store
    intake: Any
    watched: Any = lambda: {"a"}


@dataclass
class Site:
    receivers: Receivers
    store: Store
    bus: EmbeddedBus
    clock: Hand
    folder: Path

    async def post(self, name: str, body: Any, headers: dict[str, str] | None = None) -> Accepted:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.receivers.receive(name, headers or {}, raw)

    def gate(self, name: str) -> Gate:
        return self.receivers.reception(cast("Any", None)).gates[name]


def counted(receiver: str, reason: str) -> float:
    labels = {"receiver": receiver, "reason": reason}
    return meters.REGISTRY.get_sample_value("dogwatch_receiver_refused_total", labels) or 0


@asynccontextmanager
async def a_site(folder: Path, **more: dict[str, Any]) -> AsyncIterator[Site]:
    (folder / "token").write_text("s3cret\n")
    file = str(folder / "token")
    blocks = {
        "am": {"type": "alertmanager", "token_file": file, "cluster": "home"},
        "ce": {"type": "cloudevents", "basic_file": file, "cluster": "a", "clusters": ["a", "b"]},
        "bare": {"type": "alertmanager", "secret_file": file},
        **more,
    }
    clock = Hand()
    bus = EmbeddedBus(folder / "signals.db", clock=clock)
    store = Store.open(folder / "dogwatch.db", clock=clock)
    intake = an_intake(bus, clock)
    running = asyncio.create_task(intake.run())
    inside = cast("Engine", Inside(store, intake))
    config = AppConfig.model_validate({"receivers": blocks})
    receivers = Receivers(config, lambda: inside, clock)
    try:
        yield Site(receivers, store, bus, clock, folder)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await bus.aclose()
        store.close()


def an_event(**fields: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "e1", "source": "ci", "type": "alert",
            "time": Hand().now().isoformat(), **fields}  # fmt: skip


async def test_good_alerts_are_on_the_bus_when_it_is_answered(tmp_path: Path) -> None:
    async with a_site(tmp_path) as site:
        alerts = [an_alert(fingerprint=str(number)) for number in range(3)]
        assert await site.post("am", a_post(*alerts)) == Accepted(3)
        assert await site.bus.end() == 1


async def test_a_cluster_that_is_not_named_is_that_of_the_receiver_or_refused(
    tmp_path: Path,
) -> None:
    nameless = a_post(an_alert(labels={"cluster": ""}))
    async with a_site(tmp_path) as site:
        assert (await site.post("am", nameless)).accepted == 1
        refused = await site.post("bare", nameless)
        assert refused == Accepted(0, ("cluster: the extension 'cluster' is missing",))
        assert site.store.quarantine_counts() == {"cluster": 1}


async def test_a_sender_speaks_of_its_clusters_only(tmp_path: Path) -> None:
    async with a_site(tmp_path) as site:
        events = [an_event(), an_event(id="e2", cluster="b"), an_event(id="e3", cluster="bank")]
        taken = await site.post("ce", events, EVENTS)
        assert taken == Accepted(2, ("cluster: the sender may not speak of this cluster",))


async def test_what_is_posted_passes_the_door_of_all_signals(tmp_path: Path) -> None:
    later = (Hand().now() + timedelta(minutes=1)).isoformat()
    async with a_site(tmp_path) as site:
        events = [
            an_event(type="mission"), an_event(time=later), an_event(id=""), {"id": 7}, 9
        ]  # fmt: skip
        taken = await site.post("ce", events, EVENTS)
        assert taken.accepted == 0
        reasons = [one.partition(":")[0] for one in taken.rejected]
        assert sorted(reasons) == [
            "bad-attribute", "future", "missing-attribute", "not-an-event", "type",
        ]  # fmt: skip
        assert sum(site.store.quarantine_counts().values()) == 5


async def test_no_sender_speaks_for_a_watcher_or_moves_the_time_of_a_watched_cluster(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path, own={"type": "alertmanager", "secret_file": "x"}) as site:
        beat = {"type": "watcher.heartbeat"}
        events = [
            an_event(id="1", source="watchers/objects/a"),
            an_event(id="2", source="watchers/objects/b", cluster="b", **beat),
            an_event(id="3", source="dogwatch/p1"),
            an_event(id="4", **beat),
            an_event(id="5", cluster="b", **beat),
        ]  # fmt: skip
        taken = await site.post("ce", events, EVENTS)
        assert taken.accepted == 1
        reasons = [one.partition(":")[0] for one in taken.rejected]
        assert reasons == ["source", "source", "source", "heartbeat"]
        own = a_post(an_alert(labels={"cluster": "_dogwatch"}))
        assert (await site.post("own", own)).rejected == (
            "cluster: only dogwatch itself speaks of '_dogwatch'",
        )


async def test_a_flood_is_all_counted_told_once_a_minute_and_kept_in_part(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = counted("am", "bad-form")
    async with a_site(tmp_path) as site:
        for turn in range(3):
            bad = [{"status": f"garbage {turn} {number}"} for number in range(KEPT)]
            taken = await site.post("am", a_post(*bad))
            assert (taken.accepted, len(taken.rejected)) == (0, 100)
        assert counted("am", "bad-form") == before + 3 * KEPT
        assert site.store.quarantine_counts() == {"bad-form": KEPT}
        assert capsys.readouterr().out.count("bad-form") == 1
        site.clock.at += timedelta(minutes=1)
        await site.post("am", a_post({"status": "firing"}))
        assert site.store.quarantine_counts() == {"bad-form": KEPT + 1}
        told = capsys.readouterr().out
        assert (told.count("bad-form"), str(3 * KEPT - 1) in told) == (1, True)


async def test_what_has_no_bytes_is_counted_and_told_only(tmp_path: Path) -> None:
    before = counted("am", "left-out")
    async with a_site(tmp_path) as site:
        taken = await site.post("am", a_post(an_alert(), truncatedAlerts=5))
        assert (taken.accepted, len(taken.rejected)) == (1, 1)
        assert site.store.quarantine_counts() == {}
    assert counted("am", "left-out") == before + 1


async def test_a_signal_too_large_for_the_bus_costs_only_itself(tmp_path: Path) -> None:
    large = an_alert(annotations={"summary": "x" * (2 << 20)}, fingerprint="large")
    async with a_site(tmp_path) as site:
        taken = await site.post("am", a_post(large, an_alert()))
        assert taken.accepted == 1
        assert taken.rejected[0].startswith("too-large: ")


@pytest.mark.parametrize(
    ("name", "way"), [("am", Way.BEARER), ("ce", Way.BASIC), ("bare", Way.PATH)]
)
async def test_the_secret_is_the_first_line_of_its_file_as_it_is_now(
    tmp_path: Path, name: str, way: Way
) -> None:
    async with a_site(tmp_path) as site:
        gate = site.gate(name)
        assert (gate.way, gate.secret()) == (way, "s3cret")
        (tmp_path / "token").write_text("new\nsecond line\n")
        assert gate.secret() == "new"
        for content in (b"", b" \n ", b"\xff\xfe"):
            (tmp_path / "token").write_bytes(content)
            assert gate.secret() is None
        (tmp_path / "token").unlink()
        assert gate.secret() is None


async def test_before_there_is_an_engine_the_sender_is_told_to_come_again() -> None:
    def starting() -> Engine:
        raise StoreError("starting")

    config = {"receivers": {"am": {"type": "alertmanager", "token_file": "token"}}}
    receivers = Receivers(AppConfig.model_validate(config), starting, Hand())
    with pytest.raises(StoreError, match="starting"):
        await receivers.receive("am", {}, b"{}")
