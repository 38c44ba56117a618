"""Whose clock it is: events of a server are compared with when that server took the write."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.changes.record import checks
from engine.model.change import Operation, Verb
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import GOOD, ACluster, a_node, a_shop, a_template
from tests.changes.a_scene import Scene
from tests.missions.incident.world import an_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

S = ChangeState
MINUTES = timedelta(minutes=1)
SKEWS = [timedelta(), -5 * MINUTES, 5 * MINUTES]
"""How far the clock of the server is before that of this host."""


class Elsewhere(ACluster):
    """A server with a clock of its own, which says who wrote what when, as servers do."""

    skew: timedelta = timedelta()

    def its_now(self) -> datetime:
        """Return what the clock of the server shows."""
        return self.clock.now() + self.skew

    def written(self, who: str, operation: Operation, version: str, *, dry_run: bool) -> Any:
        answer = super().written(who, operation, version, dry_run=dry_run)
        if not dry_run and operation.verb is not Verb.EVICT:
            target = operation.target
            mine = {"manager": "dogwatch", "operation": "Update", "time": stamp(self.its_now())}
            old = {"manager": "kubectl", "operation": "Update", "time": stamp(self.clock.now())}
            live = self.objects[target.resource, target.namespace, target.name]
            live["metadata"]["managedFields"] = [old, mine]
        return answer

    def warns(self, about: Mapping[str, Any], after: timedelta, reason: str = "BackOff") -> None:
        """Let something warn of an object, so long from now by the server's own clock."""
        at = stamp(self.its_now() + after)
        event = an_event(dict(about), reason, "it is not well")
        self.objects["events", "shop", f"e-{len(self.objects)}"] = {
            **event,
            "type": "Warning" if reason == "BackOff" else "Normal",
            "firstTimestamp": at,
            "lastTimestamp": at,
        }


class Skewed(Scene):
    """A scene of which the cluster has a clock of its own."""

    def a_cluster(self) -> ACluster:
        return Elsewhere(self.clock)


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


@pytest.fixture(params=SKEWS, ids=["in-step", "behind", "before"])
def scene(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Skewed]:
    scene = Skewed(tmp_path)
    server_of(scene).skew = request.param
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


def server_of(scene: Scene) -> Elsewhere:
    assert isinstance(scene.cluster, Elsewhere)
    return scene.cluster


async def warned(scene: Scene, change: str) -> bool | None:
    """Return what the writer thinks of warnings with its next look."""
    row = await scene.turn(change)
    return next(one.holds for one in checks(row) if one.name == "no-new-warnings")


async def test_a_warning_after_the_write_counts_by_the_clock_of_the_server(scene: Skewed) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    server_of(scene).warns(scene.cluster.get("Deployment", "web"), 30 / 60 * MINUTES)
    scene.clock.at += MINUTES
    assert await warned(scene, change) is False


async def test_a_warning_before_the_write_does_not(scene: Skewed) -> None:
    change = await scene.approved()
    server_of(scene).warns(scene.cluster.get("Deployment", "web"), -MINUTES)
    await scene.ran(change, S.VERIFYING)
    scene.clock.at += MINUTES
    assert await warned(scene, change) is True


async def test_an_eviction_is_as_old_as_the_end_of_its_pod(scene: Skewed) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=2)
    long_ago = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    stuck = {"status": {"conditions": [long_ago]}}
    scene.cluster.edit("Pod", "web-n1-0", stuck)
    pod = scene.cluster.get("Pod", "web-n1-0")
    change = await scene.approved("delete-pod", kind="Pod", name="web-n1-0")
    row = await scene.ran(change, S.VERIFYING)
    assert row.state is S.VERIFYING, row.reason
    other = scene.cluster.get("Pod", "web-n1-1")
    scene.cluster.edit("Pod", "web-n1-1", stuck)
    server_of(scene).warns(pod, timedelta(), "Killing")
    server_of(scene).warns(other, -MINUTES)
    assert await warned(scene, change) is True
    server_of(scene).warns(other, MINUTES)
    scene.clock.at += 2 * MINUTES
    assert await warned(scene, change) is False
