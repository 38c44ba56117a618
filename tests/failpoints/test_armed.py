"""Plans of failpoints: read from the environment, and each done once, at its hit."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from engine.failpoint import Point
from engine.model.errors import Retryable, StoreError
from tests.failpoints.armed import SIDES, Armed, Plan, failure, read_plan
from tests.ledger.nursery import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("plan", ["commit:after:kill:3", "sink-attempt:before:stall:1"])
def test_a_plan_is_what_its_text_says(plan: str) -> None:
    assert str(read_plan(plan)) == plan


@pytest.mark.parametrize("plan", ["comit:after:kill", "commit:beside:kill", "commit:after:die"])
def test_a_plan_that_makes_no_sense_is_refused(plan: str) -> None:
    with pytest.raises(ValueError, match=plan.partition(":")[0]):
        read_plan(plan)


def test_a_plan_acts_once_at_its_hit(tmp_path: Path) -> None:
    done = tmp_path / "done"
    hook = Armed([Plan(Point.COMMIT, "before", "exception", 3)], done, 0)
    assert acted(hook, "before", 6) == [3]
    assert acted(hook, "after", 6) == []
    assert done.read_text() == "commit:before:exception:3\n"


def test_plans_of_one_side_act_one_after_the_other(tmp_path: Path) -> None:
    plans = [Plan(Point.COMMIT, "after", "exception", hit) for hit in (2, 3)]
    assert acted(Armed(plans, tmp_path / "done", 0), "after", 9) == [2, 5]


@pytest.mark.parametrize(
    ("point", "action", "kind"),
    [
        (Point.COMMIT, "exception", StoreError),
        (Point.COMMIT, "enospc", OperationalError),
        (Point.STEP_JOURNALED, "enospc", StoreError),
        (Point.SIGNAL_PRODUCED, "enospc", OSError),
        (Point.SINK_ATTEMPT, "exception", Retryable),
    ],
)
def test_a_place_meets_what_it_may_meet(point: Point, action: str, kind: type[Exception]) -> None:
    assert type(failure(Plan(point, "before", action))) is kind


@pytest.mark.parametrize("side", SIDES)
def test_a_process_is_killed_where_it_is_armed(side: str, tmp_path: Path) -> None:
    (tmp_path / "dogwatch.yaml").write_text("data_dir: data\nhttp: {listen: '127.0.0.1:0'}\n")
    armed = {"FAILPOINTS": f"migration-step:{side}:kill", "FAILPOINTS_LOG": str(tmp_path / "done")}
    command = [sys.executable, "-m", "tests.failpoints.armed", "run", "--config"]
    killed = subprocess.run(
        [*command, str(tmp_path / "dogwatch.yaml")],
        env={**armed, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / "done").read_text() == f"migration-step:{side}:kill:1\n"


def acted(hook: Armed, side: str, hits: int) -> list[int]:
    """Return at which of so many hits of one side the hook raised."""
    found = []
    for hit in range(1, hits + 1):
        try:
            hook(Point.COMMIT, side)
        except StoreError:
            found.append(hit)
    return found
