"""What scenarios are played in: brokers, a database, processes of dogwatch and a running ledger."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

from tests.ledger.killing import Killer
from tests.ledger.ordeal import Ordeal
from tests.ledger.outcome import done_to, positions
from tests.ledger.sending import Ledger
from tests.ledger.stage import crew, scaled
from tests.testbeds.kafka import Cluster
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.chaos.report import Outcome
    from tests.ledger.nursery import Nursery
    from tests.ledger.stage import Settings, Stage
    from tests.testbeds.kafka import Installed
    from tests.testbeds.postgres import Postgres

SIGNALS = 50_000_000
"""More than can be sent: a ledger ends when all has been done to the stage."""
SILENT_S = 6.0
"""After so long without an attempt to send nothing is on its way: longer than an attempt takes."""
CATCH_UP_S = 60.0
"""How long after the last fault nothing may wait any more."""


UNSHED: dict[str, object] = {"stream": {"shed_after_s": 86_400}}
"""Nothing is left out while it waits: a ledger must be whole."""


@dataclass(frozen=True)
class Sizes:
    """The load beside which things are done: rules, clusters, and the seconds between batches."""

    rules: int = 14
    clusters: int = 6
    pace_s: float = 0.7


@dataclass
class World:
    """Servers of a run, and how it tells what it is at."""

    folder: Path
    installed: Installed
    postgres: Postgres
    nursery: Nursery
    seed: int
    sizes: Sizes
    tell: Callable[[str], None]
    _numbers: dict[str, int] = field(default_factory=dict)

    def place(self, scenario: str) -> Path:
        """Return a folder that no other scenario has."""
        number = self._numbers[scenario] = self._numbers.get(scenario, 0) + 1
        return self.folder / f"{scenario}-{number}"


class Flow:
    """Lets batches of a ledger go at an even pace until it is told to end."""

    def __init__(self, pace_s: float) -> None:
        self._pace_s = pace_s
        self._over = threading.Event()
        self._going = threading.Event()
        self._going.set()

    def turn(self, _share: float) -> bool:
        """Let one batch go; False when it is enough."""
        self._over.wait(self._pace_s)
        self._going.wait()
        return not self._over.is_set()

    def hold(self) -> None:
        """Let no batch go for a while."""
        self._going.clear()

    def go_on(self) -> None:
        """Let batches go again."""
        self._going.set()

    def end(self) -> None:
        """Let the ledger end."""
        self._over.set()
        self._going.set()


@dataclass
class Play:
    """One scenario being played: a stage over servers of its own, with a ledger running."""

    world: World
    outcome: Outcome
    kafka: Cluster
    ordeal: Ordeal
    random: Random
    flow: Flow
    pause: threading.Event = field(default_factory=threading.Event)

    @property
    def stage(self) -> Stage:
        return self.ordeal.stage

    @property
    def topic(self) -> str:
        """The name of the topic of signals."""
        return f"{self.stage.settings['bus']['kafka']['topic_prefix']}signals"

    def run(self, work: Callable[[Killer], None]) -> None:
        """Let the ledger run while `work` goes on, let all end, and judge it."""
        began = monotonic()
        self.stage.start()
        killer = Killer(self.stage, self.ordeal.moments, self.random, monotonic() - began)
        self.ordeal.turn = self.flow.turn
        found = self.ordeal.play(lambda: work(killer), self.flow.end)
        blows = killer.blows
        self.outcome.judged(self.ordeal.judge(found, blows.repeats, done_to(blows)))

    def did(self, what: str, number: int = 1) -> None:
        """Say that something was done once more."""
        self.outcome.done[what] = self.outcome.done.get(what, 0) + number

    def wait(self, seconds: float) -> None:
        """Let things go on for so long."""
        self.pause.wait(seconds)

    def some_happen(self, number: int = 3, within_s: float = 60.0) -> None:
        """Wait until deliveries are made again: the whole way works."""
        if not self.ordeal.moments.await_next("delivering", number, within_s):
            self.outcome.wrong.append(f"no delivery within {within_s:g} s")

    def hold(self) -> None:
        """Send nothing more for now; returns when all that was sent has its answer."""
        self.flow.hold()
        moments = self.ordeal.moments
        while moments.await_next("sending", 1, SILENT_S):
            pass

    def go_on(self) -> None:
        """Send again."""
        self.flow.go_on()

    def caught_up(self) -> float | None:
        """Wait until what is on the logs now was folded; return the seconds, None for too long."""
        began = monotonic()
        ends = self.stage.reading.ends()

        def folded() -> bool | None:
            done = positions(self.stage.reading)
            return all(done.get(log, 0) >= end for log, end in ends.items()) or None

        if eventually(folded, CATCH_UP_S, every_s=0.2) is None:
            self.outcome.wrong.append(f"records still wait {CATCH_UP_S:g} s after the last fault")
            return None
        return monotonic() - began

    def wrong(self, what: str) -> None:
        """Say that something is not as it must be."""
        self.outcome.wrong.append(what)


@contextmanager
def a_play(
    world: World,
    outcome: Outcome,
    *,
    brokers: int = 1,
    kafka: Cluster | None = None,
    members: tuple[int, int, int] = (2, 1, 1),
    settings: Callable[[Settings], None] = lambda _settings: None,
) -> Iterator[Play]:
    """Give a stage with so many brokers, workers, runners and webs, and a ledger ready to run.

    Args:
        world: the servers that scenarios share.
        outcome: of the scenario.
        brokers: how many are started for it, unless `kafka` is given.
        kafka: brokers that run already.
        members: how many processes there are: workers, runners, webs.
        settings: changes those of the block `bus.kafka`.
    """
    with ExitStack() as held:
        folder = world.place(outcome.scenario)
        if kafka is None:
            kafka = held.enter_context(Cluster(folder / "kafka", world.installed, brokers))
        name = world.postgres.database()
        held.callback(world.postgres.drop, name)
        database = world.postgres.url(name)
        stage = scaled(world.nursery, folder / "stage", kafka, database, crew(*members))
        settings(stage.settings["bus"]["kafka"])
        sizes = world.sizes
        ledger = Ledger(world.seed, sizes.rules, sizes.clusters, SIGNALS)
        ordeal = Ordeal(stage, ledger, lambda _receiver: dict(UNSHED))
        held.callback(ordeal.close)
        flow = Flow(sizes.pace_s)
        yield Play(world, outcome, kafka, ordeal, Random(world.seed), flow)


def times(play: Play, number: int, what: str) -> Iterator[int]:
    """Count to `number`, telling how far it is."""
    told = monotonic()
    for one in range(number):
        if one == 0 or monotonic() - told > 10:
            told = monotonic()
            play.world.tell(f"{play.outcome.scenario}: {one:,} of {number:,} {what}")
        yield one
        play.did(what)


def until(play: Play, seconds: float, what: str) -> Iterator[float]:
    """Go on for so many seconds, telling how far it is."""
    began = told = monotonic()
    while (now := monotonic()) - began < seconds:
        if now - told > 10:
            told = now
            play.world.tell(f"{play.outcome.scenario}: {now - began:,.0f} of {seconds:,.0f} s")
        yield now
        play.did(what)
