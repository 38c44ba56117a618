"""The watcher of metrics: time series as signals, from where a cluster has them."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from engine.metrics.usage import MEMORY
from engine.model.config import Config
from engine.model.signal import Signal
from watchers.aside import aside
from watchers.metric_asking import Asked, Asking, QueryConfig
from watchers.metric_facts import Sample, facts
from watchers.metric_queries import SHIPPED, USAGE, Shipped
from watchers.metric_scraping import ScrapeConfig, Scraping
from watchers.metric_server import NODES, PODS, MetricsServer, Served
from watchers.metric_use import Usage
from watchers.placing import Places, node_view, pod_view
from watchers.polling import Looked, poll
from watchers.registry import Scene, Source, watcher

PROMETHEUS: Final = "prometheus"
SCRAPE: Final = "scrape"
_LIMITS_EVERY: Final = timedelta(minutes=5)
_NODE_USE: Final = ("node_cpu_used_ratio", "node_memory_used_ratio")
_POD_USE: Final = ("pod_cpu_used_ratio", "pod_memory_used_ratio")


class MetricsConfig(Config):
    """Every `every_s` seconds all metrics are looked up, each by one query for the whole cluster.

    `queries` are asked beside the shipped ones, of which those in `without` are left out; one with
    the name of a shipped one takes its place. `scrape` are endpoints that are read directly.
    `usage` says where the use of nodes and pods comes from: `auto` asks metrics-server for what
    the Prometheus does not give, every `usage_every_s` seconds; `off` asks neither.
    """

    every_s: PositiveFloat = 15.0
    queries: tuple[QueryConfig, ...] = ()
    without: tuple[str, ...] = ()
    scrape: tuple[ScrapeConfig, ...] = ()
    usage: Literal["auto", "prometheus", "metrics-server", "off"] = "auto"
    usage_every_s: PositiveFloat = Field(default=30.0, ge=10.0)

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [query.name for query in self.queries]
        if double := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"queries: more than one is named {', '.join(double)}")
        if unknown := sorted(set(self.without) - set(SHIPPED)):
            known = ", ".join(sorted(SHIPPED))
            raise ValueError(f"without: there is no query '{unknown[0]}'; known: {known}")
        return self


@watcher(
    "metrics",
    config=MetricsConfig,
    sources=(
        Source(
            PROMETHEUS,
            "metrics of nodes, pods, volumes and model servers, and your own queries",
            setting="clusters[].prometheus.url",
            verbs=(),
        ),
        Source(NODES, "CPU and memory in use of each node", verbs=("get", "list"), optional=True),
        Source(PODS, "CPU and memory in use of each pod", verbs=("get", "list"), optional=True),
        Source(
            SCRAPE,
            "metrics of endpoints that are read directly",
            setting="clusters[].watchers.metrics.scrape",
            verbs=(),
        ),
    ),
)
async def watch_metrics(config: MetricsConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `metric` for each series and look, with labels and units as in the schema.

    A gap is a gap: what is not there, NaN or stale is not told. The time of a signal is the end
    of the look. `up` is 1 or 0 for each endpoint that is scraped.

    Source: the HTTP API of Prometheus, metrics.k8s.io, pages in the format of Prometheus.
    """
    sources = _sources(config, scene)
    if not sources:
        return
    async with Scraping(config.scrape, config.every_s) as scraping:
        looking = _Looking(config, scene, scraping)
        await looking.begin()
        async for batch in poll("metrics", scene, sources, config.every_s, looking.look):
            yield batch


def _sources(config: MetricsConfig, scene: Scene) -> list[str]:
    sources = [PROMETHEUS] if scene.metrics is not None or config.queries else []
    if config.usage in {"auto", "metrics-server"}:
        sources += (NODES, PODS)
    return [*sources, SCRAPE] if config.scrape else sources


class _Looking:
    """All that one look asks, and what is remembered from look to look."""

    def __init__(self, config: MetricsConfig, scene: Scene, scraping: Scraping) -> None:
        self._config = config
        self._scene = scene
        self._scraping = scraping
        self._pods = scene.kept.of("pods", pod_view)
        self._nodes = scene.kept.of("nodes", node_view)
        self._server = MetricsServer(scene.source, config.usage_every_s)
        self._usage = Usage(scene.memory(MEMORY))
        self._asking = (
            Asking(scene.metrics, _shipped(config), config.queries) if scene.metrics else None
        )
        self._limits_at: datetime | None = None

    async def begin(self) -> None:
        await self._usage.begin()

    async def look(self, at: datetime) -> Looked:
        """Return what all sources give at `at`."""
        scene = self._scene
        await scene.kept.ready("pods", "nodes")
        places = Places(self._pods, self._nodes, scene.owners)
        asked = await self._asking.ask(at, places) if self._asking else Asked()
        served = await self._serve(at, places, asked)
        limits = self._limits(at)
        await aside(partial(self._use, at, asked, served), len(places.pods))
        if scene.metrics is not None and asked.amounts:
            await self._usage.fill(scene.metrics, at, places)
        telling = partial(self._told, at, places, asked, served)
        looked = await aside(telling, len(places.pods))
        self._tell(looked, PODS, limits)
        if self._config.scrape:
            self._tell(looked, SCRAPE, *await self._scraping.scrape(at))
        if self._config.queries and self._asking is None:
            looked.faults[PROMETHEUS] = "not-found: queries need clusters[].prometheus"
        await self._usage.keep(at)
        return looked

    def _use(self, at: datetime, asked: Asked, served: Served) -> None:
        """Remember the use of pods and nodes."""
        amounts = {resource: use.amounts for resource, use in served.pods.items()}
        for resource, samples in (amounts | asked.amounts).items():
            self._usage.take(resource, samples, at)
        self._usage.take_nodes(
            [one for one in (*asked.samples, *served.nodes) if one.metric in _NODE_USE], at
        )

    def _told(self, at: datetime, places: Places, asked: Asked, served: Served) -> Looked:
        """Return what Prometheus and metrics-server say, and what follows from the use so far."""
        looked = Looked()
        self._tell(looked, PROMETHEUS, asked.samples, asked.fault)
        self._tell(looked, NODES, served.nodes, served.faults.get(NODES, ""))
        ratios = [one for use in served.pods.values() for one in use.ratios()]
        self._tell(looked, PODS, ratios, served.faults.get(PODS, ""))
        self._tell(looked, PODS, self._usage.ratios(at, places))
        return looked

    async def _serve(self, at: datetime, places: Places, asked: Asked) -> Served:
        """Ask metrics-server for what the Prometheus did not give."""
        usage = self._config.usage
        if usage not in {"auto", "metrics-server"}:
            return Served()
        own = {query.name for query in self._config.queries}
        given = asked.given | own if usage == "auto" else own
        nodes, pods = (not given.issuperset(names) for names in (_NODE_USE, _POD_USE))
        served = await self._server.ask(at, places, nodes=nodes, pods=pods)
        served.nodes = [one for one in served.nodes if one.metric not in given]
        served.pods = {
            name: use for name, use in served.pods.items() if f"pod_{name}_used_ratio" not in given
        }
        return served

    def _limits(self, at: datetime) -> list[Sample]:
        """Return the share of containers without a memory limit of each namespace."""
        due = self._limits_at is None or at >= self._limits_at
        if not due or not self._scene.kept.whole("pods"):
            return []
        self._limits_at = at + _LIMITS_EVERY
        counts: dict[str, list[int]] = {}
        for pod in self._pods.values():
            count = counts.setdefault(pod.namespace, [0, 0])
            count[0] += pod.unlimited
            count[1] += pod.containers
        name = "namespace_containers_without_limits_ratio"
        return [
            Sample(name, {"namespace": namespace}, unlimited / containers)
            for namespace, (unlimited, containers) in counts.items()
            if containers
        ]

    def _tell(self, looked: Looked, source: str, samples: list[Sample], fault: str = "") -> None:
        found, twice = facts(samples, source)
        looked.facts += found
        if twice and not fault:
            fault = f"malformed: {twice[0]}: several series have the same labels"
        if fault:
            looked.faults[source] = fault


def _shipped(config: MetricsConfig) -> Mapping[str, Shipped]:
    left_out = set(config.without)
    if config.usage in {"metrics-server", "off"}:
        left_out |= USAGE
    return {name: one for name, one in SHIPPED.items() if name not in left_out}
