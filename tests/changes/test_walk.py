"""A random walk of people, writers that die, clusters and clocks over changes of two objects.

WALK_STEPS says how many steps are walked in all; `make nightly` walks 100,000.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine import failpoint
from engine.changes.drive import advance
from engine.changes.policy import AUTOMATIC, load_policy
from engine.changes.templates import CHANGE
from engine.failpoint import Point
from engine.model.change_row import ChangeRow, Decision, Freeze, Verdict
from engine.model.change_state import ChangeState
from engine.model.errors import Fenced, Refused
from tests.changes.a_cluster import BAD, GOOD, SICK, a_node, a_shop
from tests.changes.a_scene import AUTOMATIC as BY_POLICY
from tests.changes.a_scene import POLICY, Scene
from tests.failpoints.armed import SIDES
from tests.failpoints.test_changes import POINTS, Killed, Killer

if TYPE_CHECKING:
    from engine.model.change import Operation

STEPS: Final = 50
WALK_STEPS: Final = int(os.environ.get("WALK_STEPS", "1000"))
S = ChangeState
NAMES: Final = ("web", "api")
BRAKES: Final = "budgets: {changes_per_hour: 1000}\nverification: {window: 60s}\n"
NOTHING_WRITTEN: Final = {
    S.REJECTED,
    S.EXPIRED,
    S.SUPERSEDED,
    S.CONFLICT,
    S.DRY_RUN_FAILED,
    S.PRECHECK_FAILED,
}
APPROVERS: Final = {"ada", "bo"}

hands = st.sampled_from(["ada", "bo", "di", "nobody", "dogwatch", f"{AUTOMATIC}undo"])
places = st.tuples(st.sampled_from([*POINTS, Point.COMMIT]), st.sampled_from(SIDES))


class Walk(RuleBasedStateMachine):
    """One walk: each rule is one thing that somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        shutil.copy(migrated(), Path(self._folder.name) / "store.db")
        self._loop = asyncio.new_event_loop()
        self.scene = Scene(
            Path(self._folder.name), load_policy("p.yaml", POLICY + BY_POLICY + BRAKES)
        )
        self.scene.cluster.between = self.judged
        self.changes: list[str] = []
        self.decisions: list[Decision] = []
        self.seen = 0

    def teardown(self) -> None:
        try:
            self.ends_well()
        finally:
            self._end()

    def _end(self) -> None:
        self.scene.close()
        self._loop.close()
        self._folder.cleanup()

    @initialize()
    def begins(self) -> None:
        a_node(self.scene.cluster, "n0")
        for name in NAMES:
            a_shop(self.scene.cluster, name)

    # -- what may happen ----------------------------------------------------------------

    @rule(
        name=st.sampled_from(NAMES),
        approval=st.sampled_from(["person", "policy"]),
        mode=st.sampled_from(["apply", "apply", "plan"]),
        requester=st.sampled_from(["rule:crash-loop", "ada"]),
        findings=st.sampled_from([[], [], [SICK]]),
    )
    def a_mission_proposes(self, name: str, findings: list[str], **asked: str) -> None:
        """One that is to remove the finding fails for as long as the other object has it."""
        if ("deployments.apps", "shop", name) not in self.scene.cluster.objects:
            a_shop(self.scene.cluster, name)
        self.changes.append(self.scene.drafted("rollback", name=name, findings=findings, **asked))

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), turns=st.sampled_from([2, 8, 25, 40]))
    def it_goes_its_way(self, data: st.DataObject, turns: int) -> None:
        """Nothing comes in between: it is looked at when it is due, and bo approves."""
        change = self.any_change(data)
        for _ in range(turns):
            self.advanced(change)
            row = self.scene.at(change)
            if row.state is S.AWAITING:
                self.somebody_says(row, "bo", Verdict.APPROVE)
            elif row.next_at is not None:
                self.scene.clock.at = max(self.scene.clock.at, row.next_at)

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def the_writer_looks(self, data: st.DataObject) -> None:
        self.advanced(self.any_change(data))

    @rule()
    def the_writer_looks_at_all_that_is_due(self) -> None:
        for row in self.scene.store.due_changes(self.scene.clock.now()):
            self.advanced(row.id)

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), place=places, hit=st.integers(1, 3))
    def the_writer_dies(self, data: st.DataObject, place: tuple[Point, str], hit: int) -> None:
        killer = Killer(*place, hit)
        failpoint.arm(killer)
        try:
            self.advanced(self.any_change(data))
        except Killed:
            self.scene.started()
        finally:
            failpoint._hooks.remove(killer)

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def a_writer_that_lost_its_lease_wakes(self, data: st.DataObject) -> None:
        row = self.scene.at(self.any_change(data))
        before = len(self.scene.cluster.kept)
        with suppress(Fenced):
            self.run(advance(row, self.scene.means, epoch=self.scene.epoch - 1))
        assert len(self.scene.cluster.kept) == before

    @precondition(lambda self: self.changes)
    @rule(data=st.data(), who=hands, verdict=st.sampled_from([*Verdict, Verdict.APPROVE]))
    def somebody_decides(self, data: st.DataObject, who: str, verdict: Verdict) -> None:
        self.somebody_says(self.scene.at(self.any_change(data)), who, verdict)

    @precondition(lambda self: self.decisions)
    @rule(data=st.data())
    def a_decision_is_sent_once_more(self, data: st.DataObject) -> None:
        self.decided(data.draw(st.sampled_from(self.decisions)))

    @precondition(lambda self: self.decisions)
    @rule(data=st.data())
    def a_decision_names_another_digest(self, data: st.DataObject) -> None:
        told = data.draw(st.sampled_from(self.decisions))
        self.decided(told.model_copy(update={"digest": "0" * 64, "at": self.scene.clock.now()}))

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def a_mission_is_withdrawn(self, data: st.DataObject) -> None:
        row = self.scene.at(self.any_change(data))
        self.scene.store.withdraw(row.mission, "ada", self.scene.clock.now())

    @rule(seconds=st.sampled_from([1, 10, 60, 600, 7200, 4 * 3600 + 1]))
    def time_passes(self, seconds: int) -> None:
        self.scene.clock.at += timedelta(seconds=seconds)

    @rule(
        name=st.sampled_from(NAMES), image=st.sampled_from([GOOD, BAD, BAD, "somebody/else:1-bad"])
    )
    def somebody_edits(self, name: str, image: str) -> None:
        spec = {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}
        if ("deployments.apps", "shop", name) in self.scene.cluster.objects:
            self.scene.cluster.edit("Deployment", name, {"spec": spec})

    @rule(name=st.sampled_from(NAMES))
    def somebody_makes_it_anew(self, name: str) -> None:
        if ("deployments.apps", "shop", name) in self.scene.cluster.objects:
            self.scene.cluster.remove("Deployment", name)
        a_shop(self.scene.cluster, name)

    @rule(frozen=st.booleans())
    def somebody_freezes_or_thaws(self, frozen: bool) -> None:
        now = self.scene.clock.now()
        if frozen:
            self.scene.store.freeze(Freeze("all", "bo", "", now, now + timedelta(hours=1)))
        else:
            self.scene.store.thaw("all", "bo", now)

    @rule(
        fault=st.tuples(
            st.sampled_from(["before", "after"]),
            st.sampled_from(["timeout", "unreachable", "conflict", "refused", "throttled"]),
        )
    )
    def the_next_write_goes_wrong(self, fault: tuple[str, str]) -> None:
        if fault[0] == "before" or fault[1] in {"timeout", "unreachable"}:
            self.scene.cluster.faults = [fault]

    @rule(down=st.sampled_from(["", "", "unreachable"]))
    def the_cluster_goes_or_comes(self, down: str) -> None:
        self.scene.cluster.down = down

    @rule(critical=st.sampled_from([frozenset(), frozenset({"x-new"})]))
    def something_critical_comes_or_goes(self, critical: frozenset[str]) -> None:
        self.scene.cluster.critical = critical

    # -- what must be so ----------------------------------------------------------------

    def judged(self, operation: Operation) -> None:
        """Judge a write as it reaches the server: is it one that may be?"""
        change = operation.patch["metadata"]["annotations"][CHANGE] or "undo"
        now = self.scene.clock.now()
        if change == "undo":
            rows = [self.scene.at(one) for one in self.changes]
            assert any(
                row.state is S.ROLLING_BACK and row.change and operation in row.change.rollback
                for row in rows
            )
            return
        row = self.scene.at(change)
        assert row.state is S.APPLYING
        assert row.change is not None
        assert operation in row.change.operations
        assert row.change.digest == row.digest
        assert row.expires is not None
        assert now < row.expires, "after it expired"
        assert row.mode == "apply"
        denied = [one.who for one in row.decisions if one.verdict is Verdict.DENY]
        assert not APPROVERS & set(denied)
        assert [one for one in row.decisions if self.approves(row, one)], row.decisions
        assert not self.scene.store.freezes(now), "in a freeze"

    def approves(self, row: ChangeRow, one: Decision) -> bool:
        """Whether this is a word that counts, by who may say it and of what."""
        assert row.expires is not None
        may = {*APPROVERS, f"{AUTOMATIC}undo"} - {row.requester}
        return (
            one.verdict is Verdict.APPROVE
            and one.digest == row.digest
            and one.who in may
            and (row.approval == "policy" or not one.who.startswith(AUTOMATIC))
            and one.at < row.expires
        )

    @invariant()
    def nothing_is_done_twice(self) -> None:
        kept = self.scene.cluster.kept
        if len(kept) == self.seen:
            return
        self.seen = len(kept)
        for change in self.changes:
            does, undoes = self.writes(self.scene.at(change))
            assert undoes <= does <= 1, (change, does, undoes)

    def writes(self, row: ChangeRow) -> tuple[int, int]:
        """Return how often a change was written, and undone."""
        if row.change is None:
            return 0, 0
        kept = self.scene.cluster.kept
        does = sum(one.operation in row.change.operations for one in kept)
        return does, sum(one.operation in row.change.rollback for one in kept)

    def ends_well(self) -> None:
        """Judge what all came to, with the audit."""
        for change in self.changes:
            row = self.scene.at(change)
            does, _ = self.writes(row)
            assert does == 1 or row.state not in {S.VERIFIED, S.ROLLED_BACK, S.VERIFYING}
            assert does == 0 or row.state not in NOTHING_WRITTEN, row.state
            path = self.scene.path(change)
            ends = [state for state in path if S(state).final]
            assert ends == [row.state] * row.state.final, path
            assert path.count("applying") <= 1, path
            event(f"{row.state}")
        assert self.scene.store.verify_audit().fault == ""

    def somebody_says(self, row: ChangeRow, who: str, verdict: Verdict) -> None:
        at = self.scene.clock.now()
        said = {"change": row.id, "digest": row.digest, "who": who, "verdict": verdict, "at": at}
        self.decided(Decision(**said, via="http"))

    # -- hands --------------------------------------------------------------------------

    def any_change(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(self.changes))

    def run(self, awaitable: Any) -> Any:
        return self._loop.run_until_complete(awaitable)

    def advanced(self, change: str) -> None:
        row = self.scene.at(change)
        self.run(advance(row, self.scene.means, epoch=self.scene.epoch))

    def decided(self, decision: Decision) -> None:
        fields = decision.model_dump(exclude={"change", "who", "at"})
        try:
            self.scene.decide(decision.change, decision.who, **fields)
        except Refused:
            return
        self.decisions.append(decision)


_MIGRATED: list[Path] = []


def migrated() -> Path:
    """Return the file of an empty store, made once."""
    if not _MIGRATED:
        folder = Path(tempfile.mkdtemp())
        Scene(folder).close()
        _MIGRATED.append(folder / "store.db")
    return _MIGRATED[0]


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=max(1, WALK_STEPS // STEPS),
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
