"""Rule files become rules; every mistake of every file is told at once."""

from dataclasses import fields

import pytest

from engine.model.errors import Fault
from engine.rules.load import Loaded, load
from engine.rules.rule import Inhibitor, Notice, Rule, Selector

HEAD = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: workloads, owner: sre@example.com}
spec:
"""
STORM = """\
    - name: restart-storm
      on: [{type: k8s.object, kinds: [Pod], exclude: {namespaces: [kube-system]}}]
      by: [cluster, namespace, workload]
      over: 10m
      measure: {restarts: {fn: increase, of: signal.data.restarts}}
      having: m.restarts > 5
      keep_firing_for: 10m
      cooldown: 30m
      inhibited_by: [{rule: node-not-ready, equal: [cluster, node]}]
      mission: {kind: incident-response, params: {symptom: "{{ m.restarts }} restarts"}}
      notify: [{sink: oncall, on: [fire, resolve]}, {sink: archive}]
      labels: {severity: high}
      annotations: {runbook_url: docs/storm.md}
      tests:
        - {name: fires, signals: [], expect: [{at: 1m, state: firing}]}
        - {name: silent, signals: [], expect: []}
"""
READY = """\
    - name: node-not-ready
      on: [{type: k8s.object, kinds: [Node]}]
      when: "!signal.data.ready"
      by: [cluster, node]
      for: 15m
      annotations: {runbook_url: docs/node.md}
      tests:
        - {name: fires, signals: [], expect: [{at: 1m, state: firing}]}
        - {name: silent, signals: [], expect: []}
"""


def group(*rules: str, defaults: str = "") -> str:
    under = f"  defaults: {defaults}\n" if defaults else ""
    return HEAD + under + "  rules:\n" + "".join(rules)


def loaded(*rules: str, defaults: str = "") -> Loaded:
    return load({"a.yaml": group(*rules, defaults=defaults)})


def rule(text: str, defaults: str = "") -> Rule:
    found = loaded(text, defaults=defaults)
    assert [fault for fault in found.faults if fault.severity == "error"] == []
    (only,) = found.rules.rules
    return only


def simple(*lines: str) -> str:
    body = [
        "name: simple",
        "on: [{type: k8s.object, kinds: [Pod]}]",
        "when: signal.data.ready",
        *lines,
    ]
    return "    - " + "\n      ".join(body) + "\n"


def test_every_field_of_a_rule_arrives() -> None:
    found = loaded(STORM, READY)
    assert found.faults == []
    node, storm = found.rules.rules
    assert node.name == "node-not-ready"
    assert node.for_us == 15 * 60 * 10**6
    assert node.over_us == 0
    assert storm.on == (
        Selector("k8s.object", kinds=("Pod",), exclude={"namespaces": ("kube-system",)}),
    )
    assert storm.by == ("cluster", "namespace", "workload")
    assert storm.over_us == storm.keep_firing_for_us == 600 * 10**6
    (measure,) = storm.measures
    assert (measure.name, measure.fn) == ("restarts", "increase")
    assert measure.of is not None
    assert measure.of.source == "signal.data.restarts"
    assert storm.having is not None
    assert storm.having.source == "m.restarts > 5"
    assert storm.when is None
    assert storm.cooldown_us == 1800 * 10**6
    assert storm.inhibited_by == (Inhibitor("node-not-ready", ("cluster", "node")),)
    assert storm.mission is not None
    assert storm.mission.kind == "incident-response"
    assert storm.mission.params == {"symptom": "{{ m.restarts }} restarts"}
    assert storm.notify == (Notice("oncall", ("fire", "resolve")), Notice("archive"))
    assert storm.labels == {"owner": "sre@example.com", "severity": "high"}
    assert [test["name"] for test in storm.tests] == ["fires", "silent"]
    assert (storm.path, storm.line, storm.group) == ("a.yaml", 6, "workloads")
    assert storm.tests_lines == (20, 21)


def test_what_is_not_written_has_the_documented_default() -> None:
    found = rule(simple())
    assert found.by == ("cluster", "namespace", "kind", "workload")
    assert found.enabled
    assert found.settle_us == 30 * 10**6
    assert found.stale_after_us == 300 * 10**6
    assert found.max_keys == 10_000
    assert found.notify == ()
    assert found.mission is None


def test_zero_is_a_settle_of_nothing() -> None:
    assert rule(simple("settle: 0")).settle_us == 0


def test_the_window_has_a_long_form() -> None:
    text = STORM.replace("over: 10m", "over: {type: sliding, size: 10m}")
    assert rule(text).over_us == 600 * 10**6


def test_a_group_key_can_have_a_default() -> None:
    found = rule(simple("by: [cluster, {path: labels.team, default: none}]"))
    assert found.by == ("cluster", "labels.team")
    assert found.by_default == {"labels.team": "none"}


def test_defaults_of_the_group_lie_under_each_rule() -> None:
    found = rule(
        simple("cooldown: 1m", "labels: {severity: low}"),
        defaults="{cooldown: 1h, settle: 0, labels: {severity: high, team: core}}",
    )
    assert (found.cooldown_us, found.settle_us) == (60 * 10**6, 0)
    assert found.labels == {"owner": "sre@example.com", "severity": "low", "team": "core"}


def test_a_faulty_field_is_not_replaced_by_the_default_in_silence() -> None:
    found = loaded(simple("cooldown: soon"), defaults="{cooldown: 1h}")
    assert found.rules.rules == ()
    assert any("'soon' is no duration" in fault.message for fault in found.faults)


def test_a_line_break_is_no_part_of_a_name() -> None:
    (fault,) = loaded(READY.replace("node-not-ready", '"n\\n"')).faults
    assert fault.message.endswith("dots and dashes, found 'n\\n'")


def test_params_are_seen_by_expressions() -> None:
    text = simple("params: {limit: 5}").replace(
        "signal.data.ready", "signal.data.restarts > params.limit"
    )
    assert rule(text).params == {"limit": 5}


def test_a_disabled_rule_is_kept_and_checked() -> None:
    assert not rule(simple("enabled: false")).enabled


@pytest.mark.parametrize(
    "change",
    [
        ("m.restarts > 5", "m.restarts > 6"),
        ("over: 10m", "over: 11m"),
        ("fn: increase", "fn: sum"),
        ("[cluster, namespace, workload]", "[cluster, workload]"),
        ("kinds: [Pod]", "kinds: [Pod, Deployment]"),
        ("by: [cluster,", "when: signal.data.ready\n      by: [cluster,"),
    ],
)
def test_the_hash_changes_with_what_state_depends_on(change: tuple[str, str]) -> None:
    assert rule(STORM).hash != rule(STORM.replace(*change)).hash


@pytest.mark.parametrize(
    "change",
    [
        ("cooldown: 30m", "cooldown: 31m"),
        ("keep_firing_for: 10m", "for: 1h"),
        ("severity: high", "severity: low"),
        ("name: restart-storm", "name: other"),
        ("over: 10m", "over: {size: 600s}"),
        ("sink: oncall", "sink: nobody"),
    ],
)
def test_the_hash_stays_when_anything_else_changes(change: tuple[str, str]) -> None:
    assert rule(STORM).hash == rule(STORM.replace(*change)).hash


def test_a_changed_parameter_of_the_condition_changes_the_hash() -> None:
    text = simple("params: {limit: 5}").replace("signal.data.ready", "1 > params.limit")
    assert rule(text).hash != rule(text.replace("limit: 5", "limit: 6")).hash


def test_rules_come_in_order_of_name_whatever_the_order_of_files() -> None:
    one = load({"a.yaml": group(STORM), "b.yaml": group(READY)})
    other = load({"b.yaml": group(STORM), "a.yaml": group(READY)})
    assert [rule.name for rule in one.rules.rules] == ["node-not-ready", "restart-storm"]
    assert one.rules.digest == other.rules.digest != ""


def test_the_digest_changes_with_any_byte() -> None:
    assert loaded(STORM).rules.digest != loaded(STORM + "# more\n").rules.digest


def test_texts_and_bytes_are_the_same() -> None:
    text = group(STORM, READY)
    assert load({"a.yaml": text}).rules.digest == load({"a.yaml": text.encode()}).rules.digest


def test_documents_of_one_file_are_groups_of_their_own() -> None:
    found = load({"a.yaml": "---\n" + group(STORM) + "---\n---\n" + group(READY)})
    assert len(found.rules.rules) == 2


def test_all_mistakes_of_all_files_are_told_at_once_in_order_of_place() -> None:
    found = load(
        {
            "b.yaml": group(simple("colldown: 1m", "for: soon").replace("simple", "other")),
            "a.yaml": group(simple("by: [namespace]")) + "  x: 1\n",
            "c.yaml": "a: [",
        }
    )
    errors = [fault for fault in found.faults if fault.severity == "error"]
    assert errors == sorted(errors)
    assert [(fault.path, fault.code) for fault in errors] == [
        ("a.yaml", "by-cluster"),
        ("a.yaml", "unknown-field"),
        ("b.yaml", "unknown-field"),
        ("b.yaml", "duration"),
        ("c.yaml", "syntax"),
    ]


def test_a_set_with_one_error_has_no_rules() -> None:
    found = load({"good.yaml": group(STORM, READY), "bad.yaml": "kind: [\n"})
    assert found.rules.rules == ()
    assert found.rules.digest == ""


def test_warnings_leave_the_rules_in_place() -> None:
    found = loaded(simple())
    assert {fault.severity for fault in found.faults} == {"warning"}
    assert len(found.rules.rules) == 1


def test_a_name_is_unique_over_all_files() -> None:
    found = load({"a.yaml": group(READY), "b.yaml": group(READY)})
    (fault,) = found.faults
    assert str(fault) == "b.yaml:6:13 rule node-not-ready: the name is taken, a.yaml:6"


def test_an_inhibitor_may_be_in_another_file() -> None:
    assert load({"a.yaml": group(STORM), "b.yaml": group(READY)}).faults == []


def test_kinds_and_sinks_are_checked_only_when_they_are_known() -> None:
    files = {"a.yaml": group(STORM, READY)}
    assert load(files).faults == []
    found = load(files, known_kinds={}, known_sinks=set())
    assert [fault.code for fault in found.faults] == ["mission-kind", "sink", "sink"]


def test_no_files_are_no_rules_and_no_faults() -> None:
    assert load({}).rules.rules == ()
    assert load({}).faults == []


TESTS = """\
apiVersion: dogwatch.dev/v1
kind: RuleTests
spec:
  tests:
    - rule: node-not-ready
      name: a node that is away fires
      signals: []
      expect: [{at: 1m, state: firing}]
"""


def test_tests_of_a_test_file_stand_behind_those_of_the_rule() -> None:
    found = load({"nodes.yaml": group(READY), "nodes.test.yaml": TESTS})
    assert found.faults == []
    (node,) = found.rules.rules
    assert [test["name"] for test in node.tests] == [
        "fires",
        "silent",
        "a node that is away fires",
    ]
    assert node.tests_paths == ("nodes.yaml", "nodes.yaml", "nodes.test.yaml")
    assert node.tests_lines == (13, 14, 5)
    assert "rule" not in node.tests[2]


def test_a_test_of_an_unknown_rule_is_an_error_with_the_nearest_name() -> None:
    text = TESTS.replace("node-not-ready", "node-not-redy")
    (fault,) = load({"nodes.yaml": group(READY), "nodes.test.yaml": text}).faults
    assert str(fault) == (
        "nodes.test.yaml:5:13 unknown rule 'node-not-redy'; known: node-not-ready; "
        "did you mean 'node-not-ready'?"
    )


def test_a_test_without_any_rule_asks_for_the_file_of_the_rule() -> None:
    (fault,) = load({"nodes.test.yaml": TESTS}).faults
    assert fault.message == "no rule 'node-not-ready': give the file of the rule too"


def test_a_fault_in_the_defaults_is_told_once() -> None:
    other = simple().replace("simple", "other")
    found = loaded(simple(), other, defaults="{mute_during: [nights]}")
    (error,) = [str(fault) for fault in found.faults if fault.severity == "error"]
    assert error == (
        "a.yaml:5:28 rule other: unknown interval 'nights'; known: none; "
        "spec.intervals of any file names them"
    )


def test_a_test_file_counts_as_a_test_that_fires() -> None:
    bare = READY[: READY.index("      tests:")]
    silent = TESTS + "    - {rule: node-not-ready, name: calm, signals: [], expect: []}\n"
    assert {fault.code for fault in load({"nodes.yaml": group(bare)}).faults} == {"no-test"}
    assert load({"nodes.yaml": group(bare), "nodes.test.yaml": silent}).faults == []


def test_rules_and_tests_do_not_swap_their_files() -> None:
    rules = load({"a.test.yaml": group(READY)}).faults
    (found,) = [str(fault) for fault in rules if fault.line == 2]
    assert found == (
        "a.test.yaml:2:7 unknown kind 'RuleGroup'; allowed: RuleTests; "
        "rules stand in a file without .test"
    )
    tests = load({"a.yaml": TESTS}).faults
    (found,) = [str(fault) for fault in tests if fault.line == 2]
    assert found == (
        "a.yaml:2:7 unknown kind 'RuleTests'; allowed: RuleGroup; "
        "tests of their own stand in a file *.test.yaml"
    )


def test_faults_of_one_file_are_bounded() -> None:
    lines = "".join(f"  f{i}: 1\n" for i in range(2000))
    found = load({"a.yaml": group(simple()) + lines})
    assert len(found.faults) < 300
    assert any("the rest is not shown" in fault.message for fault in found.faults)


def test_a_fault_shows_neither_whole_texts_nor_control_characters() -> None:
    found = loaded(simple('labels: {severity: {}, "\\e[31m": x}', "for: " + "9" * 4000))
    assert all(fault.message.isprintable() and len(fault.message) < 400 for fault in found.faults)


def test_a_fault_names_no_kind_at_full_length() -> None:
    kinds = f"[{'P' + '*' * 300}]"
    text = simple("by: [cluster, signal.data.nothing]").replace("[Pod]", kinds)
    test = "{name: t, expect: [], signals: [{at: 1m, type: hardware, data: {kind: [GPU], x: 1}}]}"
    found = loaded(text, simple(f"tests: [{test}]").replace("simple", "other"))
    assert all(len(fault.message) < 600 for fault in found.faults)
    assert "test-data" not in {fault.code for fault in found.faults}


def test_every_field_of_a_fault_is_filled() -> None:
    (fault,) = load({"a.yaml": "x"}).faults
    assert all(getattr(fault, field.name) for field in fields(Fault))
