"""The diagnosis of a real cluster: its scheduler's, controllers' and node's own words."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.missions.collect import collect
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.missions.registry import kinds
from engine.model.ports import SystemClock
from engine.model.report import Incident, Outcome, Report
from tests.cluster.readers import a_reader, as_persona
from tests.testbeds.kube import Kube
from tests.testbeds.manifests import a_deployment, a_service, an_object, chaos, on_node

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
KIND = kinds()["incident-response"]


async def diagnosed(kube: Kube, **params: str) -> Report:
    """Collect as the running engine does, with the rights of a reader, and assess."""
    asked = IncidentParams(**params)
    async with a_reader(as_persona(kube, "reader")) as reader:
        snapshot = await collect(
            {kube.name: reader},
            KIND.needs,
            lambda cluster: KIND.logs(cluster, asked) if KIND.logs else (),
            SystemClock(),
        )
    return KIND.run(snapshot, asked, SystemClock().now())


async def eventually(look: Callable[[], Awaitable[str]], wanted: str, seconds: int = 90) -> None:
    """Wait until `look` gives `wanted`; what it gave last is in the failure."""
    last = ""
    for _ in range(seconds):
        last = await look()
        if last == wanted:
            return
        await asyncio.sleep(1)
    pytest.fail(f"wanted {wanted!r}, last was {last!r}")


def of_namespace(report: Report, namespace: str) -> list[Incident]:
    """The incidents that strike a namespace."""
    mine = {f.id for f in report.findings if f.object.namespace == namespace}
    return [incident for incident in report.incidents if mine & set(incident.findings)]


async def test_a_cluster_in_which_all_is_well_is_quiet(kube: Kube) -> None:
    kube.await_swept()
    namespace = kube.namespace()
    kube.create(
        a_deployment("web", namespace, replicas=2),
        a_service("web", namespace, selector={"app": "web"}),
    )
    kube.await_condition("Deployment", "web", "Available", namespace=namespace)
    report = await diagnosed(kube, namespace=namespace)
    assert of_namespace(report, namespace) == []
    assert report.outcome is not Outcome.FAILED
    assert report.coverage.answered == report.coverage.possible, report.coverage.unknowns


TROUBLES: dict[str, dict[str, Any]] = {
    "app-error": {"trouble": chaos("crashloop")},
    "memory-without-limit": {"trouble": chaos("crashloop", exit_code="137")},
    "image-not-found": {"trouble": chaos("imagepull", message="manifest unknown: not found")},
    "image-rate-limited": {"trouble": chaos("imagepull", message="429 Too Many Requests")},
    "config-missing": {"trouble": chaos("configerror", message='configmap "gone" not found')},
    "insufficient-cpu": {
        "containers": [{"name": "main", "image": "i:1", "resources": {"requests": {"cpu": "99"}}}]
    },
    "node-affinity": {"nodeSelector": {"disk": "of-gold"}},
}


@pytest.mark.parametrize("word", list(TROUBLES))
async def test_a_trouble_of_a_real_cluster_gets_its_cause(kube: Kube, word: str) -> None:
    namespace = kube.namespace()
    kube.create(a_deployment("web", namespace, **TROUBLES[word]))

    async def best() -> str:
        found = of_namespace(await diagnosed(kube, namespace=namespace), namespace)
        return found[0].hypotheses[0].cause if len(found) == 1 else f"{len(found)} incidents"

    await eventually(best, word)


async def test_a_roll_out_to_a_bad_image_offers_the_way_back(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(a_deployment("web", namespace))
    kube.await_condition("Deployment", "web", "Available", namespace=namespace)
    bad = a_deployment("web", namespace, image="registry.test/app:2", trouble=chaos("imagepull"))
    kube.patch("Deployment", "web", namespace, spec={"template": bad["spec"]["template"]})

    async def offered() -> str:
        report = await diagnosed(kube, namespace=namespace, workload="web")
        found = of_namespace(report, namespace)
        causes = {h.cause for i in found for h in i.hypotheses}
        ways = [c for c in report.changes if c.target.namespace == namespace]
        if "rollout" not in causes or not ways:
            return "nothing yet"
        holds = {p.name: p.holds for p in ways[0].preconditions}
        return f"{ways[0].operation} {holds['the previous revision was healthy']}"

    await eventually(offered, "rollback True")


async def test_a_node_that_goes_silent_is_the_root_of_its_pods(kube: Kube) -> None:
    namespace, node = kube.namespace(), kube.node()
    kube.create(
        a_deployment("web", namespace, replicas=3, **on_node(node)),
        a_service("web", namespace, selector={"app": "web"}),
    )
    kube.await_condition("Deployment", "web", "Available", namespace=namespace)
    kube.stop_heartbeats(node)

    async def root() -> str:
        found = of_namespace(await diagnosed(kube, node=node), namespace)
        return " ".join(f"{i.root.kind} {i.root.name} {i.object_count}" for i in found)

    await eventually(root, f"Node {node} 3", 150)


async def test_a_used_up_quota_is_named(kube: Kube) -> None:
    namespace = kube.namespace()
    kube.create(an_object("ResourceQuota", "few", namespace, spec={"hard": {"pods": "0"}}))
    kube.create(a_deployment("web", namespace))

    async def root() -> str:
        found = of_namespace(await diagnosed(kube, namespace=namespace), namespace)
        return " ".join(f"{i.root.kind} {i.root.name}" for i in found)

    await eventually(root, "ResourceQuota few")
