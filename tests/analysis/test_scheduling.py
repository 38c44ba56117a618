"""Pods that fit nowhere: the scheduler's text, our own verdict, and the two side by side."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.checks.scheduling import CHECKS
from engine.analysis.cluster_view import ClusterView
from engine.analysis.scheduler_text import parse
from engine.analysis.scheduling import requests
from engine.analysis.symptom import Symptom
from engine.model.snapshot import ClusterSnapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = {check.name: check.run for check in CHECKS}


def a_node(name: str, cpu: str = "4", **spec: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": "8Gi", "pods": "10"}
    labels = spec.pop("labels", {})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": amounts},
    }


def a_pod(
    name: str, cpu: str = "1", message: str = "", node: str = "", **spec: Any
) -> dict[str, Any]:
    containers = [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]
    status: dict[str, Any] = {"phase": "Running" if node else "Pending"}
    if message:
        entry = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status["conditions"] = [{**entry, "message": message}]
    where = {"nodeName": node} if node else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": containers, **where, **spec},
        "status": status,
    }


def symptoms(*objects: dict[str, Any], check: str = "pod-unschedulable") -> list[Symptom]:
    snapshot = ClusterSnapshot("c", objects=objects, read=frozenset({"pods", "nodes"}))
    return [s for s in RUN[check](ClusterView(snapshot, NOON)) if isinstance(s, Symptom)]


def test_the_schedulers_text_is_counted_by_reason() -> None:
    verdict = parse(
        "0/9 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu, "
        "2 Insufficient nvidia.com/gpu, 3 node(s) had untolerated taint {team: ml}, "
        "1 node(s) didn't match Pod's node affinity/selector. preemption: 0/9 nodes are "
        "available: 9 Preemption is not helpful for scheduling."
    )
    assert verdict is not None
    assert (verdict.fitting, verdict.total) == (0, 9)
    assert [(r.word, r.what, r.count) for r in verdict.reasons] == [
        ("cordoned", "", 1),
        ("insufficient", "cpu", 2),
        ("insufficient", "nvidia.com/gpu", 2),
        ("taint", "{team: ml}", 3),
        ("node-affinity", "", 1),
    ]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("0/3 nodes are available: 3 Too many pods.", "too-many-pods"),
        (
            "0/3 nodes are available: 3 node(s) had taint {a: b}, that the pod didn't tolerate.",
            "taint",
        ),
        (
            (
                "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. "
                "preemption: 0/1 nodes are available"
            ),
            "claim-unbound",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "data" not found. not found',
            "claim-missing",
        ),
        (
            "0/2 nodes are available: 2 node(s) had volume node affinity conflict.",
            "volume-node-affinity",
        ),
        (
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules.",
            "pod-anti-affinity",
        ),
        (
            (
                "0/2 nodes are available: 2 node(s) didn't match pod topology spread constraints "
                "(missing required label)."
            ),
            "topology-spread",
        ),
        (
            (
                "0/2 nodes are available: 2 node(s) didn't have free ports for the requested pod "
                "ports."
            ),
            "host-port",
        ),
        ("0/2 nodes are available: 2 something of a plugin.", "other"),
    ],
)
def test_each_phrase_of_the_scheduler_has_its_word(text: str, word: str) -> None:
    verdict = parse(text)
    assert verdict is not None
    assert verdict.reasons[0].word == word


def test_a_text_without_a_verdict_gives_none() -> None:
    assert parse("no nodes here") is None


@given(st.text(max_size=200))
def test_no_text_makes_the_parser_raise(text: str) -> None:
    parse(f"0/3 nodes are available: {text}")


def test_requests_are_the_most_of_running_and_starting() -> None:
    def one(cpu: str, **more: str) -> dict[str, Any]:
        return {"resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [one("200m", restartPolicy="Always"), one("3")],
        "containers": [one("1"), {"resources": {"limits": {"cpu": "500m"}}}],
        "overhead": {"cpu": "100m"},
    }
    asked = requests(spec)
    assert float(asked["cpu"]) == pytest.approx(3.3)
    assert asked["pods"] == 1


def test_a_pod_that_asks_too_much_names_the_node_with_most_room() -> None:
    full = "0/2 nodes are available: 2 Insufficient cpu."
    busy = a_pod("busy", "3", node="n1")
    found = symptoms(a_node("n1"), a_node("n2", "2"), busy, a_pod("big", "2500m", full))
    assert [s.cause.word for s in found] == ["insufficient-cpu"]
    assert "2500m cpu asked, the most that any node has free is 2 (n2)" in found[0].title
    assert found[0].confidence > 0.9


def test_an_untolerated_taint_says_where_the_pod_would_fit_without_it() -> None:
    taint = {"key": "team", "value": "ml", "effect": "NoSchedule"}
    text = (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {team: ml}."
    )
    tainted = [a_node(name, taints=[taint]) for name in ("n2", "n3")]
    found = symptoms(a_node("n1", "500m"), *tainted, a_pod("p", "1", text))
    assert found[0].cause.word == "taint"
    assert "taint {team: ml} is not tolerated" in found[0].title
    assert "would fit on 2 of 3 nodes" in found[0].title


def test_a_toleration_lets_the_pod_pass_the_taint() -> None:
    taint = {"key": "team", "value": "ml", "effect": "NoSchedule"}
    tolerating = a_pod(
        "p",
        "9",
        "0/1 nodes are available: 1 Insufficient cpu.",
        tolerations=[{"key": "team", "operator": "Exists"}],
    )
    assert symptoms(a_node("n1", taints=[taint]), tolerating)[0].cause.word == "insufficient-cpu"


def test_a_node_selector_that_matches_nothing_is_named() -> None:
    text = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
    pod = a_pod("p", "1", text, nodeSelector={"disk": "ssd"})
    assert symptoms(a_node("n1", labels={"disk": "hdd"}), pod)[0].cause.word == "node-affinity"


def test_a_missing_claim_is_blamed_before_the_nodes() -> None:
    text = '0/1 nodes are available: persistentvolumeclaim "data" not found.'
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
    cause = symptoms(a_node("n1"), a_pod("p", "1", text, volumes=volumes))[0].cause
    assert (cause.word, cause.object.kind, cause.object.name) == (
        "claim-missing",
        "PersistentVolumeClaim",
        "data",
    )


def test_a_disagreement_with_the_scheduler_is_told() -> None:
    found = symptoms(a_node("n1"), a_pod("p", "1", "0/3 nodes are available: 3 Insufficient cpu."))
    told = " ".join(item.value for item in found[0].evidence)
    assert "the scheduler saw 3 nodes, the snapshot has 1" in told
    assert "fits on n1" in told
    assert found[0].confidence < 0.9


def test_running_and_not_yet_judged_pods_stay_silent() -> None:
    assert symptoms(a_node("n1"), a_pod("p", "1", node="n1"), a_pod("new", "1")) == []


def test_a_gated_pod_is_told_apart_from_an_unschedulable_one() -> None:
    pod = a_pod("p", schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])
    gated = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
    pod["status"]["conditions"] = [gated]
    assert symptoms(a_node("n1"), pod) == []
    assert [s.cause.key for s in symptoms(pod, check="pod-scheduling-gated")] == [
        "kueue.x-k8s.io/admission"
    ]
