"""Play a ledger by hand: `python -m tests.ledger --help`.

It ends with 0 when nothing was lost and nothing was doubled, with 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.ledger.nursery import Nursery
from tests.ledger.ordeal import Deed, Ordeal
from tests.ledger.sending import Ledger
from tests.ledger.stage import Stage, crew, embedded, scaled
from tests.testbeds import jars
from tests.testbeds.build import BuildError
from tests.testbeds.kafka import Cluster, Installed
from tests.testbeds.postgres import start_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.ledger.killing import Killer
    from tests.testbeds.postgres import Postgres

LOOK_S = 0.5
SHOWN = 50
CONSOLE = Console(stderr=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Play one ledger, say what came of it, and return the exit code."""
    chosen = _parser().parse_args(arguments)
    ledger = Ledger(chosen.seed, chosen.rules, chosen.clusters, chosen.signals)
    folder = Path(tempfile.mkdtemp(prefix="ledger-"))
    with ExitStack() as held:
        ordeal = Ordeal(_stage(chosen, folder, held), ledger)
        held.callback(ordeal.close)
        held.enter_context(_shown(ordeal, chosen.kills))
        result = ordeal.run(chosen.kills, _deeds(chosen))
    figures = {"seed": chosen.seed, "rules": chosen.rules, **result.figures}
    _print(figures, result.wrong, chosen.output)
    if result.wrong:
        CONSOLE.print(f"logs and stores are kept in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.ledger", description=__doc__)
    parser.add_argument("--signals", type=int, default=10_000, help="how many at least")
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--clusters", type=int, default=6)
    parser.add_argument("--bus", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--runners", type=int, default=2)
    parser.add_argument("--webs", type=int, default=2)
    parser.add_argument("--kills", type=int, default=0, help="SIGKILLs of members at random")
    parser.add_argument("--zombies", type=int, default=0, help="members that stand still and wake")
    parser.add_argument("--departures", type=int, default=0, help="workers that leave and rejoin")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--output", choices=("text", "json"), default="text")
    return parser


def _stage(chosen: argparse.Namespace, folder: Path, held: ExitStack) -> Stage:
    """Start what the chosen bus needs; all of it ends with `held`."""
    nursery = held.enter_context(Nursery(folder))
    if chosen.bus == "embedded":
        return embedded(nursery, folder / "stage")
    installed, postgres = _servers()
    held.callback(postgres.close)
    kafka = held.enter_context(Cluster(folder / "brokers", installed, chosen.brokers))
    database = postgres.url(postgres.database())
    parts = crew(chosen.workers, chosen.runners, chosen.webs)
    return scaled(nursery, folder / "stage", kafka, database, parts)


def _servers() -> tuple[Installed, Postgres]:
    """Return Kafka's programs and a PostgreSQL that runs; end the program where one is missing."""
    try:
        java, libs = jars.java(), jars.find()
        if libs is None:
            sys.exit("Kafka is not there; run: make testbeds")
        return Installed(java, libs), start_postgres()
    except (BuildError, pytest.skip.Exception) as error:
        sys.exit(str(error))


def _deeds(chosen: argparse.Namespace) -> list[Deed]:
    """Return what is done beside the kills, evenly spread over them."""
    roles = ("worker", "runner", "worker", "web")

    def zombie(role: str, at: float) -> Deed:
        def freeze(killer: Killer) -> None:
            killer.freeze(role)

        return Deed(at, freeze)

    def departure(at: float) -> Deed:
        return Deed(at, lambda killer: killer.send_away("worker"))

    zombies, departures = chosen.zombies, chosen.departures
    return [
        *(zombie(roles[n % len(roles)], (n + 0.5) / zombies) for n in range(zombies)),
        *(departure((n + 0.5) / departures) for n in range(departures)),
    ]


@contextmanager
def _shown(ordeal: Ordeal, kills: int) -> Iterator[None]:
    """Show on a terminal how far the ledger and the kills are."""
    over = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, TimeElapsedColumn(), console=CONSOLE)

    def watch() -> None:
        sent = progress.add_task("signals", total=ordeal.ledger.signals)
        killed = progress.add_task("kills", total=kills)
        told = progress.add_task("deliveries", total=None)
        while not over.wait(LOOK_S):
            progress.update(sent, completed=ordeal.sent)
            progress.update(killed, completed=ordeal.struck)
            progress.update(told, completed=len(ordeal.told))

    watcher = threading.Thread(target=watch)
    with progress:
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()


def _print(figures: dict[str, Any], wrong: list[str], output: str) -> None:
    if output == "json":
        print(json.dumps({**figures, "wrong": wrong}))
        return
    table = Table(show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), f"{value}")
    table.add_row("faults", f"{len(wrong)}")
    Console().print(table)
    for fault in wrong[:SHOWN]:
        print(fault)


if __name__ == "__main__":
    sys.exit(main())
