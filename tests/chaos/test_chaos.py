"""The tool counts what was lost, says no to wrong calls, and poison is what it is meant to be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from engine.bus.codec import decode
from tests.chaos.poison import EVERY_LARGE, poison
from tests.chaos.report import Outcome
from tests.ledger.checker import Episode, Found, faults
from tests.ledger.ordeal import Result

_ROOT = Path(__file__).parent.parent.parent
_BURST = Episode("burst-0", "c000", "app-a.0", 1, 2)
_OTHER = Episode("burst-0", "c000", "app-b.0", 1, 2)


def _outcome(wanted: list[Episode], found: Found) -> Outcome:
    outcome = Outcome("kills")
    outcome.judged(Result(found, faults(wanted, found, 0)))
    return outcome


def _mission(number: int) -> tuple[str, str, str, str, int]:
    return (f"m-{number}", "f-1", "done", "partial", 0)


def test_lost_firings_are_counted_and_fail_a_scenario() -> None:
    outcome = _outcome([_BURST, _BURST, _OTHER], Found({}, [], []))
    assert outcome.as_json()["lost_firings"] == 3
    assert not outcome.passed


def test_doubled_missions_are_counted_and_fail_a_scenario() -> None:
    outcome = _outcome([_BURST], Found({"f-1": _BURST}, [_mission(1), _mission(2)], []))
    assert outcome.as_json()["doubled_missions"] == 1
    assert not outcome.passed


def test_what_could_not_be_played_is_not_passed() -> None:
    assert Outcome("kills").passed
    assert not Outcome("kills", missing="run it as root").passed


@pytest.mark.parametrize(
    ("called", "says"),
    [("kils=3", "no scenario 'kils'; there are kills, failpoints"), ("kills=x", "whole number")],
)
def test_a_wrong_call_is_answered_with_what_is_right(called: str, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", called],
        cwd=_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert says in done.stderr


def test_no_poison_is_a_signal_and_each_is_bad_as_one() -> None:
    random = Random(1)
    seen: Counter[bytes] = Counter()
    for number in range(2 * EVERY_LARGE):
        kind, value = poison(number, random)
        decoded = decode(value or b"")
        assert (len(decoded.signals), len(decoded.bad)) == (0, 1), kind
        seen[kind] += 1
    assert len(seen) == 12


def test_every_scenario_is_in_the_docs_with_its_sizes() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--list", "--output", "json"],
        cwd=_ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    page = (_ROOT / "docs" / "chaos.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    scenarios = json.loads(listed.stdout)
    assert list(rows) == list(scenarios)
    for name, sizes in scenarios.items():
        cells = rows[name].split("|")
        assert f"{sizes['size']:,}" in cells[3], name
        assert f"{sizes['quick']:,}" in cells[4], name
