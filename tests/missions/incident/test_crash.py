"""Crash loops: each cause is named with its evidence; its healthy twin stays silent."""

import pytest

from engine.model.report import Outcome
from tests.missions.incident.world import (
    Raw,
    a_container,
    a_deployment,
    a_node,
    a_pod,
    a_service,
    ago,
    an_event,
    assessed,
    causes,
    crashed,
    findings_of,
    running,
    the_incident,
)

KEY = ("shop", "web-1", "app", True)


def test_a_running_pod_and_its_node_make_no_finding() -> None:
    report = assessed(a_node(), a_deployment(), a_pod(), a_service())
    assert (report.outcome, report.findings, report.incidents) == (Outcome.OK, [], [])
    assert report.coverage.answered == report.coverage.possible
    assert report.coverage.unknowns == []


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (0, "exits-with-0"),
        (1, "app-error"),
        (2, "app-error"),
        (126, "command-not-executable"),
        (127, "command-not-found"),
        (132, "killed-by-signal"),
        (134, "aborted"),
        (137, "killed"),
        (139, "segfault"),
        (143, "terminated"),
        (255, "killed-by-signal"),
    ],
)
def test_without_a_log_the_exit_code_names_the_cause(code: int, word: str) -> None:
    report = assessed(a_node(), a_pod("web-1", crashed(code)))
    assert causes(report) == [word]
    assert any("log" in unknown.what for unknown in report.coverage.unknowns)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("KeyError: 'DATABASE_URL'", "env-missing"),
        ("fatal: environment variable API_HOST is not set", "env-missing"),
        ("dial tcp 10.0.0.9:5432: connect: connection refused", "connection-refused"),
        ("Error: connect ECONNREFUSED 127.0.0.1:6379", "connection-refused"),
        ("lookup db.shop.svc on 10.0.0.10:53: no such host", "dns-failed"),
        ("getaddrinfo ENOTFOUND db", "dns-failed"),
        ("FATAL: password authentication failed for user web", "auth-failed"),
        ("listen tcp :8080: bind: address already in use", "port-in-use"),
        ("write /data/x: no space left on device", "disk-full"),
        ("open /etc/app/key: permission denied", "permission-denied"),
        ("ERROR: relation orders does not exist", "migration-failed"),
        ("error: migration 0042 failed", "migration-failed"),
        ("x509: certificate has expired or is not yet valid", "tls-failed"),
        ("java.lang.OutOfMemoryError: Java heap space", "out-of-memory-error"),
        ("ModuleNotFoundError: No module named 'flask'", "missing-library"),
        ("unknown flag: --prot", "bad-arguments"),
        ("yaml: unmarshal errors: line 3", "config-invalid"),
        ("open /etc/app/app.yaml: no such file or directory", "file-missing"),
        ("exec /app: exec format error", "wrong-architecture"),
        ("panic: runtime error: index out of range", "panic"),
        ('pods is forbidden: User "system:serviceaccount:shop:web" cannot list', "rbac-forbidden"),
    ],
)
def test_the_log_names_the_cause_and_is_quoted(line: str, word: str) -> None:
    report = assessed(a_node(), a_pod("web-1", crashed(1)), logs={KEY: f"starting up\n{line}\n"})
    best = the_incident(report).hypotheses[0]
    assert (best.cause, best.verdict) == (word, "likely")
    quoted = [e for f in report.findings for e in f.evidence if e.source.startswith("log ")]
    assert [e.value for e in quoted] == [line]


@pytest.mark.parametrize("line", ["ready to serve", "0 errors", "took over leadership", ""])
def test_an_ordinary_log_does_not_invent_a_cause(line: str) -> None:
    report = assessed(a_node(), a_pod("web-1", crashed(1)), logs={KEY: line})
    assert causes(report) == ["app-error"]


def test_a_liveness_kill_is_told_from_a_kill_for_memory() -> None:
    pod = a_pod("web-1", crashed(137))
    unhealthy = an_event(pod, "Unhealthy", "Liveness probe failed: HTTP 500", container="app")
    killing = an_event(pod, "Killing", "Container app failed liveness probe, will be restarted")
    assert causes(assessed(a_node(), pod, unhealthy, killing)) == ["liveness-kill"]
    starved = assessed(a_node(), a_pod("web-1", crashed(137, "OOMKilled")))
    assert causes(starved) == ["memory-without-limit"]


def test_a_node_without_memory_is_blamed_for_a_container_without_a_limit() -> None:
    node = a_node()
    told = an_event(node, "SystemOOM", "System OOM encountered, victim process: java")
    report = assessed(node, told, a_pod("web-1", crashed(137, "OOMKilled")))
    assert the_incident(report).root.kind == "Node"
    assert causes(report) == ["node-out-of-memory"]


def test_a_memory_limit_is_to_be_raised_by_a_fifth_and_at_least_100_mebibytes() -> None:
    container = a_container(resources={"limits": {"memory": "512Mi"}})
    deployment = a_deployment(template={"spec": {"containers": [container]}})
    pod = a_pod(
        "web-1", crashed(137, "OOMKilled"), owner=deployment, spec={"containers": [container]}
    )
    report = assessed(a_node(), deployment, pod)
    raised = next(c for c in report.changes if c.operation == "raise-memory")
    assert "--limits=memory=615Mi" in raised.command
    assert causes(report) == ["memory-limit"]


def test_an_old_lack_of_memory_is_history() -> None:
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": ago(600)}
    status = running(restarts=1, lastState={"terminated": ended})
    assert assessed(a_node(), a_pod("web-1", status)).findings == []


def test_a_container_that_runs_between_two_crashes_counts_as_crashing() -> None:
    ended = {"exitCode": 1, "reason": "Error", "startedAt": ago(5), "finishedAt": ago(4)}
    status = running(restarts=4, lastState={"terminated": ended})
    assert causes(assessed(a_node(), a_pod("web-1", status))) == ["app-error"]


@pytest.mark.parametrize(("restarts", "minutes"), [(1, 4), (9, 500)])
def test_one_restart_or_an_old_one_is_no_crash_loop(restarts: int, minutes: float) -> None:
    ended = {"exitCode": 255, "reason": "Unknown", "finishedAt": ago(minutes)}
    status = running(restarts=restarts, lastState={"terminated": ended})
    assert assessed(a_node(), a_pod("web-1", status)).findings == []


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ('exec: "/bin/nope": stat /bin/nope: no such file or directory', "command-not-found"),
        ('exec: "serve": executable file not found in $PATH', "command-not-found"),
        ('exec: "/app/run": permission denied: unknown', "command-not-executable"),
        ("exec /app: exec format error", "wrong-architecture"),
    ],
)
def test_a_runtime_that_cannot_start_it_says_why(message: str, word: str) -> None:
    status = crashed(128, "StartError", message=message)
    assert causes(assessed(a_node(), a_pod("web-1", status))) == [word]


def test_a_crashing_init_container_is_named_as_such() -> None:
    pod: Raw = a_pod("web-1", phase="Pending", ready=False)
    pod["spec"]["initContainers"] = [a_container("setup")]
    pod["status"]["initContainerStatuses"] = [crashed(1, name="setup")]
    pod["status"]["containerStatuses"] = [
        {
            "name": "app",
            "ready": False,
            "restartCount": 0,
            "state": {"waiting": {"reason": "PodInitializing"}},
        }
    ]
    report = assessed(a_node(), pod)
    (finding,) = findings_of(report, "pod-crash")
    assert (finding.container, "init container setup" in finding.title) == ("setup", True)
    assert len(report.findings) == 1


def test_blame_goes_to_the_service_that_the_log_names_when_nothing_is_behind_it() -> None:
    database = a_service("db", spec={"selector": {"app": "db"}})
    behind = a_pod("db-0", crashed(139), meta={"labels": {"app": "db"}})
    report = assessed(
        a_node(),
        a_pod("web-1", crashed(1)),
        database,
        behind,
        logs={KEY: "dial tcp: connect to db:5432: connection refused"},
    )
    incident = the_incident(report)
    assert (incident.root.name, incident.hypotheses[0].cause) == ("db-0", "segfault")
    assert incident.object_count == 2


def test_a_service_that_serves_is_not_blamed_for_a_refused_connection() -> None:
    report = assessed(
        a_node(),
        a_pod("web-1", crashed(1)),
        a_service("db", spec={"selector": {"app": "db"}}),
        a_pod("db-0", meta={"labels": {"app": "db"}}),
        logs={KEY: "dial tcp: connect to db:5432: connection refused"},
    )
    assert the_incident(report).root.name == "web-1"
