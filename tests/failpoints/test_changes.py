"""A writer that dies at each step of a change: applied at most once, and always ended."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from engine import failpoint
from engine.changes.diff import normalised
from engine.changes.policy import load_policy
from engine.failpoint import Point
from engine.model.change_row import Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.errors import Refused, StoreError
from tests.changes.a_cluster import GOOD, a_node, a_shop, a_template, image_of
from tests.changes.a_scene import POLICY, Scene
from tests.failpoints.armed import SIDES
from tests.failpoints.lives import CHANGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = ChangeState
SHORT: Final = "verification: {window: 10s}\nbudgets: {changes_per_hour: 1000}\n"
ROLL_BACKS: Final = "breaker: {roll_backs_per_hour: 1000}\n"
POINTS: Final = sorted(CHANGES - {Point.MODEL_ASKED})
BETWEEN: Final = 10_000
"""More commits than a change takes."""


class Killed(BaseException):
    """The process is gone: nothing catches this."""


class Killer:
    """Kills at one side of one point, at its hit so many, once; or lets it fail by `error`."""

    def __init__(
        self, point: Point, side: str, hit: int = 1, error: type[BaseException] = Killed
    ) -> None:
        self._at = (point, side)
        self._left = hit
        self._error = error
        self.acted = False

    def __call__(self, point: Point, side: str) -> None:
        """Die here, if this is the place."""
        if (point, side) != self._at or self.acted:
            return
        self._left -= 1
        if self._left == 0:
            self.acted = True
            raise self._error


@contextmanager
def armed(killer: Killer) -> Iterator[Killer]:
    failpoint.arm(killer)
    try:
        yield killer
    finally:
        failpoint._hooks.remove(killer)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path, load_policy("p.yaml", POLICY + SHORT + ROLL_BACKS))
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


async def lived(scene: Scene, change: str, *states: ChangeState) -> None:
    """Let writers look at the change, one after the other as they die, up to a state."""
    while True:
        try:
            await scene.ran(change, *states)
        except Killed:
            scene.started()
        else:
            return


def decided(scene: Scene, change: str) -> None:
    """Let a person approve, and again if the process that took it died."""
    try:
        scene.decide(change)
    except Killed:
        if not scene.at(change).decisions:
            scene.decide(change)
    with pytest.raises(Refused):
        scene.decide(change, "bo")


async def through(scene: Scene, name: str, *, helps: bool) -> str:
    """Take one change of a new Deployment to its end; return its id."""
    scene.cluster.critical = frozenset()
    change = scene.drafted("rollback", name=name)
    await lived(scene, change, S.AWAITING)
    decided(scene, change)
    await lived(scene, change, S.VERIFYING)
    if not helps:
        scene.cluster.critical = frozenset({"x-new"})
    await lived(scene, change)
    return change


def check(scene: Scene, change: str, name: str, before: object, *, helps: bool) -> None:
    """Say what must be so however often, and wherever, the writer died."""
    row = scene.at(change)
    assert row.state is (S.VERIFIED if helps else S.ROLLED_BACK), row.reason
    writes = [one for one in scene.cluster.kept if one.name == name]
    assert len(writes) == (1 if helps else 2)
    live = scene.cluster.get("Deployment", name)
    if helps:
        assert image_of(live) == GOOD
    else:
        assert normalised(live)["spec"] == before
        assert not live["metadata"].get("annotations")
    approvals = [one for one in row.decisions if one.verdict is Verdict.APPROVE]
    assert len(approvals) == 1
    assert Counter(scene.path(change))["approved"] == 1
    assert scene.store.verify_audit().fault == ""


@pytest.mark.parametrize("helps", [True, False])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("point", POINTS)
async def test_a_writer_that_dies_at_a_step_does_nothing_twice(
    scene: Scene, point: Point, side: str, helps: bool
) -> None:
    before = normalised(a_shop(scene.cluster, "web"))["spec"]
    with armed(Killer(point, side)) as killer:
        change = await through(scene, "web", helps=helps)
    assert killer.acted or (point is Point.OBJECT_ROLLED_BACK and helps)
    check(scene, change, "web", before, helps=helps)
    told = Counter(one.change for one in scene.told())
    assert told == {Occasion.APPROVAL: 1, Occasion.CHANGE: 1}


@pytest.mark.parametrize("helps", [True, False])
@pytest.mark.parametrize("side", SIDES)
async def test_a_writer_that_dies_at_any_commit_does_nothing_twice(
    scene: Scene, side: str, helps: bool
) -> None:
    for hit in range(1, BETWEEN):
        name = f"web-{hit}"
        before = normalised(a_shop(scene.cluster, name))["spec"]
        with armed(Killer(Point.COMMIT, side, hit)) as killer:
            try:
                change = await through(scene, name, helps=helps)
                check(scene, change, name, before, helps=helps)
            except Killed:  # it was the mission that died, before there was a change
                pass
        scene.cluster.remove("Deployment", name)
        if not killer.acted:
            assert hit > 12, "a change takes many commits"
            return


@pytest.mark.parametrize("hit", range(1, 26))
async def test_a_store_that_refuses_once_only_puts_it_off(scene: Scene, hit: int) -> None:
    before = normalised(a_shop(scene.cluster, "web"))["spec"]
    change = await scene.approved()
    with armed(Killer(Point.COMMIT, "before", hit, StoreError)) as killer:
        await put_off(scene, change, S.VERIFYING)
        scene.cluster.critical = frozenset({"x-new"})
        await put_off(scene, change)
    assert killer.acted or hit > 12
    check(scene, change, "web", before, helps=False)


async def put_off(scene: Scene, change: str, *states: ChangeState) -> None:
    """Let the writer look again after the store refused."""
    try:
        await scene.ran(change, *states)
    except StoreError:
        await scene.ran(change, *states)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("point", [Point.PRE_IMAGE_STORED, Point.OBJECT_APPLIED])
async def test_a_writer_that_dies_amid_waves_evicts_each_pod_once(
    scene: Scene, point: Point, hit: int, side: str
) -> None:
    a_shop(scene.cluster, "web")
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=3)
    change = await scene.approved("drain", kind="Node", name="n1")
    with armed(Killer(point, side, hit)) as killer:
        await lived(scene, change)
    assert killer.acted
    row = scene.at(change)
    assert row.state is S.VERIFIED, row.reason
    assert sorted(one.name for one in scene.cluster.kept) == [
        "n1",
        "web-n1-0",
        "web-n1-1",
        "web-n1-2",
    ]
