"""The watchers: one file and one registered function each."""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.model.config import Config
from engine.model.ports import Watch
from engine.model.signal import Signal
from engine.model.watch import Observation, ResourceStatus
from watchers.owners import Owners


@dataclass(frozen=True)
class Scene:
    """What the watchers of one cluster share.

    Attributes:
        source: the cluster.
        identity: uid of its kube-system, or its name where that can not be read.
        owners: who owns what; filled by the watcher of objects.
        status: how the watch of each resource fares, by resource.
    """

    source: Watch
    identity: str
    owners: Owners = field(default_factory=Owners)
    status: dict[str, ResourceStatus] = field(default_factory=dict)

    def watch(self, resource: str) -> AsyncGenerator[Observation]:
        """Watch `resource`, keeping its status."""
        status = self.status.setdefault(resource, ResourceStatus())
        return self.source.watch(resource, status)


Run = Callable[[Any, Scene], AsyncGenerator[list[Signal]]]


@dataclass(frozen=True)
class WatcherKind:
    """One registered watcher."""

    name: str
    config: type[Config]
    run: Run


_KINDS: dict[str, WatcherKind] = {}


def watcher(name: str, *, config: type[Config]) -> Callable[[Run], Run]:
    """Register an async generator of batches of signals as the watcher `name`."""

    def register(run: Run) -> Run:
        if name in _KINDS:
            raise ValueError(f"a watcher named {name} is registered already")
        _KINDS[name] = WatcherKind(name, config, run)
        return run

    return register


def kinds() -> Mapping[str, WatcherKind]:
    """Return the registered watchers by name."""
    return MappingProxyType(_KINDS)
