"""Pods and jobs get into the trouble that they ask for, with the statuses that a kubelet writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testbeds.manifests import a_deployment, a_job, a_pod, chaos

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.testbeds.kube import Kube

pytestmark = pytest.mark.real


def _only_pod(kube: Kube, namespace: str) -> dict[str, Any]:
    """Return the namespace's pod, or {} while there is none."""
    return next(iter(kube.list("Pod", namespace)), {})


def _pod_once(
    kube: Kube, namespace: str, holds: Callable[[dict[str, Any]], bool], what: str
) -> dict[str, Any]:
    return kube.until(lambda: next(filter(holds, kube.list("Pod", namespace)), None), what)


def _container(pod: dict[str, Any], among: str = "containerStatuses") -> dict[str, Any]:
    return next(iter(pod.get("status", {}).get(among) or []), {})


def _waiting(pod: dict[str, Any], among: str = "containerStatuses") -> dict[str, Any]:
    state: dict[str, Any] = _container(pod, among).get("state", {}).get("waiting", {})
    return state


def _reasons(kube: Kube, namespace: str) -> set[str]:
    return {event["reason"] for event in kube.list("Event", namespace)}


def test_a_crash_loop_restarts_again_and_again_and_waits_in_between(kube: Kube) -> None:
    namespace = kube.namespace()
    trouble = chaos("crashloop", exit_code="3", message="no such table: users")
    kube.create(a_deployment("web", namespace, trouble=trouble))
    kube.until(lambda: _container(_only_pod(kube, namespace)).get("restartCount") == 1, "restart")
    pod = _pod_once(
        kube,
        namespace,
        lambda pod: _container(pod)["restartCount"] > 1 and bool(_waiting(pod)),
        "two restarts, and waiting",
    )
    assert _waiting(pod)["reason"] == "CrashLoopBackOff"
    last = _container(pod)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (
        3, "Error", "no such table: users",
    )  # fmt: skip
    assert "BackOff" in _reasons(kube, namespace)


def test_a_crash_loop_ends_when_the_deployment_no_longer_asks_for_it(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_deployment("web", namespace, trouble=chaos("crashloop")))
    kube.until(lambda: _waiting(_only_pod(kube, namespace)), "crash")
    healthy = a_deployment("web", namespace)["spec"]["template"]["metadata"]
    healthy["labels"]["chaos"] = None
    kube.patch("Deployment", "web", namespace, spec={"template": {"metadata": healthy}})
    kube.await_condition("Deployment", "web", "Available", namespace)
    kube.until(lambda: len(kube.list("Pod", namespace)) == 1, "the old pod to go")
    assert "chaos" not in _only_pod(kube, namespace)["metadata"]["labels"]


def test_exit_code_137_is_reported_as_out_of_memory(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, trouble=chaos("crashloop", exit_code="137")))
    pod = _pod_once(kube, namespace, lambda pod: bool(_waiting(pod)), "crash")
    last = _container(pod)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "OOMKilled")


@pytest.mark.parametrize(
    ("trouble", "reason", "message"),
    [
        (
            chaos("imagepull", message="manifest unknown"),
            "ImagePullBackOff",
            'Back-off pulling image "registry.test/app:1": manifest unknown',
        ),
        (
            chaos("configerror", message='secret "db" not found'),
            "CreateContainerConfigError",
            'secret "db" not found',
        ),
    ],
    ids=["image", "config"],
)
def test_a_pod_that_cannot_start_waits_with_the_reason(
    kube: Kube, trouble: dict[str, Any], reason: str, message: str
) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, trouble=trouble))
    pod = kube.until(
        lambda: (
            (pod := _only_pod(kube, namespace)) and _waiting(pod).get("reason") == reason and pod
        ),
        reason,
    )
    assert _waiting(pod)["message"] == message
    assert pod["status"]["phase"] == "Pending"
    kube.until(lambda: "Failed" in _reasons(kube, namespace), "the event")


def test_a_failing_init_container_keeps_the_pod_from_starting(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, init=["migrate"], trouble=chaos("initfail", exit_code="2")))
    pod = _pod_once(
        kube,
        namespace,
        lambda pod: _container(pod, "initContainerStatuses").get("restartCount", 0) > 1,
        "restarts of the init container",
    )
    init = _container(pod, "initContainerStatuses")
    assert init["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert init["lastState"]["terminated"]["exitCode"] == 2
    assert _waiting(pod)["reason"] == "PodInitializing"


def test_a_healthy_pod_with_init_containers_becomes_ready(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, init=["migrate"]))
    kube.await_condition("Pod", "web", "Ready", namespace)
    init = _container(_only_pod(kube, namespace), "initContainerStatuses")
    assert init["state"]["terminated"]["reason"] == "Completed"


def test_a_failing_readiness_probe_leaves_the_pod_running_and_not_ready(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, trouble=chaos("unready")))
    kube.await_condition("Pod", "web", "Ready", namespace, status="False")
    kube.until(lambda: "Unhealthy" in _reasons(kube, namespace), "the probe's event")
    assert _only_pod(kube, namespace)["status"]["phase"] == "Running"
    assert kube.condition("Pod", "web", "Ready", namespace) == "False"


def test_an_evicted_pod_fails_with_that_reason(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace, trouble=chaos("evicted")))
    kube.until(lambda: _only_pod(kube, namespace)["status"].get("reason") == "Evicted", "eviction")
    assert _only_pod(kube, namespace)["status"]["phase"] == "Failed"


def test_a_job_completes(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_job("backup", namespace))
    kube.await_condition("Job", "backup", "Complete", namespace)


def test_a_job_fails_when_its_pod_does(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_job("backup", namespace, trouble=chaos("jobfail", exit_code="4")))
    kube.await_condition("Job", "backup", "Failed", namespace)
    ended = _container(_only_pod(kube, namespace))["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (4, "Error")


def test_a_deleted_pod_is_gone(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("web", namespace))
    kube.await_condition("Pod", "web", "Ready", namespace)
    kube.delete("Pod", "web", namespace)
    kube.until(lambda: not kube.list("Pod", namespace), "the pod to go")


def test_the_slow_finalizer_holds_a_deleted_pod_for_a_while(kube: Kube) -> None:
    namespace = kube.namespace()
    pod = a_pod("web", namespace)
    pod["metadata"]["finalizers"] = ["chaos.dogwatch.test/slow"]
    kube.create(pod)
    kube.await_condition("Pod", "web", "Ready", namespace)
    kube.delete("Pod", "web", namespace)
    assert "deletionTimestamp" in _only_pod(kube, namespace)["metadata"]
    kube.until(lambda: not kube.list("Pod", namespace), "the pod to go")
