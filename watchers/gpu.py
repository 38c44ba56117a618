"""The watcher of GPUs: how each fares, whose work it does, and how much of all is used."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, PositiveFloat

from engine.model.config import Config
from engine.model.errors import ClusterError, MetricsError
from engine.model.ports import Metrics
from engine.model.series import Series
from engine.model.signal import Signal
from watchers import gpu_claims
from watchers.gpu_endpoints import Endpoints
from watchers.gpu_facts import CLAIMS, ENDPOINTS, NODES, PROMETHEUS, SLICES, Claimed, GpuFacts
from watchers.gpu_places import NodeSeen, Places, PodSeen, see_node, see_pod
from watchers.gpu_series import PARTS, QUERY, gpus
from watchers.polling import Looked, faults_of, poll
from watchers.registry import Scene, Source, watcher

_FEW: Final = 5000
"""Series that are not worth a thread."""
Address = Annotated[str, Field(pattern=r"^https?://[^/\s]+(/[^\s#]*)?$")]


class GpuConfig(Config):
    """How GPUs are looked at.

    The Prometheus of the cluster is asked every `every_s` for the series of dcgm-exporter, and so
    are its pages at `endpoints` (URLs; with the token in `token_file`, trusting `ca_file`).
    `allocation`: where there is neither, tell all the same what nodes offer and pods ask for.
    Claims of dynamic resource allocation are read every `claims_every_s`. A GPU that is not told
    of any more counts as taken out after `forget_after_s`, or as soon as its node is gone.
    """

    every_s: PositiveFloat = 30.0
    endpoints: tuple[Address, ...] = ()
    token_file: str | None = None
    ca_file: str | None = None
    allocation: bool = False
    claims_every_s: PositiveFloat = 60.0
    forget_after_s: PositiveFloat = 3600.0


SOURCES: Final = (
    Source(
        PROMETHEUS,
        "use, health and holder of each GPU, of dcgm-exporter",
        "clusters[].prometheus.url",
        (),
    ),
    Source(
        ENDPOINTS,
        "the same, without a Prometheus",
        "clusters[].watchers.gpu.endpoints",
        (),
    ),
    Source(NODES, "GPUs that nodes offer, and where each is"),
    Source(SLICES, "GPUs that drivers of dynamic resource allocation offer", optional=True),
    Source(CLAIMS, "which pods hold those", optional=True),
)


@watcher("gpu", config=GpuConfig, sources=SOURCES)
async def watch_gpu(config: GpuConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `hardware` of kind gpu for each GPU at each look, and how much of all is used.

    A GPU is known by its UUID. An instance of one (MIG) is a device of its own, such as
    `gpu-0/mig-1`, with its use and memory; temperature, power and errors are those of the board.
    `utilization` is the share of time in which a kernel ran (DCGM_FI_DEV_GPU_UTIL), or the engine
    was active where only that is told. `xid` is the last code: DCGM keeps it until the exporter
    or the driver starts anew, so it does not say that the error goes on. A GPU of which nothing
    is told is a gap: its level stays as it is until its node is gone, or it was missed for
    `forget_after_s` while the source could be read. A pod is named only where one alone holds
    the GPU. Series of nodes that this cluster does not have are left out.

    `metric`: gpu_cluster_used_ratio, gpu_model_used_ratio, gpu_allocated_ratio, gpu_pending_pods.

    Source: dcgm-exporter by Prometheus, nodes and pods, ResourceSlices and ResourceClaims.
    """
    reading = {PROMETHEUS: scene.metrics is not None, ENDPOINTS: bool(config.endpoints)}
    if not (any(reading.values()) or config.allocation):
        return
    endpoints = Endpoints(config.endpoints, token_file=config.token_file, ca_file=config.ca_file)
    looking = _Looking(
        config,
        scene,
        endpoints,
        scene.kept.of("nodes", see_node),
        scene.kept.of("pods", see_pod),
    )
    sources = [one.name for one in SOURCES if reading.get(one.name, True)]
    try:
        async for signals in poll("gpu", scene, sources, config.every_s, looking.look):
            yield signals
    finally:
        await endpoints.aclose()


@dataclass
class _Looking:
    config: GpuConfig
    scene: Scene
    endpoints: Endpoints
    nodes: Mapping[str, NodeSeen]
    pods: Mapping[str, PodSeen]
    claimed: Claimed = field(default_factory=Claimed)
    claimed_at: datetime | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    in_parts: bool = False

    async def look(self, at: datetime) -> Looked:
        """Look at all GPUs."""
        kept = self.scene.kept
        await kept.ready("nodes", "pods")
        looked = Looked(patience=timedelta(seconds=self.config.forget_after_s))
        series = await self._series(at, looked)
        found = gpus(series) if len(series) < _FEW else await asyncio.to_thread(gpus, series)
        await self._claims(at)
        looked.faults.update(self.faults)
        places = Places(self.nodes.values(), self.pods, whole=kept.whole("nodes"))
        looked.over = places.gone
        source = PROMETHEUS if self.scene.metrics is not None else ENDPOINTS
        facts = GpuFacts(places, self.claimed, self.scene.owners, source)
        looked.facts += facts.of_devices(found)
        looked.facts += facts.of_use(found)
        if kept.whole("nodes") and kept.whole("pods"):
            looked.facts += facts.of_allocation()
        return looked

    async def _series(self, at: datetime, looked: Looked) -> list[Series]:
        found: list[Series] = []
        if self.scene.metrics is not None:
            try:
                found += await self._asked(self.scene.metrics, at)
            except MetricsError as error:
                looked.faults[PROMETHEUS] = faults_of(error)
                found += error.partial
        if self.config.endpoints:
            try:
                found += await self.endpoints.read(at)
            except MetricsError as error:
                looked.faults[ENDPOINTS] = faults_of(error)
        return found

    async def _asked(self, metrics: Metrics, at: datetime) -> list[Series]:
        """Ask for all series at once; in parts from then on where that is too much."""
        if not self.in_parts:
            try:
                return await metrics.query(QUERY, at)
            except MetricsError as error:
                if error.reason != "too-large":
                    raise
                self.in_parts = True
        return [one for part in PARTS for one in await metrics.query(part, at)]

    async def _claims(self, at: datetime) -> None:
        """Read slices and claims, where their time has come."""
        every = timedelta(seconds=self.config.claims_every_s)
        if self.claimed_at is not None and at - self.claimed_at < every:
            return
        faults: dict[str, str] = {}
        devices = gpu_claims.devices(await self._list(SLICES, faults))
        # Without GPUs that are allocated by claims nobody needs to read claims.
        claims = gpu_claims.claims(await self._list(CLAIMS, faults)) if devices else {}
        self.claimed, self.claimed_at, self.faults = Claimed(devices, claims), at, faults

    async def _list(self, resource: str, faults: dict[str, str]) -> list[dict[str, Any]]:
        try:
            return await self.scene.source.list(resource)
        except ClusterError as error:
            # An API server without this API offers nothing by it: that is no fault.
            if error.reason != "not-found":
                faults[resource] = faults_of(error)
            return []
