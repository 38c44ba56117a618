"""The shipped rules are those of the specification: clean, quiet, documented and tested."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.mission_kinds import MISSION_KINDS
from engine.model.schema_metrics import METRICS
from engine.model.signal import HEARTBEAT, Signal
from engine.rules.load import load
from engine.rules.rule import Rule, RuleSet
from engine.stream import selftest, verdicts
from engine.stream.evaluator import Evaluator
from engine.stream.notation import EPOCH_US, signals
from tests.readme import fresh_rules
from tests.rules.quiet_day import CLUSTER, CREATED, a_quiet_day, an_empty_cluster
from watchers.registry import kinds

ROOT = Path(__file__).parents[2]
FILES = {str(path.relative_to(ROOT)): path.read_bytes() for path in (ROOT / "rules").glob("*.yaml")}
LOADED = load(FILES)
RULES = LOADED.rules.rules
README = (ROOT / "rules" / "README.md").read_text(encoding="utf-8")
TOLD_ALWAYS = {"cluster-joined", "daily-secret-rotation"}
"""What is told on every first day of any cluster, by definition."""
SCALER: Final = {"kind": "HorizontalPodAutoscaler", "minReplicas": 2, "maxReplicas": 8}
TABLE: Final[Mapping[str, str | None]] = {
    "restart-storm": "incident-response",
    "crashloop-many": "incident-response",
    "replicas-unavailable": "incident-response",
    "app-degraded": "app-correlate",
    "node-not-ready": "incident-response",
    "node-flapping": "incident-response",
    "cluster-unhealthy": "incident-response",
    "cluster-unreachable": "incident-response",
    "node-pressure": "capacity-plan",
    "over-requested": "capacity-plan",
    "containers-without-limits": "capacity-plan",
    "scale-needed": "capacity-plan",
    "scale-needed-cpu": "capacity-plan",
    "critical-security-findings": "security-harden",
    "critical-security-finding-new": "security-harden",
    "orphaned-volume": "cost-optimize",
    "idle-gpu-node": "cost-optimize",
    "gpu-underused": "gpu-optimize",
    "gpu-underused-pod": "gpu-optimize",
    "gpu-fatal-error": "maintenance-plan",
    "device-lost": "maintenance-plan",
    "gpu-temperature": "maintenance-plan",
    "nic-errors": "maintenance-plan",
    "infiniband-down": "maintenance-plan",
    "infiniband-errors": "maintenance-plan",
    "nvme-wear": "maintenance-plan",
    "certificate-expiring": "secret-rotation",
    "certificate-expiring-soon": "secret-rotation",
    "secret-stale": "secret-rotation",
    "drift-detected": "drift-reconcile",
    "deprecated-api-used": "upgrade-analyze",
    "version-skew": "upgrade-analyze",
    "namespace-without-netpol": "netpol-generate",
    "single-replica-critical": "chaos-probe",
    "broad-binding": "rbac-audit",
    "llm-latency": "llmd-profile",
    "llm-kv-cache": "llmd-profile",
    "disk-filling": "maintenance-plan",
    "volume-filling": "maintenance-plan",
    "pod-crash-predicted": "incident-response",
    "node-pressure-predicted": "capacity-plan",
    "gpu-exhaustion-predicted": "capacity-plan",
    "anomaly": None,
    "namespace-stale": "namespace-cleanup",
    "cluster-joined": "cluster-onboard",
    "cluster-recreated": "cluster-onboard",
    "cluster-left": None,
    "cluster-renamed": None,
    "incident-closed": "post-mortem",
    "security-harden-then-compliance-audit": "compliance-audit",
    "security-harden-then-rbac-audit": "rbac-audit",
    "upgrade-analyze-then-maintenance-plan": "maintenance-plan",
    "capacity-plan-then-cost-optimize": "cost-optimize",
    "cluster-onboard-then-security-harden": "security-harden",
    "secret-rotation-then-maintenance-plan": "maintenance-plan",
    "chaos-probe-then-capacity-plan": "capacity-plan",
    "app-correlate-then-incident-response": "incident-response",
    "llmd-profile-then-gpu-optimize": "gpu-optimize",
    "rbac-audit-then-compliance-audit": "compliance-audit",
    "weekly-capacity-plan": "capacity-plan",
    "weekly-cost-optimize": "cost-optimize",
    "weekly-namespace-cleanup": "namespace-cleanup",
    "weekly-maintenance-plan": "maintenance-plan",
    "monthly-compliance-audit": "compliance-audit",
    "monthly-rbac-audit": "rbac-audit",
    "daily-secret-rotation": "secret-rotation",
    "node-explains-pods": None,
    "deploy-then-degrade": "incident-response",
    "log-gap": None,
    "watcher-down": None,
    "watcher-blind": None,
    "source-down": None,
    "endpoint-down": None,
    "rule-degraded": None,
    "lag-high": None,
    "sink-failing": None,
}
"""Each rule that the specification names, with the kind of its mission."""
CHAINS = [rule for rule in RULES if rule.group == "chains"]
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


@pytest.mark.parametrize("name", TABLE)
def test_the_rule_is_there_with_its_mission(name: str) -> None:
    rule = next(rule for rule in RULES if rule.name == name)
    assert (rule.mission.kind if rule.mission else None) == TABLE[name]


def test_the_readme_has_the_table_of_the_rules() -> None:
    assert fresh_rules() == README, "write it anew by: python -m tests.readme"


@pytest.mark.parametrize(
    "result", selftest.run(LOADED.rules), ids=lambda result: f"{result.rule}: {result.name}"
)
def test_what_a_rule_promises_holds(result: selftest.Result) -> None:
    assert result.passed, verdicts.to_text([result])


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
def test_a_rule_over_missions_or_a_schedule_changes_nothing(rule: Rule) -> None:
    chained = any(one.type == "mission" for one in rule.on)
    if rule.mission is not None and (chained or rule.schedule is not None):
        assert rule.mission.mode == "report"
    if rule.mission is not None and rule.group == "schedules":
        assert rule.mission.targets == {"all": True}


@pytest.mark.parametrize("rule", CHAINS, ids=lambda rule: rule.name)
def test_a_chain_is_followed_once_a_day_in_a_cluster_unless_it_is_about_an_incident(
    rule: Rule,
) -> None:
    (offer,) = [test for test in rule.tests if test["name"].startswith("one that offers it")]
    first = offer["signals"][0]
    later = {**first, "at": "10m", "data": {**first["data"], "mission": "m9"}}
    other = {**later, "data": {**later["data"], "mission": "m8", "cluster": "us"}}
    found = Evaluator(RuleSet((rule,)))
    launched = found.step(signals([first, later, other])).launches
    launched += found.advance(EPOCH_US + 3600 * 10**6).launches
    names = {one.key["signal.data.mission"] for one in launched}
    again = {"m9"} if rule.name == "app-correlate-then-incident-response" else set()
    assert names == {"m1", "m8"} | again


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
    assert fired(a_quiet_day()) <= TOLD_ALWAYS


def test_a_quiet_day_shows_something_to_every_kind_of_rule() -> None:
    seen = {signal.type for signal in a_quiet_day()}
    made = {"condition", "cluster"}
    assert {selector.type for rule in RULES for selector in rule.on} <= seen | made


def test_nothing_fires_in_an_empty_cluster() -> None:
    assert fired(an_empty_cluster()) <= TOLD_ALWAYS


@pytest.mark.parametrize(
    ("rule", "trouble"),
    [
        ("node-not-ready", {"kind": "Node", "name": "n3", "node": "n3", "ready": False}),
        ("scale-needed", {**SCALER, "atMax": True}),
        ("replicas-unavailable", {"kind": "Deployment", "desired": 3, "available": 2}),
    ],
)
def test_trouble_on_a_quiet_day_is_told(rule: str, trouble: Mapping[str, Any]) -> None:
    entry = {"at": "8d13h", "type": "k8s.object", "cluster": CLUSTER, "data": trouble}
    log = sorted([*a_quiet_day(), *signals(entry)], key=lambda signal: signal.time)
    assert fired(log) - TOLD_ALWAYS == {rule}


def test_a_cluster_that_is_cut_off_is_told_although_its_time_stands_still() -> None:
    source = {"source": "watchers/objects/eu", "cluster": "eu"}
    unread = {"watcher": "objects", "state": "unread", "reason": "unreachable"}
    log = signals(
        [
            {"at": "0s..1m/5s", "type": HEARTBEAT, **source},
            {"at": "61s", "type": "watcher", **source, "data": unread},
            {"at": "5s..10m/5s", "type": "clock"},
        ]
    )
    assert fired(log) == {"cluster-joined", "cluster-unreachable", "watcher-down"}


@pytest.mark.parametrize(
    ("watcher", "resource", "reason"),
    [
        ("metrics", "prometheus", "unreachable"),
        ("metrics", "nodes.metrics.k8s.io", "unavailable"),
        ("drift", "git/shop", "malformed"),
        ("certificates", "kubeconfigs", "not-found"),
    ],
)
def test_a_source_beside_the_cluster_that_is_away_is_told_by_its_name_and_as_nothing_else(
    watcher: str, resource: str, reason: str
) -> None:
    source = {"source": f"watchers/{watcher}/eu", "cluster": "eu"}
    unread = {"watcher": watcher, "resource": resource, "state": "unread", "reason": reason}
    log = signals(
        [
            {"at": "0s..10m/5s", "type": HEARTBEAT, "source": "watchers/objects/eu"},
            {"at": "61s", "type": "watcher", **source, "subject": resource, "data": unread},
            {"at": "5s..10m/5s", "type": "clock"},
        ]
    )
    assert fired(log) == {"cluster-joined", "source-down"}


def test_of_the_sources_those_that_the_configuration_names_are_missed() -> None:
    (rule,) = [rule for rule in RULES if rule.name == "source-down"]
    sources = [one for kind in kinds().values() for one in kind.sources]
    beside = {one.name for one in sources if one.setting and not one.verbs}
    assert set(rule.params["beside"]) == beside - {"git", "signals"}


def test_what_is_away_with_the_api_of_its_cluster_is_told_once() -> None:
    beats = {"at": "0s..10m/5s", "type": HEARTBEAT, "source": "watchers/metrics/eu"}
    entries: list[Mapping[str, Any]] = [beats]
    for watcher, resource in (("objects", "pods"), ("versions", "/version"), ("devices", "nodes")):
        data = {"watcher": watcher, "resource": resource, "state": "unread"}
        source = {"source": f"watchers/{watcher}/eu", "subject": resource}
        told = {"at": "61s", "type": "watcher", **source, "cluster": "eu"}
        entries.append({**told, "data": {**data, "reason": "unreachable"}})
    log = signals([*entries, {"at": "5s..10m/5s", "type": "clock"}])
    assert fired(log) - {"cluster-joined"} == {"cluster-unreachable"}


def test_a_watcher_that_falls_silent_is_told_by_the_clock() -> None:
    log = signals(
        [
            {"at": "0s..1m/5s", "type": HEARTBEAT, "source": "watchers/objects/eu"},
            {"at": "0s..10m/5s", "type": HEARTBEAT, "source": "watchers/events/eu"},
            {"at": "5s..10m/5s", "type": "clock"},
        ]
    )
    assert fired(log) == {"cluster-joined", "watcher-down"}


def test_a_workload_that_gets_worse_in_two_clusters_is_one_matter() -> None:
    made = {"metadata": {"creationTimestamp": CREATED}}
    worse = {"kind": "Deployment", "name": "web", "desired": 3, "available": [3, 1], "object": made}
    at = {"eu": "0s..60s/60s", "us": "3m..4m/60s"}
    entries: list[Mapping[str, Any]] = [
        entry
        for cluster in at
        for entry in (
            {"at": at[cluster], "type": "k8s.object", "cluster": cluster, "data": worse},
            {"at": "6m", "type": HEARTBEAT, "cluster": cluster},
        )
    ]
    assert fired(signals(entries)) == {"cluster-joined", "app-degraded"}
