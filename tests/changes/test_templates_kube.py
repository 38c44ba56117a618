"""rollback on a real API server: what controllers keep is what they would be given back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine.analysis.cluster_view import ClusterView
from engine.changes.diff import normalised
from engine.changes.rollout import complete
from engine.changes.templates import TEMPLATES
from engine.missions.collect import collect
from engine.model.ports import SystemClock
from tests.cluster.readers import a_reader, as_persona
from tests.testbeds.manifests import a_deployment

if TYPE_CHECKING:
    from tests.testbeds.kube import Kube
    from tests.testbeds.manifests import Manifest

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

ROLLBACK = TEMPLATES["rollback"]
ONE, TWO = "registry.test/web:1", "registry.test/web:2"


async def a_view(kube: Kube) -> ClusterView:
    clock = SystemClock()
    async with a_reader(as_persona(kube)) as reader:
        snapshot = await collect({"west": reader}, ROLLBACK.needs, None, clock)
    return ClusterView(snapshot.clusters["west"], clock.now())


def a_workload(kind: str, namespace: str) -> Manifest:
    made = a_deployment("web", namespace, image=ONE, nodeSelector={"kubernetes.io/os": "linux"})
    made["kind"] = kind
    if kind == "StatefulSet":
        made["spec"]["serviceName"] = "web"
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    return made


def rolled_out(kube: Kube, kind: str, namespace: str) -> Any:
    """Return the workload once its roll-out is complete."""

    def whole() -> Any:
        live = kube.get(kind, "web", namespace)
        return live if complete(live)[0] else None

    return kube.until(whole, f"{kind} is rolled out")


async def back(kube: Kube, kind: str, namespace: str) -> Any:
    """Roll back by the template, and return the workload when that is done."""
    view = await a_view(kube)
    ref = view.named(kind, namespace, "web")
    checks = ROLLBACK.preconditions(view, ref, ROLLBACK.params())
    assert [c for c in checks if c.holds is False] == []
    (edit,) = ROLLBACK.build(view, ref, ROLLBACK.params(), "c-1")
    kube.patch(kind, "web", namespace, **edit.patch)
    return rolled_out(kube, kind, namespace)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
async def test_the_template_before_comes_back_field_for_field(kube: Kube, kind: str) -> None:
    namespace = kube.namespace()
    kube.create(a_workload(kind, namespace))
    first = rolled_out(kube, kind, namespace)
    container = {**first["spec"]["template"]["spec"]["containers"][0], "image": TWO}
    spec = {"containers": [container], "nodeSelector": None, "priority": None}
    changed = {"metadata": {"annotations": {"build": "2"}}, "spec": spec}
    kube.patch(kind, "web", namespace, spec={"template": changed})
    second = rolled_out(kube, kind, namespace)

    again = await back(kube, kind, namespace)
    assert normalised(again)["spec"] == normalised(first)["spec"]
    # The revision that came back is the newest now: the next roll-back leads forth again.
    forth = await back(kube, kind, namespace)
    assert normalised(forth)["spec"] == normalised(second)["spec"]
