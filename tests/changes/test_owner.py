"""Who owns an object or a field: what is theirs is not patched, and they are told of instead."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.cluster_view import ClusterView
from engine.changes.owner import not_owned_elsewhere, owner_of
from engine.changes.templates.template import marked
from tests.missions.incident.world import NOON, Raw, a_cluster, a_deployment, a_pod, owned_by
from tests.missions.incident.world import an as make

IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "b"}]}}}}
REPLICAS = {"spec": {"replicas": 3}}


def labelled(label: str, value: str = "shop") -> Raw:
    return a_deployment(meta={"labels": {label: value}})


def noted(note: str, value: str = "shop") -> Raw:
    return a_deployment(meta={"annotations": {note: value}})


def managed(manager: str, fields: dict[str, Any], **more: Any) -> Raw:
    entry = {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}
    return a_deployment(meta={"managedFields": [entry]})


CONTAINERS: dict[str, Any] = {
    "f:template": {"f:spec": {"f:containers": {'k:{"name":"app"}': {"f:image": {}}}}}
}


@pytest.mark.parametrize(
    ("obj", "tool"),
    [
        (noted("argocd.argoproj.io/tracking-id"), "Argo CD"),
        (labelled("argocd.argoproj.io/instance"), "Argo CD"),
        (labelled("kustomize.toolkit.fluxcd.io/name"), "Flux"),
        (labelled("helm.toolkit.fluxcd.io/name"), "Flux"),
        (noted("meta.helm.sh/release-name"), "Helm"),
        (labelled("app.kubernetes.io/managed-by", "Helm"), "Helm"),
        (labelled("olm.owner"), "OLM"),
        (labelled("operators.coreos.com/etcd.operators"), "OLM"),
        (managed("argocd-controller", {"f:spec": CONTAINERS}), "Argo CD"),
        (managed("kustomize-controller", {"f:spec": CONTAINERS}), "Flux"),
        (managed("helm", {"f:spec": CONTAINERS}), "Helm"),
    ],
)
def test_a_tool_that_would_put_it_back_is_found(obj: Raw, tool: str) -> None:
    owner = owner_of(obj, IMAGE)
    assert owner is not None
    assert owner.tool == tool
    assert str(owner).startswith(f"{tool} owns it (")
    assert bool(owner.patch) == (tool != "OLM")


def test_what_an_operator_made_is_its_own() -> None:
    csv = make("ClusterServiceVersion", "etcd", "operators.coreos.com/v1alpha1")
    by_olm = owner_of(a_deployment(meta=owned_by(csv)), IMAGE)
    by_other = owner_of(a_deployment(meta=owned_by(make("Shop", "s", "shop.io/v1"))), IMAGE)
    assert by_olm is not None
    assert by_other is not None
    assert (by_olm.tool, by_other.tool) == ("OLM", "the controller of Shop")
    assert "owner Shop s" in str(by_other)


def test_the_patch_for_the_source_is_what_would_have_been_done_here() -> None:
    owner = owner_of(noted("argocd.argoproj.io/tracking-id"), marked(IMAGE, "c-1"))
    assert owner is not None
    assert owner.patch == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        **IMAGE,
    }
    assert '"image":"b"' in str(owner)


def test_a_credential_does_not_travel_with_the_patch_for_the_source() -> None:
    variables = [
        {"name": "URL", "value": "postgres://app:hunter2@db/shop"},
        {"name": "DB_PASSWORD", "value": "hunter2"},
    ]
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "a", "env": variables}]}}}}
    owner = owner_of(noted("argocd.argoproj.io/tracking-id"), patch)
    assert "hunter2" not in str(owner)


def test_an_autoscaler_owns_the_replicas_and_nothing_else() -> None:
    scaled = managed("kube-controller-manager", {"f:spec": {"f:replicas": {}}}, subresource="scale")
    owner = owner_of(scaled, REPLICAS)
    assert owner is not None
    assert owner.tool == "a HorizontalPodAutoscaler"
    assert "minReplicas" in owner.instead
    assert not owner.patch
    assert owner_of(scaled, IMAGE) is None


def test_fields_of_others_beside_ours_are_no_hindrance() -> None:
    notes: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}, "f:theirs": {}}}}
    ours = {"metadata": {"annotations": {"ours": "1"}}}
    assert owner_of(managed("helm", notes), ours) is None
    assert owner_of(managed("helm", notes), {"metadata": {"annotations": {"theirs": "1"}}})
    assert owner_of(managed("helm", notes), {"metadata": {"annotations": None}})
    assert owner_of(
        managed("helm", {"f:spec": {"f:selector": {}}}), {"spec": {"selector": {"a": 1}}}
    )


@pytest.mark.parametrize("manager", ["kubectl-edit", "dogwatch", "kube-controller-manager"])
def test_people_controllers_and_ourselves_own_nothing(manager: str) -> None:
    assert owner_of(managed(manager, {"f:spec": {**CONTAINERS, "f:replicas": {}}}), IMAGE) is None
    assert owner_of(managed(manager, {"f:spec": {"f:replicas": {}}}), REPLICAS) is None
    assert owner_of(a_deployment(), IMAGE) is None


def test_an_eviction_touches_nobodys_fields() -> None:
    replicas = make("ReplicaSet", "web-1", "apps/v1")
    pod = a_pod(owner=replicas, meta={"labels": {"app.kubernetes.io/managed-by": "Helm"}})
    assert owner_of(pod, {}) is None


def test_the_marks_alone_tell_where_managed_fields_were_not_read() -> None:
    owned = noted("meta.helm.sh/release-name")
    view = ClusterView(a_cluster(owned), NOON)
    check = not_owned_elsewhere(view, view.ref(owned))
    assert (check.holds, check.why) == (False, "Helm does: change its source instead")
    free = ClusterView(a_cluster(a_deployment()), NOON)
    assert not_owned_elsewhere(free, free.named("Deployment", "shop", "web")).holds is True
    assert not_owned_elsewhere(free, free.named("Deployment", "shop", "gone")).holds is None


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["metadata", "managedFields", "fieldsV1", "f:spec", "manager", "labels"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "kind", "spec"]), JUNK, max_size=3))
def test_an_object_of_any_shape_is_judged(obj: Any) -> None:
    assert owner_of(obj, IMAGE) is None
