"""What is done to brokers and the database: killed, all of them down, their disks full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.world import a_play, times
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from tests.chaos.report import Outcome
    from tests.chaos.world import Play, World
    from tests.ledger.killing import Killer

IN_STEP_S = 60.0


def leaders(world: World, outcome: Outcome, number: int) -> None:
    """The leader of some partition is killed, and comes back when others lead."""
    with a_play(world, outcome, brokers=3) as play:

        def work(_killer: Killer) -> None:
            for _ in times(play, number, "leader bounces"):
                leading = play.kafka.topics.leaders(play.topic)
                _bounce(play, play.random.choice(sorted(leading.values())))
            back_at_once(play)

        play.run(work)


def controllers(world: World, outcome: Outcome, number: int) -> None:
    """The node that leads the controllers is killed, and comes back."""
    with a_play(world, outcome, brokers=3) as play:

        def work(_killer: Killer) -> None:
            for _ in times(play, number, "controller bounces"):
                _bounce(play, play.kafka.controller())
            back_at_once(play)

        play.run(work)


def all_brokers(world: World, outcome: Outcome, number: int) -> None:
    """All brokers are killed at once, and come back."""
    with a_play(world, outcome, brokers=3) as play:

        def work(_killer: Killer) -> None:
            for _ in times(play, number, "bounces of all brokers"):
                play.kafka.kill()
                play.kafka.start()
                play.some_happen()
            back_at_once(play)

        play.run(work)


def blackout(world: World, outcome: Outcome, seconds: int) -> None:
    """No broker is there for so long."""
    with a_play(world, outcome, brokers=3) as play:

        def work(_killer: Killer) -> None:
            play.some_happen()
            play.kafka.kill()
            world.tell(f"{outcome.scenario}: no brokers for {seconds:,} s")
            play.wait(seconds)
            for member in play.stage.members:
                if not member.running:
                    play.wrong(f"{member.name} ended while no broker was there: {member.tail(3)}")
            play.kafka.start()
            play.did("seconds without brokers", seconds)
            back_at_once(play)

        play.run(work)


def database(world: World, outcome: Outcome, number: int) -> None:
    """The database server ends as in a power failure, and comes back."""
    with a_play(world, outcome) as play:

        def work(killer: Killer) -> None:
            for _ in times(play, number, "crashes of the database"):
                world.postgres.crash()
                play.wait(play.random.uniform(0, 3))
                world.postgres.start()
                killer.blows.departures += 1  # what was delivered then may not be marked
                play.some_happen()
            back_at_once(play)

        play.run(work)


def _bounce(play: Play, node: int) -> None:
    """Kill a broker, start it when others do its work, and wait until it has all records again."""
    play.kafka.kill([node])
    play.kafka.await_serving()
    play.some_happen()
    play.kafka.start([node])
    whole = set(play.kafka.brokers)

    def in_step() -> bool | None:
        return all(one == whole for one in play.kafka.topics.replicas(play.topic).values()) or None

    if eventually(in_step, IN_STEP_S, every_s=0.2) is None:
        play.wrong(f"broker {node} has not all records {IN_STEP_S:g} s after its start")


def back_at_once(play: Play) -> None:
    """After the last fault nothing may wait for long."""
    behind = play.caught_up()
    if behind is not None:
        play.outcome.figures["caught_up_s"] = round(behind, 1)
    play.some_happen()
