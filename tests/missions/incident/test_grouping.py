"""One incident for each root; blame goes down to the deepest that is unhealthy."""

import pytest

from engine.model.report import Incident, Severity
from tests.missions.incident.world import (
    ALL,
    Raw,
    a_cluster,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_service,
    a_template,
    ago,
    an,
    an_event,
    assessed,
    causes,
    crashed,
    findings_of,
    mission_on,
    running,
    the_incident,
    waiting,
)


def pods_of_a_dead_node(count: int, workloads: int = 8) -> list[Raw]:
    owners = [a_deployment(f"w{n}", replicas=count) for n in range(workloads)]
    pods = [
        a_pod(
            f"w{n % workloads}-{n}",
            owner=owners[n % workloads],
            node="dead",
            ready=False,
            meta={"labels": {"app": f"w{n % workloads}"}},
        )
        for n in range(count)
    ]
    return [*owners, *pods]


def test_two_hundred_pods_of_one_dead_node_are_one_incident() -> None:
    report = assessed(a_node(), a_node("dead", "Unknown"), *pods_of_a_dead_node(200))
    incident = the_incident(report)
    assert (incident.root.kind, incident.root.name) == ("Node", "dead")
    assert (incident.object_count, len(incident.objects)) == (200, 20)
    assert incident.severity is Severity.CRITICAL
    assert (incident.hypotheses[0].cause, incident.hypotheses[0].verdict) == (
        "node-unreachable",
        "likely",
    )
    assert len(findings_of(report, "pod-not-ready")) == 8


def test_what_a_lost_node_brings_about_is_blamed_on_it_whatever_its_own_cause() -> None:
    gone = a_pod("a", node="dead", meta={"deletionTimestamp": ago(30), "finalizers": ["x/y"]})
    probed = a_pod("b", running(ready=False), node="dead")
    told = an_event(probed, "Unhealthy", "Readiness probe failed: refused", container="app")
    report = assessed(a_node("dead", "Unknown"), gone, probed, told)
    assert the_incident(report).root.name == "dead"
    assert {"pod-terminating", "pod-probe"} <= {f.check for f in report.findings}


def test_a_node_that_is_gone_is_blamed_even_without_its_object() -> None:
    incident = the_incident(assessed(a_node(), *pods_of_a_dead_node(3, 1)))
    assert (incident.hypotheses[0].cause, incident.root.name) == ("node-gone", "dead")


def test_a_crash_on_a_dead_node_keeps_its_own_cause() -> None:
    report = assessed(
        a_node("dead", "Unknown"),
        a_pod("a", node="dead", ready=False),
        a_pod("b", crashed(139), node="dead"),
    )
    assert sorted(causes(report)) == ["node-unreachable", "segfault"]


def test_a_draining_of_the_sick_node_is_weighed() -> None:
    storm = pods_of_a_dead_node(4, 1)
    budget = an(
        "PodDisruptionBudget",
        "guard",
        "policy/v1",
        spec={"selector": {"matchLabels": {"app": "w0"}}},
        status={"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 1},
    )

    def drains(*objects: Raw) -> dict[str, bool | None]:
        changes = assessed(a_node("dead", "Unknown"), *storm, *objects).changes
        drain = next(c for c in changes if c.operation == "drain")
        assert drain.risk == "high"
        return {p.name: p.holds for p in drain.preconditions}

    assert set(drains(a_node()).values()) == {True}
    assert drains(a_node(), budget)["no disruption budget blocks it"] is False
    assert drains()["another node can take pods"] is False
    assert drains(a_node(), a_node("n3", "False"))["at most one node is unhealthy"] is False


def test_a_service_and_its_ingress_are_explained_by_the_pods_behind_them() -> None:
    deployment = a_deployment()
    ingress = an(
        "Ingress",
        "front",
        "networking.k8s.io/v1",
        spec={
            "rules": [
                {
                    "http": {
                        "paths": [{"backend": {"service": {"name": "web", "port": {"number": 80}}}}]
                    }
                }
            ]
        },
    )
    report = assessed(
        a_node(), deployment, a_pod("web-1", crashed(139), owner=deployment), a_service(), ingress
    )
    incident = the_incident(report)
    assert (incident.root.kind, causes(report)) == ("Deployment", ["segfault"])
    assert {f.check for f in report.findings} == {"service-endpoints", "pod-crash"}
    assert "Ingress shop/front" in incident.impact
    assert "1 of 1 pods" in incident.impact


def test_whether_users_reach_it_is_not_claimed_where_it_was_not_read() -> None:
    pod = a_pod("web-1", crashed(139))
    assert "no Ingress" in the_incident(assessed(a_node(), pod)).impact
    unread = assessed(a_node(), pod, read=ALL - {"services"})
    assert "not known" in the_incident(unread).impact


def test_pods_that_wait_for_the_room_of_a_lost_node_are_blamed_on_it() -> None:
    waits = a_pod("web-2", phase="Pending", node="", ready=False)
    told = "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s)"
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    waits["status"]["conditions"] = [{**scheduled, "message": told}]
    waits["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "64"}}
    unrelated = assessed(a_node(), a_node("dead", "Unknown"), waits)
    assert len(unrelated.incidents) == 2
    taint = "{node.kubernetes.io/unreachable: }"
    waits["status"]["conditions"][0]["message"] = told.replace("taint(s)", f"taint {taint}")
    report = assessed(a_node(), a_node("dead", "Unknown"), waits)
    assert the_incident(report).root.name == "dead"


def test_a_missing_config_map_joins_all_workloads_that_need_it() -> None:
    message = 'configmap "settings" not found'
    owners = [a_deployment(name) for name in ("web", "api")]
    pods = [
        a_pod(
            f"{owner['metadata']['name']}-1",
            waiting("CreateContainerConfigError", message),
            owner=owner,
            phase="Pending",
        )
        for owner in owners
    ]
    report = assessed(a_node(), *owners, *pods)
    incident = the_incident(report)
    assert (incident.root.kind, incident.root.name) == ("ConfigMap", "settings")
    assert incident.object_count == 2
    rollbacks = [c.target.name for c in report.changes if c.operation == "rollback"]
    assert rollbacks == []


def test_different_roots_are_different_incidents() -> None:
    report = assessed(a_node(), a_pod("a", crashed(139)), a_pod("b", crashed(127)))
    assert sorted(causes(report)) == ["command-not-found", "segfault"]


def rollout(image: str = "registry.example/web:2", made: float = 30) -> list[Raw]:
    deployment = a_deployment()
    old = a_replicaset(deployment, "web-1", revision=1, made=9000)
    new = a_replicaset(deployment, "web-2", revision=2, made=made, template=a_template(image=image))
    return [deployment, old, new, a_pod("web-2-x", crashed(1), owner=new)]


def hypothesis(incident: Incident, cause: str) -> float:
    return next((h.score for h in incident.hypotheses if h.cause == cause), 0.0)


def test_a_roll_out_just_before_is_a_hypothesis_with_its_difference() -> None:
    report = assessed(a_node(), *rollout())
    incident = the_incident(report)
    found = next(h for h in incident.hypotheses if h.cause == "rollout")
    assert "registry.example/web:1 -> registry.example/web:2" in found.title
    assert found.verdict == "likely"
    rollback = report.changes[0]
    assert (rollback.operation, rollback.risk) == ("rollback", "low")
    assert rollback.command == "kubectl rollout undo -n shop deployment/web --to-revision=1"
    assert {p.holds for p in rollback.preconditions} == {True}


def test_a_roll_out_of_last_week_is_none() -> None:
    incident = the_incident(assessed(a_node(), *rollout(made=8000)))
    assert hypothesis(incident, "rollout") == 0.0


def test_a_roll_out_after_the_first_symptom_is_no_cause() -> None:
    objects = rollout(made=1)
    late = the_incident(assessed(a_node(), *objects))
    assert hypothesis(late, "rollout") == 0.0


def test_a_low_risk_comes_before_a_better_remedy() -> None:
    objects = rollout()
    objects[3] = a_pod("web-2-x", crashed(137, "OOMKilled"), owner=objects[2])
    report = assessed(a_node(), *objects)
    assert [c.operation for c in report.changes] == ["rollback", "raise-memory"]


def test_a_first_roll_out_explains_less_than_the_exit_code() -> None:
    deployment, _, new, pod = rollout(made=4)
    incident = the_incident(assessed(a_node(), deployment, new, pod))
    assert [h.cause for h in incident.hypotheses] == ["app-error", "rollout"]


def test_a_roll_out_that_changed_something_else_scores_lower() -> None:
    touched = the_incident(assessed(a_node(), *rollout()))
    objects = rollout(image="registry.example/web:1")
    objects[2]["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    other = the_incident(assessed(a_node(), *objects))
    assert 0 < hypothesis(other, "rollout") < hypothesis(touched, "rollout")


def test_the_value_of_a_changed_variable_is_not_shown() -> None:
    objects = rollout()
    objects[2]["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "GREETING", "value": "for-your-eyes-only"}
    ]
    report = assessed(a_node(), *objects)
    assert "env GREETING" in report.model_dump_json()
    assert "for-your-eyes-only" not in report.model_dump_json()


def test_every_score_is_the_sum_of_its_terms_and_every_citation_exists() -> None:
    report = assessed(a_node("dead", "Unknown"), *pods_of_a_dead_node(3), *rollout(), a_service())
    cited = {e.id for finding in report.findings for e in finding.evidence}
    ids = {finding.id for finding in report.findings}
    found = [h for incident in report.incidents for h in incident.hypotheses]
    assert len(found) >= 3
    for one in found:
        assert one.score == pytest.approx(sum(t.weight * t.value for t in one.terms), abs=1e-3)
        assert set(one.evidence) <= cited
        assert one.explains
        assert set(one.explains) <= ids
    for incident in report.incidents:
        assert set(incident.findings) <= ids
    for change in report.changes:
        assert set(change.findings) <= ids


def test_no_cause_is_likely_on_one_kind_of_evidence() -> None:
    report = assessed(a_node(), a_pod("web-1", crashed(139)))
    assert the_incident(report).hypotheses[0].verdict == "possible"
    pod = a_pod("web-1", crashed(139))
    event = an_event(pod, "BackOff", "Back-off restarting failed container", container="app")
    assert the_incident(assessed(a_node(), pod, event)).hypotheses[0].verdict == "likely"


def test_a_healthy_copy_in_another_cluster_is_compared() -> None:
    well = a_deployment(replicas=1, ready=1)
    objects = rollout()
    objects[0]["spec"]["template"] = a_template(image="registry.example/web:2")
    east = a_cluster(a_node(), *objects)
    west = a_cluster(a_node(), well, a_pod(owner=well), name="west")
    alone, beside = mission_on(east), mission_on(east, west)
    assert hypothesis(the_incident(beside), "app-error") > hypothesis(
        the_incident(alone), "app-error"
    )
    terms = [t for h in the_incident(beside).hypotheses for t in h.terms if t.name == "peers"]
    assert any("cluster west is healthy and differs" in t.why for t in terms)


def test_a_change_of_a_tool_that_owns_the_object_is_warned_of() -> None:
    objects = rollout()
    objects[0]["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
    report = assessed(a_node(), *objects)
    owned = [p.holds for c in report.changes for p in c.preconditions if "owns" in p.name]
    assert owned
    assert set(owned) == {False}


def test_options_come_by_risk() -> None:
    report = assessed(a_node("dead", "Unknown"), *pods_of_a_dead_node(3), *rollout())
    for incident in report.incidents:
        mine = [c.risk for c in report.changes if set(c.findings) & set(incident.findings)]
        assert mine == sorted(mine, key=["low", "medium", "high"].index)


def test_a_grave_incident_suggests_a_post_mortem() -> None:
    assert [n.kind for n in assessed(a_node(), *rollout()).next] == ["post-mortem"]
    assert assessed(a_node()).next == []


def test_a_config_map_that_was_made_in_the_window_is_a_change() -> None:
    message = 'configmap "settings" not found'
    pod = a_pod("web-1", waiting("CreateContainerConfigError", message), phase="Pending")
    pod["metadata"]["creationTimestamp"] = ago(20)
    late = an("ConfigMap", "settings", meta={"creationTimestamp": ago(40)})
    incident = the_incident(assessed(a_node(), pod, late))
    assert "config" in [h.cause for h in incident.hypotheses]
