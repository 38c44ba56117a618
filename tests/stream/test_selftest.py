"""The `tests` of rules: notation, verdicts, and texts for a person."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from engine.model.instant import to_us
from engine.rules.load import load
from engine.rules.rule import Rule, Schedule, Selector
from engine.stream import selftest, verdicts
from engine.stream.notation import EPOCH_US, instants, signals
from engine.stream.selftest import Result
from tests.stream.building import a_measure, a_rule, a_set

RESTARTS = {
    "at": "0s..9m/90s",
    "type": "k8s.object",
    "data": {"kind": "Pod", "name": "web-1", "owner": "web", "restarts": "0+1"},
}


def storm(**fields: Any) -> Rule:
    """Return the example of the rule language."""
    return a_rule(
        "restart-storm",
        selectors=(Selector("k8s.object", kinds=("Pod",)),),
        over="10m",
        measure=a_measure("increase", "signal.data.restarts"),
        having="m.n > 5",
        keep_firing_for="10m",
        mission={"symptom": "{{ m.n }} restarts in 10 minutes"},
        **fields,
    )


def verdict(*expect: dict[str, Any], seen: tuple[dict[str, Any], ...] = (RESTARTS,)) -> Result:
    test = {"name": "t", "signals": list(seen), "expect": list(expect)}
    (result,) = selftest.run(a_set(storm(tests=(test,))))
    return result


def test_the_example_of_the_language_passes() -> None:
    result = verdict({"at": "10m", "key": {"workload": "web"}, "state": "firing", "missions": 1})
    assert result.passed, verdicts.to_text([result])


@pytest.mark.parametrize(
    "expected",
    [
        {"at": "10m", "state": "inactive"},
        {"at": "10m", "state": "pending"},
        {"at": "10m", "state": "firing", "missions": 0},
        {"at": "10m", "state": "firing", "key": {"workload": "other"}},
        {"at": "10m", "state": "firing", "value": {"n": 7}},
        {"at": "8m", "state": "firing"},
        {"at": "60m", "state": "firing"},
    ],
)
def test_what_is_not_so_fails(expected: dict[str, Any]) -> None:
    assert not verdict(expected).passed


@pytest.mark.parametrize(
    "expected",
    [
        {"at": "8m", "state": "inactive"},
        {"at": "9m", "state": "firing", "missions": 0},
        {"at": "9m30s", "state": "firing", "missions": 1, "value": {"n": 6}},
        {"at": "60m", "state": "resolved", "missions": 1},
        {"at": "60m", "state": "inactive"},
    ],
)
def test_what_is_so_passes(expected: dict[str, Any]) -> None:
    assert verdict(expected).passed


def test_to_expect_nothing_is_to_expect_that_nothing_fires() -> None:
    assert not verdict().passed
    assert verdict(seen=({**RESTARTS, "at": "0s..7m30s/90s"},)).passed


def test_a_rule_is_tested_with_its_inhibitor() -> None:
    node = {"at": "0s", "type": "k8s.object", "data": {"kind": "Node", "name": "n1", "node": "n1"}}
    pod = {**RESTARTS, "data": {**RESTARTS["data"], "node": "n1"}}  # type: ignore[dict-item]
    expect = [{"at": "10m", "state": "suppressed", "missions": 0}]
    test = {"name": "t", "signals": [node, pod], "expect": expect}
    inhibitor = a_rule(
        "down", selectors=(Selector("k8s.object", kinds=("Node",)),), by=("cluster", "node")
    )
    rule = storm(tests=(test,), inhibited_by=[("down", ("cluster", "node"))])
    (result,) = selftest.run(a_set(rule, inhibitor))
    assert result.passed, verdicts.to_text([result])


def test_a_failure_shows_both_sides_and_what_happened() -> None:
    text = verdicts.to_text([verdict({"at": "10m", "state": "inactive", "missions": 0})])
    assert "FAIL restart-storm: t" in text
    assert "at  expected              actual\n" in text
    assert "10m  inactive, 0 missions  firing {cluster=test" in text
    assert "9m firing" in text
    assert "1 tests, 1 failed" in text


def test_a_failure_says_why_with_the_gates_of_the_key_at_that_instant() -> None:
    result = verdict({"at": "3m", "key": {"workload": "web"}, "state": "firing"})
    (outcome,) = result.outcomes
    assert outcome.why[0] == "cluster=test,namespace=default,workload=web is inactive"
    assert any("2 > 5  false" in line for line in outcome.why)
    assert "why at 3m:" in verdicts.to_text([result])


def test_a_failure_over_a_key_that_never_came_names_those_that_did() -> None:
    (outcome,) = verdict({"at": "3m", "key": {"workload": "wbe"}, "state": "firing"}).outcomes
    assert outcome.why == (
        (
            "no signal of the rule has such a key; "
            "there is cluster=test,namespace=default,workload=web"
        ),
    )


def test_only_the_tests_that_are_asked_for_run() -> None:
    tests: Any = [{"name": name, "signals": [], "expect": []} for name in ("one", "Two")]
    results = selftest.run(a_set(storm(tests=tuple(tests))), "storm: two")
    assert [one.name for one in results] == ["Two"]


def test_results_are_there_as_junit_xml_for_build_servers() -> None:
    good = {"name": "<good>", "signals": [], "expect": []}
    bad = {"name": "bad", "signals": [], "expect": [{"at": "1m", "state": "firing"}]}
    tree = fromstring(verdicts.to_junit(selftest.run(a_set(storm(tests=(good, bad))))))
    assert (tree.get("tests"), tree.get("failures")) == ("2", "1")
    cases = {one.get("name"): one.find("failure") for one in tree.iter("testcase")}
    assert cases["<good>"] is None
    failure = cases["bad"]
    assert failure is not None
    assert failure.get("message") == "expected firing, was inactive"


def test_a_failure_points_at_the_line_of_its_test() -> None:
    path = Path(__file__).parents[2] / "rules" / "workloads.yaml"
    text = path.read_text().replace("state: firing", "state: pending")
    failed = [one for one in selftest.run(load({"w.yaml": text}).rules) if not one.passed]
    assert failed
    for one in failed:
        assert f"name: {one.name}" in text.splitlines()[one.line - 1]
        assert f"at w.yaml:{one.line}\n" in verdicts.to_text([one])


def test_a_failure_of_a_test_file_points_at_that_file() -> None:
    path = Path(__file__).parents[2] / "rules" / "workloads.yaml"
    tests = """\
apiVersion: dogwatch.dev/v1
kind: RuleTests
spec:
  tests:
    - {rule: restart-storm, name: wrong, signals: [], expect: [{at: 1m, state: firing}]}
"""
    files: dict[str, str | bytes] = {"w.yaml": path.read_text(), "w.test.yaml": tests}
    results = selftest.run(load(files).rules)
    (failed,) = [one for one in results if not one.passed]
    assert (failed.path, failed.line) == ("w.test.yaml", 5)


def test_what_cannot_be_read_is_an_error_of_that_test_alone() -> None:
    bad = {"name": "bad", "signals": [{**RESTARTS, "at": "soon"}], "expect": []}
    good = {"name": "good", "signals": [], "expect": []}
    first, second = selftest.run(a_set(storm(tests=(bad, good))))
    assert "'soon' is no duration" in first.error
    assert not first.passed
    assert second.passed
    assert verdicts.to_json(first)["error"] == first.error


def test_ranges_include_both_ends() -> None:
    assert [(at - EPOCH_US) // 1_000_000 for at in instants("0s..9m/90s")] == list(
        range(0, 541, 90)
    )
    assert instants("90s") == [EPOCH_US + 90_000_000]


@pytest.mark.parametrize("text", ["0s..9m/0s", "9m..0s/1s", "0s..3650d/1ms", "", "0s..9m"])
def test_a_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        instants(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0+1", [0, 1, 2, 3]),
        ("10-2.5", [10.0, 7.5, 5.0, 2.5]),
        ("-1+1x2", [-1, 0, 1, 1]),
        ([5, 6, 7, 8], [5, 6, 7, 8]),
        (["a"], [["a"]] * 4),
        ("n-1", ["n-1"] * 4),
        ({"a": "0+1"}, [{"a": 0}, {"a": 1}, {"a": 2}, {"a": 3}]),
    ],
)
def test_values_run_along_a_range(value: Any, expected: list[Any]) -> None:
    made = signals([{"at": "0s..3s/1s", "type": "metric", "data": {"value": value}}])
    assert [one.data["value"] for one in made] == expected


def test_what_a_test_leaves_out_is_given() -> None:
    first, second = signals([{**RESTARTS, "at": "0s..1s/1s"}])
    assert first.data["workload"] == "web"
    assert first.data["namespace"] == "default"
    assert (first.data["change"], second.data["change"]) == ("added", "modified")
    assert first.id != second.id
    assert first.cluster == "test"


def test_signals_are_in_order_of_time() -> None:
    made = signals([{"at": "5s", "type": "alert"}, {"at": "0s..9s/3s", "type": "alert"}])
    assert [(to_us(one.time) - EPOCH_US) // 1_000_000 for one in made] == [0, 3, 5, 6, 9]


def second(name: str = "watch", **fields: Any) -> Rule:
    """Return a rule of the second stage that fires while `down` does somewhere."""
    when = 'signal.data.rule == "down" && !signal.data.shadow'
    return a_rule(name, on="condition", when=when, by=("cluster",), **fields)


def test_a_rule_of_the_second_stage_is_tested_with_conditions_of_no_cluster() -> None:
    test = {
        "name": "t",
        "signals": [
            {"at": "0s", "type": "condition", "cluster": "eu", "data": {"rule": "down"}},
            {
                "at": "5m",
                "type": "condition",
                "data": {"rule": "down", "cluster": "eu", "state": "resolved"},
            },
        ],
        "expect": [
            {"at": "1m", "key": {"cluster": "eu"}, "state": "firing"},
            {"at": "6m", "key": {"cluster": "eu"}, "state": "resolved"},
        ],
    }
    (result,) = selftest.run(a_set(second(tests=(test,))))
    assert result.passed, verdicts.to_text([result])


def test_or_with_what_the_rules_it_names_look_at() -> None:
    bad = {"at": "0s", "type": "k8s.object", "cluster": "eu", "data": {"kind": "Pod", "bad": True}}
    test = {"name": "t", "signals": [bad], "expect": [{"at": "1m", "state": "firing"}]}
    down = a_rule("down", when="signal.data.bad", enabled=False)
    other = a_rule("other", when="signal.data.bad")
    (result,) = selftest.run(a_set(second(tests=(test,)), down, other))
    assert result.passed, verdicts.to_text([result])
    assert not any("other" in line for line in result.history)


def test_time_of_a_test_drives_schedules() -> None:
    looks = [
        {"at": "5h59m", "state": "inactive"},
        {"at": "6h", "state": "firing", "missions": 0},
        {"at": "1d6h", "state": "firing", "missions": 1},
    ]
    alone = a_rule(
        "alone",
        on="clock",
        by=(),
        schedule=Schedule("0 6 * * *"),
        mission={},
        tests=({"name": "t", "expect": looks},),
    )
    pods = {"at": "0s..2d/1d", "type": "k8s.object", "data": {"kind": "Pod", "name": "web"}}
    every = a_rule(
        "every",
        when="true",
        schedule=Schedule("0 6 * * *"),
        mission={},
        tests=({"name": "t", "signals": [pods], "expect": looks},),
    )
    results = selftest.run(a_set(alone, every))
    assert all(one.passed for one in results), verdicts.to_text(results)


def test_what_a_signal_of_the_second_stage_lacks_is_added() -> None:
    (condition,) = signals({"at": "0s", "type": "condition", "data": {"rule": "r", "cluster": "c"}})
    assert condition.cluster == ""
    assert condition.data["state"] == "firing"
    assert condition.data["firing"] == "r/c/////"
    (failing,) = signals({"at": "0s", "type": "condition", "data": {"state": "degraded"}})
    assert "firing" not in failing.data
    (joined,) = signals({"at": "0s", "type": "cluster", "cluster": "eu"})
    assert joined.data == {"cluster": "eu", "change": "joined"}
