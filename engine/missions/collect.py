"""Collect: read clusters once, so that a mission never talks to one."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from engine.model.errors import ClusterError
from engine.model.ports import Clock, Cluster
from engine.model.snapshot import ClusterSnapshot, Object, Snapshot

LogChoice = Callable[[ClusterSnapshot], Iterable[tuple[str, str, str, bool]]]
AT_ONCE = 10
LOGS_AT_ONCE = 5


async def collect(
    clusters: Mapping[str, Cluster | None],
    resources: Iterable[str],
    logs: LogChoice | None,
    clock: Clock,
    *,
    within_s: float = 60.0,
) -> Snapshot:
    """Read `resources` and the logs that `logs` chooses from each of `clusters`.

    Args:
        clusters: name -> how to reach it; None stands for a cluster that is not configured.
        resources: names such as `pods`, `deployments.apps`.
        logs: chooses (namespace, pod, container, previous) from what was listed.
        clock: gives `taken_at`.
        within_s: seconds for one cluster; what was not read by then is unread.

    Returns:
        One entry a cluster, whatever happened; what could not be read stands in `unread`.
    """
    wanted = tuple(dict.fromkeys(resources))
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, cluster: Cluster | None) -> ClusterSnapshot:
        async with gate:
            if cluster is None:
                why = "not configured: no cluster of this name in the configuration"
                return ClusterSnapshot(name, unread={"cluster": why}, read=frozenset())
            return await take(cluster, wanted, logs, clock, within_s=within_s)

    taken = await asyncio.gather(*(one(name, clusters[name]) for name in sorted(clusters)))
    return Snapshot({snapshot.name: snapshot for snapshot in taken})


async def take(
    cluster: Cluster,
    resources: tuple[str, ...],
    logs: LogChoice | None,
    clock: Clock,
    *,
    within_s: float = 60.0,
) -> ClusterSnapshot:
    """Return the snapshot of one cluster; reads that fail are kept with their reason."""
    reading = _Reading(cluster, clock)
    try:
        async with asyncio.timeout(within_s):
            await reading.objects(resources)
            if logs is not None:
                await reading.logs(logs)
    except TimeoutError:
        reading.late(resources, within_s)
    return reading.snapshot()


class _Reading:
    """One cluster being read; keeps what it has when time runs out."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._taken = ClusterSnapshot(cluster.name, read=frozenset(), taken_at=clock.now())
        self._waiting: set[str] = set()

    async def objects(self, resources: tuple[str, ...]) -> None:
        try:
            identity = await self._cluster.identity()
            version = await self._cluster.version()
        except ClusterError as error:
            self._unread("cluster", error)
            return
        self._taken = replace(self._taken, identity=identity, version=version)
        for resource in resources:
            try:
                found = await self._cluster.list(resource)
            except ClusterError as error:
                self._unread(resource, error)
            else:
                self._add(resource, found)

    async def logs(self, choose: LogChoice) -> None:
        gate = asyncio.Semaphore(LOGS_AT_ONCE)
        wanted = tuple(choose(self._taken))
        self._waiting = {_log_name(*key) for key in wanted}

        async def one(namespace: str, pod: str, container: str, previous: bool) -> None:  # noqa: FBT001 - the key of a log
            key = (namespace, pod, container, previous)
            async with gate:
                try:
                    text = await self._cluster.log((namespace, pod), container, previous=previous)
                except ClusterError as error:
                    self._unread(_log_name(*key), error)
                else:
                    self._taken = replace(self._taken, logs={**self._taken.logs, key: text})
            self._waiting.discard(_log_name(*key))

        await asyncio.gather(*(one(*key) for key in wanted))

    def late(self, resources: tuple[str, ...], within_s: float) -> None:
        why = f"timeout: not read within {within_s:g} s"
        done = {*(self._taken.read or ()), *self._taken.unread}
        missing = dict.fromkeys((*(r for r in resources if r not in done), *self._waiting), why)
        self._taken = replace(self._taken, unread={**self._taken.unread, **missing})

    def snapshot(self) -> ClusterSnapshot:
        return self._taken

    def _add(self, resource: str, found: list[Object]) -> None:
        self._taken = replace(
            self._taken,
            objects=(*self._taken.objects, *found),
            read=(self._taken.read or frozenset()) | {resource},
        )

    def _unread(self, what: str, error: ClusterError) -> None:
        self._taken = replace(
            self._taken, unread={**self._taken.unread, what: f"{error.reason}: {error}"}
        )


def _log_name(namespace: str, pod: str, container: str, previous: bool) -> str:  # noqa: FBT001 - the key of a log
    return f"{'previous log' if previous else 'log'} of {namespace}/{pod}/{container}"
