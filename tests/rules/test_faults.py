"""Faults are shown as text, JSON and SARIF."""

import json

from engine.model.errors import Fault
from engine.rules.faults import to_json, to_sarif, to_text

FAULTS = [
    Fault("rules/a.yaml", 2, 7, "rule x: unknown field 'b'", code="unknown-field"),
    Fault("rules/a.yaml", 3, 1, "rule x: no runbook", severity="warning", code="no-runbook"),
]


def test_text_is_one_line_for_each_fault() -> None:
    assert to_text(FAULTS) == (
        "rules/a.yaml:2:7 rule x: unknown field 'b'\nrules/a.yaml:3:1 warning: rule x: no runbook"
    )


def test_text_points_at_the_place_when_the_source_is_given() -> None:
    shown = to_text(FAULTS[:1], {"rules/a.yaml": "first\nsecond line\nthird"})
    assert shown.splitlines()[1:] == ["    second line", "          ^"]


def test_a_very_long_line_is_cut_around_the_place() -> None:
    fault = Fault("a", 1, 5000, "x")
    _, line, caret = to_text([fault], {"a": "." * 4999 + "!" + "." * 5000}).splitlines()
    assert line[caret.index("^")] == "!"
    assert len(line) <= 104


def test_a_place_beyond_the_source_is_told_without_a_line() -> None:
    assert to_text([Fault("a", 9, 1, "x")], {"a": "one"}) == "a:9:1 x"


def test_json_holds_each_fault_with_its_place() -> None:
    assert json.loads(to_json(FAULTS))[0] == {
        "path": "rules/a.yaml",
        "line": 2,
        "column": 7,
        "severity": "error",
        "code": "unknown-field",
        "message": "rule x: unknown field 'b'",
    }


def test_sarif_names_each_code_once_and_each_place() -> None:
    log = json.loads(to_sarif([*FAULTS, FAULTS[0]]))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == [
        "no-runbook",
        "unknown-field",
    ]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "error"]
    place = run["results"][0]["locations"][0]["physicalLocation"]
    assert place == {
        "artifactLocation": {"uri": "rules/a.yaml"},
        "region": {"startLine": 2, "startColumn": 7},
    }


def test_no_faults_are_valid_output_in_every_form() -> None:
    assert to_text([]) == ""
    assert json.loads(to_json([])) == []
    assert json.loads(to_sarif([]))["runs"][0]["results"] == []
