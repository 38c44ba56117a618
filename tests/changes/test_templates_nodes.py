"""cordon, uncordon and drain: one node, its pods wave by wave, never into a wider outage."""

import pytest

from engine.changes.templates import CHANGE, TEMPLATES, Unfit
from engine.model.change import Verb
from tests.changes.worlds import a_view, asking, checks, edits, held, two_nodes
from tests.missions.incident.world import (
    ALL,
    Raw,
    a_deployment,
    a_node,
    a_pod,
    a_replicaset,
    an,
    running,
)

BUDGET = "no disruption budget blocks it"


def web(pods: int, *, replicas: int | None = None, node: str = "n1") -> list[Raw]:
    owner = a_deployment(replicas=pods if replicas is None else replicas)
    kept = a_replicaset(owner, "web-r", revision=1, made=900)
    made = [a_pod(f"web-{n:03}", owner=kept, node=node) for n in range(pods)]
    return [owner, kept, *made]


def waves(objects: list[Raw]) -> list[tuple[int, str]]:
    view = a_view(*objects)
    made = edits(view, "drain", view.named("Node", "", "n1"))
    return [(edit.wave, edit.ref.name) for edit in made]


def test_a_cordon_and_its_opposite_write_one_field() -> None:
    view = a_view(*two_nodes())
    node = view.named("Node", "", "n1")
    (edit,) = edits(view, "cordon", node)
    assert edit.patch == {
        "spec": {"unschedulable": True},
        "metadata": {"annotations": {CHANGE: "c-1"}},
    }
    with pytest.raises(Unfit, match="not cordoned"):
        edits(view, "uncordon", node)
    closed = a_view(a_node("n1", unschedulable=True), a_node("n2"))
    (edit,) = edits(closed, "uncordon", node)
    assert edit.patch["spec"] == {"unschedulable": None}
    with pytest.raises(Unfit, match="cordoned already"):
        edits(closed, "cordon", node)


def test_the_last_open_node_is_not_closed() -> None:
    name = "another node can take pods"
    alone = a_view(a_node("n1"), a_node("n2", unschedulable=True), a_node("n3", "False"))
    node = alone.named("Node", "", "n1")
    assert held(checks(alone, "cordon", node))[name] is False
    assert held(checks(alone, "drain", node))[name] is False
    assert held(checks(a_view(*two_nodes()), "cordon", node))[name] is True


def test_a_node_in_trouble_is_not_opened() -> None:
    name = "the node is ready and reports no trouble"
    sick = a_node("n1", unschedulable=True)
    sick["status"]["conditions"].append({"type": "DiskPressure", "status": "True"})
    view = a_view(sick)
    found = checks(view, "uncordon", view.named("Node", "", "n1"))
    assert [(c.holds, c.why) for c in found if c.name == name] == [(False, "DiskPressure")]
    down = a_view(a_node("n1", "Unknown", unschedulable=True))
    assert held(checks(down, "uncordon", down.named("Node", "", "n1")))[name] is False
    well = a_view(a_node("n1", unschedulable=True))
    assert held(checks(well, "uncordon", well.named("Node", "", "n1")))[name] is True


def test_a_drain_closes_the_node_first_then_moves_one_pod_then_the_rest() -> None:
    assert waves([*two_nodes(), *web(4)]) == [
        (0, "n1"),
        (1, "web-000"),
        (2, "web-001"),
        (3, "web-002"),
        (4, "web-003"),
    ]


def test_a_tenth_of_a_workload_moves_at_once_and_different_ones_side_by_side() -> None:
    api = a_deployment("api")
    kept = a_replicaset(api, "api-r", revision=1, made=900)
    others = [a_pod(f"api-{n}", owner=kept) for n in range(2)]
    found = waves([*two_nodes(), *web(4, replicas=20), api, kept, *others])
    assert found == [
        (0, "n1"),
        (1, "api-0"),
        (2, "api-1"),
        (2, "web-000"),
        (2, "web-001"),
        (3, "web-002"),
        (3, "web-003"),
    ]


def test_pods_that_belong_to_the_node_stay() -> None:
    daemon = an("DaemonSet", "agent", "apps/v1", namespace="shop")
    mirror = {"annotations": {"kubernetes.io/config.mirror": "x"}}
    stays = [
        a_pod("agent-1", owner=daemon),
        a_pod("static-n1", meta=mirror),
        a_pod("ended", phase="Failed"),
        a_pod("leaving", meta={"deletionTimestamp": "2026-11-24T11:59:00Z"}),
    ]
    assert waves([*two_nodes(), daemon, *stays, *web(1)]) == [(0, "n1"), (1, "web-000")]


def test_pods_that_nothing_would_make_anew_hold_a_drain_back() -> None:
    with pytest.raises(Unfit, match="nothing would make anew Pod shop/bare"):
        waves([*two_nodes(), a_pod("bare")])


def test_a_drain_without_end_is_refused() -> None:
    assert len(waves([*two_nodes(), *web(99)])) == 100
    with pytest.raises(Unfit, match="more than 99"):
        waves([*two_nodes(), *web(100)])


def test_a_node_whose_pods_are_not_known_is_not_drained() -> None:
    view = a_view(*two_nodes(), read=ALL - {"pods"})
    with pytest.raises(Unfit, match="not known: not read"):
        edits(view, "drain", view.named("Node", "", "n1"))


def test_a_node_that_is_closed_and_empty_needs_no_drain() -> None:
    closed = [a_node("n1", unschedulable=True), a_node("n2")]
    assert waves([*closed, *web(1)]) == [(0, "web-000")]
    with pytest.raises(Unfit, match="nothing is left"):
        waves(closed)


def test_two_sick_nodes_are_no_case_for_a_drain() -> None:
    name = "at most one node is unhealthy"
    one = a_view(a_node("n1", "False"), a_node("n2"), a_node("n3"))
    two = a_view(a_node("n1", "False"), a_node("n2", "Unknown"), a_node("n3"))
    node = one.named("Node", "", "n1")
    assert held(checks(one, "drain", node))[name] is True
    assert held(checks(two, "drain", node))[name] is False


@pytest.mark.parametrize(("cpu", "holds"), [("2", True), ("5", False)])
def test_a_drain_needs_room_elsewhere(cpu: str, *, holds: bool) -> None:
    objects = web(4)
    for pod in objects[2:]:
        pod["spec"]["containers"] = asking(cpu)["spec"]["containers"]
    view = a_view(*two_nodes(), *objects)
    name = "the nodes have room for the new pods"
    assert held(checks(view, "drain", view.named("Node", "", "n1")))[name] is holds
    idle = a_view(*two_nodes(), *web(1))
    assert held(checks(idle, "drain", idle.named("Node", "", "n1")))[name] is True


def test_the_room_on_the_node_itself_does_not_count() -> None:
    objects = web(2)
    for pod in objects[2:]:
        pod["spec"]["containers"] = asking("1")["spec"]["containers"]
    full = a_pod("full", owner=objects[1], node="n2", spec=asking("8")["spec"])
    view = a_view(*two_nodes(), *objects, full)
    found = checks(view, "drain", view.named("Node", "", "n1"))
    assert [c.why for c in found if c.holds is False] == ["for 0 of 2"]


def test_a_budget_that_allows_nothing_is_foreseen() -> None:
    def budget(allowed: int, app: str = "web") -> Raw:
        spec = {"selector": {"matchLabels": {"app": app}}}
        return an("PodDisruptionBudget", "b", "policy/v1", spec=spec,
                  status={"disruptionsAllowed": allowed})  # fmt: skip

    def holds(*objects: Raw) -> bool | None:
        view = a_view(*two_nodes(), *objects)
        return held(checks(view, "drain", view.named("Node", "", "n1")))[BUDGET]

    assert holds(*web(2), budget(0)) is False
    assert holds(*web(2), budget(1)) is True
    assert holds(*web(2), budget(0, "other")) is True
    assert holds(*web(2, node="n2"), budget(0)) is True


def test_a_drain_is_judged_by_what_left_and_where_it_came_to() -> None:
    view = a_view(*two_nodes(), *web(2))
    one = TEMPLATES["drain"]
    probes = one.probes(view, view.named("Node", "", "n1"), one.params())
    assert [(p.name, p.args.get("name")) for p in probes] == [
        ("gone", None),
        ("drained", "n1"),
        ("rollout", "web"),
    ]
    assert not one.cures


def test_evictions_never_name_what_is_not_on_the_node() -> None:
    view = a_view(*two_nodes(), *web(2), *web(0))
    elsewhere = a_pod("far", running(), owner=web(0)[1], node="n2")
    view = a_view(*two_nodes(), *web(2), elsewhere)
    made = edits(view, "drain", view.named("Node", "", "n1"))
    assert {e.ref.name for e in made if e.verb is Verb.EVICT} == {"web-000", "web-001"}
