"""What is read may be hostile: a kind that it leads astray costs one change, and no loop."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.changes.probes import PROBES
from engine.changes.record import checks
from engine.model.change_state import ChangeState
from tests.changes.a_cluster import a_node, a_shop
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

S = ChangeState


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


async def astray(*_: Any) -> Any:
    raise KeyError("status")


@pytest.mark.parametrize("part", ["look", "assess"])
async def test_a_draft_that_leads_the_kind_astray_ends_and_says_why(
    scene: Scene, part: str
) -> None:
    def assess(*_: Any) -> Any:
        raise KeyError("status")

    fault: Any = astray if part == "look" else assess
    scene.means = replace(scene.means, **{part: fault})
    row = await scene.turn(scene.drafted())
    assert row.state is S.PRECHECK_FAILED
    assert "a fault of its own: KeyError: 'status'" in row.reason


async def test_an_approved_change_waits_for_a_while_and_no_longer(scene: Scene) -> None:
    change = await scene.approved()
    sound = scene.means
    scene.means = replace(sound, look=astray)
    row = await scene.ran(change, S.PRECHECKING)
    assert row.state is S.PRECHECKING
    begun = row.changed
    row = await scene.ran(change)
    assert row.state is S.PRECHECK_FAILED
    assert "KeyError" in row.reason
    assert begun is not None
    assert row.changed is not None
    assert row.changed - begun < timedelta(minutes=15)
    assert not scene.cluster.kept


async def test_an_approved_change_goes_on_once_it_can_be_judged(scene: Scene) -> None:
    change = await scene.approved()
    sound = scene.means
    scene.means = replace(sound, look=astray)
    await scene.ran(change, S.PRECHECKING)
    scene.means = sound
    assert (await scene.ran(change)).state is S.VERIFIED


@pytest.mark.parametrize("part", ["kind", "probe"])
async def test_a_verification_that_goes_astray_is_an_unknown(
    scene: Scene, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def probe(*_: Any) -> Any:
        raise RecursionError("deep")

    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    if part == "kind":
        scene.means = replace(scene.means, look=astray)
    else:
        monkeypatch.setitem(PROBES, "finding", probe)
    row = await scene.turn(change)
    assert row.state is S.VERIFYING
    assert {one.holds for one in checks(row)} == {None}
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK
    assert "could not be verified" in row.reason
