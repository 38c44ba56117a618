"""metrics-server: the use of nodes and pods, where no Prometheus gives it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from engine.analysis.field import at as field_at
from engine.analysis.field import instant, mappings, text
from engine.analysis.quantity import parse
from engine.model.errors import ClusterError
from engine.model.ports import Watch
from engine.model.watch import Object
from watchers.aside import aside
from watchers.metric_facts import PodUse, Sample
from watchers.placing import RESOURCES, Places, number
from watchers.polling import faults_of
from watchers.registry import ABSENT

NODES: Final = "nodes.metrics.k8s.io"
PODS: Final = "pods.metrics.k8s.io"
_AGAIN: Final = timedelta(minutes=5)
"""When to ask again a server that is not there, or that may not be asked."""
_STALE: Final = timedelta(minutes=5)
"""An older value is none: metrics-server renews them every minute at least."""


@dataclass
class Served:
    """What metrics-server gave: use of pods by resource, shares of the nodes, faults by source."""

    pods: dict[str, PodUse] = field(default_factory=dict)
    nodes: list[Sample] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)


class MetricsServer:
    """Asks the metrics-server of a cluster, every `every_s` seconds at most."""

    def __init__(self, source: Watch, every_s: float) -> None:
        self._source = source
        self._every = timedelta(seconds=every_s)
        self._next: dict[str, datetime] = {}
        self._faults: dict[str, str] = {}

    async def ask(self, at: datetime, places: Places, *, nodes: bool, pods: bool) -> Served:
        """Return what is new of the nodes and of the pods; never raises for a sick server."""
        served = Served()
        if nodes:
            found = await self._list(NODES, at)
            served.nodes = await aside(partial(_of_nodes, found, at, places), len(found))
        if pods:
            served.pods = {resource: PodUse(resource, places) for resource in RESOURCES}
            found = await self._list(PODS, at)
            await aside(partial(_take_pods, found, at, served.pods), len(found))
        served.faults = {name: fault for name, fault in self._faults.items() if fault}
        return served

    async def _list(self, resource: str, at: datetime) -> list[Object]:
        # A look that came a little early is one that is due.
        if self._next.get(resource, at) > at + self._every / 10:
            return []
        self._next[resource] = at + self._every
        self._faults[resource] = ""
        try:
            return await self._source.list(resource)
        except ClusterError as error:
            self._faults[resource] = faults_of(error)
            if error.reason in ABSENT:
                self._next[resource] = at + _AGAIN
            return []


def _of_nodes(found: Iterable[Object], at: datetime, places: Places) -> list[Sample]:
    return [share for one in found for share in _node_shares(one, at, places)]


def _take_pods(found: Iterable[Object], at: datetime, pods: Mapping[str, PodUse]) -> None:
    for one in found:
        for resource, container, amount in _pod_amounts(one, at):
            pods[resource].add(*_pod(one), container, amount)


def _node_shares(metrics: Object, at: datetime, places: Places) -> Iterator[Sample]:
    name = text(metrics, "metadata", "name")
    node = places.nodes.get(name)
    if node is None or not _is_new(metrics, at):
        return
    for resource in RESOURCES:
        used, has = _amount(metrics, resource), node.capacity.get(resource)
        if used is not None and has:
            yield Sample(f"node_{resource}_used_ratio", {"node": name}, used / has)


def _pod_amounts(metrics: Object, at: datetime) -> Iterator[tuple[str, str, float]]:
    """Yield resource, container and amount; of a resource all containers, or none."""
    containers = mappings(metrics, "containers")
    if not _is_new(metrics, at):
        return
    for resource in RESOURCES:
        amounts = [(text(one, "name"), _amount(one, resource)) for one in containers]
        known = [(resource, name, amount) for name, amount in amounts if amount is not None]
        if len(known) == len(amounts):
            yield from known


def _pod(metrics: Object) -> tuple[str, str]:
    return text(metrics, "metadata", "namespace"), text(metrics, "metadata", "name")


def _is_new(metrics: Object, at: datetime) -> bool:
    told = instant(metrics, "timestamp")
    return told is None or told > at - _STALE


def _amount(holder: Any, resource: str) -> float | None:
    value = number(parse(field_at(holder, "usage", resource)))
    return value if value is not None and value >= 0 else None
