"""Stages: in which order the resources of one cluster are listed."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from watchers.heartbeat import Pulse
from watchers.relations import RELATED

OWNING: Final = ("replicasets.apps", "jobs.batch")
"""Listed before the others, so that a Pod's workload is known when the Pod is seen."""
PATIENCE: Final = timedelta(minutes=1)
"""For how long a resource that cannot be read for now is waited for."""


class Stages:
    """When each resource is listed: owners first, and last those that the others say things of."""

    def __init__(self, resources: Sequence[str], pulse: Pulse) -> None:
        self._pulse = pulse
        self._first = [name for name in OWNING if name in resources]
        self._others = [name for name in resources if name not in RELATED]
        self._last = [name for name in RELATED if name in resources]
        self._begun, self._whole = asyncio.Event(), asyncio.Event()
        self._since: datetime | None = None
        if not self._first:
            self._begun.set()
        if not self._others:
            self._whole.set()

    def gate(self, resource: str) -> asyncio.Event | None:
        """Return what is to be waited for before `resource` is listed."""
        if resource in self._first:
            return None
        return self._whole if resource in self._last else self._begun

    def move(self) -> None:
        """Open the gates that need not be waited for any more."""
        if self._pulse.settled(self._first):
            self._begun.set()
        at = self._pulse.latest
        self._since = self._since or at
        patient = at is None or self._since is None or at - self._since < PATIENCE
        ready = self._pulse.known if patient else self._pulse.settled
        if ready(self._others):
            self._whole.set()
