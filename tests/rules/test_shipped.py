"""The shipped rules are clean, quiet, documented and tested."""

from pathlib import Path

import pytest

from engine.rules.catalog import catalog
from engine.rules.load import load
from engine.rules.rule import Rule
from engine.stream import selftest

ROOT = Path(__file__).parents[2]
FILES = {str(path.relative_to(ROOT)): path.read_bytes() for path in (ROOT / "rules").glob("*.yaml")}
LOADED = load(FILES)
RULES = LOADED.rules.rules
README = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
each = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def test_the_shipped_rules_are_without_a_fault() -> None:
    assert [str(fault) for fault in LOADED.faults] == []
    assert len(RULES) >= 12


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
def test_a_rule_has_owner_severity_description_and_a_runbook_that_exists(rule: Rule) -> None:
    assert rule.labels["owner"]
    assert rule.labels["severity"] in {"critical", "high", "medium", "low", "info"}
    assert rule.annotations["description"]
    assert rule.annotations["runbook_url"] == f"rules/README.md#{rule.name}"
    assert f"\n### {rule.name}\n" in README


@each
def test_a_rule_is_quiet(rule: Rule) -> None:
    assert rule.cooldown_us >= 1800 * 10**6
    assert rule.settle_us >= 30 * 10**6
    assert rule.notify == ()


@each
def test_a_rule_asks_for_an_incident_response_about_what_it_saw(rule: Rule) -> None:
    assert rule.mission is not None
    assert rule.mission.kind == "incident-response"
    known = {"symptom", "namespace", "workload", "node", "kind", "name"}
    assert {"symptom"} < set(rule.mission.params) <= known
