"""Rules are held against the mission kinds that there are, and those that come later."""

from pathlib import Path

import pytest

from engine.app.rule_files import check_paths, check_texts, load_paths, read_rule_files
from engine.missions.registry import kinds
from engine.model.errors import DogwatchError, RuleError
from engine.model.mission_kinds import MISSION_KINDS

RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: g, owner: sre}
spec:
  rules:
    - name: r
      on: [{type: k8s.object, kinds: [Pod]}]
      when: "!signal.data.ready"
      cooldown: 1h
      mission: {kind: KIND, params: {PARAMS}}
      annotations: {runbook_url: docs}
      tests:
        - {name: fires, signals: [], expect: [{at: 1m, state: firing}]}
        - {name: silent, signals: [], expect: []}
"""


def said(kind: str, params: str) -> list[str]:
    text = RULES.replace("KIND", kind).replace("PARAMS", params)
    return [fault.message for fault in check_texts({"r.yaml": text.encode()}).faults]


def test_a_registered_kind_is_ordered_with_the_types_of_its_parameters() -> None:
    assert said("incident-response", "symptom: not ready, node: n1") == []
    assert said("incident-response", "node: 5") == [
        "rule r: parameter 'node' of incident-response must be a text, found number 5"
    ]


@pytest.mark.parametrize("kind", sorted(MISSION_KINDS.keys() - kinds().keys()))
def test_a_kind_of_the_language_that_can_not_run_yet_only_tells(kind: str) -> None:
    first = MISSION_KINDS[kind].params[0]
    text = RULES.replace("KIND", kind).replace("PARAMS", f"{first}: x").encode()
    loaded = check_texts({"r.yaml": text})
    assert [fault.code for fault in loaded.faults] == ["mission-later"]
    (rule,) = loaded.rules.rules
    assert rule.mission is None


def test_a_kind_that_nobody_knows_is_an_error_with_the_nearest_one() -> None:
    (message,) = said("gpu-optimise", "")
    assert message.startswith("rule r: unknown mission kind 'gpu-optimise'; known: app-correlate")
    assert message.endswith("; did you mean 'gpu-optimize'?")


def test_a_folder_is_read_with_its_test_files_and_without_hidden_ones(tmp_path: Path) -> None:
    text = RULES.replace("KIND", "incident-response").replace("PARAMS", "")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "r.yaml").write_text(text)
    (tmp_path / "deep" / "r.test.yaml").write_text(
        "apiVersion: dogwatch.dev/v1\nkind: RuleTests\nspec:\n  tests:\n"
        "    - {rule: r, name: more, signals: [], expect: []}\n"
    )
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "r.yaml").write_text(text)
    (tmp_path / "notes.txt").write_text("not a rule")
    assert check_paths([tmp_path]).faults == []
    (rule,) = load_paths([tmp_path]).rules
    assert [test["name"] for test in rule.tests] == ["fires", "silent", "more"]
    assert rule.tests_paths[-1] == str(tmp_path / "deep" / "r.test.yaml")


def test_errors_are_raised_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(RULES.replace("KIND", "x").replace("PARAMS", "") + "  y: 1\n")
    with pytest.raises(RuleError) as refused:
        load_paths([tmp_path])
    assert [fault.code for fault in refused.value.faults] == ["mission-kind", "unknown-field"]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_path_without_rules_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DogwatchError, match=name if name != "." else "no rule file in it"):
        read_rule_files([tmp_path / name])
