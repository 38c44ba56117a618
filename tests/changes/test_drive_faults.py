"""Faults while a change is written: what ends it, how soon, and what is never sent."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from engine.changes.drive import advance
from engine.changes.record import applied
from engine.model.change_row import Freeze
from engine.model.change_state import ChangeState
from engine.model.errors import ClusterError, Fenced, StoreError
from tests.changes.a_cluster import BAD, GOOD, APort, a_node, a_shop, a_template, image_of
from tests.changes.a_scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.model.change import Operation
    from engine.model.ports import Writer

S = ChangeState
HOUR = timedelta(hours=1)


class During(APort):
    """The port of one identity: `act` is called during each write."""

    def __init__(self, scene: Scene, who: str, act: Callable[[bool], None]) -> None:
        super().__init__(scene.cluster, who)
        object.__setattr__(self, "_act", act)

    async def write(self, operation: Operation, *, version: str, dry_run: bool) -> Any:
        self._act(dry_run)  # type: ignore[attr-defined]
        return await super().write(operation, version=version, dry_run=dry_run)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


def nobody_may_write(scene: Scene) -> None:
    """Take the block `writer` of the cluster out of the configuration."""

    def none(cluster: str, kind: str = "") -> Writer:
        raise ClusterError("config", f"{cluster}: the cluster has no `writer`")

    scene.means = replace(scene.means, writer=none, proposer=none)


async def begins(scene: Scene) -> str:
    """Return a change that is being applied, with nothing written yet."""
    change = await scene.approved()
    scene.cluster.faults = [("before", "throttled")]
    assert (await scene.turn(change)).state is S.APPLYING
    assert not scene.cluster.kept
    return change


async def test_without_a_writer_what_was_not_begun_is_superseded(scene: Scene) -> None:
    change = await begins(scene)
    start = scene.clock.at
    nobody_may_write(scene)
    row = await scene.ran(change)
    assert row.state is S.SUPERSEDED, row.reason
    assert "no `writer`" in row.reason
    assert scene.clock.at < start + HOUR
    assert not scene.cluster.kept


async def test_without_a_writer_what_may_be_written_needs_a_person(scene: Scene) -> None:
    change = await scene.approved()
    scene.cluster.faults = [("after", "timeout")]
    await scene.turn(change)
    nobody_may_write(scene)
    row = await scene.ran(change)
    assert row.state is S.NEEDS_HUMAN
    assert "not known whether it was written" in row.reason
    shown = applied(row).objects[0]
    assert image_of({"spec": shown["before"]["spec"]}) == BAD
    assert shown["outcome"] == "not known to be done"


async def test_without_a_writer_a_roll_back_ends_with_a_person(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.cluster.critical = frozenset({"x-new"})
    scene.cluster.faults = [("before", "timeout")]
    assert (await scene.turn(change)).state is S.ROLLING_BACK
    start = scene.clock.at
    nobody_may_write(scene)
    row = await scene.ran(change)
    assert row.state is S.NEEDS_HUMAN
    assert "tried for an hour: config" in row.reason
    assert scene.clock.at < start + 2 * HOUR
    assert applied(row).objects[0]["outcome"].startswith("roll-back failed")


async def test_a_long_freeze_is_no_try(scene: Scene) -> None:
    change = await begins(scene)
    scene.store.freeze(Freeze("all", "ada", "", scene.clock.at))
    for _ in range(3):
        assert (await scene.turn(change)).state is S.APPLYING
        scene.clock.at += HOUR / 2
    scene.store.thaw("all", "ada", scene.clock.at)
    scene.cluster.down = "unreachable"
    assert (await scene.turn(change)).state is S.APPLYING
    scene.cluster.down = ""
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_while_the_writer_is_away_nothing_is_tried(scene: Scene) -> None:
    change = await begins(scene)
    for _ in range(3):
        scene.clock.at += HOUR / 2
        scene.started()
        scene.cluster.down = "unreachable"
        row = await scene.turn(change)
        assert row.state is S.APPLYING, row.reason
    scene.cluster.down = ""
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_a_writer_that_is_late_each_time_gives_up_at_last(scene: Scene) -> None:
    change = await begins(scene)
    scene.cluster.down = "unreachable"
    tries = 0
    while not (row := await scene.turn(change)).state.final:
        scene.clock.at += timedelta(minutes=7)
        tries += 1
    assert row.state in {S.PRECHECK_FAILED, S.SUPERSEDED}
    assert 5 < tries < 40
    assert not scene.cluster.kept


async def test_a_freeze_during_the_last_dry_run_stops_the_write(scene: Scene) -> None:
    change = await scene.approved()

    def freeze(_: bool) -> None:
        if scene.at(change).state is S.APPLYING:
            scene.store.freeze(Freeze("all", "ada", "stop!", scene.clock.at))

    scene.means = replace(scene.means, proposer=lambda _: During(scene, "proposer", freeze))
    row = await scene.turn(change)
    assert row.state is S.APPLYING
    assert row.next_at is not None
    assert row.next_at <= scene.clock.at + timedelta(seconds=2)
    assert not row.written
    assert all(one.dry_run for one in scene.cluster.sent)
    scene.store.thaw("all", "ada", scene.clock.at)
    scene.started()
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_a_freeze_for_longer_than_the_approval_leaves_all_as_it_is(scene: Scene) -> None:
    change = await begins(scene)
    expires = scene.at(change).expires
    assert expires is not None
    scene.store.freeze(Freeze("all", "ada", "", scene.clock.at))
    await scene.turn(change)
    scene.clock.at = expires
    row = await scene.turn(change)
    assert row.state is S.SUPERSEDED
    assert not scene.cluster.kept


def scaled(scene: Scene, replicas: int) -> None:
    """Let a person scale the Deployment."""
    scene.cluster.edit("Deployment", "web", {"spec": {"replicas": replicas}})


@pytest.mark.parametrize(
    ("faults", "ends"),
    [([], S.SUPERSEDED), ([("before", "timeout")], S.NEEDS_HUMAN)],
    ids=["refused", "unknown"],
)
async def test_what_a_person_scaled_to_the_same_is_theirs(
    scene: Scene, faults: list[tuple[str, str]], ends: ChangeState
) -> None:
    change = await scene.approved("scale", params={"replicas": 4})
    scene.cluster.between = lambda _: scaled(scene, 4)
    scene.cluster.faults = faults
    row = await scene.turn(change)
    scene.cluster.between = None
    scene.cluster.critical = frozenset({"x-new"})
    row = await scene.ran(change)
    assert row.state is ends, row.reason
    assert not scene.cluster.kept
    assert scene.cluster.get("Deployment", "web")["spec"]["replicas"] == 4
    assert not any(one.outcome == "done" for one in row.written)


async def test_what_was_scaled_without_an_answer_is_ours(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    change = await scene.approved("scale", params={"replicas": 4})
    scene.cluster.faults = [("after", "timeout")]
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason
    assert len(scene.cluster.kept) == 1


async def test_a_pod_that_somebody_else_evicted_is_gone_all_the_same(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=2)
    change = await scene.approved("drain", kind="Node", name="n1")
    await scene.ran(change, S.VERIFYING)
    scene.cluster.remove("Pod", "web-n1-1")
    assert (await scene.ran(change)).state is S.VERIFIED


@pytest.mark.parametrize("undo", [False, True])
async def test_who_may_not_be_the_writer_any_more_sends_nothing(scene: Scene, undo: bool) -> None:
    change = await scene.approved()
    if undo:
        await scene.ran(change, S.VERIFYING)
        scene.cluster.critical = frozenset({"x-new"})
    sent = len(scene.cluster.kept)
    scene.means = replace(scene.means, may_write=lambda: False)
    with pytest.raises(Fenced):
        await scene.turn(change)
    assert len([one for one in scene.cluster.sent if not one.dry_run]) == sent
    scene.started()
    row = await scene.ran(change)
    assert row.state is (S.ROLLED_BACK if undo else S.VERIFIED), row.reason
    assert len(scene.cluster.kept) == sent + 1


class Stuck:
    """A writer that stops with a write under way, until it is let go on."""

    def __init__(self, scene: Scene, change: str) -> None:
        self._go, at = asyncio.Event(), asyncio.Event()
        self.at = at

        class Port(APort):
            async def write(port, operation: Operation, *, version: str, dry_run: bool) -> Any:  # noqa: N805
                at.set()
                await self._go.wait()
                return await super().write(operation, version=version, dry_run=dry_run)

        means = replace(scene.means, writer=lambda *_: Port(scene.cluster, "stuck"))
        self._task = asyncio.create_task(advance(scene.at(change), means, epoch=scene.epoch))

    async def goes_on(self) -> None:
        """Let its write come, late."""
        self._go.set()
        with suppress(StoreError):
            await self._task


async def stuck(scene: Scene, change: str) -> Stuck:
    """Let one writer stop amid its write, and another one begin."""
    one = Stuck(scene, change)
    await one.at.wait()
    scene.started()
    return one


async def test_a_change_outlives_a_write_that_may_still_come(scene: Scene) -> None:
    change = await scene.approved()
    scene.cluster.faults = [("before", "throttled")]
    row = await scene.turn(change)
    assert row.expires is not None
    scene.clock.at = row.expires - timedelta(seconds=1)
    before = await stuck(scene, change)
    scene.clock.at = row.expires
    row = await scene.turn(change)
    assert row.state is S.APPLYING, row.reason
    await before.goes_on()
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason
    assert len(scene.cluster.kept) == 1


async def test_a_change_ends_once_no_write_can_come(scene: Scene) -> None:
    change = await scene.approved()
    await stuck(scene, change)
    expires = scene.at(change).expires
    assert expires is not None
    scene.clock.at = expires
    row = await scene.turn(change)
    assert row.state is S.SUPERSEDED
    assert row.written[0].outcome == "failed: it was not done"
    assert applied(row).applied is None
