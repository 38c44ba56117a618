"""Without the extra `correlate` its rules are left out, and nothing else is amiss."""

import subprocess
import sys
from pathlib import Path

from engine.rules.correlations import can_correlate
from engine.rules.load import load

ROOT = Path(__file__).parents[2]
RULES = ROOT / "rules"
FILES = {path.name: path.read_bytes() for path in RULES.glob("*.yaml")}
CORRELATING = {"deploy-then-degrade", "node-explains-pods"}
BLOCKED = "import sys; sys.modules['durable'] = None\nfrom engine.cli import main\nmain()"
"""An interpreter in which durable_rules can not be imported, as if it were not installed."""


def test_rules_that_correlate_are_left_out_with_the_reason_and_the_way_out() -> None:
    whole, without = load(FILES), load(FILES, correlates=False)
    names = {rule.name for rule in whole.rules.rules}
    assert {rule.name for rule in without.rules.rules} == names - CORRELATING
    told = [fault for fault in without.faults if fault.code == "extra"]
    assert {fault.severity for fault in told} == {"warning"}
    assert len(told) == len(CORRELATING)
    assert "pip install 'dogwatch[correlate]'" in told[0].message


def test_their_mistakes_are_told_all_the_same() -> None:
    text = FILES["nodes.yaml"].replace(b"[node-not-ready, pods-stuck]", b"[node-not-redy]")
    faults = load({"nodes.yaml": text}, correlates=False).faults
    assert any("did you mean 'node-not-ready'" in fault.message for fault in faults)


def test_the_extra_is_installed_here() -> None:
    assert can_correlate()


def test_commands_work_without_it() -> None:
    done = _without("rules", "check", str(RULES))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("refused, and left out") == len(CORRELATING)
    done = _without("rules", "test", str(RULES), "-k", "node-")
    assert done.returncode == 0, done.stdout
    assert "node-not-ready" in done.stdout
    assert "node-explains-pods" not in done.stdout


def test_durable_rules_is_loaded_only_for_rules_that_need_it() -> None:
    code = "import sys\nimport engine.app.engine, engine.stream.selftest\nprint(*sys.modules)"
    done = _run(code)
    assert "engine.stream.evaluator" in done.stdout.split()
    assert "durable" not in done.stdout.split()


def _without(*arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(BLOCKED, *arguments)


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    called = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        called, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
