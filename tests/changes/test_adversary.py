"""Somebody who undoes every fix: changes stay within the budget, and people are not flooded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from engine.changes.policy import load_policy
from engine.model.change_state import ChangeState
from engine.model.errors import ClusterError
from tests.changes.a_cluster import BAD, GOOD, a_node, a_shop, a_template, image_of
from tests.changes.a_scene import AUTOMATIC, POLICY, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.change import Operation

S = ChangeState
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
EVERY: Final = timedelta(minutes=15)
"""How often the rule fires, as long as the trouble is there."""
BUDGET: Final = 10


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path, load_policy("p.yaml", POLICY + AUTOMATIC))
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


def most_within(instants: list[datetime], span: timedelta) -> int:
    """Return how many of the instants lie within one span at most."""
    return max((sum(at <= one < at + span for one in instants) for at in instants), default=0)


class Adversary:
    """Puts the bad image back: at once, or when nobody looks any more."""

    def __init__(self, scene: Scene, *, patient: bool) -> None:
        self._scene = scene
        self._patient = patient
        self.writes: list[datetime] = []
        scene.cluster.between = self.saw

    def saw(self, _: Operation) -> None:
        self.writes.append(self._scene.clock.now())

    def undo(self) -> None:
        """Put it back, unless it waits for the verification to end."""
        open_ = self._scene.store.changes(states=[S.VERIFYING])
        web = self._scene.cluster.get("Deployment", "web")
        if image_of(web) == GOOD and not (self._patient and open_):
            template = a_template(BAD)
            self._scene.cluster.edit("Deployment", "web", {"spec": {"template": template}})


@pytest.mark.parametrize("patient", [True, False])
async def test_who_undoes_every_fix_for_a_day_wins_nothing(scene: Scene, patient: bool) -> None:
    adversary = Adversary(scene, patient=patient)
    start = scene.clock.at
    fires = start
    while scene.clock.at < start + DAY:
        if scene.clock.at >= fires and image_of(scene.cluster.get("Deployment", "web")) == BAD:
            scene.drafted(approval="policy")
            fires = scene.clock.at + EVERY
        for row in scene.store.due_changes(scene.clock.at):
            await scene.turn(row.id)
        adversary.undo()
        scene.clock.at += timedelta(minutes=1)
    notices = [one.at for one in scene.told()]
    print(f"{len(adversary.writes)} writes, {len(notices)} notices, {scene.number} missions")
    assert adversary.writes
    assert most_within(adversary.writes, HOUR) <= 2 <= BUDGET, "a fix, and its roll-back"
    assert most_within(notices, HOUR) <= 1
    assert scene.number > 50
    assert not [row for row in scene.store.changes(limit=1000) if row.state is S.NEEDS_HUMAN]


@pytest.mark.parametrize("reason", ["refused", "timeout", "unreachable", "invalid", "throttled"])
async def test_a_webhook_that_never_lets_a_change_through_is_not_asked_for_ever(
    scene: Scene, reason: str
) -> None:
    def refuse(_: Operation, __: object) -> dict[str, object]:
        raise ClusterError(reason, "the webhook says so, or nothing")

    scene.cluster.webhook = refuse
    row = await scene.ran(scene.drafted())
    assert row.state is S.DRY_RUN_FAILED
    assert len(scene.cluster.sent) <= 20
    assert not scene.cluster.kept
    assert not scene.told()


async def test_a_webhook_that_changes_what_is_written_is_part_of_what_is_approved(
    scene: Scene,
) -> None:
    def mutate(_: Operation, obj: dict[str, object]) -> dict[str, object]:
        spec = obj["spec"]
        assert isinstance(spec, dict)
        return {**obj, "spec": {**spec, "minReadySeconds": 7}}

    scene.cluster.webhook = mutate
    change = scene.drafted()
    row = await scene.ran(change, S.AWAITING)
    assert row.change is not None
    assert any("minReadySeconds" in line for line in row.change.lines)
    scene.decide(change)
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_a_webhook_that_changes_its_mind_makes_the_approval_stale(scene: Scene) -> None:
    numbers = iter(range(100))

    def mutate(_: Operation, obj: dict[str, object]) -> dict[str, object]:
        spec = obj["spec"]
        assert isinstance(spec, dict)
        return {**obj, "spec": {**spec, "minReadySeconds": next(numbers)}}

    change = await scene.approved()
    scene.cluster.webhook = mutate
    row = await scene.ran(change)
    assert row.state is S.SUPERSEDED
    assert not scene.cluster.kept


@pytest.mark.parametrize("reason", ["refused", "timeout", "unreachable", "throttled"])
async def test_a_webhook_that_breaks_after_the_dry_run_ends_it_cleanly(
    scene: Scene, reason: str
) -> None:
    change = await scene.approved()
    scene.cluster.faults = [("before", reason)] * 1000
    row = await scene.ran(change)
    assert row.state is S.PRECHECK_FAILED, row.reason
    assert len([one for one in scene.cluster.sent if not one.dry_run]) <= 20
    assert not scene.cluster.kept
