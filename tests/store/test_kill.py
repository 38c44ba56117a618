"""kill -9 at random moments: each commit is whole or absent, and none that was said is gone."""

import os
import random
import signal
import subprocess
import sys

import pytest

from engine.store.store import Store
from tests.store.rows import Hand

WRITER = """
import sys
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.store.rows import NOON, a_commit, a_delivery, a_report

store = Store.open(sys.argv[1], clock=SystemClock())
epoch = store.claim(0)
store.recover()
number = store.load(0).next_offset
while True:
    store.commit(0, epoch, a_commit(number))
    print("committed", number, flush=True)
    row = store.claim_mission("w", NOON)
    if row is not None and number % 2:
        told = a_delivery(row.id, mission=row.id, incident=row.firing)
        store.finish(row.id, a_report(row.id), [told], NOON, epoch=row.epoch)
        print("finished", row.id, flush=True)
    number += 1
"""


def run_until_killed(place: str, seconds: float) -> list[str]:
    """Return the lines that the writer said before it was killed."""
    command = [sys.executable, "-c", WRITER, place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines(keepends=True)]
    return [line.strip() for line in lines if line.endswith("\n")]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_commit_is_whole_or_absent_after_kill_9(place: str) -> None:
    kills = int(os.environ.get("STORE_KILLS", "10"))
    chance = random.Random(kills)
    said: list[str] = []
    for _ in range(kills):
        said += run_until_killed(place, chance.uniform(0, 0.25))
    store = Store.open(place, clock=Hand())
    end = store.load(0).next_offset
    names = {str(number) for number in range(end)}
    state = store.load(0).state
    missions = store.missions(limit=100_000)
    reported = {row.id for row in missions if row.report is not None}
    with store.read() as connection:
        keys = set(connection.exec_driver_sql("SELECT key FROM deliveries").scalars())
        causes = set(connection.exec_driver_sql("SELECT id FROM signals").scalars())
    firings = store.firings(limit=100_000)
    store.close()

    assert len(said) >= kills
    assert state["counter"] == str(end - 1).encode()
    assert {f"key-{name}" for name in names} | {"counter"} == set(state)
    assert {f"f-{name}" for name in names} == {row.id for row in firings}
    assert {f"m-{name}" for name in names} == {row.id for row in missions}
    assert {f"s-{name}" for name in names} == causes
    assert {f"d-{name}" for name in names} | reported == keys
    committed = {line.split()[1] for line in said if line.startswith("committed")}
    assert committed <= names
    assert {line.split()[1] for line in said if line.startswith("finished")} <= reported
