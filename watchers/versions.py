"""The watcher of versions: what is installed, how far apart it is, and which APIs are going."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from pydantic import PositiveFloat

from engine.model.config import Config
from engine.model.errors import ClusterError, MetricsError
from engine.model.signal import Signal
from engine.model.watch import WHOLE, Object, Part
from watchers.helm_releases import DEPLOYED, KEY
from watchers.polling import Fact, Looked, faults_of, poll
from watchers.registry import Scene, Source, watcher
from watchers.version_facts import (
    ChartSeen,
    Data,
    minor,
    of_apis,
    of_chart,
    of_kubelet,
    of_operators,
    of_release,
    of_server,
    see_chart,
    see_kubelet,
)

VERSION: Final = "/version"
METRICS: Final = "/metrics"
NODES: Final = "nodes"
SECRETS: Final = "secrets"
WORKLOADS: Final = ("daemonsets.apps", "deployments.apps", "statefulsets.apps")
OPERATORS: Final = "clusterserviceversions.operators.coreos.com"
SUBSCRIPTIONS: Final = "subscriptions.operators.coreos.com"
_ORIGINALS: Final = Part(labels="!olm.copiedFrom")
"""An operator of all namespaces is copied into each of them."""
_SMALL: Final = 256 << 10
"""A page of so many characters is not worth a thread; that of a real server is."""


class VersionsConfig(Config):
    """How versions are looked at, every `every_s`.

    `secrets`: read the Secrets in which Helm keeps its releases, which says more of charts than
    the labels of workloads do; nothing but names and versions is taken of them. As they are large,
    they are read every `secrets_every_s` only. A deprecated API counts as used for
    `api_used_for_s` after the last look that was told of it.
    """

    every_s: PositiveFloat = 300.0
    secrets: bool = False
    secrets_every_s: PositiveFloat = 3600.0
    api_used_for_s: PositiveFloat = 86400.0


SOURCES: Final = (
    Source(VERSION, "version of the API server", verbs=("get",)),
    Source(METRICS, "use of deprecated APIs, of the API server", verbs=("get",), optional=True),
    Source(NODES, "versions of kubelets"),
    *(Source(name, "charts, by the labels of workloads") for name in WORKLOADS),
    Source(SECRETS, "releases of Helm", "clusters[].watchers.versions.secrets", ("get", "list")),
    Source(OPERATORS, "operators that are installed", verbs=("get", "list"), optional=True),
    Source(SUBSCRIPTIONS, "newest versions of operators", verbs=("get", "list"), optional=True),
)


@watcher("versions", config=VersionsConfig, sources=SOURCES)
async def watch_versions(config: VersionsConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `version` for the server, each kubelet, chart, operator and deprecated API in use.

    Where there are several API servers, each tells of its own requests: that one look does not
    find a deprecated API in use ends nothing, that the server no longer serves it does.
    `requests` are those that the API server counted that answered. `newest` is told
    only where the cluster itself knows it.

    Source: /version and /metrics (apiserver_requested_deprecated_apis, apiserver_request_total)
    of the API server, nodes, labels of Helm and its Secrets, objects of OLM.
    """
    looking = _Looking(
        config,
        scene,
        scene.kept.of(NODES, see_kubelet),
        {name: scene.kept.of(name, see_chart) for name in WORKLOADS},
    )
    sources = [one.name for one in SOURCES if one.name != SECRETS or config.secrets]
    async for signals in poll("versions", scene, sources, config.every_s, looking.look):
        yield signals


def _parsed(page: str, at: datetime) -> list[Data]:
    return list(of_apis(page, at))


@dataclass
class _Looking:
    config: VersionsConfig
    scene: Scene
    kubelets: Mapping[str, tuple[str, str]]
    charts: Mapping[str, Mapping[str, ChartSeen]]
    server: str = ""
    releases: list[tuple[str, Data]] = field(default_factory=list)
    releases_at: datetime | None = None

    async def look(self, at: datetime) -> Looked:
        """Look at all versions."""
        await self.scene.kept.ready(NODES, *WORKLOADS)
        faults: dict[str, str] = {}
        patience = timedelta(seconds=self.config.api_used_for_s)
        await self._server(faults)
        await self._releases(at, faults)
        found = [
            *self._fixed(faults),
            *await self._apis(at, faults),
            *self.releases,
            *self._labelled(faults),
            *await self._operators(faults),
        ]
        return Looked(self._completed(found), faults, patience, self._over)

    async def _server(self, faults: dict[str, str]) -> None:
        try:
            self.server = await self.scene.source.version()
        except ClusterError as error:
            faults[VERSION] = faults_of(error)

    def _fixed(self, faults: dict[str, str]) -> Iterator[tuple[str, Data]]:
        if self.server:
            yield VERSION, of_server(self.server)
        if fault := self._unlisted(NODES):
            faults[NODES] = fault
        for node, version in self.kubelets.values():
            yield NODES, of_kubelet(node, version)

    async def _apis(self, at: datetime, faults: dict[str, str]) -> list[tuple[str, Data]]:
        try:
            page = await self.scene.source.text(METRICS)
            parsed = partial(_parsed, page, at)
            apis = parsed() if len(page) < _SMALL else await asyncio.to_thread(parsed)
        except (ClusterError, MetricsError) as error:
            faults[METRICS] = faults_of(error)
            return []
        return [(METRICS, data) for data in apis]

    async def _releases(self, at: datetime, faults: dict[str, str]) -> None:
        """Read the releases, where their time has come; else what was read last is true still."""
        every = timedelta(seconds=self.config.secrets_every_s)
        read = self.releases_at is not None and at - self.releases_at < every
        if read or not self.config.secrets:
            return
        secrets = await self._list(SECRETS, DEPLOYED, faults)
        if SECRETS not in faults:
            self.releases = [
                (SECRETS, of_release(one, one[KEY])) for one in secrets if one.get(KEY)
            ]
            self.releases_at = at

    def _labelled(self, faults: dict[str, str]) -> Iterator[tuple[str, Data]]:
        """Yield the charts by labels, but for those whose release is known."""
        told = {(data["namespace"], data.get("release")) for _, data in self.releases}
        for resource, charts in self.charts.items():
            if fault := self._unlisted(resource):
                faults[resource] = fault
            for seen in sorted(charts.values()):
                if (seen.namespace, seen.release) not in told:
                    yield resource, of_chart(seen)

    async def _operators(self, faults: dict[str, str]) -> list[tuple[str, Data]]:
        versions = await self._list(OPERATORS, _ORIGINALS, faults)
        # Without operators nobody needs to read what they follow.
        subscriptions = await self._list(SUBSCRIPTIONS, WHOLE, faults) if versions else []
        return [(OPERATORS, data) for data in of_operators(versions, subscriptions)]

    async def _list(self, resource: str, part: Part, faults: dict[str, str]) -> list[Object]:
        try:
            return await self.scene.source.list(resource, part)
        except ClusterError as error:
            # What the API server does not know is not installed: that is no fault.
            if error.reason != "not-found":
                faults[resource] = faults_of(error)
            return []

    def _unlisted(self, resource: str) -> str:
        """Return why `resource` was never listed whole, empty where it was."""
        if self.scene.kept.whole(resource):
            return ""
        status = self.scene.status.get(resource)
        return (status.fault if status else "") or f"not-found: nobody watches {resource}"

    def _completed(self, found: list[tuple[str, Data]]) -> list[Fact]:
        """Return the facts, each subject once, with what is known of the server."""
        known = minor(self.server)
        server: dict[str, Any] = {} if known is None else {"serverMinor": known}
        facts: dict[str, Fact] = {}
        for source, data in found:
            names = (data.get(name, "") for name in ("kind", "namespace", "release", "name"))
            subject = "/".join(filter(None, names))
            facts.setdefault(subject, Fact("version", subject, {**data, **server}, source))
        return list(facts.values())

    def _over(self, data: Mapping[str, Any]) -> bool:
        """Whether what a look missed is gone: all but an API that the server still serves."""
        removed, now = data.get("removedMinor"), minor(self.server)
        return data.get("kind") != "api" or (
            isinstance(removed, int) and now is not None and removed <= now
        )
