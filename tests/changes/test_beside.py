"""Changes beside one another: a budget is exact, and who works on the same waits in silence."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from engine.changes.drive import advance
from engine.model.change_row import Freeze
from engine.model.change_state import ChangeState
from engine.store.change_tables import locks
from tests.changes.a_cluster import GOOD, a_node, a_shop
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.changes.look import Look
    from engine.model.change import Draft
    from engine.model.change_row import ChangeRow

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


# -- locks --------------------------------------------------------------------------------


async def test_a_drain_and_a_roll_back_of_one_workload_never_run_together(scene: Scene) -> None:
    a_shop(scene.cluster)
    a_node(scene.cluster, "n1", pods=2)
    drain = await scene.approved("drain", kind="Node", name="n1", rule="")
    undo = await scene.approved("rollback")
    await scene.ran(drain, S.VERIFYING)
    row = await scene.turn(undo)
    assert row.state is S.APPROVED
    assert f"change {drain} is at work on the same object" in row.reason
    assert len(scene.cluster.kept) == 1


async def test_a_roll_back_keeps_a_drain_of_its_pods_waiting(scene: Scene) -> None:
    a_shop(scene.cluster)
    a_node(scene.cluster, "n1", pods=2)
    undo = await scene.approved("rollback")
    await scene.ran(undo, S.VERIFYING)
    drain = await scene.approved("drain", kind="Node", name="n1", rule="")
    row = await scene.turn(drain)
    assert row.state is S.APPROVED
    assert f"change {undo} is at work" in row.reason


async def test_two_wide_plans_in_one_namespace_go_one_after_the_other(scene: Scene) -> None:
    a_shop(scene.cluster, image=GOOD)
    for name in ("n1", "n2"):
        a_node(scene.cluster, name, pods=1)
    first, second = [
        await scene.approved("drain", kind="Node", name=name, rule="") for name in ("n1", "n2")
    ]
    await scene.ran(first, S.VERIFYING)
    assert (await scene.turn(second)).state is S.APPROVED
    assert (await scene.ran(first)).state is S.VERIFIED
    await scene.ran(second, S.VERIFYING)
    assert "u-east/namespace shop" in locks_in(scene, second)


async def test_what_touches_other_objects_does_not_wait(scene: Scene) -> None:
    for name in ("web", "api"):
        a_shop(scene.cluster, name)
    first, second = [await scene.approved(name=name) for name in ("web", "api")]
    await scene.ran(first, S.VERIFYING)
    assert (await scene.ran(second, S.VERIFYING)).state is S.VERIFYING


def locks_in(scene: Scene, change: str) -> set[str]:
    """Return the names of the locks that a change has."""
    with scene.store.read() as connection:
        query = select(locks.c.name).where(locks.c.change == change)
        return set(connection.execute(query).scalars())


async def test_what_is_held_back_after_its_check_keeps_nobody_waiting(scene: Scene) -> None:
    a_shop(scene.cluster)
    change = await scene.approved()
    row = await frozen_while_checked(scene, change)
    assert row.state is S.APPROVED
    assert "frozen" in row.reason
    assert not locks_in(scene, change)
    scene.store.thaw("all", "ada", scene.clock.at)
    assert (await scene.ran(change)).state is S.VERIFIED


async def frozen_while_checked(scene: Scene, change: str) -> ChangeRow:
    """Let somebody freeze everything while the change is checked, which has its locks by then."""
    look = scene.means.look

    async def freezes(draft: Draft) -> Look:
        assert locks_in(scene, change)
        scene.store.freeze(Freeze("all", "ada", "fire", scene.clock.at))
        return await look(draft)

    sound = scene.means
    scene.means = replace(sound, look=freezes)
    row = await scene.turn(change)
    scene.means = sound
    return row


async def test_who_waits_for_another_change_says_so_once(scene: Scene) -> None:
    a_shop(scene.cluster)
    first = await scene.approved()
    await scene.ran(first, S.VERIFYING)
    second = await scene.approved("scale", params={"replicas": 3})
    row = await scene.turn(second)
    said = len(scene.store.audit(change=second, limit=1000))
    for _ in range(10):
        assert row.next_at is not None
        scene.clock.at = row.next_at
        row = await scene.turn(second)
    assert row.state is S.APPROVED
    assert len(scene.store.audit(change=second, limit=1000)) == said
    await scene.ran(first)
    assert (await scene.ran(second)).state is S.VERIFIED
