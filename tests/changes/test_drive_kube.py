"""The change path on a real API server: proposed, approved, dry-run, applied, verified, undone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from engine.changes.diff import normalised
from engine.changes.record import applied
from engine.model.change_state import ChangeState
from engine.model.errors import ClusterError
from tests.changes.a_real_scene import RealScene, a_real_scene
from tests.testbeds.manifests import RESERVED, a_deployment, chaos

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from engine.model.change import Operation
    from engine.model.ports import Writer
    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

S = ChangeState
GOOD = "registry.test/web:1"
BAD = "registry.test/web:does-not-exist"


@pytest.fixture
async def scene(identities: Kube, tmp_path: Path) -> AsyncGenerator[RealScene]:
    async with a_real_scene(tmp_path, identities) as scene:
        yield scene


def a_web(scene: RealScene, replicas: int = 2) -> None:
    """Roll out a version that is well."""
    scene.kube.create(a_deployment("web", scene.namespace, replicas=replicas, image=GOOD))
    scene.kube.await_condition("Deployment", "web", "Available", scene.namespace)


def spoil(scene: RealScene) -> None:
    """Roll out a version that cannot start."""
    trouble = chaos("imagepull")
    container = {**template(scene)["spec"]["containers"][0], "image": BAD}
    meta = {"labels": trouble["labels"], "annotations": trouble["annotations"]}
    spec = {"template": {"metadata": meta, "spec": {"containers": [container]}}}
    scene.kube.patch("Deployment", "web", scene.namespace, spec=spec)
    scene.kube.until(lambda: bad_pods(scene) or None, "a pod with a bad image")


def bad_pods(scene: RealScene) -> list[Any]:
    """Return the pods that wait for an image."""
    pods = scene.kube.list("Pod", scene.namespace)
    return [
        pod
        for pod in pods
        for status in pod.get("status", {}).get("containerStatuses", [])
        if status["state"].get("waiting", {}).get("reason") == "ImagePullBackOff"
    ]


def template(scene: RealScene) -> Any:
    return scene.live("Deployment", "web")["spec"]["template"]


async def findings(scene: RealScene) -> list[str]:
    """Return what the mission kind finds, as the mission would put it into its draft."""
    draft = scene.draft_of("c-0", "rollback", scene.live("Deployment", "web"))
    look = await scene.means.look(draft)
    return sorted(look.findings)


async def test_a_bad_image_is_rolled_back_and_verified(scene: RealScene) -> None:
    a_web(scene)
    good = template(scene)
    spoil(scene)
    change = await scene.approved("rollback", findings=await findings(scene))
    row = scene.at(change)
    assert row.change is not None
    assert any(BAD in line and GOOD in line for line in row.change.lines)
    assert template(scene)["spec"]["containers"][0]["image"] == BAD
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason
    assert template(scene) == good
    assert not bad_pods(scene)
    assert scene.live("Deployment", "web")["metadata"]["annotations"]["dogwatch.dev/change"]
    assert scene.store.verify_audit().fault == ""


async def test_what_does_not_help_ends_rolled_back_as_it_was_before(scene: RealScene) -> None:
    a_web(scene)
    spoil(scene)
    before = normalised(scene.live("Deployment", "web"))
    found = await findings(scene)
    change = await scene.approved("rollback", findings=found)
    await scene.ran(change, S.VERIFYING)
    # The version before is broken by now as well: its pods never become ready.
    scene.kube.patch(
        "Deployment", "web", scene.namespace, metadata={"labels": {"seen": "meanwhile"}}
    )
    for pod in scene.kube.list("Pod", scene.namespace):
        scene.kube.patch_status(
            "Pod", pod["metadata"]["name"], scene.namespace, **not_ready(pod["status"])
        )
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK, row.reason
    after = normalised(scene.live("Deployment", "web"))
    assert after["metadata"]["labels"].pop("seen") == "meanwhile"
    assert without_book_keeping(after) == without_book_keeping(before)
    assert not applied(row).objects


def without_book_keeping(obj: Any) -> Any:
    """Return it without the revision that the Deployment's controller counts."""
    notes = dict(obj["metadata"].get("annotations", {}))
    notes.pop("deployment.kubernetes.io/revision", None)
    metadata = {**obj["metadata"], "annotations": notes}
    return {**obj, "metadata": {name: value for name, value in metadata.items() if value}}


def failed(scene: RealScene, pod: str) -> bool:
    """Whether the pod has ended badly."""
    return bool(scene.live("Pod", pod)["status"]["phase"] == "Failed")


def not_ready(status: Any) -> Any:
    conditions = [
        {**one, "status": "False"} if one["type"] in {"Ready", "ContainersReady"} else one
        for one in status.get("conditions", [])
    ]
    return {"conditions": conditions}


async def test_a_workload_is_scaled(scene: RealScene) -> None:
    a_web(scene)
    row = await scene.ran(await scene.approved("scale", params={"replicas": 3}))
    assert row.state is S.VERIFIED, row.reason
    assert scene.live("Deployment", "web")["spec"]["replicas"] == 3


@dataclass
class Lossy:
    """A writer of which one write gets no answer; `kept` says whether it is done all the same."""

    port: Writer
    kept: bool
    person: Callable[[], object]
    lost: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)

    async def write(self, operation: Operation, *, version: str, dry_run: bool) -> Any:
        if self.lost:
            return await self.port.write(operation, version=version, dry_run=dry_run)
        self.lost += 1
        if self.kept:
            await self.port.write(operation, version=version, dry_run=dry_run)
        else:
            self.person()
        raise ClusterError("timeout", "no answer")


@pytest.mark.parametrize(("kept", "ends"), [(True, S.VERIFIED), (False, S.NEEDS_HUMAN)])
async def test_the_server_tells_who_scaled_where_the_answer_was_lost(
    scene: RealScene, kept: bool, ends: ChangeState
) -> None:
    a_web(scene)
    change = await scene.approved("scale", params={"replicas": 3})

    def person() -> None:
        scene.kube.patch("Deployment", "web", scene.namespace, spec={"replicas": 3})

    lossy = Lossy(scene.port("incident-response"), kept, person)
    scene.means = replace(scene.means, writer=lambda *_: lossy)
    row = await scene.ran(change)
    assert row.state is ends, row.reason
    assert lossy.lost == 1
    assert scene.live("Deployment", "web")["spec"]["replicas"] == 3


async def test_pods_are_replaced_by_a_restart(scene: RealScene) -> None:
    a_web(scene)
    pods = scene.kube.list("Pod", scene.namespace)
    old = {pod["metadata"]["uid"] for pod in pods}
    params = {"at": "2026-12-01T12:00:00Z"}
    row = await scene.ran(await scene.approved("restart", params=params))
    assert row.state is S.VERIFIED, row.reason
    new = {pod["metadata"]["uid"] for pod in scene.kube.list("Pod", scene.namespace)}
    assert not old & new


async def test_a_stuck_pod_is_evicted_and_made_anew(scene: RealScene) -> None:
    a_web(scene)
    pod = scene.kube.list("Pod", scene.namespace)[0]["metadata"]["name"]
    scene.kube.label("Pod", pod, scene.namespace, chaos="evicted")
    scene.kube.until(lambda: failed(scene, pod) or None, "a pod that failed")
    status = scene.live("Pod", pod)["status"]
    scene.kube.patch_status("Pod", pod, scene.namespace, **not_ready(status))
    row = await scene.ran(await scene.approved("delete-pod", kind="Pod", name=pod))
    assert row.state is S.VERIFIED, row.reason
    assert pod not in {one["metadata"]["name"] for one in scene.kube.list("Pod", scene.namespace)}


async def test_a_node_is_cordoned(scene: RealScene) -> None:
    name = scene.kube.node("cordoned")
    scene.kube.audit.approve(name)
    row = await scene.ran(await scene.approved("cordon", kind="Node", name=name))
    assert row.state is S.VERIFIED, row.reason
    assert scene.live("Node", name)["spec"]["unschedulable"] is True


async def test_a_node_is_drained(scene: RealScene) -> None:
    name, other = scene.kube.node("drained"), scene.kube.node("other")
    scene.kube.audit.approve(name)
    deployment = a_deployment("web", scene.namespace, replicas=2, image=GOOD)
    deployment["spec"]["template"]["spec"] |= {
        "tolerations": [{"key": RESERVED, "operator": "Exists"}],
        "affinity": only_on(name, other),
    }
    scene.kube.create(deployment)
    scene.kube.await_condition("Deployment", "web", "Available", scene.namespace)
    row = await scene.ran(await scene.approved("drain", kind="Node", name=name))
    assert row.state is S.VERIFIED, row.reason
    pods = scene.kube.list("Pod", scene.namespace)
    assert {pod["spec"]["nodeName"] for pod in pods} == {other}


def only_on(*names: str) -> Any:
    terms = [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}]
    required = {"nodeSelectorTerms": [{"matchExpressions": terms}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
