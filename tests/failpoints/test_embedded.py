"""Every failpoint that an embedded dogwatch comes by: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import httpx
import pytest

from engine.failpoint import Point
from tests.failpoints.lives import EMBEDDED, Lives, plans
from tests.ledger.ordeal import DEAF, Ordeal
from tests.ledger.sending import HEADERS, Ledger
from tests.ledger.shapes import rules
from tests.ledger.stage import embedded, told_to

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.nursery import Nursery
    from tests.ledger.stage import Settings, Stage

ACTIONS = ("exception", "enospc", "kill")
GROUPS = (
    (Point.MIGRATION_STEP, Point.SIGNAL_READ, Point.SIGNAL_PRODUCED),
    (Point.RECORD_FETCHED, Point.RECORD_DECODED, Point.RECORD_QUARANTINED),
    (Point.TIMER_FIRED, Point.CHECKPOINT_WRITTEN, Point.FIRING_STORED),
    (Point.MISSION_ROW, Point.OUTBOX_ROW, Point.COMMIT),
    (Point.STEP_STARTED, Point.STEP_JOURNALED, Point.SINK_ATTEMPT),
    (Point.SINK_MARKED, Point.DEAD_LETTERED, Point.RULES_SWAPPED),
)
"""Points that share a ledger: each is reached in the course of it."""
PACE_S = 0.05
STIR_S = 0.3
SIGNALS = 40_000
"""More than are sent while a group is at it: it ends as soon as all has happened."""


def test_every_failpoint_is_in_a_group() -> None:
    assert sorted(point for group in GROUPS for point in group) == sorted(EMBEDDED)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids="+".join)
def test_no_failpoint_loses_or_doubles_anything(
    group: tuple[Point, ...], nursery: Nursery, tmp_path: Path
) -> None:
    ledger = Ledger(Random().randrange(1 << 32), signals=SIGNALS)
    print(f"seed {ledger.seed}")
    random = Random(ledger.seed)
    planned = [plan for point in group for plan in plans(point, ACTIONS, random)]
    with ExitStack() as held:
        ordeal = Ordeal(embedded(nursery, tmp_path / "stage"), ledger, with_a_deaf_sink)
        held.callback(ordeal.close)
        stirrer = Stirrer(ordeal)
        lives = Lives(ordeal.stage)
        ordeal.turn = stirrer.turn
        found = ordeal.play(
            lambda: lives.act(ordeal.stage.members[0], planned, stirrer.stir), stirrer.end
        )
        lost = dead_letters(ordeal.stage)
    notices = {one.key for one in found.told if one.body["data"]["rule"] == "dead-letter"}
    found.told = [one for one in found.told if one.key not in notices]
    result = ordeal.judge(found, len(planned), {"acted": len(planned)})
    print(result.figures)
    assert not result.wrong, "\n".join(result.wrong[:50])
    assert lost == ordeal.refused, "the sink that says no was told of each low firing"
    assert len(notices) == len(lost)


class Stirrer:
    """Keeps a ledger going until it is told to end, and makes rare things happen."""

    def __init__(self, ordeal: Ordeal) -> None:
        self._ordeal = ordeal
        self._over = threading.Event()
        self._numbers = count()

    def turn(self, _share: float) -> bool:
        """Let a batch go now and then; False when it is enough."""
        return not self._over.wait(PACE_S)

    def end(self) -> None:
        """Let it end."""
        self._over.set()

    def stir(self) -> None:
        """Send something that is no signal, and swap the rules for ones with another remark."""
        number = next(self._numbers)
        stage = self._ordeal.stage
        stage.write_rules(f"{rules(self._ordeal.ledger.rules)}# {number}\n")
        bad = json.dumps([{"specversion": "1.0", "id": f"bad-{number}"}])
        for path, content in (("/v1/signals", bad), ("/-/reload", "")):
            url = f"{stage.intakes[0]}{path}"
            try:
                httpx.post(url, content=content, headers=HEADERS, timeout=5)
            except httpx.TransportError:
                continue  # it is not up, or died of it
        self._over.wait(STIR_S)


def with_a_deaf_sink(receiver: str) -> Settings:
    """Return settings with one more sink, which takes nothing that it is told."""
    settings = told_to(receiver, ("hook", "pager", DEAF))
    deaf = {"sinks": [DEAF], "match": {"severity": ["low"]}, "on": ["fire"]}
    return {**settings, "routes": [*settings["routes"], deaf]}


def dead_letters(stage: Stage) -> set[str]:
    """Return the keys of deliveries that were given up."""
    query = "SELECT key FROM deliveries WHERE state = 'given_up'"
    return {key for (key,) in stage.reading.select(query)}
