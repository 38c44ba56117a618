"""What may lock people out is taken back unless somebody confirms it in time."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.changes.turn import Turn
from engine.changes.work_out import work_out
from engine.model.change import Risk
from engine.model.change_row import Verdict
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.delivery import Occasion
from engine.model.errors import Refused
from engine.model.moved import Moved
from tests.changes.a_cluster import BAD, GOOD, a_shop, image_of
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = ChangeState


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster)
    yield scene
    scene.close()


async def written(scene: Scene) -> str:
    """Write a change that counts as one that may lock people out, approved by two."""
    change = scene.drafted()
    assert scene.policy is not None
    now = scene.clock.now()
    turn = Turn(scene.at(change), scene.means, scene.policy, scene.epoch, now)
    body = (await work_out(turn)).model_copy(update={"risk": Risk.LOCKOUT})
    moved = Moved(change=body, expires=now + timedelta(minutes=15))
    scene.store.move_change(change, S.DRAFT, ChangeEvent.PROPOSE, moved, now, epoch=scene.epoch)
    await scene.ran(change, S.AWAITING)
    assert scene.decide(change, "ada").state is S.AWAITING
    assert scene.decide(change, "bo").state is S.APPROVED
    row = await scene.ran(change, S.VERIFYING)
    assert row.change is not None
    assert row.change.risk is Risk.LOCKOUT
    assert image_of(scene.cluster.get("Deployment", "web")) == GOOD
    return change


async def test_what_nobody_confirms_is_taken_back_at_the_deadline(scene: Scene) -> None:
    change = await written(scene)
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK
    assert "nobody confirmed in time" in row.reason
    assert image_of(scene.cluster.get("Deployment", "web")) == BAD


async def test_what_somebody_confirms_is_verified(scene: Scene) -> None:
    change = await written(scene)
    scene.clock.at += timedelta(seconds=1)
    scene.decide(change, "ada")
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_what_somebody_denies_is_taken_back_at_once(scene: Scene) -> None:
    change = await written(scene)
    scene.clock.at += timedelta(seconds=1)
    scene.decide(change, "bo", verdict=Verdict.DENY)
    row = await scene.turn(change)
    assert row.state is S.ROLLED_BACK
    assert "bo did not confirm it" in row.reason


async def test_people_are_asked_to_confirm(scene: Scene) -> None:
    await written(scene)
    told = [one.change for one in scene.told()]
    assert told == [Occasion.APPROVAL, Occasion.REMINDER]


async def test_who_may_not_approve_cannot_confirm(scene: Scene) -> None:
    change = await written(scene)
    scene.clock.at += timedelta(seconds=1)
    with suppress(Refused):
        scene.decide(change, "di")
    assert (await scene.ran(change)).state is S.ROLLED_BACK
