"""Changes and real processes: killed at any moment, or two at once, the books agree."""

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from itertools import pairwise

import pytest
from sqlalchemy import select

from engine.model.mission import MissionState
from engine.store.change_tables import locks
from engine.store.store import Store
from tests.store.rows import Hand

LIVES = """
import sys
from engine.model.change_state import ChangeEvent as E
from engine.model.change_row import Step
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.store.changes_of import Scene, a_row, a_write
from tests.store.rows import NOON

place, name, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store.open(place, clock=SystemClock())
for number in range(most):
    mission, change = f"m-{name}-{number}", f"c-{name}-{number}"
    print("begins", change, flush=True)
    scene = Scene(store, mission)
    scene.waits_for(a_row(change, mission=mission))
    scene.approved(change)
    scene.move(change, E.BEGIN)
    assert store.take_locks(change, [f"{name}/web"], epoch=scene.epoch) == ""
    scene.move(change, E.DRY_RUN)
    scene.move(change, E.APPLY)
    store.begin_write(change, a_write(), epoch=scene.epoch)
    store.end_write(change, Step.DO, 0, "done", {}, NOON, epoch=scene.epoch)
    scene.move(change, E.APPLIED)
    scene.move(change, E.VERIFY)
    print("verified", change, flush=True)
"""


def a_life(place: str, name: str, most: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", LIVES, place, name, str(most)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def check(store: Store, verified: set[str]) -> None:
    """Let state, audit, locks and missions tell the same story."""
    assert store.verify_audit().fault == ""
    rows = store.changes(limit=10_000)
    for row in rows:
        entries = store.audit(change=row.id)
        assert row.state == entries[-1].to
        assert all(later.frm == before.to for before, later in pairwise(entries))
        mission = store.mission(row.mission)
        assert mission is not None
        waits = mission.state is MissionState.WAITING
        assert waits is not row.settled
    assert verified <= {row.id for row in rows if row.state == "verified"}
    with store.read() as connection:
        holders = set(connection.execute(select(locks.c.change)).scalars())
    assert not holders & {row.id for row in rows if row.state.final}


@pytest.mark.timeout(300)
def test_two_processes_write_one_chain(place: str) -> None:
    Store.open(place, clock=Hand()).close()
    with a_life(place, "a", 6) as one, a_life(place, "a-too", 6) as two:
        said = [process.communicate(timeout=240)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), said
    with closing(Store.open(place, clock=Hand())) as store:
        check(store, {f"c-{name}-{number}" for name in ("a", "a-too") for number in range(6)})
        assert store.verify_audit().count == 12 * 12


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_state_audit_locks_and_missions_agree_after_kill_9(place: str) -> None:
    kills = int(os.environ.get("STORE_KILLS", "6"))
    chance = random.Random(kills)
    verified = set()
    for life in range(kills):
        with a_life(place, f"life-{life}", 10_000) as process:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            try:
                process.wait(chance.uniform(0.05, 0.6))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
            said += process.stdout.read().splitlines(keepends=True)
        done = [line.split() for line in said if line.endswith("\n")]
        verified |= {change for word, change in done if word == "verified"}
    with closing(Store.open(place, clock=Hand())) as store:
        check(store, verified)
