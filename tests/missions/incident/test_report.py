"""The report as a whole: coverage, focus, order, unknowns, folders of manifests, logs."""

from collections.abc import Mapping
from typing import Any

import pytest

from engine.missions.kinds.incident_response.checks import CHECKS
from engine.missions.kinds.incident_response.logs import choose_logs
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.missions.kinds.incident_response.run import incident_response
from engine.missions.registry import kinds
from engine.model.report import Outcome, Report
from engine.model.snapshot import ClusterSnapshot
from tests.missions.incident.world import (
    ALL,
    NOON,
    Raw,
    a_cluster,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    a_service,
    a_snapshot,
    a_template,
    an,
    an_event,
    assessed,
    causes,
    crashed,
    mission_on,
    owned_by,
    running,
    shuffled,
)


def a_sick_cluster() -> list[Raw]:
    deployment = a_deployment(replicas=3, ready=0)
    old = a_replicaset(deployment, "web-1", revision=1, made=9000)
    new = a_replicaset(
        deployment, "web-2", revision=2, made=30, template=a_template(image="registry.example/w:2")
    )
    pods = [a_pod(f"web-2-{n}", crashed(1), owner=new) for n in "abc"]
    events = [an_event(p, "BackOff", "Back-off restarting", container="app") for p in pods]
    lost = [a_pod(f"lost-{n}", node="dead", ready=False) for n in range(3)]
    nodes = [a_node(), a_node("dead", "Unknown")]
    return [deployment, old, new, *pods, *events, *lost, *nodes, a_service()]


def test_the_kind_is_registered_with_what_it_reads() -> None:
    kind = kinds()["incident-response"]
    assert (kind.type, kind.params, kind.run) == ("troubleshoot", IncidentParams, incident_response)
    assert {"pods", "nodes", "events", "deployments.apps"} <= set(kind.needs)
    assert "secrets" not in kind.needs


def test_what_every_check_reads_is_asked_for() -> None:
    needs = set(kinds()["incident-response"].needs)
    assert {resource for check in CHECKS for resource in check.reads} <= needs
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_the_same_snapshot_gives_the_same_bytes_whatever_its_order() -> None:
    objects = a_sick_cluster()
    first = assessed(*objects).model_dump_json()
    assert assessed(*shuffled(objects)).model_dump_json() == first
    assert assessed(*reversed(objects)).model_dump_json() == first


def test_ids_of_findings_outlive_the_pods() -> None:
    def ids(pod: str) -> list[str]:
        deployment = a_deployment()
        new = a_replicaset(deployment, "web-2", revision=2, made=30)
        report = assessed(a_node(), deployment, new, a_pod(pod, crashed(1), owner=new))
        return [f.id for f in report.findings] + [i.id for i in report.incidents]

    assert ids("web-2-a") == ids("web-2-b")


def test_a_cluster_that_did_not_answer_is_unknown_and_the_others_are_assessed() -> None:
    down = a_cluster(name="down", read=frozenset(), unread={"cluster": "unreachable: timeout"})
    report = mission_on(down, a_cluster(a_node(), a_pod("web-1", crashed(139))))
    assert report.outcome is Outcome.PARTIAL
    assert [u.cluster for u in report.coverage.unknowns if "whole cluster" in u.what] == ["down"]
    assert causes(report) == ["segfault"]
    assert 0 < report.coverage.answered < report.coverage.possible


def test_a_list_that_was_forbidden_is_unknown_and_never_healthy() -> None:
    report = assessed(a_node(), read=ALL - {"pods"}, unread={"pods": "forbidden: no rights"})
    assert report.outcome is Outcome.PARTIAL
    assert report.coverage.answered < report.coverage.possible
    assert any("forbidden: no rights" in u.reason for u in report.coverage.unknowns)


def test_without_any_cluster_nothing_is_claimed() -> None:
    report = mission_on()
    assert (report.coverage.possible, report.summary.startswith("Nothing")) == (0, True)


@pytest.mark.parametrize(
    "params",
    [
        {"workload": "api"},
        {"namespace": "shop", "workload": "api"},
        {"kind": "Deployment", "name": "api"},
        {"kind": "Pod", "name": "api-1"},
    ],
)
def test_what_was_asked_for_comes_first_and_the_rest_is_kept(params: Mapping[str, str]) -> None:
    api = a_deployment("api")
    one = a_pod("api-1", crashed(127), owner=api)
    objects = [*a_sick_cluster(), api, one]
    assert causes(assessed(*objects))[0] != "command-not-found"
    report = assessed(*objects, params=params)
    assert causes(report)[0] == "command-not-found"
    assert len(report.incidents) == len(assessed(*objects).incidents)


def test_a_focus_on_what_depends_on_the_root_leads_to_the_root() -> None:
    report = assessed(*a_sick_cluster(), params={"workload": "lost-1"})
    assert report.incidents[0].root.kind == "Node"
    assert assessed(*a_sick_cluster(), params={"node": "dead"}).incidents[0].root.name == "dead"


def test_a_focus_without_findings_says_so() -> None:
    report = assessed(a_node(), params={"workload": "quiet"})
    assert report.summary.startswith("Nothing was found where you pointed (workload quiet)")


def test_a_cluster_that_was_not_read_is_unknown_and_no_other_answers_for_it() -> None:
    report = assessed(*a_sick_cluster(), params={"cluster": "ap", "workload": "web"})
    assert (report.outcome, report.incidents, report.findings) == (Outcome.PARTIAL, [], [])
    assert [(u.cluster, u.reason) for u in report.coverage.unknowns] == [
        ("ap", "not among the clusters that were read (east)")
    ]
    assert (report.coverage.answered, report.coverage.possible) == (0, len(CHECKS))
    assert "cluster ap is not among the clusters that were read (east)" in report.summary
    assert [(n.kind, n.params) for n in report.next] == [("incident-response", {"workload": "web"})]


def test_a_cluster_that_was_read_is_assessed_when_it_is_named() -> None:
    assert assessed(*a_sick_cluster(), params={"cluster": "east"}).incidents


def test_the_summary_is_two_sentences_about_the_first_incident() -> None:
    summary = assessed(*a_sick_cluster()).summary
    assert summary.count(". ") == 1
    assert summary.endswith(".")


def a_fresh_cluster() -> list[Raw]:
    """What a new cluster holds: a control plane in static pods, DNS, a proxy on each node."""
    system: dict[str, Any] = {"namespace": "kube-system"}
    nodes = [a_node("cp"), a_node("w1")]
    static = [
        a_pod(f"{name}-cp", running(restarts=1), node="cp", meta=owned_by(nodes[0]), **system)
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    dns = a_deployment("coredns", replicas=2, ready=2, **system)
    replicas = an(
        "ReplicaSet", "coredns-5d8f", "apps/v1", spec={"replicas": 2}, meta=owned_by(dns), **system
    )
    resolvers = [
        a_pod(f"coredns-5d8f-{n}", owner=replicas, meta={"labels": {"k8s-app": "dns"}}, **system)
        for n in "ab"
    ]
    counts = {"desiredNumberScheduled": 2, "numberReady": 2}
    proxy = an("DaemonSet", "kube-proxy", "apps/v1", status=counts, **system)
    proxies = [a_pod(f"kube-proxy-{n}", owner=proxy, node=n, **system) for n in ("cp", "w1")]
    names = a_service(
        "kube-dns",
        spec={
            "selector": {"k8s-app": "dns"},
            "ports": [{"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"}],
        },
        **system,
    )
    for pod in resolvers:
        pod["spec"]["containers"][0]["ports"] = [{"containerPort": 53, "protocol": "UDP"}]
    api = an("Service", "kubernetes", namespace="default", spec={"ports": [{"port": 443}]})
    root = an("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "x"})
    told = an_event(static[1], "Pulled", "image already present", 30)
    return [*nodes, *static, dns, replicas, *resolvers, proxy, *proxies, names, api, root, told]


def test_a_fresh_cluster_with_its_system_pods_is_quiet() -> None:
    report = assessed(*a_fresh_cluster())
    assert (report.outcome, report.findings) == (Outcome.OK, [])
    assert report.summary == "No incident was found. 28 of 28 checks gave an answer."


def test_a_static_pod_that_crashes_is_named_itself() -> None:
    objects = a_fresh_cluster()
    objects[2] = a_pod("etcd-cp", crashed(1), node="cp", meta=owned_by(objects[0]))
    assert [i.root.kind for i in assessed(*objects).incidents] == ["Pod"]


def test_a_namespace_leads_to_the_node_that_all_its_pods_are_on() -> None:
    lost = [a_pod(f"a-{n:03}", node="dead", ready=False) for n in range(60)]
    lost += [a_pod("z", node="dead", ready=False, namespace="quiet")]
    report = assessed(
        a_node("dead", "Unknown"), a_pod("x", crashed(1)), *lost, params={"namespace": "quiet"}
    )
    assert report.incidents[0].root.name == "dead"


def folder(*objects: Raw) -> Report:
    return mission_on(ClusterSnapshot("folder", objects=objects))


def without_status(obj: Raw) -> Raw:
    return {key: value for key, value in obj.items() if key != "status"}


def test_manifests_without_status_invent_no_failure() -> None:
    objects = [without_status(o) for o in (a_deployment(), a_service(), a_pod(), a_node())]
    report = folder(*objects)
    assert (report.findings, report.outcome) == ([], Outcome.PARTIAL)
    assert any("no status" in u.reason for u in report.coverage.unknowns)


def test_a_selector_that_misses_its_deployment_is_wrong_in_manifests_too() -> None:
    service = a_service(spec={"selector": {"app": "wbe"}})
    report = folder(without_status(a_deployment()), service)
    assert causes(report) == ["selector-mismatch"]


def test_absence_from_a_folder_proves_nothing() -> None:
    env = [{"configMapRef": {"name": "not-in-this-folder"}}]
    report = folder(without_status(a_deployment(template=a_template(envFrom=env))))
    assert report.findings == []


def test_a_folder_with_status_is_judged_like_a_cluster() -> None:
    assert causes(folder(a_node(), a_pod("web-1", crashed(139)))) == ["segfault"]


def test_objects_of_the_wrong_form_are_unknown() -> None:
    broken = an("Pod", "odd", spec="text", status=[1])
    report = assessed(a_node(), broken)
    assert any("shop/odd" in u.what for u in report.coverage.unknowns)
    assert report.findings == []
    assert report.coverage.answered == report.coverage.possible - 1


def test_logs_of_failing_containers_are_chosen_and_of_healthy_ones_not() -> None:
    snapshot = a_cluster(a_pod("well"), a_pod("sick", crashed(1)))
    assert choose_logs(snapshot, IncidentParams()) == [
        ("shop", "sick", "app", True),
        ("shop", "sick", "app", False),
    ]


def test_at_most_twenty_pods_and_two_of_a_workload_are_read() -> None:
    deployment = a_deployment(replicas=50)
    many = [a_pod(f"web-{n}", crashed(1, restarts=99), owner=deployment) for n in range(50)]
    others = [a_pod(f"other-{n:02}", crashed(1, restarts=n)) for n in range(40)]
    chosen = {key[1] for key in choose_logs(a_cluster(*many, *others), IncidentParams())}
    assert len(chosen) == 20
    assert sum(name.startswith("web-") for name in chosen) == 2
    assert "other-39" in chosen
    focus = IncidentParams(workload="other-00")
    assert "other-00" in {key[1] for key in choose_logs(a_cluster(*many, *others), focus)}


def test_the_log_of_a_pod_that_runs_unready_is_read() -> None:
    pod = a_pod("slow", running(ready=False))
    assert choose_logs(a_cluster(pod), IncidentParams()) == [("shop", "slow", "app", False)]


def test_the_report_does_not_depend_on_the_clock_beyond_the_snapshot() -> None:
    snapshot = a_snapshot(a_cluster(*a_sick_cluster()))
    first = incident_response(snapshot, IncidentParams(), NOON)
    later = incident_response(snapshot, IncidentParams(), NOON.replace(year=2027))
    assert first.findings == later.findings


def test_logs_that_could_not_be_read_are_one_unknown_a_reason() -> None:
    unread = {f"previous log of shop/web-{n}/app": "forbidden: no pods/log" for n in range(9)}
    report = assessed(a_node(), unread=unread)
    said = [(u.what, u.reason) for u in report.coverage.unknowns]
    assert said == [("9 logs of containers", "forbidden: no pods/log")]


class Counted(dict[str, Any]):
    """A JSON object that counts how often it is read."""

    reads = 0

    def get(self, key: str, default: Any = None) -> Any:
        Counted.reads += 1
        return super().get(key, default)


def counted(value: Any) -> Any:
    if isinstance(value, dict):
        return Counted({key: counted(item) for key, item in value.items()})
    return [counted(item) for item in value] if isinstance(value, list) else value


def reads_for(size: int) -> int:
    owners = [a_deployment(f"w{n}") for n in range(size)]
    pods = [
        a_pod(f"w{n}-1", crashed(1), owner=owner, meta={"labels": {"app": f"w{n}"}})
        for n, owner in enumerate(owners)
    ]
    events = [an_event(p, "BackOff", "Back-off restarting", container="app") for p in pods]
    services = [a_service(f"w{n}", spec={"selector": {"app": f"w{n}"}}) for n in range(size)]
    Counted.reads = 0
    assessed(*(counted(o) for o in (a_node(), *owners, *pods, *events, *services)))
    return Counted.reads


def test_work_grows_with_the_objects_and_not_faster() -> None:
    small, large = reads_for(40), reads_for(160)
    assert large < 4.4 * small
