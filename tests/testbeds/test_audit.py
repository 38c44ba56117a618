"""The checker of the audit log sees what dogwatch changes on its own, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.testbeds.audit import Audit, UnapprovedError, logged
from tests.testbeds.controlplane import SERVERS
from tests.testbeds.identities import account
from tests.testbeds.manifests import Manifest, a_node, an_object, path
from tests.testbeds.personas import ANY_KIND

if TYPE_CHECKING:
    from tests.testbeds.kube import Kube

pytestmark = pytest.mark.real

MERGE = {"Content-Type": "application/merge-patch+json"}
OURS = {"User-Agent": "dogwatch"}


def judge(kube: Kube, audit: Audit) -> None:
    logged(kube)
    audit.check()


@pytest.fixture
def audit(kube: Kube) -> Audit:
    """A checker of its own, which begins now: what is wrong here is not held against the suite."""
    judge(kube, kube.audit)
    own = Audit(kube.site.audit_log)
    own.skip()
    return own


@pytest.fixture(autouse=True)
def _forget(audit: Audit, kube: Kube) -> Any:
    yield
    logged(kube)
    kube.audit.skip()


def a_config(kube: Kube) -> Manifest:
    (made,) = kube.create(an_object("ConfigMap", "c", kube.namespace()))
    return made


def ask(kube: Kube, method: str, obj: Manifest, *, user: str = "", **rest: Any) -> int:
    metadata = obj["metadata"]
    where = path(obj["kind"], metadata["name"], metadata.get("namespace", ""))
    headers = rest.pop("headers", {}) | ({"Impersonate-User": user} if user else {})
    return kube.api().request(method, where, headers=headers, **rest).status_code


def patched(kube: Kube, obj: Manifest, user: str = "", dry_run: str = "", ours: bool = True) -> int:
    params = {"dryRun": dry_run} if dry_run else {}
    headers = {**MERGE, **(OURS if ours else {})}
    note = {"metadata": {"labels": {"a": "1"}}}
    return ask(kube, "PATCH", obj, user=user, params=params, headers=headers, json=note)


@pytest.mark.parametrize("user", ["", account("reader"), account("proposer"), account("writer")])
def test_an_identity_that_never_changes_anything_is_told_of_even_when_it_is_refused(
    kube: Kube, audit: Audit, user: str
) -> None:
    config = a_config(kube)
    audit.approve(config["metadata"]["namespace"])
    patched(kube, config, user)
    with pytest.raises(UnapprovedError, match="this identity may change nothing"):
        judge(kube, audit)


def test_a_kind_changes_what_was_approved_and_nothing_else(kube: Kube, audit: Audit) -> None:
    config, other = a_config(kube), a_config(kube)
    audit.approve(config["metadata"]["namespace"])
    assert patched(kube, config, ANY_KIND) == 200
    judge(kube, audit)
    assert patched(kube, other, ANY_KIND, ours=False) == 200
    with pytest.raises(UnapprovedError, match="no test called") as told:
        judge(kube, audit)
    assert other["metadata"]["namespace"] in str(told.value)
    assert "\n" not in str(told.value)


def test_a_node_is_approved_by_its_name(kube: Kube, audit: Audit) -> None:
    node = kube.node()
    patched(kube, a_node(node), ANY_KIND)
    with pytest.raises(UnapprovedError, match=f"approve.'{node}'"):
        judge(kube, audit)
    audit.approve(node)
    patched(kube, a_node(node), ANY_KIND)
    judge(kube, audit)


def test_dry_runs_reads_and_other_programs_are_let_be(kube: Kube, audit: Audit) -> None:
    config = a_config(kube)
    assert patched(kube, config, ANY_KIND, dry_run="All") == 200
    assert patched(kube, config, ours=False) == 200
    assert ask(kube, "GET", config, user=ANY_KIND, headers=OURS) == 200
    body = {"dryRun": ["All"]}
    assert ask(kube, "DELETE", config, user=ANY_KIND, headers=OURS, json=body) == 200
    judge(kube, audit)


def test_a_delete_that_only_says_in_its_query_that_it_is_dry_is_seen(
    kube: Kube, audit: Audit
) -> None:
    config = a_config(kube)
    body = {"propagationPolicy": "Background"}
    params = {"dryRun": "All"}
    ask(kube, "DELETE", config, user=ANY_KIND, headers=OURS, json=body, params=params)
    assert not kube.exists("ConfigMap", "c", config["metadata"]["namespace"])
    with pytest.raises(UnapprovedError, match="delete"):
        judge(kube, audit)


def test_what_is_done_to_a_subresource_is_seen(kube: Kube, audit: Audit) -> None:
    config = a_config(kube)
    namespace = config["metadata"]["namespace"]
    kube.api().post(
        f"{path('Pod', 'p', namespace)}/eviction",
        headers={**OURS, "Impersonate-User": ANY_KIND},
        json={"metadata": {"name": "p", "namespace": namespace}},
    )
    with pytest.raises(UnapprovedError, match="pods/p/eviction"):
        judge(kube, audit)


def test_the_servers_own_work_is_not_written_down(kube: Kube) -> None:
    kube.create(an_object("Namespace", "quiet"))
    kube.made.append(("Namespace", "quiet"))
    kube.until(lambda: kube.exists("ServiceAccount", "default", "quiet"), "controllers at work")
    events = logged(kube)
    programs = {event["userAgent"].partition("/")[0] for event in events}
    assert "python-httpx" in programs
    assert not programs & {*SERVERS, "kube-apiserver"}
    assert not {event["verb"] for event in events} & {"get", "list", "watch"}
