"""The change path, from a draft to its end, over a real store and a cluster at its port."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from engine.changes.asking import asked_again
from engine.changes.diff import normalised
from engine.changes.policy import load_policy
from engine.changes.record import applied
from engine.model.change import Operation, Verb
from engine.model.change_row import Freeze, Verdict
from engine.model.change_state import ChangeState
from engine.model.delivery import Occasion
from engine.model.errors import Fenced, Refused
from tests.changes.a_cluster import BAD, GOOD, a_node, a_shop, a_template, image_of
from tests.changes.a_scene import AUTOMATIC, POLICY, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from engine.model.change_row import ChangeRow
    from engine.model.delivery import Delivery

S = ChangeState
TO_APPROVED = ["proposed", "awaiting", "approved"]
TO_VERIFYING = [*TO_APPROVED, "prechecking", "dry-run-ok", "applying", "verifying"]
UNDONE = ["verify-failed", "rolling-back", "rolled-back"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    a_shop(scene.cluster)
    a_node(scene.cluster, "n0")
    yield scene
    scene.close()


def path(scene: Scene, change: str) -> list[str]:
    """Return the states that it came to; what is said without a move is left out."""
    states = [state for state, _ in groupby(scene.path(change))]
    return [state for state in states if state != "draft"]


async def test_what_a_person_approved_is_written_once_watched_and_verified(scene: Scene) -> None:
    change = await scene.approved()
    row = await scene.ran(change)
    assert path(scene, change) == [*TO_VERIFYING, "verified"]
    assert image_of(scene.cluster.get("Deployment", "web")) == GOOD
    assert [(one.who, one.name) for one in scene.cluster.kept] == [
        ("writer of incident-response", "web")
    ]
    assert row.changed is not None
    assert row.verify_from is not None
    assert (row.changed - row.verify_from).total_seconds() == 600
    assert all(one.holds for one in row.results)
    assert [one.change for one in scene.told()] == [Occasion.APPROVAL, Occasion.CHANGE]


async def test_what_does_not_help_is_put_back_exactly(scene: Scene) -> None:
    before = normalised(scene.cluster.get("Deployment", "web"))
    scene.cluster.critical = frozenset({"x-other"})
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.cluster.critical |= {"x-new"}
    row = await scene.ran(change)
    assert path(scene, change) == [*TO_VERIFYING, *UNDONE]
    assert "x-new" in row.reason
    after = normalised(scene.cluster.get("Deployment", "web"))
    assert after["spec"] == before["spec"]
    assert not after["metadata"].get("annotations")
    assert [one.name for one in scene.cluster.kept] == ["web", "web"]


async def test_what_cannot_be_told_is_not_verified(scene: Scene) -> None:
    change = await scene.approved()
    row = await scene.ran(change, S.VERIFYING)
    scene.cluster.down = "unreachable"
    assert row.verify_from is not None
    scene.clock.at = row.verify_from + timedelta(seconds=600)
    row = await scene.ran(change, S.ROLLING_BACK)
    assert row.state is S.ROLLING_BACK
    assert "could not be verified" in row.reason
    scene.cluster.down = ""
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK


async def test_a_roll_out_may_take_its_time_within_the_window(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    status = scene.cluster.get("Deployment", "web")["status"]
    ready, status["readyReplicas"] = status["readyReplicas"], 0
    row = await scene.turn(change)
    assert row.state is S.VERIFYING
    assert [one.holds for one in row.results if one.name == "rollout"] == [False]
    status["readyReplicas"] = ready
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_what_somebody_else_changed_since_is_not_overwritten(scene: Scene) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    mine = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "mine"}]}}}}
    scene.cluster.edit("Deployment", "web", mine)
    row = await scene.ran(change)
    assert row.state is S.NEEDS_HUMAN
    assert "somebody else changed spec.template.spec.containers" in row.reason
    assert image_of(scene.cluster.get("Deployment", "web")) == "mine"
    shown = applied(row).objects[0]
    assert shown["object"] == "Deployment shop/web"
    assert image_of({"spec": shown["before"]["spec"]}) == BAD
    assert image_of({"spec": shown["after"]["spec"]}) == GOOD
    assert len(scene.cluster.kept) == 1


async def test_what_somebody_put_back_already_counts_as_rolled_back(scene: Scene) -> None:
    before = scene.cluster.get("Deployment", "web")
    spec = before["spec"]
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.cluster.edit("Deployment", "web", {"spec": spec})
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK
    assert not scene.cluster.get("Deployment", "web")["metadata"].get("annotations")


async def test_nobody_approves_and_it_expires_after_two_reminders(scene: Scene) -> None:
    change = scene.drafted()
    row = await scene.ran(change)
    assert row.state is S.EXPIRED
    told = [one.change for one in scene.told()]
    assert told == [Occasion.APPROVAL, Occasion.REMINDER, Occasion.REMINDER, Occasion.CHANGE]
    assert not scene.cluster.kept
    with pytest.raises(Refused, match="expired"):
        scene.decide(change)


async def test_who_had_no_message_of_their_own_is_asked_for_again(scene: Scene) -> None:
    told: list[tuple[Occasion, datetime]] = []

    def asked(row: ChangeRow, occasion: Occasion, now: datetime) -> Sequence[Delivery]:
        told.append((occasion, now))
        return scene.asks(row, occasion, now) if len(told) > 1 else ()

    scene.means = replace(scene.means, asks=asked)
    change = scene.drafted()
    row = await scene.ran(change, S.AWAITING)
    assert row.changed is not None
    assert row.next_at == asked_again(row.changed)
    scene.clock.at = asked_again(row.changed)
    await scene.turn(change)
    assert told[1] == (Occasion.APPROVAL, scene.clock.at)
    assert [one.change for one in scene.told()] == [Occasion.APPROVAL]


@pytest.mark.parametrize("state", [S.APPROVED, S.PRECHECKING, S.APPLYING])
async def test_an_approval_is_too_old_when_the_writer_comes_too_late(
    scene: Scene, state: ChangeState
) -> None:
    change = await scene.approved()
    if state is S.PRECHECKING:
        scene.cluster.down = "unreachable"
    if state is S.APPLYING:
        scene.cluster.faults = [("before", "throttled")]
    if state is not S.APPROVED:
        assert (await scene.ran(change, state)).state is state
    scene.cluster.down = ""
    expires = scene.at(change).expires
    assert expires is not None
    scene.clock.at = expires
    row = await scene.ran(change)
    assert row.state is (S.SUPERSEDED if state is S.APPLYING else S.EXPIRED)
    assert not scene.cluster.kept


async def test_a_denied_change_is_never_written(scene: Scene) -> None:
    change = scene.drafted()
    await scene.ran(change, S.AWAITING)
    scene.decide(change, verdict=Verdict.DENY)
    row = await scene.turn(change)
    assert row.state is S.REJECTED
    assert not scene.cluster.kept


async def test_a_plan_asks_nobody(scene: Scene) -> None:
    change = scene.drafted(mode="plan")
    row = await scene.turn(change)
    assert row.state is S.PROPOSED
    assert row.settled
    assert (await scene.ran(change)).state is S.EXPIRED
    assert not scene.told()


async def test_a_plan_is_not_done_whoever_approves_it(scene: Scene) -> None:
    change = scene.drafted(mode="plan")
    await scene.turn(change)
    with suppress(Refused):
        scene.decide(change)
    row = await scene.ran(change)
    assert row.state in {S.SUPERSEDED, S.EXPIRED}
    assert not scene.cluster.kept


async def test_a_plan_is_in_the_way_of_nothing(scene: Scene) -> None:
    await scene.turn(scene.drafted(mode="plan"))
    assert (await scene.ran(await scene.approved())).state is S.VERIFIED


async def test_a_writer_that_was_away_for_long_goes_on(scene: Scene) -> None:
    change = await scene.approved()
    scene.cluster.faults = [("before", "timeout")]
    row = await scene.ran(change, S.APPLYING)
    assert row.state is S.APPLYING
    scene.clock.at += timedelta(hours=1)
    scene.started()
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_the_policy_may_approve_by_itself(scene: Scene) -> None:
    scene.policy = load_policy("p.yaml", POLICY + AUTOMATIC)
    change = scene.drafted(approval="policy")
    row = await scene.ran(change)
    assert row.state is S.VERIFIED
    assert [one.who for one in row.decisions] == ["policy:undo"]


async def test_without_a_policy_nothing_happens(scene: Scene) -> None:
    change = await scene.approved()
    scene.policy = None
    row = await scene.turn(change)
    assert row.state is S.APPROVED
    assert row.next_at is not None
    assert row.next_at > scene.clock.at
    assert not scene.cluster.kept


async def test_an_approval_of_who_leaves_the_policy_counts_no_more(scene: Scene) -> None:
    change = await scene.approved()
    scene.policy = load_policy("p.yaml", POLICY.replace("[ada, bo]", "[bo, di]"))
    row = await scene.turn(change)
    assert row.state is S.APPROVED
    assert "approv" in row.reason
    for _ in range(3):
        assert row.next_at is not None
        scene.clock.at = row.next_at
        row = await scene.turn(change)
    assert path(scene, change) == [*TO_APPROVED, "prechecking", "approved"]
    assert row.expires is not None
    scene.clock.at = row.expires
    assert (await scene.turn(change)).state is S.EXPIRED
    assert not scene.cluster.kept


async def test_who_lost_the_lease_writes_nothing(scene: Scene) -> None:
    change = await scene.approved()
    epoch = scene.epoch
    scene.started()
    scene.epoch = epoch
    with pytest.raises(Fenced):
        await scene.turn(change)
    assert not scene.cluster.kept


async def test_a_freeze_stops_what_was_not_begun(scene: Scene) -> None:
    change = await scene.approved()
    scene.store.freeze(Freeze("all", "ada", "fire", scene.clock.at))
    for _ in range(5):
        row = await scene.turn(change)
        assert row.state is S.APPROVED
        assert row.next_at is not None
        scene.clock.at = row.next_at
    row = scene.at(change)
    assert "frozen (all) by ada: fire" in row.reason
    assert path(scene, change) == [*TO_APPROVED, "prechecking", "approved"]
    assert not scene.cluster.kept
    scene.store.thaw("all", "ada", scene.clock.at)
    assert (await scene.ran(change)).state is S.VERIFIED


async def test_a_freeze_stops_a_running_plan_at_its_next_step(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=1)
    change = await scene.approved("drain", kind="Node", name="n1", rule="")
    await scene.ran(change, S.VERIFYING)
    assert len(scene.cluster.kept) == 1
    scene.store.freeze(Freeze("cluster/east", "ada", "", scene.clock.at))
    row = await scene.ran(change, S.APPLYING)
    assert row.state is S.APPLYING, row.reason
    for _ in range(3):
        assert row.next_at is not None
        scene.clock.at = row.next_at
        row = await scene.turn(change)
    assert (row.state, len(scene.cluster.kept)) == (S.APPLYING, 1)
    scene.store.thaw("cluster/east", "ada", scene.clock.at)
    assert (await scene.ran(change)).state is S.VERIFIED


@pytest.mark.parametrize("who", ["ada", "dogwatch"])
async def test_no_freeze_stops_a_roll_back(scene: Scene, who: str) -> None:
    change = await scene.approved()
    await scene.ran(change, S.VERIFYING)
    scene.store.freeze(Freeze("all", who, "3 changes were rolled back", scene.clock.at))
    scene.cluster.critical = frozenset({"x-new"})
    row = await scene.turn(change)
    assert row.state is S.ROLLED_BACK, row.reason
    assert image_of(scene.cluster.get("Deployment", "web")) == BAD


async def test_a_node_is_drained_wave_by_wave_each_verified_before_the_next(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=3)
    change = await scene.approved("drain", kind="Node", name="n1")
    row = await scene.ran(change)
    assert row.state is S.VERIFIED, row.reason
    assert [one.verb for one in scene.cluster.kept] == [Verb.PATCH, *[Verb.EVICT] * 3]
    waves = len({one.wave for one in row.change.operations}) if row.change else 0
    assert path(scene, change).count("verifying") == waves > 2


async def test_a_failed_wave_stops_the_rest_and_uncordons(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=3)
    change = await scene.approved("drain", kind="Node", name="n1")
    await scene.ran(change, S.VERIFYING)
    scene.cluster.critical = frozenset({"x-new"})
    row = await scene.ran(change)
    assert row.state is S.ROLLED_BACK
    assert [one.verb for one in scene.cluster.kept] == [Verb.PATCH, Verb.PATCH]
    assert not scene.cluster.get("Node", "n1")["spec"].get("unschedulable")


async def test_an_eviction_that_a_budget_forbids_is_tried_again(scene: Scene) -> None:
    scene.cluster.edit("Deployment", "web", {"spec": {"template": a_template(GOOD)}})
    a_node(scene.cluster, "n1", pods=1)
    change = await scene.approved("drain", kind="Node", name="n1")
    await scene.ran(change, S.VERIFYING)
    scene.cluster.budgets = 0
    await scene.ran(change, S.APPLYING)
    for _ in range(3):
        row = await scene.turn(change)
        assert row.state is S.APPLYING
        assert row.next_at is not None
        scene.clock.at = row.next_at
    scene.cluster.budgets = 1
    assert (await scene.ran(change)).state is S.VERIFIED


@pytest.mark.parametrize("reason", ["timeout", "unreachable"])
@pytest.mark.parametrize("side", ["before", "after"])
async def test_a_write_whose_outcome_is_not_known_is_never_done_twice(
    scene: Scene, side: str, reason: str
) -> None:
    change = await scene.approved()
    scene.cluster.faults = [(side, reason)]
    row = await scene.ran(change)
    assert row.state is S.VERIFIED
    assert len(scene.cluster.kept) + (side == "after") == 1 + (side == "after") * 1
    assert image_of(scene.cluster.get("Deployment", "web")) == GOOD
    assert len([one for one in scene.cluster.sent if not one.dry_run]) == 1 + (side == "before")


async def test_one_conflict_is_tried_once_more_where_nothing_of_ours_changed(scene: Scene) -> None:
    change = await scene.approved()
    touched = iter([{"metadata": {"labels": {"touched": "once"}}}])

    def touch(_: Operation) -> None:
        for patch in touched:
            scene.cluster.edit("Deployment", "web", patch)

    scene.cluster.between = touch
    assert (await scene.ran(change)).state is S.VERIFIED
    assert len([one for one in scene.cluster.sent if not one.dry_run]) == 2
    assert len(scene.cluster.kept) == 1


async def test_two_conflicts_are_enough(scene: Scene) -> None:
    change = await scene.approved()
    turns = iter("abcdef")

    def touch(_: Operation) -> None:
        scene.cluster.edit("Deployment", "web", {"metadata": {"labels": {"touched": next(turns)}}})

    scene.cluster.between = touch
    row = await scene.ran(change)
    assert row.state is S.SUPERSEDED
    assert not scene.cluster.kept


async def test_a_lack_of_rights_ends_a_draft_and_names_it(scene: Scene) -> None:
    scene.cluster.forbidden = frozenset({Verb.PATCH})
    row = await scene.turn(scene.drafted())
    assert row.state is S.PRECHECK_FAILED
    assert "no right to: patch deployments.apps Deployment shop/web" in row.reason
    assert not scene.told()


async def test_one_change_at_a_time_works_on_an_object(scene: Scene) -> None:
    first = await scene.approved()
    await scene.ran(first, S.VERIFYING)
    second = await scene.approved("scale", params={"replicas": 3})
    row = await scene.turn(second)
    assert row.state is S.APPROVED
    assert f"change {first} is at work on the same object" in row.reason
    await scene.ran(first)
    assert (await scene.ran(second)).state is S.VERIFIED


async def test_the_same_is_not_proposed_twice(scene: Scene) -> None:
    first = scene.drafted()
    await scene.ran(first, S.AWAITING)
    row = await scene.turn(scene.drafted())
    assert row.state is S.PRECHECK_FAILED
    assert first in row.reason


async def test_a_restart_that_does_not_help_needs_a_person(scene: Scene) -> None:
    at = scene.clock.at.isoformat()
    change = await scene.approved("scale", params={"replicas": 4})
    await scene.ran(change, S.VERIFYING)
    scene.cluster.faults = [("before", "refused")]
    scene.cluster.critical = frozenset({"x-new"})
    row = await scene.ran(change)
    assert row.state is S.NEEDS_HUMAN, at
    assert "not rolled back" in row.reason
    objects: list[dict[str, Any]] = applied(row).objects
    assert objects[0]["before"] == {"spec": {"replicas": 2}}
    assert objects[0]["after"] == {"spec": {"replicas": 4}}


async def test_three_roll_backs_freeze_everything(scene: Scene) -> None:
    for name in ("a", "b", "c"):
        a_shop(scene.cluster, name)
        scene.cluster.critical = frozenset()
        change = await scene.approved("rollback", name=name)
        await scene.ran(change, S.VERIFYING)
        scene.cluster.critical = frozenset({"x-new"})
        assert (await scene.ran(change)).state is S.ROLLED_BACK
    assert [one.scope for one in scene.store.freezes(scene.clock.at)] == ["all"]
    assert "everything is frozen: 3 changes" in scene.told()[-1].model_dump_json()
