"""The shipped rules are clean, quiet, documented and tested."""

from pathlib import Path

import pytest

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.mission_kinds import MISSION_KINDS
from engine.model.schema_metrics import METRICS
from engine.model.signal import Signal
from engine.rules.catalog import catalog
from engine.rules.load import load
from engine.rules.rule import Rule
from engine.stream import selftest
from engine.stream.evaluator import Evaluator
from tests.rules.quiet_day import a_quiet_day, an_empty_cluster

ROOT = Path(__file__).parents[2]
FILES = {str(path.relative_to(ROOT)): path.read_bytes() for path in (ROOT / "rules").glob("*.yaml")}
LOADED = load(FILES)
RULES = LOADED.rules.rules
README = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
each = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def fired(log: list[Signal]) -> set[str]:
    """Return the rules that fire on `log`, shadow ones aside, with all its timers."""
    live = {rule.name for rule in RULES if rule.mode == "live"}
    evaluator = Evaluator(LOADED.rules)
    end = max(to_us(signal.time) for signal in log)
    steps = [evaluator.step(log), evaluator.advance(end)]
    told = {move.rule for step in steps for move in step.transitions if move.state is State.FIRING}
    return told & live


def test_the_shipped_rules_are_without_a_fault() -> None:
    assert [str(fault) for fault in LOADED.faults] == []


def test_the_readme_has_the_table_of_the_rules() -> None:
    _, _, rest = README.partition("<!-- rules -->\n")
    table, _, _ = rest.partition("\n<!-- /rules -->")
    assert table == catalog(RULES)


@pytest.mark.parametrize(
    "result", selftest.run(LOADED.rules), ids=lambda result: f"{result.rule}: {result.name}"
)
def test_what_a_rule_promises_holds(result: selftest.Result) -> None:
    assert result.passed, selftest.to_text([result])


@each
def test_a_rule_has_a_test_in_which_it_fires_and_one_in_which_it_stays_silent(rule: Rule) -> None:
    states = [[one["state"] for one in test["expect"]] for test in rule.tests]
    assert any("firing" in found for found in states)
    assert any("firing" not in found for found in states)


@each
def test_a_rule_has_owner_severity_description_and_a_runbook_that_exists(rule: Rule) -> None:
    assert rule.labels["owner"]
    assert rule.labels["severity"] in {"critical", "high", "medium", "low", "info"}
    assert rule.annotations["summary"]
    assert rule.annotations["description"]
    assert rule.annotations["runbook_url"] == f"rules/README.md#{rule.name}"
    assert f"\n### {rule.name}\n" in README


def test_the_readme_has_no_runbook_of_a_rule_that_is_gone() -> None:
    headings = {line[4:] for line in README.splitlines() if line.startswith("### ")}
    assert headings == {rule.name for rule in RULES}


@each
def test_a_rule_is_quiet(rule: Rule) -> None:
    assert rule.mission is None or rule.cooldown_us >= 1800 * 10**6
    assert rule.settle_us >= 30 * 10**6
    assert rule.notify == ()


@each
def test_a_rule_in_shadow_launches_nothing(rule: Rule) -> None:
    assert rule.mode == "live" or rule.mission is None


@each
def test_a_mission_is_asked_for_what_its_kind_takes(rule: Rule) -> None:
    if rule.mission is not None:
        assert set(rule.mission.params) <= set(MISSION_KINDS[rule.mission.kind].params)
        assert {"symptom", "reason", "mission"} & set(rule.mission.params)


@each
def test_the_metrics_that_a_rule_names_are_declared(rule: Rule) -> None:
    assert {name for selector in rule.on for name in selector.metrics} <= set(METRICS)


def test_nothing_fires_on_a_quiet_day_of_a_healthy_cluster() -> None:
    assert fired(a_quiet_day()) == set()


def test_nothing_fires_in_an_empty_cluster() -> None:
    assert fired(an_empty_cluster()) == set()
