"""What the store costs: checkpoints, firings, and the state that a take-over loads.

Run `python -m tests.bench.store`. SQLite in a temporary folder, PostgreSQL on a server of its own
on loopback, which writes no disk through (fsync off); keys have values of 300 bytes that no
compression makes shorter. Prints the best of some runs, in milliseconds.
"""

from __future__ import annotations

from contextlib import closing
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import pytest

from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.store import Store
from tests.store.rows import a_delivery, a_launch, a_transition
from tests.testbeds.postgres import start_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEYS = 100_000
TOUCHED = 5_000
FIRINGS = 100
BYTES = 300
RUNS = 5
LOAD_TARGET_S = 5.0


def main() -> None:
    """Print the figures of both databases."""
    with TemporaryDirectory() as folder:
        _measure("SQLite", f"{folder}/store.db")
    try:
        server = start_postgres()
    except pytest.skip.Exception as missing:
        print(missing)
        return
    with closing(server):
        _measure("PostgreSQL", server.url(server.database()))


def _measure(name: str, place: str) -> None:
    chance = Random(0)
    keys = [f"cell/crash-loop/c-{n % 12}/namespace=shop,workload=web-{n}" for n in range(KEYS)]
    with closing(Store.open(place, clock=SystemClock())) as store:
        epoch = store.claim(0)

        def touch(some: Sequence[str]) -> None:
            store.commit(0, epoch, Commit(1, {key: chance.randbytes(BYTES) for key in some}))

        for start in range(0, KEYS, KEYS // 10):
            touch(keys[start : start + KEYS // 10])
        fires = [_firings(run) for run in range(RUNS)]
        figures = {
            "an empty checkpoint": _best(lambda _: touch(())),
            f"a checkpoint of {TOUCHED:,} keys": _best(lambda _: touch(keys[:TOUCHED])),
            "a firing with mission and delivery": _best(
                lambda run: store.commit(0, epoch, _firings(RUNS + run, 1))
            ),
            f"{FIRINGS} of them": _best(lambda run: store.commit(0, epoch, fires[run])),
            f"the state of {KEYS:,} keys": _best(lambda _: store.load(0)),
            "a lease renewed": _best(lambda _: store.acquire("cluster/east", "a", 30)),
        }
    print(f"{name}, milliseconds (the state: below {LOAD_TARGET_S * 1000:,.0f}):")
    for what, took_s in figures.items():
        print(f"  {what:<36} {took_s * 1000:8.1f}")


def _firings(run: int, count: int = FIRINGS) -> Commit:
    names = [f"{run}-{number}" for number in range(count)]
    return Commit(
        1,
        transitions=[a_transition(f"f-{name}") for name in names],
        launches=[a_launch(f"m-{name}", f"f-{name}") for name in names],
        deliveries=[a_delivery(f"d-{name}", incident=f"f-{name}") for name in names],
        conditions={f"c-{name}": b"x" * BYTES for name in names},
    )


def _best(act: Callable[[int], object]) -> float:
    """Return the seconds that `act` took at best; it is told the number of its run."""
    taken = []
    for run in range(RUNS):
        begin = perf_counter()
        act(run)
        taken.append(perf_counter() - begin)
    return min(taken)


if __name__ == "__main__":
    main()
