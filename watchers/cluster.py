"""All watchers of one cluster as one stream of batches for the bus."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from engine.model.config import Config
from engine.model.errors import ClusterError
from engine.model.ports import Clock, Memory, Metrics, Watch
from engine.model.signal import ROSTER, Signal
from engine.model.watch import ResourceStatus
from watchers.memory import Forgetful
from watchers.merge import merge
from watchers.registry import ABSENT, Scene, WatcherKind, cut_off, kinds, lacking, ordered

LOG = structlog.get_logger()
BATCH = 500
_FIRST_WAIT_S = 0.8
_LONGEST_WAIT_S = 30.0
_CHANCE = secrets.SystemRandom()
"""Clusters that went down together must not come back in step."""


async def _nobody(uid: str) -> None:
    """Tell nobody that a cluster was reached."""


@dataclass(frozen=True)
class Means:
    """What the watchers of a cluster have beside its API; see watchers.registry.Scene.

    `met` is told the uid of the cluster each time that it was reached, empty where that is hidden,
    before any watcher begins.
    """

    metrics: Metrics | None = None
    memory: Callable[[str], Memory] = lambda _: Forgetful()
    folder: Path | None = None
    met: Callable[[str], Awaitable[None]] = _nobody


@dataclass
class WatchStatus:
    """How watching one cluster fares, for metrics and readiness.

    `fault` says why the cluster could not be reached at all; `resources` has what is watched, and
    `sources` what is polled (see watchers.registry.Scene).
    """

    fault: str = ""
    resources: dict[str, ResourceStatus] = field(default_factory=dict)
    sources: dict[tuple[str, str], ResourceStatus] = field(default_factory=dict)

    def staleness_s(self, now: datetime) -> float | None:
        """Return the seconds since everything was seen, None while that never was.

        Resources that are forbidden or missing do not count.
        """
        live = [s for s in self.resources.values() if not s.fault.startswith(ABSENT)]
        seen = [s.seen for s in live if s.seen is not None]
        if not seen or len(seen) < len(live):
            return None
        return max(0.0, (now - min(seen)).total_seconds())

    def unreachable(self) -> str:
        """Return why nothing of the cluster is seen now, empty while something is."""
        if not self.resources:
            return self.fault or "not reached yet"
        return cut_off(self.resources.values())

    def unread(self) -> list[str]:
        """Return the sources that cannot be read now; what the cluster lacks is not among them."""
        watched = [
            name
            for name, one in self.resources.items()
            if one.fault and not lacking("", name, one.fault)
        ]
        polled = [
            f"{source} of {watcher}"
            for (watcher, source), one in self.sources.items()
            if one.fault and source not in watched and not lacking(watcher, source, one.fault)
        ]
        return watched + polled


async def watch(
    source: Watch,
    clock: Clock,
    configs: Mapping[str, Config],
    status: WatchStatus | None = None,
    means: Means | None = None,
) -> AsyncGenerator[list[Signal]]:
    """Yield what happens in one cluster, for ever, in batches of up to 500 signals.

    Never raises for a sick cluster: heartbeats stop, a `watcher` signal says why, and all
    goes on when the cluster comes back. A roster says first which watchers run, and again when one
    has nothing more to do.

    Args:
        source: the cluster.
        clock: gives the time of what is told of a cluster that was never reached.
        configs: the watchers to run, by name (see watchers.registry.chosen).
        status: kept up to date, if given.
        means: what they have beside the API.
    """
    status, means = status or WatchStatus(), means or Means()
    identity = ""
    async for told, found in _reach(source, clock, status):
        identity = found
        if told:
            yield told
    await means.met("" if identity == source.name else identity)
    running = set(configs)
    yield [_roster(source.name, running, clock.now())]
    scene = Scene(
        source,
        identity,
        clock,
        means.metrics,
        means.memory,
        status=status.resources,
        sources=status.sources,
        folder=means.folder,
    )
    streams = {
        name: _on_duty(kinds()[name], configs[name], scene, running) for name in ordered(configs)
    }
    async with contextlib.aclosing(merge(streams)) as merged:
        async for came in merged:
            for batch in _batches([signal for _, signals in came for signal in signals]):
                told = _tell_taps(scene, batch)
                yield batch
                if told:
                    yield told
                await asyncio.sleep(0)  # a look may tell of tens of thousands: others want a turn


def _tell_taps(scene: Scene, batch: list[Signal]) -> list[Signal]:
    """Hand `batch` to the taps; one that breaks is told of once, and hinders no other."""
    told = []
    for tap in scene.taps:
        try:
            tap(batch)
        except Exception as error:
            name, cluster = tap.watcher, scene.source.name
            if not tap.broken:
                LOG.exception("a tap broke", watcher=name, cluster=cluster)
                fault = f"broken: {type(error).__name__}"
                told.append(_state(cluster, fault, scene.clock.now(), name))
            tap.broken = True
    return told


async def _on_duty(
    kind: WatcherKind, config: Config, scene: Scene, running: set[str]
) -> AsyncGenerator[list[Signal]]:
    """Run one watcher, and take it off the roster where it ends."""
    async with contextlib.aclosing(_guarded(kind, config, scene)) as batches:
        async for batch in batches:
            yield batch
    running.discard(kind.name)
    yield [_roster(scene.source.name, running, scene.clock.now())]


async def _guarded(kind: WatcherKind, config: Config, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Run one watcher; one that breaks is told of and begun again, and hinders no other."""
    wait_s, broken = _FIRST_WAIT_S, False
    while True:
        try:
            async with contextlib.aclosing(kind.run(config, scene)) as batches:
                async for batch in batches:
                    if broken:
                        yield [_state(scene.source.name, "", scene.clock.now(), kind.name)]
                        broken = False
                    yield batch
        except Exception as error:
            LOG.exception("a watcher broke", watcher=kind.name, cluster=scene.source.name)
            broken, fault = True, f"broken: {type(error).__name__}"
            yield [_state(scene.source.name, fault, scene.clock.now(), kind.name)]
        else:
            return
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


async def _reach(
    source: Watch, clock: Clock, status: WatchStatus
) -> AsyncGenerator[tuple[list[Signal], str]]:
    """Yield what is to be told until the identity is known; the last item has it."""
    wait_s = _FIRST_WAIT_S
    while True:
        fault = ""
        identity = source.name
        try:
            identity = await source.identity()
        except ClusterError as error:
            fault = "" if error.reason in ABSENT else f"{error.reason}: {error}"
        told = [_state(source.name, fault, clock.now())] if fault != status.fault else []
        status.fault = fault
        yield told, identity
        if not fault:
            return
        await asyncio.sleep(_CHANCE.uniform(0, wait_s))
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def _roster(cluster: str, running: Collection[str], at: datetime) -> Signal:
    source = f"watchers/cluster/{cluster}"
    return Signal(
        id=f"{source}/roster/{len(running)}@{at.isoformat()}",
        source=source,
        type=ROSTER,
        time=at,
        cluster=cluster,
        data={"watchers": sorted(running)},
    )


def _state(cluster: str, fault: str, at: datetime, watcher: str = "cluster") -> Signal:
    source = f"watchers/{watcher}/{cluster}"
    return Signal(
        id=f"{source}@{at.isoformat()}",
        source=source,
        type="watcher",
        subject=cluster,
        time=at,
        cluster=cluster,
        data={
            "watcher": watcher,
            "resource": "",
            "state": "unread" if fault else "ok",
            "reason": fault.partition(":")[0],
            "message": fault,
        },
    )


def _batches(signals: list[Signal]) -> Iterator[list[Signal]]:
    for start in range(0, len(signals), BATCH):
        yield signals[start : start + BATCH]
