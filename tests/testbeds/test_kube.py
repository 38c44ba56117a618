"""The test cluster behaves as a cluster: objects, rights, nodes and its own outages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.testbeds.kube import Kube, RefusedError, kubeconfig
from tests.testbeds.manifests import a_deployment, a_pod, a_service, on_node, path
from tests.testbeds.personas import NOBODY, PODS_ONLY, READER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.real


def test_twenty_pods_of_a_deployment_become_ready(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_deployment("web", namespace, replicas=20))
    kube.until(
        lambda: kube.get("Deployment", "web", namespace)["status"].get("readyReplicas") == 20,
        "20 pods ready",
    )
    assert len({pod["status"]["podIP"] for pod in kube.list("Pod", namespace)}) == 20


def test_a_service_gets_the_endpoints_of_the_pods_it_selects(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(
        a_deployment("web", namespace), a_service("web", namespace, selector={"app": "web"})
    )

    def addresses() -> list[str]:
        slices = kube.list("EndpointSlice", namespace)
        endpoints = [each for one in slices for each in one["endpoints"] or []]
        return [address for each in endpoints for address in each["addresses"]]

    found = kube.until(addresses, "an endpoint")
    assert found == [kube.list("Pod", namespace)[0]["status"]["podIP"]]


def test_the_server_says_its_version(kube: Kube) -> None:
    assert kube.request("GET", "/version")["gitVersion"] == "v1.36.3"


@pytest.mark.parametrize(
    ("persona", "kind", "status"),
    [
        (READER, "Pod", 200),
        (READER, "Deployment", 200),
        (READER, "Secret", 403),
        (PODS_ONLY, "Pod", 200),
        (PODS_ONLY, "Node", 403),
        (NOBODY, "Pod", 403),
    ],
)
def test_each_persona_sees_what_its_role_allows(
    kube: Kube, persona: str, kind: str, status: int
) -> None:
    assert kube.api(persona).get(path(kind)).status_code == status


def test_a_reader_cannot_write(kube: Kube) -> None:
    namespace = kube.namespace()
    answer = kube.api(READER).post(path("Pod", namespace=namespace), json=a_pod("web", namespace))
    assert answer.status_code == 403


def test_a_wrong_token_is_refused(kube: Kube) -> None:
    answer = kube.api().get(path("Pod"), headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401


def test_a_refusal_carries_status_and_words_of_the_server(kube: Kube) -> None:
    with pytest.raises(RefusedError, match='pods "none" not found') as refused:
        kube.get("Pod", "none", "default")
    assert refused.value.status == 404


def test_a_node_without_heartbeats_turns_not_ready_and_recovers(kube: Kube) -> None:
    namespace, node = kube.namespace(), kube.node()
    kube.create(a_pod("web", namespace, **on_node(node)))
    kube.await_condition("Pod", "web", "Ready", namespace)
    kube.stop_heartbeats(node)
    kube.await_condition("Node", node, "Ready", status="Unknown")
    kube.await_condition("Pod", "web", "Ready", namespace, status="False")
    kube.resume_heartbeats(node)
    kube.await_condition("Node", node, "Ready")


def test_a_node_under_memory_pressure_says_so_and_recovers(kube: Kube) -> None:
    node = kube.node()
    kube.label("Node", node, chaos="MemoryPressure")
    kube.await_condition("Node", node, "MemoryPressure")
    assert kube.condition("Node", node, "Ready") == "True"
    kube.label("Node", node, chaos=None)
    kube.await_condition("Node", node, "MemoryPressure", status="False")


def test_a_reserved_node_gets_only_the_pods_that_ask_for_it(kube: Kube) -> None:
    namespace, node = kube.namespace(), kube.node()
    kube.create(a_pod("asks", namespace, **on_node(node)), a_pod("other", namespace))
    kube.await_condition("Pod", "asks", "Ready", namespace)
    kube.await_condition("Pod", "other", "Ready", namespace)
    assert kube.get("Pod", "asks", namespace)["spec"]["nodeName"] == node
    assert kube.get("Pod", "other", namespace)["spec"]["nodeName"] != node


def test_the_scheduler_says_why_a_pod_fits_nowhere(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_pod("big", namespace, nodeSelector={"disk": "none-has-this"}))
    kube.await_condition("Pod", "big", "PodScheduled", namespace, status="False")
    conditions = kube.get("Pod", "big", namespace)["status"]["conditions"]
    assert conditions[0]["reason"] == "Unschedulable"
    assert "didn't match Pod's node affinity/selector" in conditions[0]["message"]


def test_the_kubeconfig_has_a_context_for_each_persona(kube: Kube, tmp_path: Path) -> None:
    config = json.loads(kube.kubeconfig.read_text())
    names = {context["name"] for context in config["contexts"]}
    assert names == {"alpha", "alpha-reader", "alpha-pods-only", "alpha-nobody"}
    assert config["current-context"] == "alpha"
    one = json.loads(kubeconfig(tmp_path / "one", {"prod": (kube, READER)}).read_text())
    assert one["users"] == [{"name": "prod", "user": {"token": kube.tokens[READER]}}]


def test_the_cluster_survives_an_outage_of_its_api_server(
    kube_factory: Callable[[str], Kube],
) -> None:
    kube = kube_factory("beta")
    namespace = kube.namespace()
    kube.create(a_pod("before", namespace))
    with kube.without("kube-apiserver"), pytest.raises(httpx.ConnectError):
        kube.list("Pod", namespace)
    kube.create(a_pod("after", namespace))
    kube.await_condition("Pod", "before", "Ready", namespace)
    kube.await_condition("Pod", "after", "Ready", namespace)


def test_two_clusters_are_two(kube: Kube, kube_factory: Callable[[str], Kube]) -> None:
    uids = {
        each.get("Namespace", "kube-system")["metadata"]["uid"]
        for each in (kube, kube_factory("beta"), kube_factory("alpha"))
    }
    assert len(uids) == 2


def test_a_sweep_takes_away_what_was_made_and_keeps_the_rest(kube: Kube) -> None:
    kept, before = kube.namespace(), len(kube.made)
    namespace, node = kube.namespace(), kube.node()
    kube.sweep(before)
    kube.until(lambda: not kube.exists("Namespace", namespace), "the namespace to go")
    assert not kube.exists("Node", node)
    assert kube.get("Namespace", kept)["status"]["phase"] == "Active"


def test_without_kwok_a_pod_is_scheduled_and_does_not_start(
    kube_factory: Callable[[str], Kube],
) -> None:
    kube = kube_factory("beta")
    namespace = kube.namespace()
    with kube.without("kwok"):
        kube.create(a_pod("web", namespace))
        kube.await_condition("Pod", "web", "PodScheduled", namespace)
        assert kube.get("Pod", "web", namespace)["status"]["phase"] == "Pending"
    kube.await_condition("Pod", "web", "Ready", namespace)
