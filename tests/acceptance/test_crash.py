"""SIGKILL at any moment: nothing is lost, nothing is done twice."""

from __future__ import annotations

import faulthandler
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.ledger import expected, faults
from tests.acceptance.ordeal import Ordeal

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("LEDGER_KILLS", "200"))
TOGETHER = 4
"""Processes of dogwatch at the same time, each over a ledger of its own."""


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_kill_loses_a_firing_or_doubles_a_mission(tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # it takes minutes, and does not hang
    shares = [KILLS // TOGETHER + (n < KILLS % TOGETHER) for n in range(TOGETHER)]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with ExitStack() as held:
        ordeals = []
        for number in range(TOGETHER):
            ordeals.append(Ordeal(tmp_path / str(number), seed + number))
            held.callback(ordeals[-1].close)
        with ThreadPoolExecutor(TOGETHER) as pool:
            results = list(pool.map(Ordeal.run, ordeals, shares))
        wrong = []
        for ordeal, found, kills in zip(ordeals, results, shares, strict=True):
            ledger = ordeal.events
            print(
                f"{kills} kills, {len(ledger)} signals, {len(expected(ledger))} firings, "
                f"{len(found.missions)} missions, {len(found.told)} deliveries"
            )
            wrong += faults(ledger, found, kills)
    assert not wrong, "\n".join(wrong[:50])
