"""Failpoints by an environment variable: `python -m tests.failpoints.armed run --config FILE`.

FAILPOINTS holds plans, separated by commas, each POINT:SIDE:ACTION[:HIT], such as
`commit:after:kill:3`. SIDE is before or after; HIT the time, from 1, at which that side of the
point acts. ACTION is kill, exception, enospc or stall; FAILPOINT_STALL_S says how long a stall
lasts, 30 s by default. A plan acts once; those of one point and side act one after the other,
each counted from the one before it. FAILPOINTS_LOG names a file to which each plan is appended
just before it acts.
"""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import OperationalError

from engine.cli import main
from engine.failpoint import Point, arm
from engine.model.errors import Retryable, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

PLANS = "FAILPOINTS"
DONE = "FAILPOINTS_LOG"
STALL_S = "FAILPOINT_STALL_S"
SIDES = ("before", "after")
ACTIONS = ("kill", "exception", "enospc", "stall")
WITHIN = frozenset(
    {
        Point.RECORD_QUARANTINED,
        Point.CHECKPOINT_WRITTEN,
        Point.FIRING_STORED,
        Point.MISSION_ROW,
        Point.OUTBOX_ROW,
        Point.COMMIT,
        Point.DEAD_LETTERED,
        Point.MIGRATION_STEP,
    }
)
"""Points within a transaction, where a full disk is an error of the database client."""
AROUND = frozenset(
    {Point.STEP_JOURNALED, Point.SINK_MARKED, Point.LEASE_TAKEN, Point.LEASE_RENEWED}
)
"""Points round a transaction, which has put the error into its own words by then."""


class Plan(NamedTuple):
    """What happens at a point, and at which hit of it since the plan before."""

    point: Point
    side: str
    action: str
    hit: int = 1

    def __str__(self) -> str:
        return ":".join((self.point.value, self.side, self.action, str(self.hit)))


def read_plan(text: str) -> Plan:
    """Return the plan that `text` says. Raises ValueError."""
    point, side, action, *hit = text.split(":")
    if side not in SIDES or action not in ACTIONS:
        raise ValueError(f"failpoint '{text}': a side of {SIDES} and an action of {ACTIONS}")
    return Plan(Point(point), side, action, int(*hit) if hit else 1)


def arm_from(environment: Mapping[str, str]) -> None:
    """Arm the failpoints that `environment` names, none where it names none."""
    plans = [read_plan(text) for text in environment.get(PLANS, "").split(",") if text]
    if plans:
        done = Path(environment.get(DONE, os.devnull))
        arm(Armed(plans, done, float(environment.get(STALL_S, "30"))))


class Armed:
    """The hook of a process: counts hits, and acts when a plan's has come."""

    def __init__(self, plans: list[Plan], done: Path, stall_s: float) -> None:
        self._waiting: dict[tuple[Point, str], list[Plan]] = defaultdict(list)
        for plan in plans:
            self._waiting[plan.point, plan.side].append(plan)
        self._hits: dict[tuple[Point, str], int] = defaultdict(int)
        self._done = done
        self._stall_s = stall_s
        self._lock = threading.Lock()

    def __call__(self, point: Point, side: str) -> None:
        """Count a hit, and do what is planned for it."""
        plan = self._due(point, side)
        if plan is not None:
            self._act(plan)

    def _due(self, point: Point, side: str) -> Plan | None:
        with self._lock:
            waiting = self._waiting[point, side]
            if not waiting:
                return None
            self._hits[point, side] += 1
            if self._hits[point, side] < waiting[0].hit:
                return None
            self._hits[point, side] = 0
            plan = waiting.pop(0)
            with self._done.open("a", encoding="utf-8") as done:
                done.write(f"{plan}\n")
            return plan

    def _act(self, plan: Plan) -> None:
        if plan.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif plan.action == "stall":
            # A stall blocks the thread, as a slow disk does; the loop, where the point is in it.
            threading.Event().wait(self._stall_s)
        else:
            raise failure(plan)


def failure(plan: Plan) -> Exception:
    """Return the error that the place of `plan` may meet."""
    if plan.point is Point.SINK_ATTEMPT:
        return Retryable(f"failpoint {plan}")
    if plan.action == "exception" or plan.point in AROUND:
        return StoreError(f"failpoint {plan}")
    if plan.point in WITHIN:
        full = sqlite3.OperationalError(f"database or disk is full, failpoint {plan}")
        full.sqlite_errorcode = sqlite3.SQLITE_FULL
        return OperationalError(plan.point.value, {}, full)
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(plan))


if __name__ == "__main__":
    arm_from(os.environ)
    main()
