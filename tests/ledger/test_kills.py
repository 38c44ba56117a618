"""SIGKILL at any moment of an embedded dogwatch: nothing is lost, nothing is done twice."""

from __future__ import annotations

import faulthandler
import os
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.ledger.ordeal import Ordeal
from tests.ledger.sending import Ledger
from tests.ledger.stage import embedded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ledger.nursery import Nursery

KILLS = int(os.environ.get("LEDGER_KILLS", "70"))
TOGETHER = 4
"""Processes of dogwatch at the same time, each over a ledger of its own."""
SIGNALS_A_KILL = 60


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_no_kill_loses_a_firing_or_doubles_a_mission(nursery: Nursery, tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # it takes minutes, and does not hang
    shares = [KILLS // TOGETHER + (n < KILLS % TOGETHER) for n in range(TOGETHER)]
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    with ExitStack() as held:
        ordeals = []
        for number, kills in enumerate(shares):
            ledger = Ledger(seed + number, signals=kills * SIGNALS_A_KILL)
            ordeals.append(Ordeal(embedded(nursery, tmp_path / str(number)), ledger))
            held.callback(ordeals[-1].close)
        with ThreadPoolExecutor(TOGETHER) as pool:
            results = list(pool.map(Ordeal.run, ordeals, shares))
    for result in results:
        print(result.figures)
    wrong = [fault for result in results for fault in result.wrong]
    assert not wrong, "\n".join(wrong[:50])
    phases = [result.figures["kills_by_phase"] for result in results]
    hit = {phase for one in phases for phase in one}
    assert hit == {"start", "sending", "acknowledged", "delivering", "later"}
