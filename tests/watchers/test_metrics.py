"""Metrics are told as they are: by one question for each, with places, units and gaps."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.metrics.usage import MEMORY, summaries
from engine.model.errors import ClusterError, MetricsError
from engine.model.ports import SystemClock
from engine.model.series import Point, Series
from engine.model.signal import HEARTBEAT, Signal
from tests.watchers.a_cluster_with_use import (
    Told,
    a_cluster,
    a_node,
    a_pod,
    faults,
    node_use,
    pod_use,
    values,
    watch,
    watched,
)
from tests.watchers.sources import NOON
from watchers.memory import Forgetful
from watchers.metrics import MetricsConfig
from watchers.registry import Scene

N1 = {"instance": "10.0.0.1:9100", "job": "node"}
WEB = {"namespace": "shop", "pod": "web-1"}
POD = "namespace=shop,node=n1,pod=web-1,workload=web"
SERVER: dict[str, Any] = {
    "nodes.metrics.k8s.io": [node_use("n1", "2", "4Gi")],
    "pods.metrics.k8s.io": [pod_use("web-1", {"cpu": "250m", "memory": "512Mi"})],
}


def a_web(**requests: str) -> dict[str, Any]:
    return a_pod("web-1", **(requests or {"cpu": "500m", "memory": "1Gi"}))


def test_series_of_a_prometheus_belong_to_nodes_pods_and_workloads() -> None:
    metrics = Told(
        {
            "node_cpu": [(N1, 0.5)],
            "node_memory": [({**N1, "node": "n1"}, 0.25)],
            "node_filesystem": [({**N1, "mountpoint": "/var"}, 0.1)],
            "kubelet_volume": [({"namespace": "shop", "persistentvolumeclaim": "data"}, 0.3)],
            "container_cpu": [(WEB, 0.4)],
            "container_memory": [({**WEB, "container": "app"}, 2.0**29)],
            "kv_cache": [({**WEB, "model_name": "llama"}, 0.95)],
        }
    )
    told = watched(a_cluster(a_web()), metrics=metrics, usage="prometheus")
    assert values(told) == {
        "node_cpu_used_ratio{node=n1}": 0.5,
        "node_memory_used_ratio{node=n1}": 0.25,
        "filesystem_free_ratio{mountpoint=/var,node=n1}": 0.1,
        "volume_free_ratio{namespace=shop,persistentvolumeclaim=data}": 0.3,
        f"pod_cpu_used_ratio{{{POD}}}": 0.8,
        f"pod_memory_used_ratio{{{POD}}}": 0.5,
        f"pod_memory_used_of_limit_ratio{{{POD}}}": 0.5,
        "llm_kv_cache_used_ratio{model=llama,namespace=shop,workload=web}": 0.95,
        "namespace_containers_without_limits_ratio{namespace=shop}": 0.0,
    }
    assert all(one.data["unit"] == "ratio" for one in told if one.type == "metric")
    (pod, *_) = [one for one in told if one.subject == f"pod_cpu_used_ratio{{{POD}}}"]
    assert (pod.data["node"], pod.data["workload"], pod.cluster) == ("n1", "web", "west")
    assert faults(told) == []


def test_each_metric_is_one_question_however_many_pods_there_are() -> None:
    pods = [a_pod(f"web-{number}", cpu="1") for number in range(300)]
    answers = [({"namespace": "shop", "pod": f"web-{number}"}, 0.5) for number in range(300)]
    use = {"container_cpu": answers, "container_memory": [(WEB, 1.0)], "node_": [(N1, 0.5)]}
    metrics = Told({**use, "kubelet_volume": [], "time_to": [], "kv_cache": []})
    told = watched(a_cluster(*pods), 290, metrics=metrics, usage="prometheus")
    looks = len({one.time for one in told if one.type == "metric"})
    assert looks >= 18
    # One each of cpu, memory and file system of nodes, cpu and memory of pods; at the start also
    # what gives nothing, and the last day of both resources of pods.
    assert len(metrics.asked) <= 5 * (looks + 1) + 3 + 2 * 2
    assert len(values(told, "pod_cpu")) == 300


def test_what_a_prometheus_does_not_give_comes_of_metrics_server() -> None:
    source = a_cluster(a_web(), lists=SERVER)
    told = watched(source, metrics=Told({"node_cpu": [(N1, 0.125)]}))
    assert values(told, "node_") == {
        "node_cpu_used_ratio{node=n1}": 0.125,
        "node_memory_used_ratio{node=n1}": 0.5,
    }
    assert values(told, "pod_") == {
        f"pod_cpu_used_ratio{{{POD}}}": 0.5,
        f"pod_memory_used_ratio{{{POD}}}": 0.5,
        f"pod_memory_used_of_limit_ratio{{{POD}}}": 0.5,
    }


def test_metrics_server_is_asked_alone_where_that_is_wanted_or_nothing_else_is_there() -> None:
    for metrics, usage in ((None, "auto"), (Told({"node_cpu": [(N1, 0.9)]}), "metrics-server")):
        told = watched(a_cluster(a_web(), lists=SERVER), metrics=metrics, usage=usage)
        assert values(told, "node_cpu") == {"node_cpu_used_ratio{node=n1}": 0.5}


def test_a_cluster_without_metrics_server_is_told_once_and_asked_seldom() -> None:
    source = a_cluster(a_web())
    told = watched(source, 290)
    assert sorted(faults(told)) == [
        ("nodes.metrics.k8s.io", "not-found"),
        ("pods.metrics.k8s.io", "not-found"),
    ]
    assert source.asked.count("nodes.metrics.k8s.io") == 1
    assert set(values(told)) == {"namespace_containers_without_limits_ratio{namespace=shop}"}


def test_nothing_is_looked_at_where_nothing_is_to_be_asked() -> None:
    assert watched(a_cluster(a_web()), usage="off") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"cpu": "NaN", "memory": "512Mi"},
        {"cpu": "1e999", "memory": "512Mi"},
        {"cpu": "-1", "memory": "512Mi"},
        {"cpu": 7.5e300, "memory": "512Mi"},
        {"cpu": None, "memory": "512Mi"},
        {"memory": "512Mi"},
        [],
        "x",
    ],
)
def test_amounts_that_make_no_sense_are_gaps(wrong: Any) -> None:
    lists = {"pods.metrics.k8s.io": [pod_use("web-1", wrong), "x", {"metadata": 3}, {}]}
    told = watched(a_cluster(a_web(), lists=lists))
    assert "pod_cpu_used_ratio" not in str(values(told))


def test_old_values_of_metrics_server_and_pods_that_nobody_knows_are_gaps() -> None:
    old = NOON - timedelta(minutes=6)
    lists: dict[str, Any] = {
        "nodes.metrics.k8s.io": [node_use("n1", "1", "1Gi", old), node_use("n9", "1", "1Gi")],
        "pods.metrics.k8s.io": [pod_use("gone", {"cpu": "1", "memory": "1Gi"})],
    }
    told = watched(a_cluster(a_web(), lists=lists))
    assert set(values(told)) == {"namespace_containers_without_limits_ratio{namespace=shop}"}


def test_a_pod_that_requests_nothing_has_no_share() -> None:
    told = watched(a_cluster(a_pod("web-1"), lists=SERVER))
    assert values(told, "pod_cpu") == {}


def test_a_prometheus_that_is_down_stops_the_heartbeats_and_tells_nothing_false() -> None:
    down = MetricsError("unreachable", "connection refused")
    metrics = Told({"": down})
    told = watched(a_cluster(a_web()), 120, metrics=metrics, usage="prometheus")
    assert faults(told) == [("prometheus", "unreachable")]
    assert [one for one in told if one.type == HEARTBEAT] == []
    assert set(values(told)) == {"namespace_containers_without_limits_ratio{namespace=shop}"}


def test_after_the_first_question_that_times_out_the_others_are_not_asked() -> None:
    metrics = Told({"": MetricsError("timeout", "no answer within 10 s")})
    watched(a_cluster(a_web()), 3, metrics=metrics, usage="prometheus")
    assert len(metrics.asked) <= 4


def test_a_question_that_is_refused_leaves_the_others_alone() -> None:
    metrics = Told({"boom": MetricsError("refused", "parse error"), "node_cpu": [(N1, 0.5)]})
    queries = [{"name": "mine", "expr": "boom("}, {"name": "other", "expr": "node_cpu_x"}]
    told = watched(a_cluster(), metrics=metrics, usage="prometheus", queries=queries)
    assert faults(told) == [("prometheus", "refused")]
    assert len(values(told)) == 2


def test_what_came_of_an_answer_that_is_not_whole_is_told_and_so_is_the_rest() -> None:
    came = [Series("", N1, (Point(NOON, 0.5),))]
    partial = MetricsError("unavailable", "the answer is partial", partial=came)
    told = watched(a_cluster(), 60, metrics=Told({"node_cpu": partial}), usage="prometheus")
    assert values(told, "node_cpu") == {"node_cpu_used_ratio{node=n1}": 0.5}
    assert faults(told) == [("prometheus", "unavailable")]
    assert HEARTBEAT not in {one.type for one in told}


def test_a_query_of_ones_own_keeps_the_labels_that_are_named() -> None:
    query = {"name": "queue_length", "expr": "q", "unit": "jobs", "labels": ["queue"]}
    answers = [({"queue": "a", "pod": "x"}, 3.0), ({"queue": "b", "pod": "y"}, 4.0)]
    told = watched(a_cluster(), metrics=Told({"q": answers}), usage="off", queries=[query])
    assert values(told, "queue") == {"queue_length{queue=a}": 3.0, "queue_length{queue=b}": 4.0}
    assert {one.data.get("unit") for one in told if one.subject == "queue_length{queue=a}"} == {
        "jobs"
    }


def test_of_series_that_cannot_be_told_apart_neither_is_told() -> None:
    query = {"name": "queue_length", "expr": "q", "labels": ["queue"]}
    answers = [({"queue": "a", "pod": "x"}, 3.0), ({"queue": "a", "pod": "y"}, 9.0)]
    told = watched(a_cluster(), metrics=Told({"q": answers}), usage="off", queries=[query])
    assert values(told, "queue") == {}
    assert faults(told) == [("prometheus", "malformed")]


def test_a_query_of_ones_own_takes_the_place_of_a_shipped_one() -> None:
    query = {"name": "node_cpu_used_ratio", "expr": "mine", "labels": ["node"]}
    metrics = Told({"mine": [({"node": "n1"}, 0.7)], "node_cpu": [(N1, 0.5)]})
    told = watched(a_cluster(lists=SERVER), metrics=metrics, queries=[query])
    assert values(told, "node_cpu") == {"node_cpu_used_ratio{node=n1}": 0.7}


def test_queries_without_a_prometheus_are_told_of() -> None:
    told = watched(a_cluster(), usage="off", queries=[{"name": "a", "expr": "b"}])
    assert faults(told) == [("prometheus", "not-found")]


def test_of_two_exporters_on_a_node_the_worse_value_counts() -> None:
    metrics = Told(
        {
            "node_cpu": [(N1, 0.5), ({**N1, "job": "b"}, 0.6), ({**N1, "job": "c"}, 0.4)],
            "node_filesystem": [({**N1, "mountpoint": "/", "job": job}, free) for job, free in
                                (("a", 0.5), ("b", 0.3), ("c", 0.4))],
        }
    )  # fmt: skip
    told = watched(a_cluster(), metrics=metrics, usage="prometheus")
    assert values(told) == {
        "node_cpu_used_ratio{node=n1}": 0.6,
        "filesystem_free_ratio{mountpoint=/,node=n1}": 0.3,
    }


def test_the_percentile_of_a_model_is_over_the_buckets_of_all_its_pods() -> None:
    def buckets(pod: str, *rates: float) -> list[tuple[dict[str, str], float]]:
        labels = {"namespace": "shop", "pod": pod, "model_name": "llama"}
        ends = ("1", "10", "20", "+Inf")
        return [({**labels, "le": end}, rate) for end, rate in zip(ends, rates, strict=True)]

    answers = [*buckets("web-1", 50, 50, 50, 50), *buckets("web-2", 0, 40, 50, 50)]
    lost = ({"namespace": "shop", "pod": "web-1", "model_name": "llama", "le": "NaN"}, 1.0)
    pods = [a_pod("web-1"), a_pod("web-2")]
    told = watched(
        a_cluster(*pods), metrics=Told({"time_to": [*answers, lost]}), usage="prometheus"
    )
    name = "llm_time_to_first_token_p99_seconds{model=llama,namespace=shop,workload=web}"
    assert values(told, "llm") == {name: pytest.approx(19.0)}


def hours(pod: str, value: float, until: datetime = NOON) -> Series:
    labels = {"namespace": "shop", "pod": pod}
    times = (until + timedelta(hours=n) for n in range(-23, 1))
    return Series("", labels, tuple(Point(at, value) for at in times))


def test_requests_are_held_against_the_mean_use_of_a_day_hourly() -> None:
    metrics = Told({"[1h]": [], "container_cpu": [(WEB, 0.1)]})
    metrics.past = {"container_cpu_usage_seconds_total": [hours("web-1", 0.1), hours("gone", 1.0)]}
    told = watched(a_cluster(a_web(cpu="500m")), 7100, metrics=metrics, usage="prometheus")
    ratios = [one for one in told if one.data.get("metric") == "pod_request_to_use_ratio"]
    assert [one.data["value"] for one in ratios] == pytest.approx([5.0, 5.0])
    assert ratios[0].data["labels"]["resource"] == "cpu"


def test_a_pod_that_is_known_for_less_than_half_a_day_is_called_nothing() -> None:
    lists = {"pods.metrics.k8s.io": [pod_use("web-1", {"cpu": "1m", "memory": "1Mi"})]}
    told = watched(a_cluster(a_web(), lists=lists), 600)
    assert values(told, "pod_request") == {}


def test_use_is_remembered_over_restarts() -> None:
    memory = Forgetful()
    source = a_cluster(a_web(), lists=SERVER)
    watched(source, 1000, memory=memory)
    kept = memory._kept
    (_, cpu, _) = found = sorted(summaries(kept), key=lambda one: one.whose.resource)[:3]
    assert {one.whose for one in found} >= {("shop", "web", "cpu"), ("", "n1", "cpu")}
    before = {one.whose: one.samples for one in summaries(kept)}
    watched(a_cluster(a_web(), lists=SERVER), 1000, memory=memory)
    after_ = {one.whose: one.samples for one in summaries(memory._kept)}
    assert all(after_[whose] > count for whose, count in before.items())
    assert cpu.percentiles["p50"] == pytest.approx(0.25 if cpu.whose.namespace else 0.5, rel=0.06)
    assert MEMORY == "metrics-use"


def test_namespaces_are_told_how_many_containers_have_no_limit() -> None:
    free = a_pod("free", namespace="free")
    free["spec"]["containers"] = [
        {"name": "a"},
        {"name": "b", "resources": {"limits": {"memory": "1"}}},
    ]
    done = a_pod("done", namespace="done")
    done["status"]["phase"] = "Succeeded"
    told = watched(a_cluster(a_web(), free, done))
    assert values(told, "namespace_") == {
        "namespace_containers_without_limits_ratio{namespace=free}": 0.5,
        "namespace_containers_without_limits_ratio{namespace=shop}": 0.0,
    }


def test_a_node_is_known_by_name_or_address_and_others_are_not_told() -> None:
    series = [
        ({"instance": "a:9100", "node": "n2"}, 0.2),
        ({"instance": "x:9100", "nodename": "n1"}, 0.1),
        ({"instance": "[fd00::3]:9100"}, 0.3),
        ({"instance": "10.9.9.9:9100", "node": "of-another-cluster"}, 0.9),
        ({}, 0.9),
    ]
    nodes = [a_node("n1"), a_node("n2", "10.0.0.2"), a_node("n3", "fd00::3")]
    told = watched(a_cluster(*nodes), metrics=Told({"node_cpu": series}), usage="prometheus")
    assert values(told, "node") == {
        "node_cpu_used_ratio{node=n1}": 0.1,
        "node_cpu_used_ratio{node=n2}": 0.2,
        "node_cpu_used_ratio{node=n3}": 0.3,
    }


@pytest.mark.parametrize("reason", ["unavailable", "timeout", "malformed"])
def test_a_sick_metrics_server_is_told_and_the_other_half_goes_on(reason: str) -> None:
    lists = {**SERVER, "pods.metrics.k8s.io": ClusterError(reason, "sick")}
    told = watched(a_cluster(a_web(), lists=lists), 60)
    assert faults(told) == [("pods.metrics.k8s.io", reason)]
    assert values(told, "node_cpu") == {"node_cpu_used_ratio{node=n1}": 0.5}
    assert HEARTBEAT not in {one.type for one in told}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"queries": [{"name": "a-b", "expr": "x"}]}, "pattern"),
        ({"queries": [{"name": "a", "expr": "x"}] * 2}, "more than one is named a"),
        ({"without": ["node_cpu"]}, "there is no query 'node_cpu'"),
        ({"scrape": [{"url": "ftp://x", "take": ["a"]}]}, "pattern"),
        ({"scrape": [{"url": "http://x", "take": []}]}, "at least 1"),
        ({"scrape": [{"url": "http://x", "take": ["a"], "labels": {"a-b": "c"}}]}, "not 'a-b'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MetricsConfig.model_validate(options)


def test_what_is_worked_out_beside_the_loop_is_told_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = a_cluster(*(a_pod(f"web-{n}", cpu="500m", memory="1Gi") for n in range(30)))
    names = [{"namespace": "shop", "pod": f"web-{n}"} for n in range(30)]
    answers = {
        "node_cpu": [(N1, 0.5)],
        "container_cpu": [(one, n / 100) for n, one in enumerate(names)],
        "container_memory": [({**one, "container": "app"}, 2.0**28) for one in names],
    }
    metrics = Told({"[1h]": [], **answers})
    metrics.past = {"container_cpu_usage_seconds_total": [hours(f"web-{n}", 0.1) for n in range(9)]}
    at_the_loop = values(watched(source, metrics=metrics, usage="prometheus"))
    monkeypatch.setattr("watchers.aside.FEW", 0)

    async def main() -> list[Signal]:
        scene = Scene(source, "uid", SystemClock(), metrics)
        config = MetricsConfig(usage="prometheus")
        return await watch(scene, config, 20, done=lambda told: bool(values(told)))

    metrics.past = {
        "container_cpu_usage_seconds_total": [
            hours(f"web-{n}", 0.1, until=datetime.now(UTC)) for n in range(9)
        ]
    }
    assert values(asyncio.run(main())) == pytest.approx(at_the_loop)
    assert len(at_the_loop) == 1 + 3 * 30 + 9 + 1


def test_what_metrics_server_says_is_worked_out_beside_the_loop_and_told_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = datetime.now(UTC)
    lists = {
        "nodes.metrics.k8s.io": [node_use("n1", "2", "4Gi", now)],
        "pods.metrics.k8s.io": [
            pod_use(f"web-{n}", {"cpu": f"{n}m", "memory": f"{n}Mi"}, at=now) for n in range(30)
        ],
    }
    source = a_cluster(*(a_pod(f"web-{n}", cpu="1", memory="1Gi") for n in range(30)), lists=lists)
    at_the_loop = values(watched(source))
    monkeypatch.setattr("watchers.aside.FEW", 0)

    async def main() -> list[Signal]:
        scene = Scene(source, "uid", SystemClock())
        return await watch(scene, MetricsConfig(), 20, done=lambda told: bool(values(told)))

    assert values(asyncio.run(main())) == pytest.approx(at_the_loop)
    assert len(at_the_loop) == 2 + 3 * 30 + 1
