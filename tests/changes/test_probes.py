"""Probes: yes, no or unknown, and never a yes for what is not known."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.analysis.cluster_view import ClusterView
from engine.changes.look import Look
from engine.changes.merge import apply_patch
from engine.changes.plan import outline, propose
from engine.changes.probes import HARD, PROBES, Seen, judge
from engine.changes.rollout import complete
from engine.changes.templates import TEMPLATES
from engine.model.change import Change, Probe
from tests.changes.worlds import BAD, GOOD, a_draft, a_rollout, a_view, answered, two_nodes
from tests.missions.incident.world import (
    ALL,
    NOON,
    Raw,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    an,
    an_event,
    running,
)

UID = "uid-Deployment-shop-web"


def made(template: str, kind: str, name: str, *objects: Raw, **more: Any) -> Change:
    view = a_view(*objects)
    plan = outline(a_draft(view, kind, name, template, **more), view)
    tried = [answered(view, edit) for edit in plan.edits]
    look = Look(view, frozenset({"x-1", "x-7"}), frozenset({"x-7"}), assessed=True)
    return propose(plan, tried, look, cluster_uid="uid-east")


def rolled_back() -> Change:
    return made("rollback", "Deployment", "web", *a_rollout(GOOD, BAD, ready=1))


def seen(
    change: Change,
    *objects: Raw,
    live: dict[str, Raw | None] | None = None,
    applied: tuple[int, ...] | None = None,
    findings: tuple[str, ...] = (),
    critical: tuple[str, ...] = (),
    **more: Any,
) -> Seen:
    assessed = more.pop("assessed", True)
    view = ClusterView(a_view(*objects, **more).snapshot, NOON)
    look = Look(view, frozenset(findings), frozenset(critical), assessed=assessed, why="no pods")
    done = tuple(range(len(change.operations))) if applied is None else applied
    return Seen(look, live or {}, change, done, NOON - timedelta(minutes=5))


def told(found: Seen, name: str) -> tuple[bool | None, str]:
    probe = next(p for p in found.change.probes if p.name == name)
    return PROBES[name](found, probe.args)


def after(change: Change, *patches: Raw) -> dict[str, Raw | None]:
    """The object as the write left it, and then others."""
    obj: Raw = a_rollout(GOOD, BAD)[0]
    for patch in (change.operations[0].patch, *patches):
        obj = apply_patch(obj, patch)
    return {UID: obj}


def test_every_probe_that_a_template_names_exists() -> None:
    named = {probe.name for probe in rolled_back().probes} | {"gone", "drained", "node-ready"}
    assert named == PROBES.keys()
    assert PROBES.keys() >= HARD
    assert {one.cures for one in TEMPLATES.values()} == {True, False}


def test_equal_sees_any_of_our_fields_and_none_of_the_others() -> None:
    change = rolled_back()
    assert told(seen(change, live=after(change)), "equal")[0] is True
    beside = {"spec": {"replicas": 9}, "metadata": {"labels": {"x": "y"}}}
    assert told(seen(change, live=after(change, beside)), "equal")[0] is True
    for theirs in (
        {"metadata": {"annotations": {"dogwatch.dev/change": None}}},
        {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "theirs:1"}]}}}},
    ):
        holds, why = told(seen(change, live=after(change, theirs)), "equal")
        assert (holds, "changed again" in why) == (False, True)


def test_equal_does_not_know_what_was_not_read() -> None:
    change = rolled_back()
    assert told(seen(change), "equal")[0] is None
    assert told(seen(change, live={UID: None}), "equal") == (False, "Deployment shop/web is gone")


def test_a_pod_is_gone_when_the_server_says_so() -> None:
    change = made("delete-pod", "Pod", "web-new", *a_rollout(GOOD))
    uid = change.operations[0].target.uid
    assert told(seen(change, live={uid: None}), "gone")[0] is True
    blocked = seen(change, live={uid: a_pod("web-new")})
    assert told(blocked, "gone") == (False, "still there: Pod shop/web-new")
    assert told(seen(change), "gone")[0] is None


def test_a_drain_is_judged_wave_by_wave() -> None:
    owner = a_deployment(replicas=2)
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    pods = [a_pod(f"web-{n}", owner=kept) for n in range(2)]
    change = made("drain", "Node", "n1", *two_nodes(), owner, kept, *pods)
    first = seen(change, *two_nodes(), owner, kept, *pods, applied=(0,))
    assert told(first, "drained") == (True, "2 pods wait for a later wave")
    assert told(seen(change, *two_nodes(), owner, kept), "drained") == (
        True,
        "nothing is left on it",
    )
    late = seen(change, *two_nodes(), owner, kept, pods[1])
    assert told(late, "drained") == (False, "still on it: Pod shop/web-1")
    newcomer = a_pod("other", owner=kept)
    assert told(seen(change, owner, kept, newcomer, applied=(0,)), "drained")[0] is False
    assert told(seen(change, read=ALL - {"pods"}), "drained")[0] is None


def test_the_finding_must_be_gone_and_known_to_be() -> None:
    change = rolled_back()
    assert told(seen(change, findings=("x-5",)), "finding")[0] is True
    assert told(seen(change, findings=("x-1",)), "finding")[0] is False
    assert told(seen(change, assessed=False), "finding") == (
        None,
        "not everything could be assessed: no pods",
    )
    assert told(seen(change, findings=("x-1",), assessed=False), "finding")[0] is False


def test_nothing_critical_may_be_new() -> None:
    change = rolled_back()
    new = "new critical findings: x-8"
    done, on = (a_deployment(ready=n, meta={"generation": 1}) for n in (1, 0))
    assert told(seen(change, done, critical=("x-7",)), "no-new-critical")[0] is True
    assert told(seen(change, done, critical=("x-7", "x-8")), "no-new-critical") == (False, new)
    assert told(seen(change, on, critical=("x-7", "x-8")), "no-new-critical") == (
        None,
        f"{new}, while the roll-out is on",
    )
    assert told(seen(change, assessed=False), "no-new-critical")[0] is None


def test_a_warning_since_about_what_was_changed_counts() -> None:
    change = rolled_back()
    owner, _, new, _ = a_rollout(GOOD, BAD)
    pod = a_pod("web-z", running(ready=False), owner=new)

    def holds(*objects: Raw) -> bool | None:
        return told(seen(change, owner, new, pod, *objects), "no-new-warnings")[0]

    assert holds() is True
    assert holds(an_event(pod, "BackOff", "old", minutes=6)) is True
    assert holds(an_event(pod, "BackOff", "new", minutes=4)) is False
    assert holds(an_event(owner, "FailedUpdate", "new", minutes=4)) is False
    assert holds(an_event(new, "FailedCreate", "exceeded quota", minutes=4)) is False
    assert holds(an_event(a_pod("other"), "BackOff", "not ours", minutes=4)) is True
    calm = {**an_event(pod, "Pulled", "new", minutes=4), "type": "Normal"}
    assert holds(calm) is True


def test_what_a_pod_said_before_it_was_ready_belongs_to_its_start() -> None:
    change = rolled_back()
    owner, _, new, _ = a_rollout(GOOD, BAD)
    pod = a_pod("web-z", owner=new, unready=2)
    early, late = (an_event(pod, "Unhealthy", "probe failed", minutes=n) for n in (4, 1))
    assert told(seen(change, owner, new, pod, early), "no-new-warnings")[0] is True
    assert told(seen(change, owner, new, pod, late), "no-new-warnings")[0] is False


@pytest.mark.parametrize("unread", ["events", "pods"])
def test_warnings_that_were_not_read_are_not_absent(unread: str) -> None:
    change = rolled_back()
    assert told(seen(change, read=ALL - {unread}), "no-new-warnings") == (None, "not read")


def test_warnings_about_the_pods_that_come_after_an_eviction_count() -> None:
    objects = a_rollout(GOOD)
    change = made("delete-pod", "Pod", "web-new", *objects)
    owner, kept, _ = objects
    next_pod = a_pod("web-next", running(ready=False), owner=kept)
    event = an_event(next_pod, "FailedMount", "no volume", minutes=1)
    assert told(seen(change, owner, kept, next_pod, event), "no-new-warnings")[0] is False


def test_a_node_is_ready_when_it_says_so() -> None:
    change = made("uncordon", "Node", "n1", a_node("n1", unschedulable=True))
    assert told(seen(change, a_node("n1")), "node-ready")[0] is True
    assert told(seen(change, a_node("n1", "Unknown")), "node-ready")[0] is False
    assert told(seen(change, an("Node", "n1", namespace="")), "node-ready")[0] is None
    assert told(seen(change, a_node("n2")), "node-ready") == (False, "Node n1 is gone")
    assert told(seen(change, read=ALL - {"nodes"}), "node-ready")[0] is None


def test_all_probes_are_judged_in_order_and_one_unknown_to_us_is_unknown() -> None:
    change = rolled_back()
    odd = change.model_copy(update={"probes": [*change.probes, Probe(name="magic")]})
    results = judge(replace(seen(change), change=odd))
    assert [r.name for r in results] == [p.name for p in odd.probes]
    assert (results[-1].holds, results[-1].why) == (None, "there is no such probe")
    assert {r.at for r in results} == {NOON}


def test_the_roll_out_is_read_anew() -> None:
    change = rolled_back()
    owner = a_deployment(meta={"generation": 1})
    assert told(seen(change, owner), "rollout")[0] is True
    assert told(seen(change), "rollout") == (False, "Deployment shop/web is gone")
    assert told(seen(change, read=ALL - {"deployments.apps"}), "rollout")[0] is None


def a_workload(kind: str, status: Raw, **spec: Any) -> Raw:
    meta = {"generation": 2}
    body = {"replicas": 3, **spec}
    return an(
        kind, "w", "apps/v1", spec=body, status={"observedGeneration": 2, **status}, meta=meta
    )


DONE = {"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
SET = {**DONE, "currentRevision": "r2", "updateRevision": "r2"}
NODES = {
    "desiredNumberScheduled": 2,
    "updatedNumberScheduled": 2,
    "numberReady": 2,
    "numberAvailable": 2,
}
LATE = {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}


@pytest.mark.parametrize(
    ("workload", "holds", "why"),
    [
        (a_workload("Deployment", DONE), True, "all 3 pods are updated, ready, available"),
        (a_workload("Deployment", DONE | {"observedGeneration": 1}), False, "generation 1 of 2"),
        (a_workload("Deployment", DONE | {"updatedReplicas": 2}), False, "1 old pods"),
        (a_workload("Deployment", {"replicas": 2, "updatedReplicas": 2}), False, "2 of 3"),
        (a_workload("Deployment", DONE | {"readyReplicas": 2}), False, "2 of 3 pods are ready"),
        (a_workload("Deployment", DONE | {"availableReplicas": 0}), False, "available"),
        (a_workload("Deployment", DONE | {"replicas": 4}), False, "1 old pods are still there"),
        (a_workload("Deployment", DONE | LATE), False, "does not get on"),
        (a_workload("Deployment", DONE, paused=True), False, "paused"),
        (a_workload("Deployment", {}, replicas=0), True, "all 0 pods"),
        (a_workload("StatefulSet", SET), True, "all 3 pods are ready, available"),
        (a_workload("StatefulSet", SET | {"currentRevision": "r1"}), False, "are updated"),
        (a_workload("StatefulSet", SET | {"readyReplicas": 1}), False, "1 of 3 pods are ready"),
        (
            a_workload(
                "StatefulSet",
                SET | {"currentRevision": "r1", "updatedReplicas": 1},
                updateStrategy={"rollingUpdate": {"partition": 2}},
            ),
            True,
            "all 3",
        ),
        (
            a_workload(
                "StatefulSet",
                SET | {"updatedReplicas": 1},
                updateStrategy={"rollingUpdate": {"partition": 1}},
            ),
            False,
            "1 pods above its partition 1",
        ),
        (a_workload("DaemonSet", NODES), True, "all 2 pods"),
        (a_workload("DaemonSet", NODES | {"updatedNumberScheduled": 1}), False, "1 of 2"),
        (a_workload("DaemonSet", NODES | {"numberAvailable": 1}), False, "available"),
        (a_workload("ReplicaSet", DONE), True, "all 3 pods"),
        (an("Deployment", "w", "apps/v1", spec={}, status={}), None, "does not say"),
        (an("Job", "w", "batch/v1"), None, "a Job does not roll out"),
    ],
)
def test_a_roll_out_is_complete_only_when_every_pod_is(
    workload: Raw, why: str, *, holds: bool | None
) -> None:
    found = complete(workload)
    assert found[0] is holds
    assert why in found[1]
