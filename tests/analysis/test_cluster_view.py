"""ClusterView: owners, what absence means, events, selection."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engine.analysis.cluster_view import ClusterView
from engine.model.snapshot import ClusterSnapshot

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
Raw = dict[str, Any]


def an(kind: str, name: str, api: str = "v1", owner: Raw | None = None, **fields: Any) -> Raw:
    meta: Raw = {"name": name, "namespace": "shop", "uid": f"uid-{name}", **fields.pop("meta", {})}
    if owner:
        ref = {"kind": owner["kind"], "name": owner["metadata"]["name"], "controller": True}
        meta["ownerReferences"] = [{**ref, "uid": owner["metadata"]["uid"]}]
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def a_view(*objects: Raw, **more: Any) -> ClusterView:
    return ClusterView(ClusterSnapshot("east", objects=objects, **more), NOON)


def a_chain() -> list[Raw]:
    deployment = an("Deployment", "web", "apps/v1")
    replicas = an("ReplicaSet", "web-5d8f", "apps/v1", owner=deployment)
    pod = an("Pod", "web-5d8f-x", owner=replicas, meta={"labels": {"pod-template-hash": "5d8f"}})
    return [deployment, replicas, pod]


def test_the_top_of_a_pod_is_its_deployment() -> None:
    view = a_view(*a_chain())
    pod = view.of("Pod")[0]
    assert str(view.workload(pod)) == "Deployment shop/web"
    assert list(view.pods_of(view.workload(pod))) == [pod]


def test_a_replica_set_that_was_not_read_still_leads_to_its_deployment() -> None:
    view = a_view(a_chain()[-1])
    assert str(view.workload(view.of("Pod")[0])) == "Deployment shop/web"


def test_a_static_pod_is_bare_although_its_mirror_names_a_node() -> None:
    node = an("Node", "n1")
    pod = an("Pod", "etcd-n1", owner=node)
    assert str(a_view(node, pod).workload(pod)) == "Pod shop/etcd-n1"


def test_owners_in_a_circle_end() -> None:
    one, two = an("ReplicaSet", "a", "apps/v1"), an("ReplicaSet", "b", "apps/v1")
    one, two = (
        an("ReplicaSet", "a", "apps/v1", owner=two),
        an("ReplicaSet", "b", "apps/v1", owner=one),
    )
    assert a_view(one, two).top(one).kind == "ReplicaSet"


@pytest.mark.parametrize(
    ("read", "unread", "expected"),
    [
        (frozenset({"configmaps"}), {}, True),
        (frozenset({"pods"}), {}, None),
        (frozenset({"configmaps"}), {"configmaps": "forbidden"}, None),
        (None, {}, None),
    ],
)
def test_absence_is_certain_only_where_the_kind_was_read(
    read: frozenset[str] | None, unread: dict[str, str], expected: bool | None
) -> None:
    view = a_view(an("ConfigMap", "there"), read=read, unread=unread)
    assert view.missing("ConfigMap", "shop", "gone") is expected
    assert view.missing("ConfigMap", "shop", "there") is False


def test_a_namesake_of_another_api_group_is_another_kind() -> None:
    view = a_view(an("Service", "web", "serving.knative.dev/v1"), an("Service", "db"))
    assert [o["metadata"]["name"] for o in view.of("Service")] == ["db"]


def an_event(name: str, about: Raw, **fields: Any) -> Raw:
    place = {"kind": about["kind"], "name": about["metadata"]["name"], "namespace": "shop"}
    return an("Event", name, involvedObject={**place, **fields.pop("at", {})}, **fields)


def test_events_of_an_earlier_pod_of_the_same_name_are_left_out() -> None:
    pod = an("Pod", "db-0")
    mine = an_event("a", pod, reason="Mine", at={"uid": "uid-db-0"})
    old = an_event("b", pod, reason="Old", at={"uid": "another"})
    assert [e.reason for e in a_view(pod, mine, old).events_of(pod)] == ["Mine"]


def test_an_event_that_both_groups_gave_counts_once() -> None:
    pod = an("Pod", "db-0")
    core = an_event("a", pod, reason="Same")
    place = {"kind": "Pod", "name": "db-0", "namespace": "shop"}
    new = an("Event", "a", "events.k8s.io/v1", regarding=place, reason="Same")
    assert len(a_view(pod, core, new).events_of(pod)) == 1


def test_events_of_a_series_keep_count_and_last_time() -> None:
    pod = an("Pod", "db-0")
    series = {"count": 7, "lastObservedTime": "2026-11-24T11:59:00.000000Z"}
    event = an_event("a", pod, eventTime="2026-11-24T11:00:00Z", series=series, count=None)
    (found,) = a_view(pod, event).events_of(pod)
    assert (found.count, found.first, found.last) == (
        7,
        datetime(2026, 11, 24, 11, tzinfo=UTC),
        datetime(2026, 11, 24, 11, 59, tzinfo=UTC),
    )


def test_pods_are_selected_by_all_labels_and_none_by_no_label() -> None:
    both = an("Pod", "both", meta={"labels": {"app": "web", "tier": "front"}})
    one = an("Pod", "one", meta={"labels": {"app": "web"}})
    view = a_view(both, one)
    assert list(view.selected("shop", {"app": "web", "tier": "front"})) == [both]
    assert list(view.selected("shop", {})) == []
    assert list(view.selected("other", {"app": "web"})) == []


def test_ages_are_those_of_the_moment_of_reading() -> None:
    taken = datetime(2026, 11, 1, tzinfo=UTC)
    assert a_view(taken_at=taken).now == taken
    assert a_view().now == NOON
