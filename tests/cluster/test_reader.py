"""Reading a real cluster."""

import json
import ssl
from pathlib import Path

import pytest

from engine.cluster.contexts import Context
from engine.model.errors import ClusterError
from engine.model.watch import Offered, Part
from tests.cluster.readers import a_reader, as_persona, through
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import an_object

pytestmark = pytest.mark.real


async def test_a_cluster_says_who_it_is(kube: Kube) -> None:
    async with a_reader(as_persona(kube, "reader")) as reader:
        assert await reader.identity() == kube.get("Namespace", "kube-system")["metadata"]["uid"]
        assert (await reader.version()).startswith("v1.")


async def test_the_certificate_that_the_server_shows_is_known_once_it_answers(kube: Kube) -> None:
    async with a_reader(as_persona(kube, "reader")) as reader:
        assert reader.certificate() == b""
        await reader.identity()
        shown = ssl.DER_cert_to_PEM_cert(reader.certificate())
    assert shown.split() == kube.site.serving.certificate.read_text().split()


async def test_a_list_of_more_than_a_page_is_whole_and_typed(kube: Kube) -> None:
    namespace = kube.namespace()
    names = {f"c{n}" for n in range(600)}
    kube.create(*(an_object("ConfigMap", name, namespace) for name in sorted(names)))
    async with a_reader(as_persona(kube)) as reader:
        found = [
            o for o in await reader.list("configmaps") if o["metadata"]["namespace"] == namespace
        ]
    kube.delete("Namespace", namespace)
    mine = [o for o in found if o["metadata"]["name"] in names]
    assert len(mine) == 600
    assert {(o["apiVersion"], o["kind"]) for o in mine} == {("v1", "ConfigMap")}
    assert all("managedFields" not in o["metadata"] for o in mine)


async def test_secret_values_never_get_in_but_equal_ones_are_seen_to_be_equal(kube: Kube) -> None:
    namespace = kube.namespace()
    values = {"a": "aHVudGVyMg==", "b": "aHVudGVyMg==", "c": "b3RoZXI="}
    kube.create(an_object("Secret", "s", namespace, data=values))
    async with a_reader(as_persona(kube)) as reader:
        (secret,) = [
            o for o in await reader.list("secrets") if o["metadata"]["namespace"] == namespace
        ]
    assert "aHVudGVyMg" not in json.dumps(secret)
    assert secret["data"]["a"] == secret["data"]["b"] != secret["data"]["c"]


@pytest.mark.parametrize("resource", ["deployments.apps", "horizontalpodautoscalers.autoscaling"])
async def test_groups_are_found_by_discovery(kube: Kube, resource: str) -> None:
    async with a_reader(as_persona(kube, "reader")) as reader:
        assert isinstance(await reader.list(resource), list)


async def test_a_kind_is_found_and_listed_in_the_version_that_is_named(kube: Kube) -> None:
    namespace = kube.namespace()
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}
    scaler = an_object(
        "HorizontalPodAutoscaler", "x", namespace, spec={"maxReplicas": 2, "scaleTargetRef": target}
    )
    kube.create(scaler, an_object("ConfigMap", "x", namespace))
    part = Part(fields=f"metadata.namespace={namespace},metadata.name=x")
    async with a_reader(as_persona(kube, "reader")) as reader:
        old = await reader.offered("autoscaling/v1", "HorizontalPodAutoscaler")
        assert old == Offered("horizontalpodautoscalers.v1.autoscaling", namespaced=True)
        (listed,) = await reader.list(old.resource, part)
        assert listed["apiVersion"] == "autoscaling/v1"
        core = await reader.offered("v1", "ConfigMap")
        assert core == Offered("configmaps.v1.", namespaced=True)
        (listed,) = await reader.list(core.resource, part)
        assert (listed["apiVersion"], listed["metadata"]["name"]) == ("v1", "x")
        assert not (await reader.offered("v1", "Namespace")).namespaced
        for version, kind in (("apps/v1", "Deploymentz"), ("apps/v9", "Deployment"), ("x/v1", "A")):
            with pytest.raises(ClusterError) as caught:
                await reader.offered(version, kind)
            assert caught.value.reason == "not-found"


@pytest.mark.parametrize(
    ("persona", "resource", "reason", "text"),
    [
        ("nobody", "pods", "forbidden", 'User "nobody" cannot list resource "pods"'),
        ("pods-only", "nodes", "forbidden", 'cannot list resource "nodes"'),
        ("reader", "deploymentz.apps", "not-found", "did you mean 'deployments'?"),
        ("reader", "pod", "not-found", "did you mean 'pods'?"),
        ("reader", "widgets.example.com", "not-found", "404"),
    ],
)
async def test_what_can_not_be_listed_is_refused_with_its_reason(
    kube: Kube, persona: str, resource: str, reason: str, text: str
) -> None:
    async with a_reader(as_persona(kube, persona)) as reader:
        with pytest.raises(ClusterError) as caught:
            await reader.list(resource)
    assert caught.value.reason == reason
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_log_that_is_not_there_is_refused(kube: Kube) -> None:
    async with a_reader(as_persona(kube, "reader")) as reader:
        with pytest.raises(ClusterError) as caught:
            await reader.log(("default", "no-such-pod"), "main", previous=False)
    assert caught.value.reason == "not-found"


async def test_a_server_that_is_not_there_is_unreachable(kube: Kube, tmp_path: Path) -> None:
    async with a_reader(through(1, kube, tmp_path)) as reader:
        with pytest.raises(ClusterError) as caught:
            await reader.identity()
    assert caught.value.reason == "unreachable"
    assert "https://127.0.0.1:1" in str(caught.value)


async def test_a_server_that_nobody_vouches_for_is_not_spoken_to(
    kube: Kube, tmp_path: Path
) -> None:
    context = through(kube.site.api_port, kube, tmp_path)
    config = json.loads((tmp_path / "kubeconfig").read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    async with a_reader(context) as reader:
        with pytest.raises(ClusterError, match="CERTIFICATE_VERIFY_FAILED"):
            await reader.identity()


async def test_a_bound_token_that_was_replaced_is_read_anew_once_it_is_refused(
    kube: Kube, tmp_path: Path
) -> None:
    namespace = kube.namespace()
    token_file = tmp_path / "token"
    context = through(kube.site.api_port, kube, tmp_path, tokenFile=str(token_file))
    async with a_reader(context) as reader:
        token_file.write_text("outdated")
        with pytest.raises(ClusterError) as caught:
            await reader.list("pods")
        assert caught.value.reason == "unauthorized"
        token_file.write_text(a_bound_token(kube, namespace))
        with pytest.raises(ClusterError, match=f"system:serviceaccount:{namespace}:default"):
            await reader.list("pods")


def a_bound_token(kube: Kube, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    return str(kube.request("POST", path, json=request)["status"]["token"])


async def test_within_a_pod_the_service_account_is_enough(
    kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    namespace = kube.namespace()
    (tmp_path / "token").write_text(a_bound_token(kube, namespace))
    (tmp_path / "ca.crt").write_bytes(kube.ca.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(kube.site.api_port))
    context = Context(in_cluster=True, account_folder=str(tmp_path))
    async with a_reader(context) as reader:
        with pytest.raises(ClusterError, match=f"system:serviceaccount:{namespace}:default"):
            await reader.list("pods")


async def test_a_client_certificate_is_enough(kube: Kube, tmp_path: Path) -> None:
    pair = kube.site.authority.sign("somebody")
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    async with a_reader(through(kube.site.api_port, kube, tmp_path, **user)) as reader:
        with pytest.raises(ClusterError, match='User "somebody" cannot list'):
            await reader.list("pods")
