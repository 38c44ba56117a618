"""A plan: the change that a decision names is what was read, dry-run and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from engine.analysis.cluster_view import ClusterView
from engine.changes.look import Look
from engine.changes.merge import apply_patch
from engine.changes.plan import (
    Tried,
    operation_of,
    operation_tried,
    outline,
    propose,
    replaced,
    undo_of,
)
from engine.changes.record import applied
from engine.changes.templates import CHANGE, Unfit
from engine.model.change import Change, Risk, Verb
from engine.model.change_row import ChangeRow, Step, Written
from engine.model.change_state import ChangeState
from tests.changes.worlds import (
    BAD,
    GOOD,
    a_draft,
    a_rollout,
    a_view,
    answered,
    two_nodes,
)
from tests.missions.incident.world import (
    ALL,
    NOON,
    Raw,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_service,
    an,
    running,
)

UID = "uid-east"


def a_look(view: ClusterView, *findings: str, critical: tuple[str, ...] = ()) -> Look:
    return Look(view, frozenset(findings) | set(critical), frozenset(critical), assessed=True)


def planned(
    view: ClusterView,
    kind: str = "Deployment",
    name: str = "web",
    template: str = "rollback",
    **more: Any,
) -> Change:
    webhook, foreseen = more.pop("webhook", None), more.pop("foreseen", None)
    plan = outline(a_draft(view, kind, name, template, **more), view)
    tried = [answered(view, edit, webhook) for edit in plan.edits]
    return propose(plan, tried, a_look(view, "x-1"), cluster_uid=UID, foreseen=foreseen)


def test_a_rollback_is_one_operation_and_its_opposite() -> None:
    objects = a_rollout(GOOD, BAD, ready=1)
    change = planned(a_view(*objects))
    (operation,), (undo,) = change.operations, change.rollback
    assert (change.risk, change.reversible) == (Risk.DISRUPTIVE, "yes")
    assert operation.target.model_dump() == {
        "cluster": "east",
        "cluster_uid": UID,
        "api_version": "apps/v1",
        "kind": "Deployment",
        "resource": "deployments.apps",
        "namespace": "shop",
        "name": "web",
        "uid": "uid-Deployment-shop-web",
    }
    assert operation.before.keys() == operation.after.keys() == {"metadata", "spec"}
    assert operation.after["metadata"] == {"annotations": {CHANGE: "c-1"}}
    assert operation.before["metadata"] == {"annotations": {CHANGE: None}}
    assert (undo.patch, undo.before, undo.after) == (
        operation.before,
        operation.after,
        operation.before,
    )
    done = apply_patch(objects[0], operation.patch)
    back = apply_patch(done, undo.patch)
    back["metadata"].pop("annotations")
    assert back == objects[0]


def test_people_read_what_it_does_and_what_it_touches() -> None:
    route = {"backend": {"service": {"name": "web"}}}
    ingress = an(
        "Ingress", "shop", "networking.k8s.io/v1", spec={"rules": [{"http": {"paths": [route]}}]}
    )
    change = planned(a_view(*a_rollout(GOOD, BAD, ready=1), a_service(), ingress))
    assert change.lines == [
        f"annotation {CHANGE} unset -> c-1",
        f"image of app: {BAD} -> {GOOD}",
    ]
    assert f"-      - image: {BAD}" in change.diff
    assert f"+      - image: {GOOD}" in change.diff
    assert change.blast == (
        "1 pod of Deployment shop/web; behind Service shop/web; "
        "users reach it by Ingress shop/shop; cluster east"
    )


def test_what_is_not_known_of_the_reach_is_said() -> None:
    read = ALL - {"services", "pods", "ingresses.networking.k8s.io"}
    blast = planned(a_view(*a_rollout(GOOD, BAD, ready=1), read=read)).blast
    assert "how many pods is not known (not read)" in blast
    assert "which Services lead to them is not known (not read)" in blast
    assert "whether users reach it is not known (not read)" in blast


def test_what_a_webhook_adds_is_in_the_digest_and_undone_too() -> None:
    view = a_view(*a_rollout(GOOD, BAD, ready=1))
    sidecar = {"metadata": {"labels": {"mesh": "on"}}, "spec": {"minReadySeconds": 5}}
    plain, mutated = planned(view), planned(view, webhook=sidecar)
    assert plain.digest != mutated.digest
    assert mutated.operations[0].patch == plain.operations[0].patch
    assert mutated.operations[0].after["spec"]["minReadySeconds"] == 5
    assert mutated.rollback[0].patch["spec"]["minReadySeconds"] is None
    assert mutated.rollback[0].patch["metadata"]["labels"] == {"mesh": None}
    assert "label mesh unset -> on" in mutated.lines


def test_the_digest_stands_still_while_what_would_be_done_does() -> None:
    objects = a_rollout(GOOD, BAD, ready=1)
    first = planned(a_view(*objects))
    objects[0]["status"]["conditions"] = [{"type": "Progressing", "reason": "Late"}]
    assert planned(a_view(*objects, a_service(), *two_nodes())).digest == first.digest
    objects[0]["spec"]["template"]["spec"]["containers"][0]["image"] = "another:9"
    assert planned(a_view(*objects)).digest != first.digest


def test_probes_are_those_of_the_template_beside_those_of_every_change() -> None:
    change = planned(a_view(*a_rollout(GOOD, BAD, ready=1)), findings=["x-2", "x-1"])
    assert [(p.name, p.args) for p in change.probes] == [
        ("equal", {}),
        ("rollout", {"kind": "Deployment", "namespace": "shop", "name": "web"}),
        ("finding", {"ids": ["x-1", "x-2"]}),
        ("no-new-critical", {}),
        ("no-new-warnings", {}),
    ]
    cordon = planned(a_view(*two_nodes()), "Node", "n1", "cordon")
    assert [p.name for p in cordon.probes] == ["equal", "no-new-critical", "no-new-warnings"]


def test_a_scale_is_told_by_its_deployment_whichever_object_answered() -> None:
    view = a_view(*two_nodes(), a_deployment())
    plan = outline(a_draft(view, "Deployment", "web", "scale", params={"replicas": 2}), view)
    (tried,) = [answered(view, edit) for edit in plan.edits]
    scale = an("Scale", "web", "autoscaling/v1", spec={"replicas": 2}, status={"replicas": 1})
    look = a_look(view)
    whole = propose(plan, [tried], look, cluster_uid=UID)
    short = propose(plan, [replace(tried, answer=scale)], look, cluster_uid=UID)
    assert whole == short
    assert whole.lines == ["replicas 1 -> 2"]
    assert whole.operations[0].after == {"spec": {"replicas": 2}}
    assert [(u.verb, u.patch) for u in whole.rollback] == [(Verb.SCALE, {"spec": {"replicas": 1}})]


def test_a_restart_and_an_eviction_have_no_way_back() -> None:
    logs = {("shop", "web-new", "app", False): "line"}
    view = a_view(*a_rollout(GOOD), logs=logs)
    restart = planned(view, template="restart", params={"at": "2026-12-01T04:00:00Z"})
    evict = planned(a_view(*a_rollout(GOOD)), "Pod", "web-new", "delete-pod")
    assert (restart.rollback, evict.rollback) == ([], [])
    assert evict.operations[0].model_dump(include={"before", "after", "patch"}) == {
        "before": {},
        "after": {},
        "patch": {},
    }
    assert evict.lines == ["Pod shop/web-new is evicted"]


def test_a_drain_is_undone_by_opening_the_node_alone() -> None:
    owner = a_deployment()
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    scratch = {"volumes": [{"name": "v", "emptyDir": {}}]}
    pod = a_pod("web-1", owner=kept, spec=scratch)
    change = planned(a_view(*two_nodes(), owner, kept, pod), "Node", "n1", "drain")
    assert [(o.wave, o.verb) for o in change.operations] == [(0, Verb.PATCH), (1, Verb.EVICT)]
    assert [u.patch["spec"] for u in change.rollback] == [{"unschedulable": None}]
    assert change.lines == [
        f"Node n1: annotation {CHANGE} unset -> c-1",
        "Node n1: unschedulable unset -> true",
        "Pod shop/web-1 is evicted",
    ]
    assert change.blast.startswith("node n1, 1 pod of Deployment shop/web; ")
    assert "lost: the emptyDir of Pod shop/web-1" in change.blast


def test_a_precondition_that_fails_refuses_and_one_that_is_unknown_is_shown() -> None:
    owned = a_rollout(GOOD, BAD, ready=1, meta={"annotations": {"meta.helm.sh/release-name": "s"}})
    with pytest.raises(Unfit, match="no other tool owns the object: Helm does"):
        planned(a_view(*owned))
    unsure = planned(a_view(*a_rollout(GOOD, BAD)))
    assert unsure.notes[0] == (
        "could not be told: the previous revision was healthy "
        "(none of its pods runs; no record of its health)"
    )


@pytest.mark.parametrize(
    ("template", "params", "why"),
    [
        ("rolback", {}, "unknown template 'rolback'.*did you mean 'rollback'"),
        ("rollback", {"revision": 0}, "rollback: revision: "),
        ("rollback", {"image": "evil"}, "rollback: image: Extra inputs are not permitted"),
        ("scale", {}, "scale: replicas: Field required"),
    ],
)
def test_a_draft_out_of_bounds_is_refused(template: str, params: Raw, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        planned(a_view(*a_rollout(GOOD, BAD)), template=template, params=params)


def test_what_changes_nothing_is_no_change() -> None:
    view = a_view(*a_rollout(GOOD, BAD, ready=1))
    plan = outline(a_draft(view, "Deployment", "web", "rollback"), view)
    (tried,) = [answered(view, edit) for edit in plan.edits]
    with pytest.raises(Unfit, match="changes nothing"):
        propose(plan, [replace(tried, answer=tried.live)], a_look(view), cluster_uid=UID)


def test_the_snapshot_as_it_would_be_has_the_answer_in_place() -> None:
    owner, *others = a_rollout(GOOD, BAD, ready=1)
    view = a_view(owner, *others)
    plan = outline(a_draft(view, "Deployment", "web", "rollback"), view)
    (tried,) = [answered(view, edit) for edit in plan.edits]
    later = {**(tried.answer or {}), "status": {"replicas": 99}}
    then = replaced(view, [replace(tried, answer=later)])
    (found,) = then.of_kind("Deployment")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == GOOD
    assert found["status"] == owner["status"]
    assert "managedFields" not in found["metadata"]
    assert len(then.objects) == len(view.snapshot.objects)
    pod = view.named("Pod", "shop", "web-new")
    gone = outline(a_draft(view, "Pod", "web-new", "delete-pod"), view)
    left = replaced(view, [answered(view, edit) for edit in gone.edits])
    assert pod.name not in {obj["metadata"]["name"] for obj in left.of_kind("Pod")}


def test_the_check_on_the_dry_run_is_told_and_what_is_critical_refuses() -> None:
    view = a_view(*a_rollout(GOOD, BAD, ready=1))
    gone = planned(view, foreseen=a_look(view))
    assert gone.notes == ["1 of 1 findings would be gone at once"]
    stays = planned(view, foreseen=a_look(view, "x-1", "x-9"))
    assert stays.notes == [
        "whether x-1 would be gone is known only once it is done",
        "new findings, none critical: x-9",
    ]
    unsure = replace(a_look(view), assessed=False, why="pods: forbidden")
    assert planned(view, foreseen=unsure).notes[-1] == (
        "not everything could be assessed: pods: forbidden"
    )
    assert planned(view).notes == ["whether the findings would be gone was not checked"]
    with pytest.raises(Unfit, match="bring about what is critical: x-8"):
        planned(view, foreseen=a_look(view, critical=("x-8",)))


def test_what_was_critical_before_is_kept_and_not_in_the_digest() -> None:
    view = a_view(*a_rollout(GOOD, BAD, ready=1))
    plan = outline(a_draft(view, "Deployment", "web", "rollback"), view)
    tried = [answered(view, edit) for edit in plan.edits]
    one = propose(plan, tried, a_look(view, critical=("x-7",)), cluster_uid=UID)
    other = propose(plan, tried, a_look(view), cluster_uid=UID)
    assert (one.critical, other.critical) == (["x-7"], [])
    assert one.digest == other.digest


def test_one_operation_can_be_worked_out_again() -> None:
    view = a_view(*a_rollout(GOOD, BAD, ready=1))
    change = planned(view)
    plan = outline(a_draft(view, "Deployment", "web", "rollback"), view)
    tried = answered(view, plan.edits[0])
    assert operation_tried(tried, UID) == change.operations[0]
    assert undo_of(operation_tried(tried, UID)) == change.rollback[0]
    bare = operation_of(tried.edit, tried.live, UID)
    assert (bare.before, bare.after, bare.patch) == ({}, {}, change.operations[0].patch)
    assert operation_tried(Tried(tried.edit, tried.live, None), UID) == bare


def test_names_of_a_cluster_do_not_mislead_in_blast_or_lines() -> None:
    owner = a_deployment()
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    trap = "web\u202e-1"
    pod = a_pod(trap, running(ready=False), owner=kept)
    change = planned(a_view(a_node(), owner, kept, pod), "Pod", trap, "delete-pod")
    assert "\u202e" not in change.lines[0] + change.blast


def test_what_a_person_is_left_with_shows_every_field_and_no_credential() -> None:
    objects = a_rollout(GOOD, BAD, ready=1)
    variables = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "debug"}]
    objects[0]["spec"]["template"]["spec"]["containers"][0]["env"] = variables
    change = planned(a_view(*objects))
    assert change.operations[0].before["spec"]["template"]["spec"]["containers"][0]["env"]
    row = ChangeRow(
        "c-1",
        "m-1",
        change.draft,
        NOON,
        change=change,
        digest=change.digest,
        state=ChangeState.NEEDS_HUMAN,
        written=(Written(Step.DO, 0, "7", {}, NOON, "done", {}, NOON),),
    )
    (told,) = applied(row).objects
    assert "hunter2" not in repr(told) + change.diff + repr(change.lines)
    container = told["before"]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == BAD
    assert container["env"][1] == {"name": "LEVEL", "value": "debug"}
    assert container["env"][0]["value"].startswith("sha256:")
