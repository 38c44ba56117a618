"""A plan of several waves: what changed since it began stops the rest, and is undone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.changes.policy import load_policy
from engine.model.change import Verb
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import GOOD, a_node, a_shop
from tests.changes.a_scene import POLICY, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = ChangeState
PROTECTED = "protected: {namespaces: [shop]}\n"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster, image=GOOD)
    a_node(scene.cluster, "n0")
    a_node(scene.cluster, "n1", pods=3)
    yield scene
    scene.close()


async def drains(scene: Scene) -> str:
    """Return a drain whose first wave, the cordon, is written."""
    change = await scene.approved("drain", kind="Node", name="n1")
    row = await scene.ran(change, S.VERIFYING)
    assert row.state is S.VERIFYING
    return change


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (POLICY.replace("ada", "eve"), "approv"),
        (POLICY.replace("[ada, bo]", "[bo, di]"), "approv"),
        (POLICY + PROTECTED, "namespace shop is protected"),
    ],
    ids=["left", "left the group", "protected"],
)
async def test_a_policy_that_says_no_by_now_stops_the_rest(
    scene: Scene, policy: str, why: str
) -> None:
    change = await drains(scene)
    scene.policy = load_policy("p.yaml", policy)
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK
    assert why in row.reason
    assert [one.verb for one in scene.cluster.kept] == [Verb.PATCH, Verb.PATCH]
    assert not scene.cluster.get("Node", "n1")["spec"].get("unschedulable")


async def test_what_has_no_room_any_more_waits_and_is_given_up_at_last(scene: Scene) -> None:
    change = await drains(scene)
    start = scene.clock.at
    scene.cluster.edit("Node", "n0", {"spec": {"unschedulable": True}})
    row = await scene.ran(change, S.ROLLED_BACK, S.NEEDS_HUMAN)
    assert row.state is S.ROLLED_BACK
    assert "not so" in row.reason
    assert scene.clock.at < start + timedelta(hours=1)
    assert [one.verb for one in scene.cluster.kept] == [Verb.PATCH, Verb.PATCH]


async def test_room_that_comes_back_in_time_lets_it_go_on(scene: Scene) -> None:
    change = await drains(scene)
    scene.cluster.edit("Node", "n0", {"spec": {"unschedulable": True}})
    await scene.ran(change, S.APPLYING)
    assert (await scene.turn(change)).state is S.APPLYING
    scene.cluster.edit("Node", "n0", {"spec": {"unschedulable": None}})
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason


async def test_a_pod_that_went_by_itself_is_no_reason_to_stop(scene: Scene) -> None:
    scene.policy = load_policy("p.yaml", POLICY + "protected: {labels: {keep: 'yes'}}\n")
    change = await drains(scene)
    scene.cluster.remove("Pod", "web-n1-1")
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason
