"""Sources of the fleet: each looked at every so often, and what they show put together."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from engine import meters
from engine.app.discovery.argocd import ArgoClusters
from engine.app.discovery.capi import CapiClusters
from engine.app.discovery.folder import Folder
from engine.app.discovery.found import Chosen, Found, Sighting, choose
from engine.app.discovery.ocm import ManagedClusters
from engine.app.discovery.settings import (
    ArgoConfig,
    ClusterApiConfig,
    DiscoverConfig,
    FolderConfig,
    OcmConfig,
)
from engine.model.ports import Clock, Watch

LOG = structlog.get_logger()
LOOK_S: Final = 60.0
"""How often to look where no source says; and how long one look may take."""
_SHOWN: Final = 20
"""Faults of one source that are told."""


class Looker(Protocol):
    """What looks at one source."""

    async def look(self) -> Sighting:
        """Return what it shows now; never raises for a source that is sick."""
        ...


def looker(config: DiscoverConfig, hubs: Mapping[str, Watch], clock: Clock) -> Looker:
    """Return what looks at the source of `config`; `hubs` are the clusters that are asked."""
    match config:
        case ArgoConfig():
            return ArgoClusters(config, hubs[config.cluster])
        case OcmConfig():
            return ManagedClusters(config, hubs[config.cluster])
        case ClusterApiConfig():
            return CapiClusters(config, hubs[config.cluster], clock)
        case FolderConfig():
            return Folder(config)
        case _:
            raise TypeError(f"no source of clusters: {type(config).__name__}")


@dataclass
class _Source:
    config: DiscoverConfig
    looker: Looker
    due: datetime
    chosen: Chosen = field(default_factory=Chosen)
    looks: int = 0


class Sources:
    """The sources in the order of the configuration; those before win where names are the same."""

    def __init__(
        self, configs: Sequence[DiscoverConfig], lookers: Sequence[Looker], clock: Clock
    ) -> None:
        self._clock = clock
        now = clock.now()
        pairs = zip(configs, lookers, strict=True)
        self._sources = {one.label: _Source(one, looker, now) for one, looker in pairs}
        self.tick_s = min((one.every_s for one in configs), default=LOOK_S)
        self.doubled: dict[str, dict[str, str]] = {}

    @property
    def labels(self) -> list[str]:
        """Return the labels of the sources."""
        return list(self._sources)

    async def look(self, *, now: bool = False) -> frozenset[str]:
        """Look at the sources that are due, or at all of them `now`; return whose were."""
        at = self._clock.now()
        due = [one for one in self._sources.values() if now or one.due <= at]
        await asyncio.gather(*(self._look(one) for one in due))
        return frozenset(one.config.label for one in due)

    def wanted(self, taken: Collection[str]) -> dict[str, Found]:
        """Return the clusters found by name, without those whose names are `taken` before."""
        found: dict[str, Found] = {}
        self.doubled = {}
        for label, source in self._sources.items():
            for one in source.chosen.found:
                name = one.config.name
                if name in taken or name in found:
                    by = found[name].source if name in found else "the configuration"
                    why = f"the name '{name}' is taken by {by}"
                    self.doubled.setdefault(label, {})[one.place] = why
                else:
                    found[name] = one
        return found

    def unread(self, label: str, place: str) -> bool:
        """Whether nothing is known of `place` of a source now, so that what was there stays."""
        source = self._sources.get(label)
        if source is None:
            return False
        return not source.looks or bool({"", place} & source.chosen.faults.keys())

    def problems(self) -> dict[str, dict[str, str]]:
        """Return by source and place what is wrong there; few of each."""
        found: dict[str, dict[str, str]] = {}
        for label, source in self._sources.items():
            waits = {one.place: one.problem for one in source.chosen.found if one.problem}
            every = {**waits, **self.doubled.get(label, {}), **source.chosen.faults}
            found[label] = {place: every[place] for place in sorted(every)[:_SHOWN]}
        return found

    async def _look(self, source: _Source) -> None:
        config = source.config
        source.due = self._clock.now() + timedelta(seconds=config.every_s)
        try:
            async with asyncio.timeout(LOOK_S):
                sighting = await source.looker.look()
        except TimeoutError:
            sighting = Sighting(faults={"": f"timeout: a look took more than {LOOK_S:.0f} s"})
        except Exception as error:  # one source must not end all the others
            LOG.exception("a source of clusters broke", source=config.label)
            sighting = Sighting(faults={"": f"broken: {type(error).__name__}"})
        before = source.chosen
        known = {one.config.name: one.place for one in before.found}
        chosen = choose(config, sighting, known)
        if "" in chosen.faults:
            chosen.found = before.found
        else:
            source.looks += 1
        # A fault hides only the places that it names.
        lost = [one for one in before.found if one.place in chosen.faults]
        chosen.found += [one for one in lost if one not in chosen.found]
        self._tell(config.label, before.faults, chosen.faults)
        source.chosen = chosen
        meters.DISCOVERED.labels(config.label).set(len(chosen.found))

    def _tell(self, label: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
        """Say once what became wrong at a source, or right again."""
        for place in sorted(now)[:_SHOWN]:
            if before.get(place) != now[place]:
                LOG.warning("clusters not found", source=label, fault=now[place])
        for place in sorted(before.keys() - now.keys())[:_SHOWN]:
            LOG.info("clusters found again", source=label, place=place)
