"""One cluster of the fleet, and what the fleet as a whole says of its clusters."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from engine import meters
from engine.app.config import ClusterConfig
from engine.app.discovery.found import Found
from engine.app.fleet_passages import Passages, Reached
from engine.app.fleet_register import Record
from engine.app.ingesting import Watching
from engine.app.intake.intake import Intake
from engine.app.leasing import Hold
from engine.changes.policy import Place
from engine.cluster.reader import Reader
from engine.model.ports import Metrics
from engine.store.store import Store

LOG = structlog.get_logger()
AGAIN_S: Final = 10.0
"""Seconds until a cluster is watched again whose watch broke."""


@dataclass
class Member:
    """One cluster of the fleet since `since`; `found` is None for one of the configuration."""

    config: ClusterConfig
    found: Found | None
    reader: Reader
    metrics: Metrics | None
    open: AsyncExitStack
    since: datetime
    watching: Watching | None = None
    task: asyncio.Task[None] | None = None

    def reached(self, uid: str) -> Reached:
        """Return who it is, now that its uid is known."""
        name, labels = self.config.name, tuple(sorted(self.config.labels.items()))
        if self.found is None:
            return Reached(name, uid, labels=labels)
        return Reached(name, uid, self.found.source, self.found.place, self.found.server, labels)


@dataclass
class Duty:
    """What watching clusters takes."""

    store: Store
    intake: Intake
    leases: Hold
    passages: Passages
    folder: Path


@dataclass(frozen=True)
class Places(Mapping[str, Place]):
    """What policies and targets choose the clusters of the fleet by, as it is now."""

    members: Mapping[str, Member] = field(repr=False)

    def __getitem__(self, name: str) -> Place:
        config = self.members[name].config
        return Place(config.labels, tuple(config.groups))

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)


def origins(
    members: Mapping[str, Member], records: Mapping[str, Record]
) -> dict[str, tuple[str, str]]:
    """Return (source, place) of all that may have gone: found members, and who was known."""
    known = {name: (one.source, one.place) for name, one in records.items()}
    found = {
        name: (one.found.source, one.found.place)
        for name, one in members.items()
        if one.found is not None
    }
    fixed = {name for name, one in members.items() if one.found is None}
    return {name: at for name, at in {**known, **found}.items() if name not in fixed}


async def guarded(watching: Watching) -> None:
    """Watch a cluster for ever: what breaks there is its own problem, and is begun again."""
    while True:
        try:
            await watching.run()
        except Exception as error:  # one cluster must not end the watch of all others
            LOG.exception("the watch of a cluster broke", cluster=watching.config.name)
            watching.status.fault = f"broken: {type(error).__name__}"
            watching.status.resources.clear()
        await asyncio.sleep(AGAIN_S)


def unmeasure(name: str) -> None:
    """Show no gauges of a cluster that is gone."""
    for gauge in (meters.STALENESS, meters.REACHABLE, meters.UNREAD):
        with suppress(KeyError):  # it was never set
            gauge.remove(name)
