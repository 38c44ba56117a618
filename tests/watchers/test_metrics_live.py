"""Metrics of real servers become signals: of a Prometheus, of scraped pages, of metrics.k8s.io."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from engine.metrics.prometheus import prometheus as opened
from engine.metrics.settings import PrometheusConfig
from engine.model.ports import SystemClock
from engine.model.signal import HEARTBEAT, Signal
from tests.cluster.readers import a_reader, as_persona
from tests.testbeds.manifests import a_pod as a_real_pod
from tests.testbeds.manifests import on_node, path
from tests.watchers.a_cluster_with_use import a_cluster, a_pod, faults, values, watch
from watchers.metrics import MetricsConfig
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.model.ports import Metrics, Watch
    from tests.testbeds.kube import Kube
    from tests.testbeds.prometheus import Exporter, Prometheus

pytestmark = pytest.mark.real
PAGE = """\
# TYPE node_memory_MemTotal_bytes gauge
node_memory_MemTotal_bytes{instance="10.0.0.1:9100",job="node"} 8e9
node_memory_MemAvailable_bytes{instance="10.0.0.1:9100",job="node"} 2e9
node_uname_info{instance="10.0.0.1:9100",job="node",nodename="n1"} 1
node_filesystem_avail_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/var",fstype="ext4"} 1e9
node_filesystem_size_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/var",fstype="ext4"} 1e10
node_filesystem_avail_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/run",fstype="tmpfs"} 0
node_filesystem_size_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/run",fstype="tmpfs"} 1
node_filesystem_avail_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/e",fstype="ext4"} 0
node_filesystem_size_bytes{instance="10.0.0.1:9100",job="node",mountpoint="/e",fstype="ext4"} 0
container_memory_working_set_bytes{namespace="shop",pod="web-1",container="app",image="i"} 268435456
container_memory_working_set_bytes{namespace="shop",pod="web-1",container="POD",image="p"} 99999999
container_memory_working_set_bytes{namespace="shop",pod="web-1",container=""} 999999999
container_memory_working_set_bytes{namespace="shop",pod="gone",container="app"} 999999999
kubelet_volume_stats_available_bytes{namespace="shop",persistentvolumeclaim="data"} 25
kubelet_volume_stats_capacity_bytes{namespace="shop",persistentvolumeclaim="data"} 100
vllm:kv_cache_usage_perc{namespace="shop",pod="web-1",model_name="llama"} 0.91
weird{a="b"} NaN
weird{a="c"} +Inf
"""


TICK = {"name": "tick", "expr": "vector(1)"}
"""Something to tell at each look."""


async def watched(
    metrics: Metrics | None,
    done: Callable[[list[Signal]], bool],
    *,
    source: Watch | None = None,
    **options: Any,
) -> list[Signal]:
    """Return what the watcher tells until `done`, a minute at most."""
    cluster = source or a_cluster(a_pod("web-1", cpu="500m", memory="1Gi"))
    scene = Scene(cluster, "uid", SystemClock(), metrics)
    config = MetricsConfig.model_validate({"every_s": 1, **options})
    return await watch(scene, config, 40, done)


def beaten(told: list[Signal]) -> bool:
    return HEARTBEAT in {one.type for one in told}


def reached_by(server: Prometheus, exporter: Exporter) -> PrometheusConfig:
    return PrometheusConfig(url=server.url, match=exporter.match)


async def test_pages_of_real_exporters_become_metrics_of_nodes_pods_volumes_and_models(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = PAGE
    prometheus.until(exporter.one("weird") + " or " + exporter.one("node_uname_info"))
    query = {"name": "weird", "expr": "weird"}
    async with opened(reached_by(prometheus, exporter)) as metrics:
        told = await watched(
            metrics,
            beaten,
            usage="prometheus",
            queries=[query],
        )
    pod = "namespace=shop,node=n1,pod=web-1,workload=web"
    assert values(told) == {
        "node_memory_used_ratio{node=n1}": 0.75,
        "filesystem_free_ratio{mountpoint=/var,node=n1}": 0.1,
        "volume_free_ratio{namespace=shop,persistentvolumeclaim=data}": 0.25,
        f"pod_memory_used_ratio{{{pod}}}": 0.25,
        f"pod_memory_used_of_limit_ratio{{{pod}}}": 0.25,
        "llm_kv_cache_used_ratio{model=llama,namespace=shop,workload=web}": 0.91,
        "namespace_containers_without_limits_ratio{namespace=shop}": 0.0,
    }
    assert faults(told) == []


async def test_rates_and_percentiles_of_a_real_history(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    now = int(datetime.now(UTC).timestamp())
    lines = []
    for metric, labels, rate in (
        ("node_cpu_seconds_total", 'instance="10.0.0.1:9100",job="n",cpu="0",mode="idle"', 0.25),
        ("node_cpu_seconds_total", 'instance="10.0.0.1:9100",job="n",cpu="0",mode="user"', 0.75),
        ("container_cpu_usage_seconds_total", 'namespace="shop",pod="web-1",container="app"', 0.3),
        *(
            (
                "vllm:time_to_first_token_seconds_bucket",
                f'namespace="shop",pod="web-1",model_name="llama",le="{end}"',
                rate,
            )
            for end, rate in (("1", 5.0), ("10", 5.0), ("20", 10.0), ("+Inf", 10.0))
        ),
    ):
        times = range(now - 7200, now, 60)
        lines += [f"{metric}{{{labels}}} {rate * (at - now + 7200)} {at}" for at in times]
    text = "\n".join([*lines, "# EOF", ""])
    server = prometheus_with(text)
    async with opened(PrometheusConfig(url=server.url)) as metrics:
        told = await watched(metrics, beaten, usage="prometheus")
    found = values(told)
    assert found["node_cpu_used_ratio{node=n1}"] == pytest.approx(0.75)
    pod = "namespace=shop,node=n1,pod=web-1,workload=web"
    assert found[f"pod_cpu_used_ratio{{{pod}}}"] == pytest.approx(0.6)
    latency = "llm_time_to_first_token_p99_seconds{model=llama,namespace=shop,workload=web}"
    assert found[latency] == pytest.approx(19.8)


async def test_when_the_exporter_goes_away_its_metrics_stop_and_no_zero_comes(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = PAGE
    prometheus.until(exporter.one("node_uname_info"))

    told_by_then: list[int] = []

    def done(told: list[Signal]) -> bool:
        if "node_memory_used_ratio{node=n1}" in values(told):
            exporter.status = 500
        if exporter.status == 500 and prometheus.query(
            f"absent({exporter.one('node_uname_info')})"
        ):
            told_by_then.append(len(told))
        return len(told_by_then) > 2

    async with opened(reached_by(prometheus, exporter)) as metrics:
        told = await watched(metrics, done, usage="prometheus", queries=[TICK])
    assert set(values(told, "node_memory").values()) == {0.75}
    assert values(told[told_by_then[0] :], "node_memory") == {}
    assert faults(told) == []


async def test_a_prometheus_that_goes_down_is_told_once_and_all_is_well_when_it_is_back(
    prometheus_with: Callable[[str], Prometheus],
) -> None:
    server = prometheus_with("up 1 1767225600\n# EOF\n")

    def done(told: list[Signal]) -> bool:
        states = [one.data["state"] for one in told if one.type == "watcher"]
        if states == [] and told:
            server.server.stop()
        elif states == ["unread"]:
            server.start()
        return states == ["unread", "ok"]

    async with opened(PrometheusConfig(url=server.url)) as metrics:
        told = await watched(metrics, done, usage="prometheus", queries=[TICK])
    assert faults(told) == [("prometheus", "unreachable"), ("prometheus", "")]


async def test_scraped_pages_are_told_with_up_and_rates(
    prometheus: Prometheus, exporter: Exporter
) -> None:
    exporter.page = 'jobs{queue="a"} 3\ndone_total 0\nother 1\nbroken{ 1\n'
    down = exporter.url.rpartition("/")[0].rpartition(":")[0] + ":1/"
    endpoints = [
        {"url": exporter.url, "take": ["jobs"], "rates": ["done_*"], "labels": {"site": "x"}},
        {"url": down, "take": ["*"], "labels": {"instance": "down"}},
    ]

    def done(told: list[Signal]) -> bool:
        exporter.page = exporter.page.replace("done_total 0", "done_total 100")
        return any(values(told, "done_total_per_second").values())

    told = await watched(None, done, usage="off", scrape=endpoints)
    instance = exporter.url.split("/")[2]
    found = values(told)
    assert found.pop(f"done_total_per_second{{instance={instance},site=x}}") > 5
    assert found == {
        f"jobs{{instance={instance},queue=a,site=x}}": 3.0,
        f"up{{instance={instance},site=x}}": 1.0,
        "up{instance=down}": 0.0,
        "namespace_containers_without_limits_ratio{namespace=shop}": 0.0,
    }
    assert faults(told) == []


def _definition(kind: str, plural: str, scope: str) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{plural}.metrics.k8s.io",
            "annotations": {"api-approved.kubernetes.io": "unapproved, a test"},
        },
        "spec": {
            "group": "metrics.k8s.io",
            "names": {"kind": kind, "plural": plural, "singular": plural.removesuffix("s")},
            "scope": scope,
            "versions": [{**version, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def _serve_metrics(kube: Kube, namespace: str, pod: str, node: str) -> None:
    """Let the API server answer for metrics.k8s.io as if a metrics-server stood behind it."""
    api = "/apis/metrics.k8s.io/v1beta1"
    kube.create(
        _definition("NodeMetrics", "nodes", "Cluster"),
        _definition("PodMetrics", "pods", "Namespaced"),
    )
    for plural in ("nodes", "pods"):
        kube.await_condition("CustomResourceDefinition", f"{plural}.metrics.k8s.io", "Established")
        kube.until(partial(_answers, kube, f"{api}/{plural}"), f"{plural} of metrics.k8s.io")
    now = datetime.now(UTC).isoformat()
    common = {"apiVersion": "metrics.k8s.io/v1beta1", "timestamp": now, "window": "15s"}
    usage = {"cpu": "250000000n", "memory": "65536Ki"}
    kube.request(
        "POST",
        f"{api}/nodes",
        json={**common, "kind": "NodeMetrics", "metadata": {"name": node}, "usage": usage},
    )
    containers = [{"name": "app", "usage": usage}]
    metadata = {"name": pod, "namespace": namespace}
    kube.request(
        "POST",
        f"{api}/namespaces/{namespace}/pods",
        json={**common, "kind": "PodMetrics", "metadata": metadata, "containers": containers},
    )


def _answers(kube: Kube, where: str) -> bool:
    return kube.api().get(where).is_success


@pytest.fixture
def metrics_api(kube: Kube) -> Iterator[None]:
    """The group metrics.k8s.io, to be taken away after the test."""
    yield
    for plural in ("nodes", "pods"):
        kube.api().delete(path("CustomResourceDefinition", f"{plural}.metrics.k8s.io"))


@pytest.mark.usefixtures("metrics_api")
async def test_metrics_server_is_read_by_the_real_api(kube: Kube) -> None:
    namespace, node = await asyncio.to_thread(kube.namespace), await asyncio.to_thread(kube.node)
    asked = {"cpu": "500m", "memory": "128Mi"}
    container = {"name": "app", "image": "registry.test/app:1", "resources": {"requests": asked}}
    pod = a_real_pod("web", namespace, containers=[container], **on_node(node))
    await asyncio.to_thread(kube.create, pod)
    await asyncio.to_thread(_serve_metrics, kube, namespace, "web", node)
    async with a_reader(as_persona(kube)) as reader:
        told = await watched(None, lambda told: "pod_cpu" in str(values(told)), source=reader)
    name = f"namespace={namespace},node={node},pod=web,workload=web"
    found = values(told)
    assert found[f"pod_cpu_used_ratio{{{name}}}"] == pytest.approx(0.5)
    assert found[f"pod_memory_used_ratio{{{name}}}"] == pytest.approx(0.5)
    assert 0 < found[f"node_cpu_used_ratio{{node={node}}}"] < 1
    assert faults(told) == []
