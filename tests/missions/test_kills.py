"""`kill -9` at each step of a mission in legs, and while it waits: it goes on, nothing doubles."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine.failpoint import Point
from engine.model.mission import MissionState
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.failpoints.armed import PLANS, SIDES, Plan
from tests.missions import legs
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

END_S = 30.0
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.missions.legs"])

STARTED = [Plan(Point.STEP_STARTED, side, "kill", hit) for side in SIDES for hit in (1, 2)]
JOURNALED = [
    Plan(Point.STEP_JOURNALED, side, "kill", hit) for side in SIDES for hit in (1, 2, 3, 4, 5)
]
WRITTEN = [Plan(Point.OUTBOX_ROW, side, "kill", hit) for side in SIDES for hit in (1, 2)]
"""Steps of the first leg are targets, collect and run, those of the second collect and run."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with begun(tmp_path / "store.db") as opened:
        yield opened


@contextmanager
def begun(place: Path | str) -> Iterator[Store]:
    legs.begin(place)
    opened = Store.open(place, clock=SystemClock())
    yield opened
    opened.close()


def a_life(
    folder: Path, *plans: Plan, place: Path | str = "", name: str = "local", decides: bool = True
) -> Any:
    """Return a process that runs the mission, armed with `plans`."""
    environment = {PLANS: ",".join(map(str, plans))}
    where = place or folder / "store.db"
    life = FORKS.Process(
        target=legs.live, args=(folder, environment, where, name), kwargs={"decides": decides}
    )
    life.start()
    return life


def ended(life: Any) -> int:
    life.join(END_S)
    assert life.exitcode is not None, "it does not end"
    return int(life.exitcode)


@pytest.mark.parametrize("plan", [*STARTED, *JOURNALED, *WRITTEN], ids=str)
def test_a_mission_killed_at_a_step_goes_on_there_and_proposes_and_tells_once(
    plan: Plan, store: Store, tmp_path: Path
) -> None:
    assert ended(a_life(tmp_path, plan)) == -signal.SIGKILL
    assert ended(a_life(tmp_path)) == 0
    one_end(store, crashes=1)
    reads = (tmp_path / "reads").read_text().splitlines()
    lost_look = plan.point is Point.STEP_JOURNALED and plan.side == "before" and plan.hit in {2, 4}
    assert len(reads) == (3 if lost_look else 2), "a leg looks once, if it is not cut off there"


def test_a_mission_killed_while_it_waits_goes_on_when_it_is_decided(
    store: Store, tmp_path: Path
) -> None:
    life = a_life(tmp_path, decides=False)
    eventually(lambda: state(store) is MissionState.WAITING or None, END_S)
    os.kill(life.pid, signal.SIGKILL)
    ended(life)
    assert ended(a_life(tmp_path)) == 0
    one_end(store, crashes=0)


@pytest.mark.parametrize("hit", [1, 3])
def test_another_runner_takes_over_where_one_was_killed(
    hit: int, database: str, tmp_path: Path
) -> None:
    plan = Plan(Point.STEP_JOURNALED, "after", "kill", hit)
    with begun(database) as store:
        first = a_life(tmp_path, plan, place=database, name="one")
        eventually(lambda: state(store) is not MissionState.QUEUED or None, END_S)
        second = a_life(tmp_path, place=database, name="two")
        assert (ended(first), ended(second)) == (-signal.SIGKILL, 0)
        one_end(store, crashes=1)


def state(store: Store) -> MissionState | None:
    row = store.mission(legs.MISSION)
    return row.state if row else None


def one_end(store: Store, *, crashes: int) -> None:
    """Assert that both legs came to their end once, with one change and one word to each."""
    row = store.mission(legs.MISSION)
    assert row is not None
    assert (row.state, row.phase, row.crashes) == (MissionState.DONE, 2, crashes)
    assert row.report is not None
    assert [one.state for one in row.report.applied] == ["rejected"]
    assert [one.phase for one in store.changes(mission=legs.MISSION)] == [1]
    told = Counter(json.loads(text)["report"]["phase"] for text in bodies(store))
    assert told == {1: 1, 2: 1}
    steps = {"targets", "collect", "run", "collect/2", "run/2"}
    assert set(store.journal(legs.MISSION)) == steps
    assert store.verify_audit().fault == ""


def bodies(store: Store) -> list[str]:
    with store.read() as connection:
        return list(connection.exec_driver_sql("SELECT body FROM deliveries").scalars())
