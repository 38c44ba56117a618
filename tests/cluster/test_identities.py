"""Who may do what is held to by the server: rights and admission, as deploy/ gives them."""

from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.cluster.contexts import Context
from engine.model.change import Operation, Verb
from engine.model.errors import ClusterError
from tests.cluster.readers import a_reader, as_persona, through
from tests.cluster.writers import a_web, a_writer, an_operation, approved, live, version
from tests.testbeds.audit import changes
from tests.testbeds.identities import account, token
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import Manifest, a_pod, an_object, path

pytestmark = pytest.mark.real

KIND = account("incident-response")
MERGE = {"Content-Type": "application/merge-patch+json"}
OWN = {"fieldManager": "dogwatch"}
DRY = {**OWN, "dryRun": "All"}


@pytest.fixture
def process(identities: Kube, tmp_path: Path) -> Context:
    """How the writer process reaches its cluster: by the token of its own account."""
    port = identities.site.api_port
    return through(port, identities, tmp_path, token=token(identities, "writer"))


def a_ready_pod(kube: Kube, namespace: str) -> Manifest:
    kube.create(a_pod("p", namespace))
    kube.await_condition("Pod", "p", "Ready", namespace)
    return kube.get("Pod", "p", namespace)


def ask(kube: Kube, user: str, method: str, where: str, **rest: Any) -> httpx.Response:
    """Ask as that user, but by another program than dogwatch."""
    headers = {"Impersonate-User": user, **(MERGE if method == "PATCH" else {})}
    return kube.api().request(method, where, headers=headers, **rest)


def reads(kube: Kube, user: str, where: str) -> bool:
    return ask(kube, user, "GET", where).is_success


def place(obj: Manifest) -> str:
    return path(obj["kind"], obj["metadata"]["name"], obj["metadata"].get("namespace", ""))


async def test_the_writer_itself_may_do_nothing(identities: Kube, process: Context) -> None:
    namespace = identities.namespace()
    web, pod = a_web(identities, namespace), a_ready_pod(identities, namespace)
    async with a_writer(process) as writer:
        for verb, obj in ((Verb.PATCH, web), (Verb.SCALE, web), (Verb.EVICT, pod)):
            assert not await writer.allowed(an_operation(verb, obj))
        with pytest.raises(ClusterError, match="cannot get") as refused:
            await writer.get("deployments.apps", namespace, "web")
    assert refused.value.reason == "forbidden"


@pytest.mark.parametrize(
    "user", [account("reader"), account("writer"), account("other"), "admin", "system:admin"]
)
async def test_the_writer_becomes_nobody_but_those_named(process: Context, user: str) -> None:
    async with a_writer(process, act_as=user) as writer:
        with pytest.raises(ClusterError, match="cannot impersonate") as refused:
            await writer.identity()
    assert refused.value.reason == "forbidden"


async def test_a_kind_does_what_its_templates_need(identities: Kube, process: Context) -> None:
    namespace, node = approved(identities), identities.node()
    identities.audit.approve(node)
    web, pod = a_web(identities, namespace), a_ready_pod(identities, namespace)
    found = identities.get("Node", node)
    operations = [
        an_operation(Verb.PATCH, found, spec={"unschedulable": True}),
        an_operation(Verb.EVICT, pod),
        an_operation(Verb.SCALE, web, spec={"replicas": 2}),
    ]
    async with a_writer(process, act_as=KIND) as writer:
        assert await writer.identity()
        for operation, obj in zip(operations, (found, pod, web), strict=True):
            assert await writer.allowed(operation)
            now = version(await writer.get(operation.target.resource, *named(obj)))
            await writer.write(operation, version=now, dry_run=False)
    assert changes(identities, node) == [f"patch nodes/{node} 200"]
    assert changes(identities, namespace) == [
        "create pods/eviction/p 201",
        "patch deployments/scale/web 200",
    ]
    assert identities.get("Node", node)["spec"]["unschedulable"]
    assert live(identities, web)["spec"]["replicas"] == 2


def named(obj: Manifest) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


async def test_a_kind_may_do_nothing_else(identities: Kube, process: Context) -> None:
    namespace = identities.namespace()
    web, pod = a_web(identities, namespace), a_ready_pod(identities, namespace)
    (config,) = identities.create(an_object("ConfigMap", "c", namespace))
    new = an_object("Deployment", "new", namespace)
    others: list[Operation] = [
        an_operation(Verb.DELETE, web),
        an_operation(Verb.DELETE, pod),
        an_operation(Verb.PATCH, pod),
        an_operation(Verb.PATCH, config),
        an_operation(Verb.PATCH, identities.get("Namespace", namespace)),
        an_operation(Verb.APPLY, new),
    ]
    async with a_writer(process, act_as=KIND) as writer:
        assert [await writer.allowed(each) for each in others] == [False] * len(others)


async def test_the_proposer_reads_what_the_reader_reads_and_tries_what_kinds_do(
    identities: Kube, process: Context
) -> None:
    web = a_web(identities, identities.namespace())
    operation = an_operation(Verb.PATCH, web, spec={"replicas": 2})
    async with a_writer(process, act_as=account("proposer")) as writer:
        assert await writer.allowed(operation)
        tried = await writer.write(operation, version=version(web), dry_run=True)
    assert tried is not None
    assert tried["spec"]["replicas"] == 2
    context = Context(process.kubeconfig, act_as=account("proposer"))
    async with a_reader(context) as reader:
        assert await reader.list("replicasets.apps") is not None
        with pytest.raises(ClusterError, match="cannot list resource"):
            await reader.list("secrets")


def test_the_proposer_is_denied_whatever_is_no_dry_run(identities: Kube) -> None:
    namespace = identities.namespace()
    web, pod = a_web(identities, namespace), a_ready_pod(identities, namespace)
    eviction = {"metadata": pod["metadata"]}
    for method, where, body in (
        ("PATCH", place(web), {"spec": {"replicas": 2}}),
        ("PATCH", f"{place(web)}/scale", {"spec": {"replicas": 2}}),
        ("PATCH", path("Node", f"{identities.name}-0"), {"metadata": {"labels": {"a": "1"}}}),
        ("POST", f"{place(pod)}/eviction", eviction),
    ):
        told = ask(identities, account("proposer"), method, where, params=OWN, json=body)
        assert (told.status_code, "may only try" in told.text) == (403, True), where
        tried = ask(identities, account("proposer"), method, where, params=DRY, json=body)
        assert tried.is_success, tried.text
    assert live(identities, web)["spec"] == web["spec"]
    assert "deletionTimestamp" not in live(identities, pod)["metadata"]


@pytest.fixture
def freed(identities: Kube) -> str:
    """A namespace in which reader and kind were given all rights, by a mistake."""
    namespace = identities.namespace()
    group = "rbac.authorization.k8s.io"
    users = [account("reader"), KIND]
    identities.create(
        an_object(
            "RoleBinding",
            "mistake",
            namespace,
            roleRef={"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            subjects=[{"apiGroup": group, "kind": "User", "name": user} for user in users],
        )
    )
    identities.audit.approve(namespace)
    secrets = path("Secret", namespace=namespace)
    for user in users:
        identities.until(partial(reads, identities, user, secrets), "the rights are known")
    return namespace


@pytest.mark.parametrize("params", [OWN, DRY])
def test_the_reader_is_denied_every_write_even_with_all_rights(
    identities: Kube, freed: str, params: dict[str, str]
) -> None:
    (config,) = identities.create(an_object("ConfigMap", "c", freed))
    new = an_object("ConfigMap", "new", freed)
    for method, where, body in (
        ("POST", path("ConfigMap", namespace=freed), new),
        ("PATCH", place(config), {"data": {"a": "1"}}),
        ("DELETE", place(config), {"dryRun": ["All"]} if "dryRun" in params else {}),
    ):
        told = ask(identities, account("reader"), method, where, params=params, json=body)
        assert (told.status_code, "may only read" in told.text) == (403, True), method
    assert live(identities, config) == config
    assert ask(identities, account("reader"), "GET", place(config)).is_success


def test_a_kind_deletes_nothing_and_enters_nothing_even_with_all_rights(
    identities: Kube, freed: str
) -> None:
    pod = a_ready_pod(identities, freed)
    deleted = ask(identities, KIND, "DELETE", place(pod), params=OWN)
    entered = ask(identities, KIND, "POST", f"{place(pod)}/exec", params={"command": "ls"})
    for told, what in ((deleted, "DELETE"), (entered, "CONNECT")):
        assert (told.status_code, f"this is a {what}" in told.text) == (403, True), told.text
    assert "deletionTimestamp" not in live(identities, pod)["metadata"]


@pytest.mark.parametrize("params", [{}, {"fieldManager": "kubectl"}])
def test_a_kind_writes_under_its_own_name_only(
    identities: Kube, freed: str, params: dict[str, str]
) -> None:
    web = a_web(identities, freed)
    body = {"spec": {"replicas": 2}}
    told = ask(identities, KIND, "PATCH", place(web), params=params, json=body)
    assert (told.status_code, "as the field manager dogwatch" in told.text) == (403, True)
    tried = {**params, "dryRun": "All"}
    told = ask(identities, account("proposer"), "PATCH", place(web), params=tried, json=body)
    assert (told.status_code, "as the field manager dogwatch" in told.text) == (403, True)
    assert ask(identities, KIND, "PATCH", place(web), params=OWN, json=body).is_success


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", "dogwatch"])
async def test_a_kind_changes_nothing_in_a_protected_namespace(
    identities: Kube, process: Context, namespace: str
) -> None:
    web = a_web(identities, namespace)
    try:
        operation = an_operation(Verb.PATCH, web, spec={"replicas": 2})
        async with a_writer(process, act_as=account("proposer")) as writer:
            assert await writer.allowed(operation)
            with pytest.raises(ClusterError, match=f"may not change anything in {namespace}") as no:
                await writer.write(operation, version=version(web), dry_run=True)
        assert no.value.reason == "refused"
        told = ask(identities, KIND, "PATCH", place(web), params=OWN, json=operation.patch)
        assert told.status_code == 403
    finally:
        identities.delete("Deployment", "web", namespace)


def test_the_namespaces_themselves_are_protected(identities: Kube) -> None:
    """Whatever rights a kind has: of cluster-wide ones the policy knows no namespace but this."""
    group = "rbac.authorization.k8s.io"
    binding = an_object(
        "ClusterRoleBinding",
        "mistake",
        roleRef={"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
        subjects=[{"apiGroup": group, "kind": "User", "name": KIND}],
    )
    identities.create(binding)
    try:
        where = path("Namespace", "kube-public")
        labels = {"metadata": {"labels": {"a": "1"}}}
        words = "may not change anything in kube-public"
        identities.until(
            lambda: words in ask(identities, KIND, "PATCH", where, params=OWN, json=labels).text,
            words,
        )
    finally:
        identities.delete("ClusterRoleBinding", "mistake")


async def test_other_users_are_let_be(identities: Kube) -> None:
    web = a_web(identities, identities.namespace())
    assert identities.patch("Deployment", "web", web["metadata"]["namespace"], spec={"replicas": 2})
    async with a_reader(as_persona(identities, "reader")) as reader:
        assert await reader.identity()
