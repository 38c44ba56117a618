"""What is never let through: protected objects, too many of them, too much of a workload."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analysis.cluster_view import ClusterView
from engine.changes.policy import Fact, facts, refused
from engine.model.change import Operation, Risk, Target, Verb
from engine.model.change_row import ChangeRow
from engine.model.snapshot import ClusterSnapshot
from tests.changes.policy.cases import a_policy, a_row, a_target, an_operation

OPENED = "approvers: [{groups: [sre]}]\nprotected: {opened: [kube-system], namespaces: ['pay*']}\n"


def known(row: ChangeRow, **labels: str) -> dict[str, Fact]:
    """Return that every object of `row` carries `labels`."""
    assert row.change is not None
    return {one.target.uid: Fact(labels) for one in row.change.operations}


def on(*targets: Target, **fields: Any) -> ChangeRow:
    return a_row(operations=[an_operation(target) for target in targets], **fields)


def test_what_nothing_forbids_is_let_through() -> None:
    assert refused(a_policy(), a_row(), known(a_row())) == ""


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "kube-node-lease", "dogwatch"])
def test_nothing_is_changed_in_the_namespaces_of_the_cluster_and_the_engine(name: str) -> None:
    inside = on(a_target(namespace=name))
    assert refused(a_policy(), inside, known(inside)) == f"namespace {name} is protected"
    itself = on(a_target(name, "", kind="Namespace"))
    assert refused(a_policy(), itself, known(itself)) == f"namespace {name} is protected"


def test_the_policy_opens_one_namespace_and_closes_others() -> None:
    policy = a_policy(OPENED)
    for name, told in (
        ("kube-system", ""),
        ("kube-public", "namespace kube-public is protected"),
        ("payments", "namespace payments is protected"),
    ):
        row = on(a_target(namespace=name))
        assert refused(policy, row, known(row)) == told


def test_what_only_the_roll_back_touches_is_protected_too() -> None:
    row = a_row(rollback=[an_operation(a_target(namespace="kube-system"))])
    assert refused(a_policy(), row, known(row)) == "namespace kube-system is protected"


def test_a_label_protects_an_object() -> None:
    row = a_row()
    told = refused(a_policy(), row, known(row, **{"dogwatch.dev/protected": "true"}))
    assert told == "Deployment shop/web is protected by its label dogwatch.dev/protected=true"
    assert refused(a_policy(), row, known(row, **{"dogwatch.dev/protected": "no"})) == ""


def test_an_object_whose_labels_are_not_known_counts_as_protected() -> None:
    assert "are not known" in refused(a_policy(), a_row(), {})
    open_ = a_policy("approvers: [{groups: [sre]}]\nprotected: {labels: {}}\n")
    assert refused(open_, a_row(), {}) == ""


def test_an_unknown_cluster_and_a_second_one_are_refused() -> None:
    away = on(a_target(cluster="prod-us"))
    assert refused(a_policy(), away, known(away)) == "cluster prod-us is not in the configuration"
    both = on(a_target(), a_target(cluster="lab"))
    assert refused(a_policy(), both, known(both)) == "it touches lab beside prod-eu"


def test_more_objects_than_the_budget_are_refused() -> None:
    ten = on(*(a_target(f"web-{n}") for n in range(10)))
    assert refused(a_policy(), ten, known(ten)) == ""
    eleven = on(*(a_target(f"web-{n}") for n in range(11)))
    told = refused(a_policy(), eleven, known(eleven))
    assert told == "it touches 11 objects; the policy allows 10 in one change"
    policy = a_policy("approvers: [{groups: [sre]}]\nbudgets: {templates: {drain: 11}}\n")
    assert refused(policy, eleven, known(eleven)) == told
    drain = on(*(a_target(f"web-{n}") for n in range(11)), template="drain")
    assert refused(policy, drain, known(drain)) == ""


def test_one_object_that_is_written_twice_counts_once() -> None:
    row = a_row(operations=[an_operation(a_target(), wave=wave) for wave in range(11)])
    assert refused(a_policy(), row, known(row)) == ""


def test_what_is_not_worked_out_is_refused() -> None:
    assert refused(a_policy(), a_row(change=None), {}) == "the change is not worked out yet"


def evictions(
    count: int, replicas: int | None, *, waves: bool
) -> tuple[ChangeRow, dict[str, Fact]]:
    """Return a row that evicts `count` pods of one workload, one a wave or all in one."""
    pods = [a_target(f"web-{n}", kind="Pod") for n in range(count)]
    row = a_row(
        operations=[
            an_operation(pod, Verb.EVICT, wave=n if waves else 0) for n, pod in enumerate(pods)
        ],
        template="drain",
    )
    return row, {pod.uid: Fact({}, "Deployment shop/web", replicas) for pod in pods}


MANY = a_policy("approvers: [{groups: [sre]}]\nbudgets: {templates: {drain: 100}}\n")


@given(st.integers(1, 60), st.integers(0, 600))
def test_at_most_a_tenth_of_the_replicas_go_at_once_and_one_always_may(
    count: int, replicas: int
) -> None:
    row, about = evictions(count, replicas, waves=False)
    allowed = count == 1 or count * 10 <= replicas
    assert (refused(MANY, row, about) == "") is allowed
    slowly, about = evictions(count, replicas, waves=True)
    assert refused(MANY, slowly, about) == ""


def test_of_an_unknown_number_of_replicas_one_may_go_at_once() -> None:
    row, about = evictions(2, None, waves=False)
    assert refused(MANY, row, about) == (
        "it takes 2 of an unknown number of replicas from Deployment shop/web at once (wave 0); "
        "the policy allows 1, 10 %"
    )
    assert refused(MANY, *evictions(1, None, waves=False)) == ""


def scaled(before: int, after: int) -> Operation:
    return an_operation(
        a_target(),
        Verb.SCALE,
        before={"spec": {"replicas": before}},
        after={"spec": {"replicas": after}},
    )


@pytest.mark.parametrize(
    ("before", "after", "fine"),
    [(20, 18, True), (20, 17, False), (3, 2, True), (3, 1, False), (3, 30, True), (1, 0, True)],
)
def test_scaling_down_takes_replicas_away_and_scaling_up_does_not(
    before: int, after: int, fine: bool
) -> None:
    row = a_row(operations=[scaled(before, after)])
    uid = a_target().uid
    told = refused(a_policy(), row, {uid: Fact({}, "Deployment shop/web", before)})
    assert (told == "") is fine


def test_what_is_only_patched_or_has_no_replicas_takes_none_away() -> None:
    pods = [a_target(f"web-{n}", kind="Pod") for n in range(5)]
    about = {pod.uid: Fact({}, "Deployment shop/web", 5) for pod in pods}
    assert refused(a_policy(), on(*pods), about) == ""
    one = a_target()
    for before, after in (({}, {"spec": {"replicas": 3}}), ({"spec": {"replicas": 3}}, {})):
        row = a_row(operations=[an_operation(one, Verb.SCALE, before=before, after=after)])
        assert refused(a_policy(), row, {one.uid: Fact({}, "Deployment shop/web", 3)}) == ""


def a_view() -> ClusterView:
    """Return a cluster with a Deployment of 20, one pod of it, and one of its own."""
    owner = {"controller": True, "apiVersion": "apps/v1"}
    meta: dict[str, Any] = {"namespace": "shop"}
    objects: tuple[dict[str, Any], ...] = (
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {**meta, "name": "web", "uid": "d", "labels": {"keep": "yes"}},
            "spec": {"replicas": 20},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {
                **meta,
                "name": "web-1",
                "uid": "r",
                "ownerReferences": [{**owner, "kind": "Deployment", "name": "web", "uid": "d"}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **meta,
                "name": "web-1-a",
                "uid": "p",
                "labels": {"app": "web"},
                "ownerReferences": [{**owner, "kind": "ReplicaSet", "name": "web-1", "uid": "r"}],
            },
        },
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "name": "alone", "uid": "a"}},
    )
    snapshot = ClusterSnapshot("prod-eu", objects=objects)
    return ClusterView(snapshot, datetime(2026, 12, 1, tzinfo=UTC))


def test_facts_are_read_of_the_view() -> None:
    targets = [
        a_target(uid="d"),
        a_target("web-1-a", kind="Pod", api_version="v1", uid="p"),
        a_target("alone", kind="Pod", api_version="v1", uid="a"),
    ]
    row = on(*targets)
    assert row.change is not None
    assert facts(a_view(), row.change) == {
        "d": Fact({"keep": "yes"}, "Deployment shop/web", 20),
        "p": Fact({"app": "web"}, "Deployment shop/web", 20),
        "a": Fact({}),
    }


def test_an_object_that_is_gone_or_was_made_again_has_no_facts() -> None:
    row = on(a_target("gone"), a_target(uid="earlier"))
    assert row.change is not None
    assert facts(a_view(), row.change) == {}


def test_the_risk_does_not_matter_here() -> None:
    row = a_row(Risk.LOCKOUT)
    assert refused(a_policy(), row, known(row)) == ""
