"""The watchers over real clusters."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest

from engine.cluster.contexts import Context
from engine.model.config import Config
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, Signal
from tests.cluster.proxy import a_proxy
from tests.cluster.readers import a_reader, as_persona, through
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import a_deployment, a_service, chaos
from watchers.cluster import WatchStatus, watch
from watchers.events import EventsConfig
from watchers.objects import ObjectsConfig

pytestmark = pytest.mark.real
BOTH = {"objects": ObjectsConfig(), "events": EventsConfig()}


class Heard:
    """The signals of one cluster so far."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.status = WatchStatus()
        self._news = asyncio.Event()

    def add(self, batch: list[Signal]) -> None:
        self.signals += batch
        self._news.set()

    def of(self, kind: str, namespace: str) -> list[Signal]:
        return [
            s
            for s in self.signals
            if s.data.get("kind") == kind and s.data.get("namespace") == namespace
        ]

    def beats(self, watcher: str) -> list[Signal]:
        return [s for s in self.signals if s.type == HEARTBEAT and f"/{watcher}/" in s.source]

    async def until(self, true: Callable[[], object], what: str, timeout_s: float = 40.0) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {timeout_s} s") from None


@contextlib.asynccontextmanager
async def listening(
    context: Context, configs: Mapping[str, Config] = BOTH
) -> AsyncGenerator[Heard]:
    heard = Heard()

    async def listen() -> None:
        async with a_reader(context) as reader:
            stream = watch(reader, SystemClock(), configs, heard.status)
            async with contextlib.aclosing(stream) as batches:
                async for batch in batches:
                    assert len(batch) <= 500
                    heard.add(batch)

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_crash_loop_is_seen_with_workload_restarts_reason_and_events(kube: Kube) -> None:
    namespace = kube.namespace()
    trouble = chaos("crashloop", exit_code="137", exit_reason="OOMKilled")
    async with listening(as_persona(kube, "reader")) as heard:
        await heard.until(lambda: heard.beats("objects") and heard.beats("events"), "heartbeats")
        kube.create(
            a_deployment("web", namespace, trouble=trouble),
            a_service("web", namespace, selector={"app": "web"}),
        )
        await heard.until(
            lambda: any(
                s.data["restarts"] > 1 for s in heard.of("Pod", namespace) if "restarts" in s.data
            ),
            "restarts",
        )
        await heard.until(
            lambda: any(
                s.type == "k8s.event" and s.data["reason"] == "BackOff"
                for s in heard.of("Pod", namespace)
            ),
            "BackOff event",
        )
        await heard.until(lambda: heard.of("EndpointSlice", namespace), "endpoint slice")
    pods = [s for s in heard.of("Pod", namespace) if s.type == "k8s.object"]
    assert {(s.data["workloadKind"], s.data["workload"]) for s in pods} == {("Deployment", "web")}
    assert any("CrashLoopBackOff" in s.data["waiting"] for s in pods)
    assert any("OOMKilled" in s.data["terminated"] for s in pods)
    restarts = [s.data["restarts"] for s in pods]
    assert restarts == sorted(restarts)
    assert pods[0].data["change"] == "added"
    modified = [s for s in pods if s.data["change"] == "modified"]
    assert all(s.data["old"]["metadata"]["uid"] == s.data["uid"] for s in modified)
    events = [s for s in heard.of("Pod", namespace) if s.type == "k8s.event"]
    assert {s.data["workload"] for s in events} == {"web"}
    assert heard.of("EndpointSlice", namespace)[0].data["service"] == "web"
    assert heard.of("Deployment", namespace)[-1].data["desired"] == 1
    assert len({s.id for s in heard.signals}) == len(heard.signals)
    staleness = heard.status.staleness_s(SystemClock().now())
    assert staleness is not None
    assert staleness < 10


async def test_heartbeats_come_every_five_seconds_behind_what_they_cover(kube: Kube) -> None:
    async with listening(as_persona(kube, "reader")) as heard:
        await heard.until(lambda: len(heard.beats("objects")) >= 3, "three heartbeats")
    times = [s.time for s in heard.beats("objects")]
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    assert all(5 <= gap < 8 for gap in gaps)
    covered = None
    for signal in heard.signals:
        if signal.source != "watchers/objects/west":
            continue
        if signal.type == HEARTBEAT:
            covered = signal.time
        elif covered is not None:
            assert signal.time >= covered


async def test_what_may_not_be_read_is_told_and_the_rest_is_watched(kube: Kube) -> None:
    async with listening(as_persona(kube, "pods-only")) as heard:
        await heard.until(lambda: heard.beats("objects"), "heartbeat")
        await heard.until(lambda: heard.status.resources["events"].fault, "fault of events")
        await heard.until(lambda: heard.beats("events"), "heartbeat of who may see nothing")
    # Who may see nothing misses nothing: that it may not is told, and time goes on.
    told = {s.data["resource"]: s.data["reason"] for s in heard.signals if s.type == "watcher"}
    assert told["nodes"] == told["deployments.apps"] == told["events"] == "forbidden"
    assert not {"pods", "namespaces"} & set(told)


async def test_a_cluster_that_is_down_neither_disturbs_the_other_nor_stays_away(
    kube: Kube, tmp_path: Path
) -> None:
    async with a_proxy(kube.site.api_port) as proxy:
        proxy.cut()
        async with (
            listening(through(proxy.port, kube, tmp_path)) as down,
            listening(as_persona(kube, "reader")) as up,
        ):
            await up.until(lambda: len(up.beats("objects")) >= 2, "heartbeats of the other")
            assert [s.data["reason"] for s in down.signals] == ["unreachable"]
            assert down.status.fault.startswith("unreachable: ")
            proxy.mend()
            await down.until(lambda: down.beats("objects"), "the one that was down", 60)
            assert down.status.fault == ""
            proxy.cut()
            await down.until(
                lambda: any(
                    s.data.get("resource") == "pods" for s in down.signals if s.type == "watcher"
                ),
                "fault of pods",
            )
            count = len(down.beats("objects"))
            await asyncio.sleep(7)
            assert len(down.beats("objects")) <= count + 1
