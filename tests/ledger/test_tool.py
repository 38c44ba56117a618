"""The ledger as a tool: what it prints, and that it says by its exit code how it went."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.ledger.nursery import ROOT


def test_the_tool_plays_a_ledger_and_gives_its_figures() -> None:
    options = ["--signals", "300", "--clusters", "2", "--kills", "2", "--seed", "5"]
    command = [sys.executable, "-m", "tests.ledger", *options, "--output", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["wrong"] == []
    assert figures["seed"] == 5
    assert figures["kills"] == 2
    assert figures["signals"] >= 300
    assert figures["firings"] == figures["expected_firings"] > 10
