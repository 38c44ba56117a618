"""restart, scale and delete-pod: exact edits within their bounds."""

from typing import Any

import pytest
from pydantic import ValidationError

from engine.changes.templates import CHANGE, TEMPLATES, Unfit
from engine.model.change import Risk, Verb
from tests.changes.worlds import (
    GOOD,
    a_rollout,
    a_stateful_set,
    a_view,
    asking,
    checks,
    edits,
    held,
    two_nodes,
)
from tests.missions.incident.world import (
    ALL,
    Raw,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    ago,
    an,
    running,
)

ROOM = "the nodes have room for the new pods"
BUDGET = "no disruption budget blocks it"


def test_a_restart_writes_when_it_was_asked_for_and_nothing_else() -> None:
    view = a_view(*a_rollout(GOOD))
    ref = view.named("Deployment", "shop", "web")
    (edit,) = edits(view, "restart", ref, at="2026-12-01T05:00:00+01:00")
    stamp = {"kubectl.kubernetes.io/restartedAt": "2026-12-01T04:00:00Z"}
    assert edit.patch == {
        "spec": {"template": {"metadata": {"annotations": stamp}}},
        "metadata": {"annotations": {CHANGE: "c-1"}},
    }
    assert edits(view, "restart", ref, at="2026-12-01T04:00:00Z") == [edit]
    with pytest.raises(ValidationError):
        edits(view, "restart", ref, at="2026-12-01T04:00:00")


def test_a_restart_waits_until_the_logs_are_kept() -> None:
    name = "the logs are kept before they go"
    objects = a_rollout(GOOD)
    view = a_view(*objects)
    ref = view.named("Deployment", "shop", "web")
    assert held(checks(view, "restart", ref, at="2026-12-01T04:00:00Z"))[name] is False
    kept = a_view(*objects, logs={("shop", "web-new", "app", False): "line"})
    assert held(checks(kept, "restart", ref, at="2026-12-01T04:00:00Z"))[name] is True


@pytest.mark.parametrize(
    ("present", "asked", "fits"),
    [
        (1, 2, True),
        (1, 3, True),
        (1, 4, False),
        (5, 11, True),
        (5, 12, False),
        (0, 1, True),
        (-9, 1, True),
    ],
)
def test_a_scale_stays_within_double_and_one(present: int, asked: int, *, fits: bool) -> None:
    view = a_view(a_deployment(replicas=present))
    ref = view.named("Deployment", "shop", "web")
    if fits:
        (edit,) = edits(view, "scale", ref, replicas=asked)
        assert (edit.verb, edit.patch) == (Verb.SCALE, {"spec": {"replicas": asked}})
    else:
        with pytest.raises(Unfit, match="more than double"):
            edits(view, "scale", ref, replicas=asked)


def test_a_scale_goes_down_but_never_to_nothing() -> None:
    view = a_view(a_deployment(replicas=5))
    ref = view.named("Deployment", "shop", "web")
    assert edits(view, "scale", ref, replicas=1)[0].patch == {"spec": {"replicas": 1}}
    with pytest.raises(ValidationError):
        edits(view, "scale", ref, replicas=0)
    with pytest.raises(Unfit, match="5 replicas already"):
        edits(view, "scale", ref, replicas=5)
    with pytest.raises(Unfit, match="only Deployment, StatefulSet"):
        edits(view, "scale", view.named("DaemonSet", "shop", "web"), replicas=1)


@pytest.mark.parametrize(
    ("cpu", "holds", "why"), [("3", True, "for all 3"), ("5", False, "for 2 of 3")]
)
def test_a_scale_up_needs_room_on_the_nodes(cpu: str, why: str, *, holds: bool) -> None:
    view = a_view(*two_nodes(), a_deployment(replicas=2, template=asking(cpu)))
    found = checks(view, "scale", view.named("Deployment", "shop", "web"), replicas=5)
    assert [(c.holds, c.why) for c in found if c.name == ROOM] == [(holds, why)]


def test_room_that_cannot_be_judged_is_unknown() -> None:
    spread = asking("1")
    spread["spec"]["topologySpreadConstraints"] = [{"maxSkew": 1}]
    view = a_view(*two_nodes(), a_deployment(template=spread))
    ref = view.named("Deployment", "shop", "web")
    assert held(checks(view, "scale", ref, replicas=2))[ROOM] is None
    blind = a_view(a_deployment(), read=ALL - {"nodes"})
    assert held(checks(blind, "scale", ref, replicas=2))[ROOM] is None
    assert ROOM not in held(checks(a_view(a_deployment(replicas=3)), "scale", ref, replicas=2))


def test_what_an_autoscaler_sets_is_not_scaled() -> None:
    aim = {"kind": "Deployment", "name": "web"}
    scaler = an("HorizontalPodAutoscaler", "web", "autoscaling/v2", spec={"scaleTargetRef": aim})
    view = a_view(*two_nodes(), a_deployment(), scaler)
    ref = view.named("Deployment", "shop", "web")
    name = "no autoscaler sets its replicas"
    assert held(checks(view, "scale", ref, replicas=2))[name] is False
    assert held(checks(a_view(a_deployment()), "scale", ref, replicas=2))[name] is True


def stuck(**more: Any) -> list[Raw]:
    owner = a_deployment()
    replicas = a_replicaset(owner, "web-1", revision=1, made=900)
    return [owner, replicas, a_pod("web-1", running(ready=False), owner=replicas, **more)]


def test_a_stuck_pod_is_evicted_and_its_workload_must_be_whole_again() -> None:
    view = a_view(*stuck())
    ref = view.named("Pod", "shop", "web-1")
    (edit,) = edits(view, "delete-pod", ref)
    assert (edit.verb, edit.resource, edit.patch) == (Verb.EVICT, "pods", {})
    one = TEMPLATES["delete-pod"]
    probes = one.probes(view, ref, one.params())
    assert [(p.name, p.args.get("name")) for p in probes] == [("gone", None), ("rollout", "web")]


def test_a_workload_that_others_keep_broken_is_not_what_an_eviction_is_judged_by() -> None:
    objects = stuck()
    other = a_pod("web-2", running(ready=False), owner=objects[1])
    view = a_view(*objects, other)
    one = TEMPLATES["delete-pod"]
    probes = one.probes(view, view.named("Pod", "shop", "web-1"), one.params())
    assert [p.name for p in probes] == ["gone"]


@pytest.mark.parametrize(
    ("pod", "why"),
    [
        (a_pod("web-1", running(), owner=a_replicaset(a_deployment(), "r", revision=1, made=1)),
         "it is ready"),
        (a_pod("web-1", running(ready=False)), "no controller"),
        (a_pod("web-1", running(ready=False), owner=an("Job", "j", "batch/v1")), "a Job counts"),
        (stuck(unready=1)[2], "not for two minutes"),
        (stuck(meta={"deletionTimestamp": ago(1)})[2], "being deleted already"),
        (stuck(meta={"annotations": {"kubernetes.io/config.mirror": "x"}})[2], "static pod"),
        (stuck(phase="Succeeded")[2], "ran to its end"),
    ],
)  # fmt: skip
def test_a_pod_that_an_eviction_would_not_help_is_left(pod: Raw, why: str) -> None:
    view = a_view(pod)
    with pytest.raises(Unfit, match=why):
        edits(view, "delete-pod", view.named("Pod", "shop", "web-1"))


def test_a_failed_pod_is_evicted_however_young_it_is() -> None:
    for still in (False, True):  # A kubelet may leave the condition Ready as it was.
        view = a_view(*stuck(unready=0.1, phase="Failed", ready=still))
        assert edits(view, "delete-pod", view.named("Pod", "shop", "web-1"))


def a_budget(**status: Any) -> Raw:
    spec = {"selector": {"matchLabels": {"app": "web"}}}
    return an(
        "PodDisruptionBudget",
        "web",
        "policy/v1",
        spec=spec | dict(status.pop("spec", {})),
        status=status,
    )


@pytest.mark.parametrize(
    ("budget", "holds"),
    [
        (a_budget(disruptionsAllowed=1), True),
        (a_budget(disruptionsAllowed=0, currentHealthy=1, desiredHealthy=2), False),
        (a_budget(disruptionsAllowed=0, currentHealthy=2, desiredHealthy=2), True),
        (a_budget(), False),
        (a_budget(spec={"unhealthyPodEvictionPolicy": "AlwaysAllow"}), True),
    ],
)
def test_a_budget_that_refuses_a_pod_that_is_not_ready_is_foreseen(
    budget: Raw, *, holds: bool
) -> None:
    view = a_view(*stuck(), budget)
    ref = view.named("Pod", "shop", "web-1")
    assert held(checks(view, "delete-pod", ref)) == {BUDGET: holds}
    blind = a_view(*stuck(), read=ALL - {"poddisruptionbudgets.policy"})
    assert held(checks(blind, "delete-pod", ref)) == {BUDGET: None}


def test_every_template_says_what_it_can_do_at_worst() -> None:
    assert {name: (one.risk, one.reversible) for name, one in TEMPLATES.items()} == {
        "rollback": (Risk.DISRUPTIVE, "yes"),
        "scale": (Risk.DISRUPTIVE, "yes"),
        "restart": (Risk.DISRUPTIVE, "no"),
        "delete-pod": (Risk.DISRUPTIVE, "no"),
        "cordon": (Risk.SAFE, "yes"),
        "uncordon": (Risk.DISRUPTIVE, "yes"),
        "drain": (Risk.DISRUPTIVE, "partly"),
    }
    assert all(one.name == name and one.why_reversible for name, one in TEMPLATES.items())


def test_unknown_params_are_refused() -> None:
    view = a_view(*a_stateful_set(GOOD), a_node())
    for name in TEMPLATES:
        with pytest.raises(ValidationError):
            edits(view, name, view.named("StatefulSet", "shop", "db"), command="rm -rf /")


def test_no_template_touches_what_is_immutable_or_deletes() -> None:
    view = a_view(*a_rollout(GOOD, "b:2", ready=1), *two_nodes())
    web, node = view.named("Deployment", "shop", "web"), view.named("Node", "", "n1")
    made = [
        *edits(view, "rollback", web),
        *edits(view, "restart", web, at="2026-12-01T04:00:00Z"),
        *edits(view, "scale", web, replicas=2),
        *edits(view, "cordon", node),
        *edits(view, "drain", node),
    ]
    assert {edit.verb for edit in made} == {Verb.PATCH, Verb.SCALE, Verb.EVICT}
    for edit in made:
        assert edit.patch.keys() <= {"spec", "metadata"}
        assert edit.patch.get("spec", {}).keys() <= {"template", "replicas", "unschedulable"}
        assert edit.patch.get("metadata", {}).keys() <= {"annotations"}
