"""What fails is compared with its copies in other clusters, and what that proves is said."""

from engine.model.report import Report
from engine.model.snapshot import ClusterSnapshot
from tests.missions.incident.world import (
    Raw,
    a_cluster,
    a_deployment,
    a_node,
    a_pod,
    a_service,
    a_template,
    crashed,
    mission_on,
)


def peers_said(report: Report) -> list[tuple[float, str]]:
    terms = [t for i in report.incidents for h in i.hypotheses for t in h.terms]
    return [(t.value, t.why) for t in terms if t.name == "peers"]


def manifests(name: str, *objects: Raw) -> ClusterSnapshot:
    bare = [{key: value for key, value in obj.items() if key != "status"} for obj in objects]
    return ClusterSnapshot(name, objects=tuple(bare))


def test_manifests_without_status_are_compared_by_what_they_want() -> None:
    wrong = a_service(spec={"selector": {"app": "wbe"}})
    east = manifests("east", a_deployment(), wrong)
    said = peers_said(mission_on(east, manifests("eu", a_deployment(), a_service())))
    unsure = "whether it is healthy there is not known"
    assert said == [(0.5, f"cluster eu has selector app=web here, not app=wbe; {unsure}")]
    alone = peers_said(mission_on(east))
    assert alone == [(0.0, "no healthy copy in another cluster to compare with")]
    sick = peers_said(mission_on(east, manifests("eu", a_deployment(), wrong)))
    assert set(sick) == set(alone)


def test_a_copy_of_which_the_health_is_known_goes_before_one_that_is_only_wanted() -> None:
    web = a_deployment(ready=0, template=a_template(image="registry.example/web:2"))
    east = a_cluster(a_node(), web, a_pod("web-1", crashed(1), owner=web))
    well = a_deployment(replicas=1, ready=1)
    west = a_cluster(a_node(), well, a_pod(owner=well), name="west")
    wanted = manifests("eu", well)
    whys = [why for _, why in peers_said(mission_on(east, wanted, west))]
    assert any("cluster west is healthy and differs" in why for why in whys)
    assert not any("cluster eu" in why for why in whys)


def test_a_service_that_works_elsewhere_is_a_healthy_copy() -> None:
    wrong = a_service(spec={"selector": {"app": "wbe"}})
    web = a_deployment()
    east = a_cluster(a_node(), web, a_pod(owner=web), wrong)
    west = a_cluster(a_node(), web, a_pod(owner=web), a_service(), name="west")
    assert (
        1.0,
        "the copy in cluster west is healthy and differs: selector: app=web -> app=wbe",
    ) in peers_said(mission_on(east, west))


def test_what_is_not_compared_is_not_told_as_without_a_copy() -> None:
    west = a_cluster(a_node("dead"), name="west")
    said = peers_said(mission_on(a_cluster(a_node("dead", "Unknown")), west))
    assert said == [(0.0, "a Node is not compared with other clusters")]


def test_a_copy_that_wants_the_same_says_what_was_compared() -> None:
    web = a_deployment(ready=0)
    east = a_cluster(a_node(), web, a_pod("web-1", crashed(1), owner=web))
    unsure = "whether it is healthy there is not known"
    alike = peers_said(mission_on(east, manifests("eu", a_deployment())))
    assert (0.0, f"cluster eu has the same pod template; {unsure}") in alike
    well = a_cluster(a_node(), a_deployment(), a_pod(owner=a_deployment()), name="west")
    healthy = "the copy in cluster west is healthy with the same pod template"
    assert (0.0, healthy) in peers_said(mission_on(east, well))
