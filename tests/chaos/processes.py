"""What is done to processes of dogwatch: killed, frozen, sent away, failing at named points."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from engine.failpoint import Point
from tests.chaos.world import a_play, times, until
from tests.failpoints.armed import ACTIONS
from tests.failpoints.lives import LATEST, Lives, plans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.report import Outcome
    from tests.chaos.world import Play, World
    from tests.ledger.killing import Killer

JOIN_S = 5.0
STALL_S = 5.0
"""Longer than a worker may be silent."""
REACHED_BY = {
    "web": (Point.SIGNAL_READ, Point.SIGNAL_PRODUCED),
    "worker": (
        Point.RECORD_FETCHED,
        Point.RECORD_DECODED,
        Point.TIMER_FIRED,
        Point.CHECKPOINT_WRITTEN,
        Point.FIRING_STORED,
        Point.MISSION_ROW,
        Point.OUTBOX_ROW,
        Point.COMMIT,
        Point.CONDITIONS_PUBLISHED,
    ),
    "runner": (
        Point.LEASE_TAKEN,
        Point.LEASE_RENEWED,
        Point.STEP_STARTED,
        Point.STEP_JOURNALED,
        Point.SINK_ATTEMPT,
        Point.SINK_MARKED,
    ),
}
"""Points of a scaled-out dogwatch by the role that comes by them while a ledger runs.

The others need more than a ledger, see tests/failpoints: a migration, bad records, new rules, a
sink that takes nothing.
"""

SELDOM = {Point.CONDITIONS_PUBLISHED, Point.LEASE_TAKEN, Point.LEASE_RENEWED}
"""Points that a process comes by once in some seconds."""


def kills(world: World, outcome: Outcome, number: int) -> None:
    """SIGKILL at any moment, every role as often."""
    with a_play(world, outcome, members=(2, 2, 2)) as play:

        def work(killer: Killer) -> None:
            for _ in times(play, number, "kills"):
                killer.kill()

        play.run(work)


def failpoints(world: World, outcome: Outcome, number: int) -> None:
    """Every point that a role comes by x {before, after} x {kill, exception, ENOSPC, stall}."""
    with a_play(world, outcome, members=(2, 1, 1)) as play:

        def work(killer: Killer) -> None:
            lives = Lives(play.stage, STALL_S)
            for role, point in _all_points(number):
                world.tell(f"{outcome.scenario}: {point} in a {role}")
                _act(play, killer, lives, (role, point))

        play.run(work)


def _all_points(rounds: int) -> Iterator[tuple[str, Point]]:
    for _ in range(rounds):
        for role, points in REACHED_BY.items():
            for point in points:
                yield role, point


def _act(play: Play, killer: Killer, lives: Lives, at: tuple[str, Point]) -> None:
    role, point = at
    planned = plans(point, ACTIONS, play.random, latest=1 if point in SELDOM else LATEST)
    member = play.stage.of(role)[0]
    before = member.starts
    try:
        lives.act(member, planned, lambda: play.wait(0.2))
        play.did("failpoints", len(planned))
    except AssertionError as error:
        play.wrong(f"{role}: {error}")
    # It is killed before each life, and may have been in the middle of something.
    killer.blows.by_role[role] += member.starts - before + 1
    member.start()


def members(world: World, outcome: Outcome, seconds: int) -> None:
    """Workers join and leave in good order, one every 5 s, while one of three stays."""
    with a_play(world, outcome, members=(3, 1, 1)) as play:

        def work(killer: Killer) -> None:
            moving = play.stage.of("worker")[1:]
            slowest = 0.0
            for _ in until(play, seconds, "joins or leaves"):
                member = play.random.choice(moving)
                if member.running:
                    began = monotonic()
                    member.leave()
                    slowest = max(slowest, monotonic() - began)
                    killer.blows.departures += 1
                else:
                    member.start()
                play.wait(JOIN_S)
            outcome.figures["slowest_leave_s"] = round(slowest, 1)

        play.run(work)


def zombies(world: World, outcome: Outcome, number: int) -> None:
    """A worker or a runner stands still until others have its work, and wakes up."""
    with a_play(world, outcome, members=(2, 2, 1)) as play:

        def work(killer: Killer) -> None:
            for one in times(play, number, "processes stopped and woken"):
                killer.freeze(("worker", "runner")[one % 2])
                play.some_happen()

        play.run(work)
