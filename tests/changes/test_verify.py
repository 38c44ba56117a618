"""The verification: how often it is looked, what a failed read means, and by whose clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from engine.changes.policy import load_policy
from engine.changes.record import applied
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import GOOD, a_node, a_shop, a_template
from tests.changes.a_scene import POLICY, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from engine.model.change_row import ChangeRow

S = ChangeState
MINUTES = timedelta(minutes=1)
WINDOW = 10 * MINUTES


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


async def at_the_end_of_its_window(scene: Scene) -> str:
    """Return a change of which all was well so far, at the instant when its window ends."""
    change = await scene.approved()
    row = await scene.ran(change, S.VERIFYING)
    end = begun(row) + WINDOW
    while scene.clock.at < end:
        row = await scene.turn(change)
        assert row.state is S.VERIFYING
        assert row.next_at is not None
        scene.clock.at = row.next_at
    return change


def begun(row: ChangeRow) -> datetime:
    assert row.verify_from is not None
    return row.verify_from


def looks(row: ChangeRow) -> int:
    """Return how often it was looked, as far as that counts."""
    return sum(one.name == "look" for one in row.results)


# -- what could not be told ---------------------------------------------------------------


async def test_one_failed_read_at_the_end_of_the_window_undoes_nothing(scene: Scene) -> None:
    change = await at_the_end_of_its_window(scene)
    scene.cluster.down = "unreachable"
    row = await scene.turn(change)
    assert row.state is S.VERIFYING
    assert row.next_at is not None
    scene.clock.at = row.next_at
    scene.cluster.down = ""
    assert (await scene.turn(change)).state is S.VERIFIED
    assert len(scene.cluster.kept) == 1


async def test_what_stays_unknown_for_ten_more_minutes_is_not_verified(scene: Scene) -> None:
    change = await at_the_end_of_its_window(scene)
    end = scene.clock.at
    scene.cluster.down = "unreachable"
    row = await scene.ran(change, S.ROLLING_BACK)
    assert row.state is S.ROLLING_BACK
    assert "could not be verified" in row.reason
    assert timedelta() < scene.clock.at - end <= 10 * MINUTES


async def test_what_is_known_to_have_failed_is_not_looked_at_again(scene: Scene) -> None:
    change = await at_the_end_of_its_window(scene)
    scene.cluster.get("Deployment", "web")["status"]["readyReplicas"] = 0
    row = await scene.turn(change)
    assert row.state is S.ROLLED_BACK
    assert "rollout" in row.reason


# -- how often ----------------------------------------------------------------------------


async def test_a_step_of_the_clock_is_no_verification(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.clock.at += timedelta(hours=1)
    row = await scene.turn(change)
    assert row.state is S.VERIFYING
    stepped = scene.clock.at
    row = await scene.ran(change)
    assert row.state is S.VERIFIED
    assert looks(row) == 3
    assert row.changed is not None
    assert row.changed - stepped == MINUTES


async def test_looks_at_which_nothing_was_seen_do_not_count(scene: Scene) -> None:
    change = await scene.approved()
    row = await scene.ran(change, S.VERIFYING)
    scene.cluster.down = "unreachable"
    end = scene.clock.at + WINDOW
    while scene.clock.at < end:
        row = await scene.turn(change)
        assert row.next_at is not None
        scene.clock.at = row.next_at
    scene.cluster.down = ""
    row = await scene.turn(change)
    assert row.state is S.VERIFYING, "two looks in all"
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_looks_one_after_the_other_count_once(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    for _ in range(5):
        await scene.turn(change)
    scene.clock.at += WINDOW
    assert (await scene.turn(change)).state is S.VERIFYING


async def test_a_clock_that_is_set_back_makes_no_look_count_twice(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.clock.at -= timedelta(hours=1)
    for _ in range(3):
        await scene.turn(change)
    assert looks(scene.at(change)) <= 2


@pytest.mark.parametrize("window", [1, 3, 10])
async def test_a_short_window_is_looked_into_three_times(scene: Scene, window: int) -> None:
    scene.policy = load_policy("p.yaml", f"{POLICY}verification: {{window: {window}s}}\n")
    change = await scene.approved()
    row = await scene.ran(change)
    assert row.state is S.VERIFIED
    assert looks(row) == 3
    assert row.changed is not None
    assert row.changed - begun(row) == timedelta(seconds=max(window, 2))


async def test_each_wave_is_looked_at_three_times(scene: Scene) -> None:
    scene.policy = load_policy("p.yaml", f"{POLICY}verification: {{window: 3s}}\n")
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=1)
    change = await scene.approved("drain", kind="Node", name="n1")
    before = scene.cluster.looks
    row = await scene.ran(change)
    assert row.state is S.VERIFIED
    assert row.change is not None
    waves = len({one.wave for one in row.change.operations})
    assert scene.cluster.looks - before >= 3 * waves


async def test_that_it_was_looked_is_no_check_that_people_see(scene: Scene) -> None:
    row = await scene.ran(await scene.approved())
    assert "look" in {one.name for one in row.results}
    assert "look" not in {one.name for one in applied(row).checks}
