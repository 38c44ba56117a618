"""Every gate of a key is shown with its input, its threshold and its verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from engine.model.errors import DogwatchError
from engine.rules.load import load
from engine.stream.evaluator import Evaluator
from engine.stream.explain import Explanation, Witness, explain, reader_of, to_json, to_text
from engine.stream.notation import EPOCH_US, signals

if TYPE_CHECKING:
    from collections.abc import Mapping

RULE = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: g, owner: sre}
spec:
  rules:
    - name: storm
      on: [{type: k8s.object, kinds: [Pod]}]
      when: signal.data.phase == "Running"
      by: [cluster, namespace, workload]
      over: 10m
      measure: {restarts: {fn: increase, of: signal.data.restarts}}
      having: m.restarts > 5
      for: 2m
      keep_firing_for: 5m
      cooldown: 30m
      inhibited_by: [{rule: node-down, equal: [cluster]}]
      mission: {kind: incident-response, params: {symptom: x}}
    - name: node-down
      on: [{type: k8s.object, kinds: [Node]}]
      when: "!signal.data.ready"
      by: [cluster, node]
"""
MINUTE = 60_000_000


def pods(at: str, restarts: Any, name: str = "web", **data: Any) -> dict[str, Any]:
    whole = {"kind": "Pod", "name": name, "phase": "Running", "restarts": restarts, **data}
    return {"at": at, "type": "k8s.object", "data": whole}


def explained(
    entries: list[Mapping[str, Any]], minutes: int, *, rule: str = RULE, **part: str
) -> Explanation:
    rules = load({"r.yaml": rule}).rules
    evaluator, until = Evaluator(rules), EPOCH_US + minutes * MINUTE
    witness = Witness(reader_of(evaluator, "storm", ["storm"]))
    seen = signals(entries)
    witness.see(seen)
    witness.hear(evaluator.step(seen))
    witness.hear(evaluator.advance(until))
    return explain(evaluator, "storm", part, witness, at=until)


def gate(found: Explanation, name: str) -> tuple[str, str, tuple[str, ...]]:
    (one,) = [one for one in found.gates if one.name == name]
    return one.verdict, one.says, tuple(one.details())


def test_a_threshold_shows_both_sides_of_its_comparison() -> None:
    found = explained([pods("0s..3m/1m", "0+1")], 3)
    assert found.state == "inactive"
    assert gate(found, "when") == (
        "yes",
        'signal.data.phase == "Running"',
        ("'Running' == 'Running'  true",),
    )
    assert gate(found, "m.restarts")[1] == "3  (increase of signal.data.restarts)"
    assert gate(found, "having") == ("no", "m.restarts > 5", ("3 > 5  false",))


def test_a_pending_key_says_since_when_and_when_it_fires() -> None:
    found = explained([pods("0s..7m/1m", "0+1")], 7)
    assert (found.state, found.since) == ("pending", "2026-01-01T00:06:00Z")
    verdict, says, _ = gate(found, "for")
    assert verdict == "waits"
    assert "true since 2026-01-01T00:06:00Z, fires at 2026-01-01T00:08:00Z" in says


def test_a_firing_that_ends_says_when_it_resolves() -> None:
    found = explained([pods("0s..8m/1m", "0+1")], 15)
    assert found.state == "firing"
    assert gate(found, "keep_firing_for")[0] == "waits"
    assert [state for _, state, _ in found.moves] == ["pending", "firing"]


def test_a_cooldown_says_from_when_on_the_next_mission_may_go() -> None:
    found = explained([pods("0s..9m/1m", "0+1")], 9)
    verdict, says, _ = gate(found, "cooldown")
    assert verdict == "no"
    assert says.endswith("the next from 2026-01-01T00:38:30Z on")


def test_a_mission_says_what_it_may_do_and_where() -> None:
    acts = (
        "mission: {kind: incident-response, mode: apply, approval: person, dedup_key: all, "
        "targets: {groups: [eu], exclude: [lab]}, advise: explain"
    )
    rule = RULE.replace("mission: {kind: incident-response", acts)
    assert rule != RULE
    _, says, _ = gate(explained([pods("0s..9m/1m", "0+1")], 9, rule=rule), "mission")
    assert says == (
        "incident-response; mode apply, approved by person; targets groups eu exclude lab; "
        "one for each all; advise explain"
    )


def test_an_inhibitor_that_holds_a_mission_back_is_named_with_its_key() -> None:
    down = {"at": "1s", "type": "k8s.object",
            "data": {"kind": "Node", "name": "n1", "node": "n1", "ready": False}}  # fmt: skip
    found = explained([down, pods("0s..9m/1m", "0+1")], 9)
    verdict, says, _ = gate(found, "inhibited_by")
    assert (verdict, "node=n1" in says) == ("holds back", True)


def test_json_has_the_sides_of_each_comparison_as_values() -> None:
    found = to_json(explained([pods("0s..3m/1m", "0+1")], 3))
    (having,) = [one for one in found["gates"] if one["name"] == "having"]
    assert having["comparisons"] == [{"left": 3, "sign": ">", "right": 5, "holds": False}]
    (measure,) = [one for one in found["gates"] if one["name"] == "m.restarts"]
    assert measure["value"] == 3
    assert json.loads(json.dumps(found)) == found


def test_a_key_says_when_it_was_last_reset_and_why() -> None:
    found = explained([pods("0s..6m30s/1m", "0+1"), pods("6m30s", 7)], 17)
    assert found.state == "inactive"
    assert gate(found, "last reset")[1].startswith("2026-01-01T00:1")


def test_a_notice_that_waits_for_quiet_says_until_when() -> None:
    rule = RULE.replace("      cooldown: 30m\n", "      debounce: 5m\n")
    found = explained([pods("0s..8m/1m", "0+1")], 8, rule=rule)
    verdict, says, _ = gate(found, "notice")
    assert (verdict, says) == ("waits", "people are told at 2026-01-01T00:13:00Z")


def test_a_missing_field_is_named_and_counted() -> None:
    entry = pods("0s", 0)
    del entry["data"]["phase"]
    found = explained([entry], 1)
    assert "missing" in gate(found, "when")[1]
    assert found.counted == {"missing_field": 1}


def test_without_a_key_all_keys_are_listed_with_their_states() -> None:
    found = explained([pods("0s..7m/1m", "0+1"), pods("0s", 0, "db")], 7)
    assert [(key["workload"], state) for key, state in found.others] == [
        ("db", "inactive"),
        ("web", "pending"),
    ]
    assert "give one of them as KEY" in to_text(found)


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(DogwatchError, match="did you mean 'web'"):
        explained([pods("0s", 0), pods("0s", 0, "db")], 1, workload="wbe")
    with pytest.raises(DogwatchError, match="did you mean 'workload'"):
        explained([pods("0s", 0)], 1, worklaod="web")


def test_an_unknown_rule_is_refused_with_the_nearest_one() -> None:
    evaluator = Evaluator(load({"r.yaml": RULE}).rules)
    with pytest.raises(DogwatchError, match="did you mean 'storm'"):
        reader_of(evaluator, "strom", ["storm", "node-down"])


def test_the_text_is_aligned_and_the_json_holds_the_same() -> None:
    found = explained([pods("0s..9m/1m", "0+1")], 9)
    lines = to_text(found).splitlines()
    assert lines[0] == "storm  cluster=test,namespace=default,workload=web"
    assert lines[1] == "FIRING since 2026-01-01T00:08:00Z, at 2026-01-01T00:09:00Z"
    column = lines[3].index("k8s.object")
    assert all(line[column - 2 : column] == "  " for line in lines[3 : 3 + len(found.gates)])
    assert [one["name"] for one in to_json(found)["gates"]] == [one.name for one in found.gates]


def test_signals_without_a_part_of_the_key_are_counted_in_words() -> None:
    rule = RULE.replace("[cluster, namespace, workload]", "[cluster, labels.team]")
    found = explained([pods("0s..2m/1m", 0)], 3, rule=rule)
    assert found.keyless == 3
    assert "3 signals lack a part of the group key" in to_text(found)
    assert to_json(found)["keyless"] == 3
