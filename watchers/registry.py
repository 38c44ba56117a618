"""The watchers: one file and one registered function each."""

import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

from engine.analysis.veil import Mark, salted
from engine.model.config import Config
from engine.model.ports import Clock, Memory, Metrics, SystemClock, Watch
from engine.model.signal import Signal
from engine.model.watch import WHOLE, Observation, Part, ResourceStatus
from watchers.kept import Kept
from watchers.memory import Forgetful
from watchers.owners import Owners

NAMES = (
    "audit",
    "certificates",
    "devices",
    "drift",
    "events",
    "gpu",
    "metrics",
    "objects",
    "predictions",
    "versions",
)
"""Every watcher that a cluster may have, in order: `watchers.NAME` registers it."""
FEEDING = ("objects", "events")
"""What the others take objects and Events off."""
ABSENT = ("forbidden", "not-found")
"""Faults of what is not there to be seen, or not for us."""
Tap = Callable[[list[Signal]], None]


@dataclass(eq=False)
class Tapped:
    """A tap of a watcher, and whether it ever broke."""

    watcher: str
    tap: Tap
    broken: bool = False

    def __call__(self, batch: list[Signal]) -> None:
        """Hand `batch` on."""
        self.tap(batch)


@dataclass(frozen=True)
class Scene:
    """What the watchers of one cluster share.

    Attributes:
        source: the cluster.
        identity: uid of its kube-system, or its name where that can not be read.
        clock: wall clock.
        metrics: the Prometheus of the cluster, None where the configuration names none.
        memory: gives a watcher, by its name, what it remembers over restarts.
        owners: who owns what; filled by the watcher of objects.
        kept: small views of the objects that the watcher of objects sees.
        taps: each is handed every batch of signals of this cluster before it is published.
        status: how the watch of each resource fares, by resource.
        sources: the same of those that poll, by watcher and source, as of the last look.
        folder: where files may be kept for the next start, None: nowhere.
        mark: what stands for a credential that is taken out of an object.
    """

    source: Watch
    identity: str
    clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics | None = None
    memory: Callable[[str], Memory] = lambda _: Forgetful()
    owners: Owners = field(default_factory=Owners)
    kept: Kept = field(default_factory=Kept)
    taps: list[Tapped] = field(default_factory=list)
    status: dict[str, ResourceStatus] = field(default_factory=dict)
    sources: dict[tuple[str, str], ResourceStatus] = field(default_factory=dict)
    folder: Path | None = None
    mark: Mark = field(default_factory=lambda: salted(secrets.token_bytes(32)))

    @property
    def cut_off(self) -> str:
        """Why nothing that is watched of the cluster can be seen now, empty while something is."""
        return cut_off(self.status.values())

    def watch(self, resource: str, part: Part = WHOLE) -> AsyncGenerator[Observation]:
        """Watch `resource`, or a part of it, keeping its status."""
        status = self.status.setdefault(resource, ResourceStatus())
        return self.source.watch(resource, status, part)

    @contextmanager
    def tapped(self, tap: Tap, watcher: str) -> Iterator[None]:
        """Hand every batch of this cluster to `tap`, of `watcher`, within the context."""
        tapped = Tapped(watcher, tap)
        self.taps.append(tapped)
        try:
            yield
        finally:
            self.taps.remove(tapped)


def cut_off(watched: Iterable[ResourceStatus]) -> str:
    """Return why nothing of what is watched can be seen, empty while something is, or may be.

    What is forbidden or missing does not count.
    """
    faults = [one.fault for one in watched if not one.fault.startswith(ABSENT)]
    return faults[0] if all(faults) and faults else ""


Run = Callable[[Any, Scene], AsyncGenerator[list[Signal]]]


@dataclass(frozen=True)
class Source:
    """One thing that a watcher reads, as `dogwatch doctor` and the RBAC manifests know it.

    Attributes:
        name: a resource (`pods`, `secrets`, `certificates.cert-manager.io`), a path of the API
            server (`/metrics`), or a word of its own (`prometheus`): `resource` of the `watcher`
            signals that tell of it.
        gives: what is known by it, in words.
        setting: what turns it on where it is not on by itself, such as `clusters[].prometheus.url`.
        verbs: the rights that it takes; none for what is no part of the API server.
        optional: many clusters do not have it: then that is no fault.
    """

    name: str
    gives: str
    setting: str = ""
    verbs: tuple[str, ...] = ("get", "list", "watch")
    optional: bool = False


@dataclass(frozen=True)
class WatcherKind:
    """One registered watcher; `default`: it runs where the configuration does not say."""

    name: str
    config: type[Config]
    run: Run
    sources: tuple[Source, ...] = ()
    default: bool = True

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


_KINDS: dict[str, WatcherKind] = {}


def watcher(
    name: str, *, config: type[Config], sources: tuple[Source, ...] = (), default: bool = True
) -> Callable[[Run], Run]:
    """Register an async generator of batches of signals as the watcher `name`."""

    def register(run: Run) -> Run:
        if name in _KINDS:
            raise ValueError(f"a watcher named {name} is registered already")
        _KINDS[name] = WatcherKind(name, config, run, sources, default)
        return run

    return register


def kinds() -> Mapping[str, WatcherKind]:
    """Return the watchers by name, in order, each imported."""
    for name in NAMES:
        import_module(f"watchers.{name}")
    return MappingProxyType({name: _KINDS[name] for name in sorted(_KINDS)})


def lacking(watcher: str, source: str, fault: str) -> bool:
    """Say whether `fault` of a source only tells that the cluster does not have it, as many do.

    That goes for what the API server serves; a file or an address that was configured is missed.
    """
    if not fault.startswith("not-found"):
        return False
    known = kinds().get(watcher)
    name = source.partition("/")[0]
    return all(one.verbs for one in known.sources if one.name in {name, source}) if known else True


def ordered(names: Iterable[str]) -> list[str]:
    """Return the watchers in the order in which they begin.

    Those that feed others come last: so what is taken off their stream begins with its beginning.
    """
    return sorted(names, key=lambda name: (name in FEEDING, name))


def chosen(blocks: Mapping[str, Any]) -> dict[str, Config]:
    """Return the config of each watcher to run, by name.

    Args:
        blocks: by name of watcher a mapping of options, true, or false for not to run it.

    Raises:
        KeyError: no watcher has that name.
        pydantic.ValidationError: options are refused.
    """
    known = kinds()
    given = {name: {} if block is True else block for name, block in blocks.items()}
    named = {**{name: {} for name, kind in known.items() if kind.default}, **given}
    return {
        name: known[name].config.model_validate(block)
        for name, block in named.items()
        if block is not False
    }
