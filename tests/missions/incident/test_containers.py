"""Images and configuration: what is missing is named and looked up; a healthy pod is silent."""

import pytest

from tests.missions.incident.world import (
    ALL,
    Raw,
    a_container,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_template,
    an,
    an_event,
    assessed,
    causes,
    findings_of,
    the_incident,
    waiting,
)

IMAGE = "registry.example/web:1"


def pulling(reason: str = "ImagePullBackOff", message: str = "Back-off pulling image") -> Raw:
    return a_pod("web-1", waiting(reason, message), phase="Pending")


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (f'failed to resolve reference "{IMAGE}": {IMAGE}: not found', "image-not-found"),
        ("manifest unknown: manifest tagged by 1 is not found", "image-not-found"),
        ("pull access denied, repository does not exist or may require auth", "image-unauthorized"),
        ("unexpected status code 401 Unauthorized", "image-unauthorized"),
        ("toomanyrequests: You have reached your pull rate limit", "image-rate-limited"),
        ("tls: failed to verify certificate: x509: unknown authority", "image-tls"),
        ("dial tcp: lookup registry.example: no such host", "registry-unreachable"),
        ("dial tcp 10.1.1.1:443: i/o timeout", "registry-unreachable"),
        ("no match for platform in manifest: not found", "image-architecture"),
    ],
)
def test_the_event_of_a_pull_names_its_cause(message: str, word: str) -> None:
    pod = pulling()
    event = an_event(pod, "Failed", f'Failed to pull image "{IMAGE}": {message}', container="app")
    report = assessed(a_node(), pod, event)
    best = the_incident(report).hypotheses[0]
    assert (best.cause, best.verdict) == (word, "likely")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("InvalidImageName", "image-invalid-name"),
        ("ErrImageNeverPull", "image-never-pull"),
        ("RegistryUnavailable", "registry-unreachable"),
        ("ErrImagePull", "image-pull"),
    ],
)
def test_a_reason_that_says_all_needs_no_message(reason: str, word: str) -> None:
    assert causes(assessed(a_node(), pulling(reason, ""))) == [word]


def test_a_tag_that_looks_like_a_status_code_is_not_read_as_one() -> None:
    pod = pulling(message='Back-off pulling image "registry.example/web:404"')
    pod["spec"]["containers"] = [a_container(image="registry.example/web:404")]
    assert causes(assessed(a_node(), pod)) == ["image-pull"]


def test_a_missing_pull_secret_is_blamed_and_looked_up() -> None:
    pod = pulling("ErrImagePull", "unexpected status: 401 Unauthorized")
    pod["spec"]["imagePullSecrets"] = [{"name": "regcred"}]
    incident = the_incident(assessed(a_node(), pod))
    assert (incident.root.kind, incident.root.name) == ("Secret", "regcred")
    assert incident.hypotheses[0].cause == "pull-secret-missing"
    there = an("Secret", "regcred")
    assert causes(assessed(a_node(), pod, there)) == ["image-unauthorized"]
    unread = assessed(a_node(), pod, read=ALL - {"secrets"})
    assert causes(unread) == ["image-unauthorized"]


def test_a_registry_that_fails_is_one_incident_for_all_its_images() -> None:
    pods = [
        a_pod(
            f"w{n}",
            waiting("ErrImagePull", "toomanyrequests: rate limit"),
            phase="Pending",
            spec={"containers": [a_container(image=f"docker.io/team/w{n}:1")]},
        )
        for n in range(3)
    ]
    incident = the_incident(assessed(a_node(), *pods))
    assert (incident.root.kind, incident.root.name) == ("Registry", "docker.io")
    assert incident.object_count == 3


@pytest.mark.parametrize(
    ("message", "kind", "name", "word"),
    [
        ('configmap "settings" not found', "ConfigMap", "settings", "config-missing"),
        ('secret "db" not found', "Secret", "db", "config-missing"),
        (
            "couldn't find key PORT in ConfigMap shop/here",
            "ConfigMap",
            "here",
            "config-key-missing",
        ),
    ],
)
def test_a_missing_reference_is_blamed_and_looked_up(
    message: str, kind: str, name: str, word: str
) -> None:
    pod = a_pod("web-1", waiting("CreateContainerConfigError", message), phase="Pending")
    report = assessed(a_node(), pod, an("ConfigMap", "here", data={"OTHER": "1"}))
    incident = the_incident(report)
    assert (incident.root.kind, incident.root.name) == (kind, name)
    assert (incident.hypotheses[0].cause, incident.hypotheses[0].verdict) == (word, "likely")
    assert any(e.source.startswith("absence ") for f in report.findings for e in f.evidence)


def test_a_reference_that_exists_by_now_is_not_called_likely() -> None:
    message = 'configmap "settings" not found'
    pod = a_pod("web-1", waiting("CreateContainerConfigError", message), phase="Pending")
    report = assessed(a_node(), pod, an("ConfigMap", "settings"))
    assert the_incident(report).hypotheses[0].verdict == "possible"
    assert any("exists now" in e.value for f in report.findings for e in f.evidence)


def test_a_key_without_its_object_in_the_message_is_found_in_the_spec() -> None:
    env = [{"name": "P", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "PORT"}}}]
    pod = a_pod(
        "web-1",
        waiting("CreateContainerConfigError", "references non-existent config key: PORT"),
        phase="Pending",
        spec={"containers": [a_container(env=env)]},
    )
    incident = the_incident(assessed(a_node(), pod, an("ConfigMap", "settings", data={"A": "b"})))
    assert (incident.root.name, incident.hypotheses[0].cause) == ("settings", "config-key-missing")


@pytest.mark.parametrize(
    ("reason", "message", "word"),
    [
        (
            "CreateContainerConfigError",
            "container has runAsNonRoot and image will run as root",
            "runs-as-root",
        ),
        (
            "CreateContainerError",
            'failed to prepare subPath for volumeMount "data"',
            "subpath-mount",
        ),
        ("CreateContainerError", "no command specified", "command-not-found"),
        ("RunContainerError", 'exec: "serve": executable file not found', "command-not-found"),
        ("CreateContainerError", "context deadline exceeded", "runtime-stuck"),
        ("PostStartHookError", "exited with 1", "hook-failed"),
        ("CreateContainerError", "something new", "start-error"),
    ],
)
def test_what_the_runtime_refuses_is_named(reason: str, message: str, word: str) -> None:
    pod = a_pod("web-1", waiting(reason, message), phase="Pending")
    assert causes(assessed(a_node(), pod)) == [word]


def test_pods_of_one_deployment_that_fail_alike_are_one_finding() -> None:
    deployment = a_deployment(replicas=3, ready=0)
    newest = a_replicaset(deployment, "web-1", revision=1, made=9000)
    pods = [
        a_pod(f"web-1-{n}", waiting("ErrImageNeverPull"), owner=newest, phase="Pending")
        for n in "abc"
    ]
    report = assessed(a_node(), deployment, newest, *pods)
    (finding,) = findings_of(report, "pod-image-pull")
    assert (finding.object.kind, finding.object.name) == ("Deployment", "web")
    assert "3 of 3 pods" in finding.title
    assert the_incident(report).object_count == 3


def test_a_rollback_is_refused_when_what_the_old_revision_needs_is_gone() -> None:
    deployment = a_deployment()
    needs = a_template(envFrom=[{"configMapRef": {"name": "old-settings"}}])
    old = a_replicaset(deployment, "web-1", revision=1, made=9000, template=needs, ready=0)
    new = a_replicaset(deployment, "web-2", revision=2, made=20)
    pod = a_pod("web-2-x", waiting("ErrImageNeverPull"), owner=new, phase="Pending")
    for there, holds in ((), False), ((an("ConfigMap", "old-settings"),), True):
        report = assessed(a_node(), deployment, old, new, pod, *there)
        rollback = next(c for c in report.changes if c.operation == "rollback")
        refers = next(p for p in rollback.preconditions if "refers to" in p.name)
        assert refers.holds is holds


def test_without_an_earlier_revision_no_rollback_is_offered() -> None:
    deployment = a_deployment()
    only = a_replicaset(deployment, "web-1", revision=1, made=20)
    pod = a_pod("web-1-x", waiting("ErrImageNeverPull"), owner=only, phase="Pending")
    report = assessed(a_node(), deployment, only, pod)
    assert [c.operation for c in report.changes] == ["fix-image"]


def test_a_migration_that_ran_with_the_roll_out_speaks_against_a_rollback() -> None:
    deployment = a_deployment()
    old = a_replicaset(deployment, "web-1", revision=1, made=9000, ready=0)
    new = a_replicaset(deployment, "web-2", revision=2, made=20)
    pod = a_pod("web-2-x", waiting("ErrImageNeverPull"), owner=new, phase="Pending")
    job = an(
        "Job",
        "web-migrate-2",
        "batch/v1",
        meta={"creationTimestamp": new["metadata"]["creationTimestamp"]},
    )
    for there, holds in ((), True), ((job,), False):
        report = assessed(a_node(), deployment, old, new, pod, *there)
        rollback = next(c for c in report.changes if c.operation == "rollback")
        ran = next(p for p in rollback.preconditions if "migration" in p.name)
        assert ran.holds is holds
