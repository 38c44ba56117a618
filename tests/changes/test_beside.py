"""Changes beside one another: a budget is exact, and who works on the same waits in silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.changes.drive import advance
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import a_node, a_shop
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = ChangeState
AT_ONCE = 4


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


async def test_the_budget_is_exact_however_many_begin_at_once(scene: Scene) -> None:
    changes = []
    for number in range(14):
        a_shop(scene.cluster, f"s{number}")
        changes.append(await scene.approved(name=f"s{number}"))
    slots = asyncio.Semaphore(AT_ONCE)

    async def goes_on(change: str) -> None:
        async with slots:
            await advance(scene.at(change), scene.means, epoch=scene.epoch)

    await asyncio.gather(*map(goes_on, changes))
    states = [scene.at(one).state for one in changes]
    assert (states.count(S.VERIFYING), states.count(S.APPROVED)) == (10, 4), states
    assert len(scene.cluster.kept) == 10
