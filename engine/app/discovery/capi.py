"""Cluster API: Clusters of a management cluster, each with its kubeconfig in a Secret."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from engine.app.discovery.found import Seen, Sighting, texts
from engine.app.discovery.hub import fault, name_in, part, secret, value
from engine.app.discovery.settings import ClusterApiConfig
from engine.cluster.login import Login, from_kubeconfig, server_of
from engine.model.errors import ClusterError
from engine.model.ports import Clock, Watch

RESOURCE: Final = "clusters.cluster.x-k8s.io"
REFRESH: Final = timedelta(minutes=10)
"""How often a kubeconfig is read again: they are renewed every few months."""
_AT_ONCE: Final = 8
_DONE: Final = "Provisioned"


@dataclass(frozen=True)
class _Read:
    """A kubeconfig that was read: of which Cluster (uid), when, and what came of it."""

    uid: str
    at: datetime
    login: Login | None
    fault: str = ""


class CapiClusters:
    """Looks at the Clusters of a management cluster, and now and then at their kubeconfigs."""

    def __init__(self, config: ClusterApiConfig, hub: Watch, clock: Clock) -> None:
        self._config = config
        self._hub = hub
        self._clock = clock
        self._read: dict[str, _Read] = {}

    async def look(self) -> Sighting:
        """Return the Clusters that are not being deleted.

        One without a kubeconfig yet is seen, and not ready.

        Source: Cluster of cluster.x-k8s.io, and its Secret NAME-kubeconfig.
        """
        try:
            found = await self._hub.list(RESOURCE)
        except ClusterError as error:
            return Sighting(faults={"": fault(error)})
        here = {name_in(obj): obj for obj in found if self._counts(obj)}
        self._read = {place: one for place, one in self._read.items() if place in here}
        turn = asyncio.Semaphore(_AT_ONCE)
        await asyncio.gather(*(self._refresh(place, here[place], turn) for place in sorted(here)))
        sighting = Sighting()
        for place, obj in here.items():
            read = self._read[place]
            if read.fault and not read.fault.startswith("not-found"):
                sighting.faults[place] = f"Cluster {place}: {read.fault}"
            else:
                sighting.seen.append(_seen(obj, place, read))
        return sighting

    def _counts(self, obj: Mapping[str, Any]) -> bool:
        metadata, name = part(obj, "metadata"), name_in(obj)
        wanted = self._config.namespaces
        here = not wanted or metadata.get("namespace") in wanted
        return here and "/" in name and not metadata.get("deletionTimestamp")

    async def _refresh(self, place: str, obj: Mapping[str, Any], turn: asyncio.Semaphore) -> None:
        """Read the kubeconfig of a Cluster where it is not known, or not lately."""
        uid, now = str(part(obj, "metadata").get("uid")), self._clock.now()
        before = self._read.get(place)
        known = before is not None and before.uid == uid and before.login is not None
        if before is not None and known and now - before.at < REFRESH:
            return
        namespace, _, name = place.partition("/")
        async with turn:
            try:
                raw = await secret(self._hub, namespace, f"{name}-kubeconfig")
                read = _Read(uid, now, from_kubeconfig(value(raw, "value")))
            except ClusterError as error:
                held = before.login if before is not None and known else None
                read = _Read(uid, now, held, "" if held else fault(error))
        self._read[place] = read


def _seen(obj: Mapping[str, Any], place: str, read: _Read) -> Seen:
    namespace, _, name = place.partition("/")
    parts = {"name": name, "namespace": namespace}
    labels = texts(part(obj, "metadata").get("labels"))
    if read.login is None:
        return Seen(parts, place, labels, problem="it has no kubeconfig yet", ready=False)
    phase = part(obj, "status").get("phase")
    problem = f"its phase is {phase[:40]}" if isinstance(phase, str) and phase != _DONE else ""
    server = server_of(read.login)
    return Seen(parts, place, labels, login=read.login, server=server, problem=problem)
