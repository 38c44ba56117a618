"""Pods that start, serve or end badly."""

from typing import Any

import pytest

from engine.model.report import Report
from tests.missions.incident.world import (
    Raw,
    a_container,
    a_node,
    a_pod,
    ago,
    an,
    an_event,
    assessed,
    causes,
    running,
    the_incident,
    waiting,
)


def creating(minutes: float = 10, **spec: Any) -> Raw:
    pod = a_pod("web-1", waiting("ContainerCreating"), phase="Pending", spec=spec)
    pod["status"]["conditions"][0]["lastTransitionTime"] = ago(minutes)
    return pod


CLAIM = [{"name": "data", "persistentVolumeClaim": {"claimName": "data-web"}}]


@pytest.mark.parametrize(
    ("reason", "message", "word", "kind"),
    [
        (
            "FailedMount",
            'MountVolume.SetUp failed: configmap "c" not found',
            "config-missing",
            "ConfigMap",
        ),
        (
            "FailedAttachVolume",
            'Multi-Attach error for volume "pv-1"',
            "volume-multi-attach",
            "PersistentVolumeClaim",
        ),
        (
            "FailedAttachVolume",
            "AttachVolume.Attach failed: rpc error",
            "volume-attach",
            "PersistentVolumeClaim",
        ),
        (
            "FailedMount",
            "Unable to attach or mount volumes: unmounted volumes=[data]: timed out",
            "volume-attach",
            "PersistentVolumeClaim",
        ),
        (
            "FailedCreatePodSandBox",
            "plugin type=calico failed: no IP addresses available",
            "no-pod-address",
            "Node",
        ),
        (
            "FailedCreatePodSandBox",
            "failed to setup network: cni plugin not initialized",
            "pod-network-down",
            "Node",
        ),
        ("FailedCreatePodSandBox", "rpc error: runc create failed", "sandbox-failed", "Node"),
    ],
)
def test_a_pod_that_does_not_start_blames_what_its_events_name(
    reason: str, message: str, word: str, kind: str
) -> None:
    pod = creating(volumes=CLAIM)
    report = assessed(
        a_node(),
        pod,
        an("PersistentVolumeClaim", "data-web", status={"phase": "Bound"}),
        an_event(pod, reason, message),
    )
    incident = the_incident(report)
    assert (incident.hypotheses[0].cause, incident.root.kind) == (word, kind)


def test_two_minutes_are_given_to_a_pod_that_starts() -> None:
    assert assessed(a_node(), creating(1.5)).findings == []
    assert causes(assessed(a_node(), creating(3))) == ["start-slow"]


def test_an_init_container_that_does_not_end_is_named() -> None:
    pod = creating()
    pod["spec"]["initContainers"] = [a_container("wait-for-db")]
    pod["status"]["initContainerStatuses"] = [running("wait-for-db", ready=False)]
    report = assessed(
        a_node(), pod, logs={("shop", "web-1", "wait-for-db", False): "waiting for db:5432\n"}
    )
    assert causes(report) == ["init-waits"]
    assert "waiting for db:5432" in the_incident(report).title


def probed(message: str, *, ready: bool = False, started: float = 60, **container: Any) -> Report:
    status = running(ready=ready)
    status["state"]["running"]["startedAt"] = ago(started)
    probe = {"httpGet": {"path": "/ready", "port": 8080}}
    spec = {
        "containers": [
            a_container(**{"readinessProbe": probe, "livenessProbe": probe, **container})
        ]
    }
    pod = a_pod("web-1", status, spec=spec)
    return assessed(a_node(), pod, an_event(pod, "Unhealthy", message, container="app"))


OTHER_PORT = {"httpGet": {"path": "/ready", "port": 9999}}
NAMED_PORT = {"httpGet": {"path": "/ready", "port": "admin"}}


@pytest.mark.parametrize(
    ("message", "container", "word"),
    [
        (
            "Readiness probe failed: connect: connection refused",
            {"readinessProbe": OTHER_PORT},
            "probe-port",
        ),
        ("Readiness probe failed: no port", {"readinessProbe": NAMED_PORT}, "probe-port"),
        ("Readiness probe failed: connect: connection refused", {}, "not-listening"),
        ("Readiness probe failed: HTTP probe failed with statuscode: 404", {}, "probe-path"),
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", {}, "app-unhealthy"),
        ("Readiness probe failed: HTTP probe failed with statuscode: 401", {}, "probe-refused"),
        ("Readiness probe failed: context deadline exceeded", {}, "probe-timeout"),
        ("Readiness probe failed: exited with 3", {}, "probe-fails"),
    ],
)
def test_a_failing_probe_is_explained(message: str, container: dict[str, Any], word: str) -> None:
    assert causes(probed(message, **container)) == [word]


def test_a_slow_start_is_told_from_a_slow_program() -> None:
    message = "Liveness probe failed: connect: connection refused"
    assert causes(probed(message, ready=True, started=2)) == ["slow-start"]
    assert causes(probed(message, ready=True, started=50)) == ["not-listening"]


def test_a_probe_that_failed_long_ago_on_a_ready_pod_is_silent() -> None:
    assert probed("Readiness probe failed: anything", ready=True).findings == []


def test_a_pod_that_is_not_ready_without_a_reason_is_a_guess_and_says_so() -> None:
    report = assessed(a_node(), a_pod("web-1", ready=False))
    best = the_incident(report).hypotheses[0]
    assert (best.cause, best.verdict) == ("not-ready", "possible")
    assert assessed(a_node(), a_pod("web-1", ready=False, unready=1)).findings == []


def test_an_unmet_readiness_gate_is_named() -> None:
    pod = a_pod("web-1", ready=False, spec={"readinessGates": [{"conditionType": "lb/ready"}]})
    assert causes(assessed(a_node(), pod)) == ["readiness-gate"]


def evicted(reason: str, message: str, minutes: float = 10) -> Raw:
    status = {"reason": reason, "message": message, "containerStatuses": []}
    pod = a_pod("web-1", phase="Failed", status=status)
    pod["status"]["conditions"].append(
        {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": ago(minutes)}
    )
    return pod


@pytest.mark.parametrize(
    ("reason", "message", "word", "kind"),
    [
        ("Evicted", "The node was low on resource: memory.", "memory-pressure", "Node"),
        ("Evicted", "The node was low on resource: ephemeral-storage.", "disk-pressure", "Node"),
        ("Evicted", "The node was low on resource: pids.", "pid-pressure", "Node"),
        (
            "Evicted",
            "Container app exceeded its local ephemeral storage limit 1Gi.",
            "ephemeral-storage-limit",
            "Pod",
        ),
        (
            "Evicted",
            'Usage of EmptyDir volume "tmp" exceeds the limit "1Gi".',
            "emptydir-limit",
            "Pod",
        ),
        ("OutOfcpu", "Node didn't have enough resource: cpu", "refused-by-kubelet", "Node"),
        ("UnexpectedAdmissionError", "Allocate failed: no gpu", "refused-by-kubelet", "Node"),
    ],
)
def test_an_eviction_blames_the_node_or_the_limit(
    reason: str, message: str, word: str, kind: str
) -> None:
    incident = the_incident(assessed(a_node(), evicted(reason, message)))
    assert (incident.hypotheses[0].cause, incident.root.kind) == (word, kind)


def test_an_eviction_of_yesterday_is_history() -> None:
    assert assessed(a_node(), evicted("Evicted", "low on resource: memory", 1500)).findings == []


def test_a_preemption_is_a_minor_finding_and_no_incident() -> None:
    report = assessed(a_node(), evicted("Preempted", "Preempted by a pod of higher priority"))
    assert (report.incidents, [f.severity for f in report.findings]) == ([], ["low"])


@pytest.mark.parametrize(
    ("meta", "word"),
    [
        ({"finalizers": ["example.com/guard"]}, "finalizer"),
        ({}, "does-not-end"),
    ],
)
def test_a_pod_that_does_not_go_away_says_what_holds_it(meta: Raw, word: str) -> None:
    gone = a_pod("web-1", meta={"deletionTimestamp": ago(30), **meta})
    assert causes(assessed(a_node(), gone)) == [word]
    going = a_pod("web-1", meta={"deletionTimestamp": ago(1), **meta})
    assert assessed(a_node(), going).findings == []
