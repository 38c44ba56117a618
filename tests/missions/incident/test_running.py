"""Pods that start, serve or end badly, and the workloads above them."""

from typing import Any

import pytest

from engine.model.report import Report
from tests.missions.incident.world import (
    Raw,
    a_container,
    a_deployment,
    a_node,
    a_pod,
    ago,
    an,
    an_event,
    assessed,
    causes,
    crashed,
    findings_of,
    owned_by,
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


def condition(kind: str, status: str, reason: str, minutes: float = 10) -> Raw:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "told by the controller",
        "lastTransitionTime": ago(minutes),
    }


def test_a_stuck_roll_out_is_reported_and_explained_by_its_pods() -> None:
    late = condition("Progressing", "False", "ProgressDeadlineExceeded")
    deployment = a_deployment(ready=0, conditions=[late])
    assert causes(assessed(a_node(), deployment)) == ["rollout-stuck"]
    pod = a_pod("web-1", waiting("ErrImageNeverPull"), owner=deployment, phase="Pending")
    report = assessed(a_node(), deployment, pod)
    assert causes(report) == ["image-never-pull"]
    assert {f.check for f in report.findings} == {"deployment-stuck", "pod-image-pull"}


def test_a_deployment_that_just_started_is_given_time() -> None:
    down = [condition("Available", "False", "MinimumReplicasUnavailable", 1)]
    assert assessed(a_node(), a_deployment(ready=0, conditions=down)).findings == []
    down[0]["lastTransitionTime"] = ago(5)
    assert causes(assessed(a_node(), a_deployment(ready=0, conditions=down))) == ["unavailable"]


def a_stateful_set(ready: int = 3) -> Raw:
    return an(
        "StatefulSet",
        "db",
        "apps/v1",
        spec={"replicas": 3, "template": {}},
        status={"replicas": 3, "readyReplicas": ready},
    )


def test_the_lowest_ordinal_that_is_not_ready_holds_back_a_stateful_set() -> None:
    owner = a_stateful_set(1)
    pods = [a_pod("db-0", owner=owner), a_pod("db-1", crashed(139), owner=owner)]
    report = assessed(a_node(), owner, *pods)
    (finding,) = findings_of(report, "statefulset-stuck")
    assert "db-1" in finding.title
    assert causes(report) == ["segfault"]
    healthy = a_stateful_set()
    three = [a_pod(f"db-{n}", owner=healthy) for n in range(3)]
    assert assessed(a_node(), healthy, *three).findings == []


def test_a_daemon_set_names_the_nodes_where_it_is_not_ready() -> None:
    owner = an(
        "DaemonSet",
        "agent",
        "apps/v1",
        spec={"template": {}},
        status={"desiredNumberScheduled": 2, "numberReady": 1},
    )
    pods = [a_pod("agent-a", owner=owner), a_pod("agent-b", node="n2", ready=False, owner=owner)]
    report = assessed(a_node(), a_node("n2"), owner, *pods)
    (finding,) = findings_of(report, "daemonset-stuck")
    assert "n2" in finding.observed
    owner["status"]["numberReady"] = 2
    assert assessed(a_node(), a_node("n2"), owner, a_pod("agent-a", owner=owner)).findings == []


def test_a_pod_of_a_job_belongs_to_the_job() -> None:
    job = an("Job", "import", "batch/v1", spec={}, status={"active": 1})
    pod = a_pod("import-x", crashed(1), meta=owned_by(job))
    report = assessed(a_node(), job, pod)
    assert [f.object.kind for f in report.findings] == ["Job"]


def a_failed_job(**more: Any) -> Raw:
    entry = condition("Failed", "True", "BackoffLimitExceeded")
    return an("Job", "import", "batch/v1", spec={}, status={"conditions": [entry]}, **more)


def failed_pod(job: Raw) -> Raw:
    ended = {"exitCode": 1, "reason": "Error", "startedAt": ago(30), "finishedAt": ago(29)}
    status = {"name": "app", "ready": False, "restartCount": 0, "state": {"terminated": ended}}
    return a_pod("import-x", status, owner=job, phase="Failed")


def test_the_log_of_a_failed_pod_explains_its_job() -> None:
    job = a_failed_job()
    pod = failed_pod(job)
    logs = {("shop", "import-x", "app", False): "FATAL: password authentication failed"}
    report = assessed(a_node(), job, pod, logs=logs)
    assert causes(report) == ["auth-failed"]
    assert {f.check for f in report.findings} == {"job-failed", "pod-crash"}


def test_a_failed_run_before_a_good_one_of_a_cron_job_is_history() -> None:
    cron = an("CronJob", "nightly", "batch/v1", status={"lastSuccessfulTime": ago(5)})
    job = a_failed_job(meta={"creationTimestamp": ago(60), **owned_by(cron)})
    assert assessed(a_node(), cron, job, failed_pod(job)).findings == []
    cron["status"]["lastSuccessfulTime"] = ago(600)
    assert len(assessed(a_node(), cron, job, failed_pod(job)).findings) == 2


def test_a_failed_pod_of_a_job_that_goes_on_is_not_reported() -> None:
    job = an("Job", "import", "batch/v1", spec={}, status={"active": 1, "failed": 1})
    assert assessed(a_node(), job, failed_pod(job)).findings == []
