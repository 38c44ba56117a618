"""Workloads that do not get to their pods, and Jobs that fail."""

from typing import Any

from tests.missions.incident.world import (
    Raw,
    a_deployment,
    a_node,
    a_pod,
    ago,
    an,
    assessed,
    causes,
    crashed,
    findings_of,
    owned_by,
    waiting,
)


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
