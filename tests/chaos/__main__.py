"""`python -m tests.chaos [SCENARIO[=SIZE] ...]`: faults at length, beside a ledger that must hold.

Exit codes: 0 nothing was lost or doubled; 1 something was, or a scenario could not be played to
its end; 2 a wrong call, or a server is missing.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import shutil
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest
from aiokafka.errors import KafkaError
from rich.console import Console

from tests.chaos import processes, servers, topics
from tests.chaos.report import Outcome, table
from tests.chaos.world import Sizes, World
from tests.ledger.nursery import Nursery
from tests.testbeds import jars
from tests.testbeds.build import BuildError
from tests.testbeds.kafka import Installed
from tests.testbeds.postgres import start_postgres
from tests.testbeds.process import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BUILD = Path(__file__).parent.parent.parent / "build" / "chaos"
FAILURES = (AssertionError, NotReadyError, KafkaError, psycopg.Error, httpx.HTTPError, OSError)
"""What ends a scenario, and not the run."""
SHOWN = 20
WIDTH = 150
"""Of the table in a file."""


@dataclass(frozen=True)
class Scenario:
    """What is done to a stage; `size` is how often or for how many seconds, and `quick` a taste."""

    play: Callable[[World, Outcome, int], None]
    size: int
    quick: int
    unit: str


SCENARIOS = {
    "kills": Scenario(processes.kills, 10_000, 40, "kills"),
    "failpoints": Scenario(processes.failpoints, 3, 1, "rounds"),
    "members": Scenario(processes.members, 1_800, 40, "seconds"),
    "zombies": Scenario(processes.zombies, 60, 4, "stops"),
    "leaders": Scenario(servers.leaders, 100, 4, "bounces"),
    "controllers": Scenario(servers.controllers, 20, 2, "bounces"),
    "all-brokers": Scenario(servers.all_brokers, 5, 1, "bounces"),
    "blackout": Scenario(servers.blackout, 600, 20, "seconds"),
    "database": Scenario(servers.database, 50, 4, "crashes"),
    "grow": Scenario(topics.grow, 100, 10, "new clusters"),
    "topic-deleted": Scenario(topics.deleted, 10, 1, "deletions"),
    "disk-full": Scenario(topics.disk_full, 10, 1, "times"),
    "poison": Scenario(topics.poisoned, 500_000, 2_000, "records"),
}


def main(arguments: Sequence[str]) -> int:
    """Play what was asked for; print a table, or JSON, and return the exit code."""
    asked = _parser().parse_args(arguments)
    console = Console(stderr=asked.output == "json", highlight=False)
    if not console.is_terminal:
        console = Console(stderr=console.stderr, highlight=False, width=WIDTH)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # brokers are down on purpose
    if asked.list:
        _list(console, as_json=asked.output == "json")
        return 0
    try:
        sizes = _sizes(asked.scenarios, quick=asked.quick)
        outcomes = _play_all(console, sizes, asked.seed)
    except (ValueError, BuildError) as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    except pytest.skip.Exception as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 2
    _print(console, outcomes, as_json=asked.output == "json")
    return 0 if all(one.passed for one in outcomes) else 1


def _list(console: Console, *, as_json: bool) -> None:
    if as_json:
        sizes = {name: {"size": one.size, "quick": one.quick} for name, one in SCENARIOS.items()}
        print(json.dumps(sizes))
        return
    for name, one in SCENARIOS.items():
        text = (one.play.__doc__ or "").splitlines()[0]
        line = f"{name}={one.size}  ({one.unit}; --quick {one.quick})  {text}"
        console.print(line, soft_wrap=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Do faults to a scaled-out dogwatch while a ledger runs; see docs/chaos.md.",
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO[=SIZE]", help="by default all, see --list"
    )
    parser.add_argument("--list", action="store_true", help="show the scenarios and their sizes")
    parser.add_argument("--quick", action="store_true", help="small sizes: minutes, not hours")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--output", choices=("table", "json"), default="table")
    return parser


def _sizes(asked: Sequence[str], *, quick: bool) -> dict[str, int]:
    """Return the size of each scenario that is to be played. Raises ValueError."""
    sizes = {}
    for text in asked or SCENARIOS:
        name, _, size = text.partition("=")
        if name not in SCENARIOS:
            raise ValueError(f"no scenario '{name}'; there are {', '.join(SCENARIOS)}")
        if size and not size.isdecimal():
            raise ValueError(f"'{text}': the size is a whole number")
        usual = SCENARIOS[name].quick if quick else SCENARIOS[name].size
        sizes[name] = int(size) if size else usual
    return sizes


def _play_all(console: Console, sizes: dict[str, int], seed: int) -> list[Outcome]:
    """Play one scenario after the other over one database server; an interrupt ends it early."""
    outcomes: list[Outcome] = []
    libs = jars.find()
    if libs is None:
        raise ValueError("Kafka is missing; run: make testbeds")
    BUILD.mkdir(parents=True, exist_ok=True)
    began = monotonic()

    def tell(text: str) -> None:
        console.print(f"{monotonic() - began:7.0f} s  {text}", markup=False)

    with ExitStack() as held:
        folder = Path(tempfile.mkdtemp(dir=BUILD))
        postgres = start_postgres()
        held.callback(postgres.close)
        nursery = held.enter_context(Nursery(folder))
        installed = Installed(jars.java(), libs)
        world = World(folder, installed, postgres, nursery, seed, Sizes(), tell)
        tell(f"seed {seed}, files in {folder}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends with a table, too
        try:
            for name, size in sizes.items():
                outcomes.append(Outcome(name))
                _play(world, outcomes[-1], size)
        except KeyboardInterrupt:
            outcomes[-1].wrong.append("interrupted")
    if all(one.passed for one in outcomes):
        shutil.rmtree(folder)
    return outcomes


def _play(world: World, outcome: Outcome, size: int) -> None:
    scenario = SCENARIOS[outcome.scenario]
    world.tell(f"{outcome.scenario}: {size:,} {scenario.unit}")
    began = monotonic()
    try:
        scenario.play(world, outcome, size)
    except FAILURES as error:
        outcome.wrong.append(f"not played to its end: {type(error).__name__}: {error}")
    outcome.took_s = monotonic() - began
    said = outcome.missing or ("ok" if outcome.passed else f"{len(outcome.wrong)} wrong")
    world.tell(f"{outcome.scenario}: {said}, {outcome.took_s:.0f} s")


def _print(console: Console, outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([one.as_json() for one in outcomes], indent=1))
        return
    console.print(table(outcomes))
    for one in outcomes:
        for line in [one.missing, *one.wrong[:SHOWN]]:
            if line:
                console.print(f"{one.scenario}: {line}", markup=False, soft_wrap=True)
        if len(one.wrong) > SHOWN:
            console.print(f"{one.scenario}: and {len(one.wrong) - SHOWN} more", markup=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
