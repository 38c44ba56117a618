"""Failpoints one after the other over a running ledger, each as soon as the process is up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.failpoint import Point
from tests.failpoints.armed import DONE, PLANS, SIDES, STALL_S, Plan
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from random import Random

    from tests.ledger.stage import Member, Stage

ACTED_S = 30.0
END_S = 10.0
CHANGES = frozenset(
    {
        Point.CHANGE_PROPOSED,
        Point.DRY_RUN_DONE,
        Point.APPROVAL_ASKED,
        Point.APPROVAL_RECEIVED,
        Point.LOCK_TAKEN,
        Point.PRE_IMAGE_STORED,
        Point.OBJECT_APPLIED,
        Point.VERIFY_DECIDED,
        Point.OBJECT_ROLLED_BACK,
        Point.MODEL_ASKED,
    }
)
"""Points that only who changes a cluster, or asks a model, comes by: not the ledger."""
EMBEDDED = tuple(
    point
    for point in Point
    if point
    not in CHANGES
    | {
        Point.CONDITIONS_PUBLISHED,  # embedded, both stages are folded in one step
        Point.LEASE_TAKEN,  # embedded, a lock on the folder says who may write
        Point.LEASE_RENEWED,
        Point.LEASE_LOST,
    }
)
"""Points that an embedded dogwatch comes by."""


RARE = frozenset({Point.MIGRATION_STEP, Point.RULES_SWAPPED, Point.RECORD_QUARANTINED})
"""Points that are not come by often."""
LATEST = 5
"""At which hit of another point a plan acts at the latest: those after a start are dull."""


def plans(point: Point, actions: Sequence[str], random: Random, latest: int = LATEST) -> list[Plan]:
    """Return a plan for each side of a point and each action, in the order of `actions`."""
    latest = 1 if point in RARE else latest
    sides = [(action, side) for action in actions for side in SIDES]
    return [Plan(point, side, action, random.randint(1, latest)) for action, side in sides]


class Lives:
    """Starts members armed until every plan has acted; what acted stands in files of its own."""

    def __init__(self, stage: Stage, stall_s: float = 0.0) -> None:
        self._stage = stage
        self._stall_s = stall_s
        self.acted: list[str] = []

    def act(self, member: Member, planned: Iterable[Plan], stir: Callable[[], None]) -> None:
        """Run `member` until all that was planned has happened, then leave it dead.

        `stir` is called while it is waited: it makes happen what does not happen by itself.

        Raises:
            AssertionError: a point was not reached; the text says which.
        """
        wanted = list(map(str, planned))
        log = self._stage.folder / f"acted-{member.name}-{len(self.acted)}"
        while left := _left(wanted, log):
            before = len(left)
            member.kill()
            member.start(self._environment(left, log))
            eventually(
                lambda: self._stirred(stir, left, log) or not member.running or None, ACTED_S
            )
            member.await_end(0.0 if member.running else END_S)
            assert len(_left(wanted, log)) < before, (
                f"'{left[0]}' was not reached in {ACTED_S:g} s; {member.tail(8)}"
            )
        member.kill()
        self.acted += wanted

    def _stirred(self, stir: Callable[[], None], left: list[str], log: Path) -> bool:
        """Whether all of `left` has acted."""
        stir()
        return not _left(left, log)

    def _environment(self, left: Iterable[str], log: Path) -> dict[str, str]:
        return {PLANS: ",".join(left), DONE: str(log), STALL_S: str(self._stall_s)}


def _left(wanted: Iterable[str], log: Path) -> list[str]:
    done = log.read_text().splitlines() if log.exists() else []
    return [one for one in wanted if one not in done]
