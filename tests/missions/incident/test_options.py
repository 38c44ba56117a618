"""Options name the template that does them, with params that fit; the rest is for people."""

from typing import Any

import pytest

from engine.changes.templates import TEMPLATES
from engine.missions.kinds.incident_response.remedy import REMEDIES
from engine.missions.registry import kinds
from engine.model.report import ProposedChange, Report
from tests.changes.worlds import BAD, GOOD, a_rollout
from tests.missions.incident.world import (
    Raw,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_service,
    ago,
    assessed,
    crashed,
    running,
)


def crash_loop(**more: Any) -> list[Raw]:
    owner, *kept, _ = a_rollout(GOOD, BAD, **more)
    return [a_node(), owner, *kept, a_pod("web-2-x", crashed(1), owner=kept[-1])]


def the_option(report: Report, operation: str) -> ProposedChange:
    found = [one for one in report.changes if one.operation == operation]
    assert found, [one.operation for one in report.changes]
    return found[0]


def test_a_crash_loop_after_a_roll_out_can_be_rolled_back_by_a_template() -> None:
    option = the_option(assessed(*crash_loop(ready=1)), "rollback")
    assert (option.template, option.params) == ("rollback", {"revision": 1})
    assert {check.holds for check in option.preconditions} == {True}
    assert option.findings


def test_the_revision_of_the_command_is_the_one_of_the_template() -> None:
    owner, *kept, _ = a_rollout(GOOD, BAD, "web:3", ready=1)
    sick = a_pod("web-3-x", crashed(1), owner=kept[-1])
    option = the_option(assessed(a_node(), owner, *kept, sick), "rollback")
    assert option.params == {"revision": 1}
    assert option.command.endswith("--to-revision=1")


def test_a_paused_roll_out_is_left_to_people() -> None:
    objects = crash_loop(ready=1)
    objects[1]["spec"]["paused"] = True
    option = the_option(assessed(*objects), "rollback")
    assert (option.template, option.params) == ("", {})
    assert option.command


@pytest.mark.parametrize("number", ["0", "-3", "x", ""])
def test_a_revision_without_a_number_is_named_by_none(number: str) -> None:
    objects = crash_loop(ready=1)
    for replicas in objects[2:4]:
        replicas["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = number
    option = the_option(assessed(*objects), "rollback")
    assert option.params == {}


def test_a_workload_that_users_reach_and_that_was_scaled_to_nothing_gets_one_pod() -> None:
    idle = a_deployment(replicas=0, ready=0)
    assert not assessed(a_node(), idle, a_service()).changes
    report = assessed(a_node(), idle, a_service(spec={"type": "LoadBalancer"}))
    option = the_option(report, "scale-up")
    assert (option.template, option.params) == ("scale", {"replicas": 1})
    assert {check.holds for check in option.preconditions} == {True}
    assert "scaled to 0, and users come by Service shop/web" in report.incidents[0].title


def test_a_restart_names_the_instant_of_the_assessment() -> None:
    owner, kept, _ = a_rollout(GOOD)
    pod = a_pod("web-1", crashed(1), owner=kept)
    said = {("shop", "web-1", "app", True): "listen tcp :8080: bind: address already in use"}
    option = the_option(assessed(a_node(), owner, kept, pod, logs=said), "restart")
    assert (option.template, option.params) == ("restart", {"at": "2026-11-24T12:00:00Z"})
    assert {check.holds for check in option.preconditions} == {True}


def refused(name: str, *, owner: Raw | None) -> Raw:
    status = {"reason": "UnexpectedAdmissionError", "message": "Allocate failed: no GPU"}
    return a_pod(
        name, running(ready=False), owner=owner, phase="Failed", status=status,
        meta={"creationTimestamp": ago(5)},
    )  # fmt: skip


def test_failed_pods_are_evicted_one_by_one_where_something_makes_them_anew() -> None:
    owner = a_deployment(replicas=2)
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    pods = [refused(f"web-{n}", owner=kept) for n in range(2)]
    report = assessed(a_node(), owner, kept, *pods, refused("bare", owner=None))
    found = [one for one in report.changes if one.operation == "delete-pod"]
    assert [one.target.name for one in found] == ["web-0", "web-1"]
    assert {(one.template, one.risk, one.reversible) for one in found} == {
        ("delete-pod", "medium", "no")
    }


def test_a_node_in_trouble_is_closed_before_it_is_emptied() -> None:
    node = a_node("n1")
    node["status"]["conditions"].append({"type": "GPUFallen", "status": "True", "reason": "Xid"})
    report = assessed(node, a_node("n2"))
    found = [one for one in report.changes if one.template]
    assert [(one.operation, one.template, one.risk) for one in found] == [
        ("cordon", "cordon", "low"),
        ("drain", "drain", "high"),
    ]


def test_what_helm_owns_says_so_before_anybody_is_asked() -> None:
    owned = crash_loop(ready=1, meta={"annotations": {"meta.helm.sh/release-name": "shop"}})
    option = the_option(assessed(*owned), "rollback")
    assert [(c.holds, c.why) for c in option.preconditions if c.holds is False] == [
        (False, "Helm does: change its source instead")
    ]
    assert option.command.startswith("# in the source, for Helm: {")
    assert f'"image":"{GOOD}"' in option.command


def test_the_kind_may_do_what_its_options_name_and_nothing_else() -> None:
    named = {remedy.template for remedy in REMEDIES.values() if remedy.template}
    kind = kinds()["incident-response"]
    assert named == set(kind.changes) == TEMPLATES.keys()
    assert kind.phases == 5
    needed = {need for name in named for need in TEMPLATES[name].needs}
    assert needed <= set(kind.needs)


@pytest.mark.parametrize("replicas", [-5, 0, 10**9, "3", None, True])
def test_a_hostile_number_of_replicas_crashes_nothing(replicas: object) -> None:
    owner = a_deployment()
    owner["spec"]["replicas"] = replicas
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    report = assessed(a_node(), owner, kept, a_service(), a_pod("web-1", crashed(1), owner=kept))
    assert report.incidents
