"""What the sources of clusters give: for `dogwatch watch` and `dogwatch doctor`."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from engine.app import logs
from engine.app.config import AppConfig, ClusterConfig
from engine.app.configured import load_config
from engine.app.fleet import Fleet
from engine.app.reaching import metrics_of
from engine.cluster.reader import Reader
from engine.model.config import Config
from engine.model.errors import ClusterError, DogwatchError, nearest
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import ResourceStatus
from watchers.cluster import Means, watch
from watchers.once import Once, active, once
from watchers.registry import FEEDING, Scene, Source, WatcherKind, chosen, kinds

LIMIT_S = 60.0
"""How long the sources of one cluster may take to be read once."""


class State(StrEnum):
    """How a source fares: read; not configured; the cluster lacks it, as many do; or why not."""

    OK = "ok"
    OFF = "off"
    ABSENT = "absent"
    FAULT = "fault"


@dataclass(frozen=True)
class Checked:
    """One source of one cluster: what it gives, how it fares, why, and what would give it.

    `seen` counts what was found there: objects, series, devices ...
    """

    cluster: str
    watcher: str
    source: str
    state: State
    gives: str = ""
    seen: int = 0
    why: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Looked:
    """One cluster as its watchers saw it once; `fault` says why nothing of it can be reached."""

    cluster: str
    version: str = ""
    identity: str = ""
    fault: str = ""
    sources: tuple[Checked, ...] = ()
    signals: tuple[Signal, ...] = ()


def _nobody(progress: str) -> None:
    """Tell nobody how far it is."""


async def look(
    config: str,
    named: Sequence[str],
    watchers: Sequence[str] = (),
    tell: Callable[[str], None] = _nobody,
) -> list[Looked]:
    """Return each cluster of `named`, or all, as `watchers`, or all that are on, see it once.

    Those that are found are among them, and where none could be found one with the fault. `tell`
    is told how far it is, as it may take a minute.

    Raises:
        ConfigError: the configuration is refused.
        DogwatchError: there is no such cluster or watcher.
    """
    async with _met(load_config(config)) as fleet:
        clusters = clusters_of(fleet, named)
        looks = (_looked(one, fleet[one.name], watchers, tell) for one in clusters)
        faults = [] if named else fleet.faults()
        return [
            *await asyncio.gather(*looks),
            *(Looked(place or label, fault=f"{label}: {why}") for label, place, why in faults),
        ]


def lacks(found: Looked) -> list[str]:
    """Return what cannot be read of a cluster and why, or that nothing is there to be read."""
    if found.fault:
        return [f"{found.cluster}: {found.fault}"]
    faults = [
        f"{found.cluster} {one.source}: {one.why}{f'; give it {one.fix}' if one.fix else ''}"
        for one in found.sources
        if one.state is State.FAULT
    ]
    idle = all(one.state in {State.OFF, State.ABSENT} for one in found.sources)
    if faults or found.signals or not idle:
        return faults
    watcher = found.sources[0].watcher if found.sources else ""
    why = [one.fix or f"{one.source}: {one.why}" for one in found.sources if one.fix or one.why]
    return [f"{found.cluster} {watcher}: nothing to read; {' or '.join(why)}"]


async def follow(config: str, named: Sequence[str], watcher: str) -> AsyncGenerator[list[Signal]]:
    """Yield what `watcher` would publish of the cluster in `named`, for ever. Raises as `look`."""
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(_met(load_config(config)))
        clusters = clusters_of(fleet, named)
        if len(clusters) != 1:
            raise DogwatchError("to follow, name one cluster: --cluster NAME")
        (cluster,) = clusters
        wanted = f"watchers/{watcher}/{cluster.name}"
        means = Means(await stack.enter_async_context(metrics_of(cluster)))
        configs = _configs(cluster, [watcher])
        stream = watch(fleet[cluster.name], SystemClock(), configs, means=means)
        async for batch in await stack.enter_async_context(aclosing(stream)):
            if own := [one for one in batch if one.source == wanted and one.type != HEARTBEAT]:
                yield own


@asynccontextmanager
async def _met(settings: AppConfig) -> AsyncIterator[Fleet]:
    """Give the clusters that are named, and those that are found at the first look."""
    logs.quiet()  # what is wrong is said in the answer
    async with AsyncExitStack() as stack:
        fleet = Fleet(settings, SystemClock())
        await fleet.open(stack)
        if not settings.discover:
            yield fleet
            return
        running = asyncio.create_task(fleet.run())
        try:
            await fleet.look_again(now=False)
            yield fleet
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def clusters_of(fleet: Fleet, named: Sequence[str]) -> list[ClusterConfig]:
    """Return the clusters of `fleet` of these names, or all.

    Raises:
        DogwatchError: there is none of that name, or none at all.
    """
    known = {one.name: one for one in fleet.configs()}
    for name in named:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise DogwatchError(f"no cluster '{name}'; known: {listed}{nearest(name, known)}")
    if not known and not fleet.faults():
        raise DogwatchError("the configuration names no clusters, and finds none")
    return [known[name] for name in named] if named else list(known.values())


def watcher_named(name: str) -> WatcherKind:
    """Return the watcher of that name. Raises DogwatchError: there is none."""
    known = kinds()
    if name not in known:
        listed = ", ".join(sorted(known))
        raise DogwatchError(f"no watcher '{name}'; known: {listed}{nearest(name, known)}")
    return known[name]


def _configs(cluster: ClusterConfig, watchers: Sequence[str]) -> dict[str, Config]:
    """Return the configs of `watchers`, on or not, and of those that feed them; or of all on."""
    on = chosen(cluster.watchers)
    if not watchers:
        return on
    wanted = chosen({name: cluster.watchers.get(name) or True for name in watchers})
    return {name: one for name, one in (on | wanted).items() if name in {*watchers, *FEEDING}}


async def _looked(
    cluster: ClusterConfig,
    reader: Reader,
    watchers: Sequence[str],
    tell: Callable[[str], None],
) -> Looked:
    tell(f"looking at cluster {cluster.name}, up to {LIMIT_S:.0f} s")
    async with metrics_of(cluster) as metrics:
        try:
            version = await reader.version()
            identity = await reader.identity()
        except ClusterError as error:
            return Looked(cluster.name, fault=f"{error.reason}: {error}")
        scene = Scene(reader, identity, SystemClock(), metrics)
        configs = _configs(cluster, watchers)
        found = await once(configs, scene, LIMIT_S)
        lacked = await _lacked(reader)
    tell(f"looked at cluster {cluster.name}")
    asked = [watcher_named(name) for name in watchers or sorted(kinds())]
    checked = [
        one for kind in asked for one in _checked(cluster, kind, found.get(kind.name), scene)
    ]
    checked = [_absent(one) if one.source in lacked else one for one in checked]
    signals = [one for kind in asked if kind.name in found for one in found[kind.name].found]
    return Looked(cluster.name, version, identity, "", tuple(checked), tuple(signals))


async def _lacked(reader: Reader) -> set[str]:
    """Return the resources that many clusters lack, and this one does: its discovery says so.

    A watcher may see nothing of them and say nothing.
    """
    optional = {
        source.name
        for kind in kinds().values()
        for source in kind.sources
        if source.optional and source.verbs and not source.name.startswith("/")
    }
    lacked = set()
    for name in sorted(optional):
        with suppress(ClusterError):  # what cannot be asked is told by its watcher
            if not await reader.serves(name):
                lacked.add(name)
    return lacked


def _absent(one: Checked) -> Checked:
    if one.state in {State.OK, State.OFF} and not one.seen:
        return replace(one, state=State.ABSENT, why="this cluster does not have it", fix="")
    return one


def _checked(
    cluster: ClusterConfig, kind: WatcherKind, ran: Once | None, scene: Scene
) -> Iterator[Checked]:
    if ran is None:
        off = cluster.watchers.get(kind.name) is False
        why = "its setting is false" if off else ""
        fix = "" if off else f"set clusters[].watchers.{kind.name}"
        gives = told(kind.summary)
        yield Checked(cluster.name, kind.name, "", State.OFF, gives, why=why, fix=fix)
        return
    for source, how in active(kind, scene):
        state, why, fix = _judged(source, how, ran)
        seen = how.objects if how else 0
        yield Checked(cluster.name, kind.name, source.name, state, source.gives, seen, why, fix)


def told(summary: str) -> str:
    """Return what a watcher tells, without the word of its docstring and the marks of a page."""
    return summary.removeprefix("Yield ").rstrip(".").replace("`", "")


def _judged(source: Source, how: ResourceStatus | None, ran: Once) -> tuple[State, str, str]:
    """Return how a source fares, why, and what would give it."""
    if how is None:
        if source.setting or ran.ended:
            return State.OFF, "", f"set {source.setting}" if source.setting else ""
        return State.FAULT, f"timeout: not read within {LIMIT_S:.0f} s", ""
    reason = how.fault.partition(":")[0]
    if not reason:
        return State.OK, "", ""
    if reason == "not-found" and source.optional and source.verbs:
        return State.ABSENT, how.fault, ""
    why = how.fault if source.verbs or not source.setting else f"{how.fault} ({source.setting})"
    return State.FAULT, why, right(source) if reason == "forbidden" else ""


def right(source: Source) -> str:
    """Return the rule of RBAC that lets `source` be read; empty where there is none."""
    verbs = ", ".join(source.verbs)
    if not source.verbs:
        return ""
    if source.name.startswith("/"):
        return f"{{nonResourceURLs: [{source.name}], verbs: [{verbs}]}}"
    plural, _, group = source.name.partition(".")
    return f'{{apiGroups: ["{group}"], resources: [{plural}], verbs: [{verbs}]}}'
