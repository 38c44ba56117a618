"""One ledger embedded, on Kafka with one worker, and on Kafka with three that are killed."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.ledger.ordeal import Deed, Ordeal, Result
from tests.ledger.sending import Ledger
from tests.ledger.stage import crew, embedded, scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.ledger.nursery import Nursery
    from tests.ledger.stage import Stage
    from tests.testbeds.kafka import Cluster
    from tests.testbeds.postgres import Postgres

KILLS = 40
LEDGER = Ledger(seed=random.randrange(1 << 32), rules=20, clusters=6, signals=2_000)
CALM_BEFORE = 0.1
DEEDS = (
    Deed(CALM_BEFORE, lambda killer: killer.freeze("worker")),
    Deed(0.3, lambda killer: killer.send_away("worker")),
    Deed(0.5, lambda killer: killer.freeze("runner")),
    Deed(0.7, lambda killer: killer.send_away("worker")),
    Deed(0.9, lambda killer: killer.send_away("runner")),
)


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[Callable[[], str]]:
    """Gives URLs of empty databases, which are gone behind the test."""
    made = []

    def url() -> str:
        made.append(postgres.database())
        return postgres.url(made[-1])

    yield url
    for name in made:
        postgres.drop(name)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_topology_gives_the_same_firings(
    nursery: Nursery, kafka: Cluster, database_url: Callable[[], str], tmp_path: Path
) -> None:
    def on_kafka(name: str, workers: int, runners: int, webs: int) -> Stage:
        parts = crew(workers, runners, webs)
        return scaled(nursery, tmp_path / name, kafka, database_url(), parts)

    alone = played(embedded(nursery, tmp_path / "alone"))
    one = played(on_kafka("one", 1, 1, 1))
    three = played(on_kafka("three", 3, 2, 2), KILLS, DEEDS)
    for result in (alone, one, three):
        print(result.figures)
    wrong = [*alone.wrong, *one.wrong, *three.wrong]
    assert not wrong, "\n".join(wrong[:50])
    assert alone.found.ids() == one.found.ids() == three.found.ids()
    assert three.figures["kills"] >= KILLS
    assert set(three.figures["kills_by_role"]) == {"worker", "runner", "web"}


def played(stage: Stage, kills: int = 0, deeds: Sequence[Deed] = ()) -> Result:
    """Play the ledger to a stage and return what came of it."""
    with ExitStack() as held:
        ordeal = Ordeal(stage, LEDGER)
        held.callback(ordeal.close)
        return ordeal.run(kills, deeds)
