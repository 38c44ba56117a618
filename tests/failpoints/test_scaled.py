"""The failpoints that only a scaled-out dogwatch comes by: leases, and conditions on their way."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

import psycopg
import pytest

from engine.failpoint import Point
from tests.failpoints.lives import CHANGES, EMBEDDED, Lives, plans
from tests.ledger.ordeal import Ordeal
from tests.ledger.sending import Ledger
from tests.ledger.stage import crew, scaled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.nursery import Nursery
    from tests.testbeds.kafka import Cluster

ACTIONS = ("exception", "enospc", "kill")
POINTS = {
    "worker": (Point.CONDITIONS_PUBLISHED,),
    "runner": (Point.LEASE_TAKEN, Point.LEASE_RENEWED, Point.LEASE_LOST),
}
"""Points by the role that comes by them."""
PACE_S = 0.2
THEFT_S = 6
"""How long a stolen lease is gone: its holder finds out when it renews it, every 5 s."""
_STEAL = f"""
UPDATE leases SET holder = 'thief', until = now + {THEFT_S * 1_000_000}
FROM (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS now) AS clock
WHERE holder <> 'thief' AND until > now
"""


def test_every_other_failpoint_is_reached_here() -> None:
    others = set(Point) - set(EMBEDDED) - CHANGES
    assert {point for points in POINTS.values() for point in points} == others


@pytest.mark.real
@pytest.mark.slow
def test_no_failpoint_of_several_processes_loses_or_doubles_anything(
    nursery: Nursery, kafka: Cluster, database: str, tmp_path: Path
) -> None:
    ledger = Ledger(Random().randrange(1 << 32), signals=20_000)
    print(f"seed {ledger.seed}")
    random = Random(ledger.seed)
    stage = scaled(nursery, tmp_path / "stage", kafka, database, crew(workers=1))
    planned = {
        role: [plan for point in points for plan in plans(point, ACTIONS, random, latest=1)]
        for role, points in POINTS.items()
    }
    acted = sum(map(len, planned.values()))
    with ExitStack() as held:
        ordeal = Ordeal(stage, ledger)
        held.callback(ordeal.close)
        thief = Thief(database)
        ordeal.turn = thief.turn

        def work() -> None:
            lives = Lives(stage)
            for role, plan in planned.items():
                (member,) = stage.of(role)
                lives.act(member, plan, thief.steal if role == "runner" else thief.wait)
                member.start()

        stage.start()
        found = ordeal.play(work, thief.end)
    result = ordeal.judge(found, acted, {"acted": acted, "thefts": thief.thefts})
    print(result.figures)
    assert not result.wrong, "\n".join(result.wrong[:50])


class Thief:
    """Takes leases away now and then, and lets the ledger go on until it is told to end."""

    def __init__(self, database: str) -> None:
        self.thefts = 0
        self._database = database
        self._over = threading.Event()
        self._last = monotonic()

    def turn(self, _share: float) -> bool:
        """Let a batch go now and then; False when it is enough."""
        return not self._over.wait(PACE_S)

    def wait(self) -> None:
        """Do nothing for a moment."""
        self._over.wait(PACE_S)

    def steal(self) -> None:
        """Take away the leases that somebody has now, for some time."""
        self.wait()
        if monotonic() - self._last > THEFT_S:
            with psycopg.connect(self._database) as connection:
                stolen = connection.execute(_STEAL).rowcount
            self._last = monotonic() if stolen else self._last
            self.thefts += stolen

    def end(self) -> None:
        """Let the ledger end."""
        self._over.set()
