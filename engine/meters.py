"""What dogwatch counts about itself; the only home of prometheus_client."""

import re
from collections import Counter as Counts
from collections.abc import Iterable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry()
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def _counter(name: str, text: str, *labels: str) -> Counter:
    return Counter(f"dogwatch_{name}", text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    return Gauge(f"dogwatch_{name}", text, labels, registry=REGISTRY)


def _seconds(name: str, text: str, *labels: str) -> Histogram:
    return Histogram(f"dogwatch_{name}", text, labels, registry=REGISTRY, buckets=_FAST_S)


SIGNALS = _counter("signals", "Signals folded.", "type")
LATE = _counter("signals_late", "Signals later than the lateness allows.")
SHED = _counter("signals_shed", "Signals given up before the bus, as too many came.", "reason")
INTAKE_BYTES = _gauge("intake_bytes", "Memory of the signals that wait for the bus.")
INTAKE_REFUSED = _counter("intake_refused", "Requests answered 503, as too many signals waited.")
RECEIVER_REFUSED = _counter("receiver_refused", "Parts of posts refused.", "receiver", "reason")
LEFT = _counter("signals_left", "Signals of clusters that left: they do not count.")
DUPLICATE = _counter("signals_duplicate", "Signals that were seen before.")
RULE_FAULTS = _gauge("rule_faults", "What kept a rule from judging a signal.", "rule", "what")
QUARANTINED = _counter("signals_quarantined", "Signals that could not be read.", "reason")
RULES_LOADED = _gauge("rules_loaded", "Rules in force.")
RULES_HASH = _gauge("config_hash", "Number made of the hash of the rule files in force.")
RULES_DEGRADED = _gauge("rules_degraded", "Clusters in which a rule fails again and again.", "rule")
RELOAD_OK = _gauge("config_last_reload_successful", "1 when the last rule files were good.")
POLICY_IN_FORCE = _gauge("policy_in_force", "1 while a policy is in force: else nothing changes.")
POLICY_OK = _gauge("policy_last_reload_successful", "1 when the last policy file was good.")
POLICY_REFUSED = _counter("policy_refused", "Policy files refused; the one before stayed in force.")
OIDC_OK = _gauge("oidc_last_keys_successful", "1 when the issuer's keys could be read last.")
FIRINGS = _counter("firings", "Episodes opened.", "rule")
FIRINGS_ACTIVE = _gauge("firings_active", "Episodes open now.")
RULE_HELD_BACK = _gauge(
    "rule_held_back", "Missions and reminders held back, since the start.", "rule", "reason"
)
SUPPRESSED = _counter("firings_suppressed", "Firings held back.", "reason")
SIGNAL_TO_FIRING = _seconds("signal_to_firing_seconds", "From what decided to its firing stored.")
SIGNAL_TO_MISSION = _seconds("signal_to_mission_seconds", "From a firing's start to its mission's.")
MISSIONS_QUEUED = _gauge("missions_queued", "Missions waiting for a worker; NaN: unknown.")
MISSIONS_STARTED = _counter("missions_started", "Missions begun.", "kind")
MISSIONS_FINISHED = _counter("missions_finished", "Missions ended.", "kind", "outcome")
MISSION_SECONDS = _seconds("mission_duration_seconds", "Wall time of a mission.", "kind")
MODEL_REQUESTS = _counter("model_requests", "Questions to the model.", "outcome")
MODEL_TOKENS = _counter("model_tokens", "Tokens that the model took and gave.")
CHANGES = _counter("changes", "Moves of changes, by the state they came to.", "state")
APPROVALS_PENDING = _gauge("approvals_pending", "Changes that wait for a decision.")
APPROVAL_WAIT = _seconds("approval_wait_seconds", "From asking for a decision to the decision.")
BREAKER = _gauge("breaker_state", "1 while failed changes hold back others, 0 otherwise.")
FROZEN = _gauge("frozen", "1 while a freeze stops changes somewhere, 0 otherwise.")
DELIVERIES = _counter("deliveries", "Delivery attempts.", "sink", "outcome")
OUTBOX_PENDING = _gauge("outbox_pending", "Deliveries waiting.", "sink")
OUTBOX_OLDEST = _gauge("outbox_oldest_seconds", "Age of the oldest waiting delivery.", "sink")
STALENESS = _gauge(
    "watch_staleness_seconds",
    "Since a cluster was last seen fresh, or first looked for.",
    "cluster",
)
REACHABLE = _gauge("cluster_reachable", "1 while a cluster answers.", "cluster")
DISCOVERED = _gauge("clusters_discovered", "Clusters that a source showed at last.", "source")
UNREAD = _gauge("sources_unread", "Sources of a cluster that cannot be read now.", "cluster")
RELISTS = _counter("watch_relists", "Complete lists asked for.", "cluster", "reason")
NODE_REPORTS = _counter("node_reports", "Reports of a node agent, by what became of it.", "outcome")
NODE_UNREAD = _gauge("node_unread", "Files that the last look at the node could not read.")
STORE_SECONDS = _seconds("store_write_seconds", "One commit of the store.")
LAG = _gauge("eventloop_lag_seconds", "How late the event loop turned.")
HEARTBEAT = _gauge("heartbeat_timestamp_seconds", "When the event loop turned last.")
CONSUMER_LAG = _gauge(
    "consumer_lag_seconds", "Since when the oldest signal that is not folded is on the bus."
)
BUS_LAG = _gauge("consumer_lag_records", "Records on the bus not folded yet.")
BUILD = _gauge("build_info", "1, labelled with the version.", "version")


_COUNTED = re.compile(r'(\w+)(?:\{rule="([^"]*)"(?:,reason="([^"]*)")?\})?')


_followed: dict[int, int] = {}


def follow(counter: Counter, count: int) -> None:
    """Let `counter` grow as `count` does, which is counted elsewhere; one that fell began anew."""
    counter.inc(max(0, count - _followed.get(id(counter), 0)))
    _followed[id(counter)] = count


def in_force(rules: int, digest: str) -> None:
    """Say how many rules are in force, and which: as many bits of the hash as a number holds."""
    RULES_LOADED.set(rules)
    RULES_HASH.set(int(digest[:13] or "0", 16))


def degraded(rules: Iterable[str]) -> None:
    """Say which rules cannot judge: one name for each cluster."""
    RULES_DEGRADED.clear()
    for rule, clusters in Counts(rules).items():
        RULES_DEGRADED.labels(rule).set(clusters)


def stream(counters: Mapping[str, int]) -> None:
    """Take over what the evaluator counted: `late`, `duplicate`, `errors{rule="..."}` ..."""
    for name, count in counters.items():
        found = _COUNTED.fullmatch(name)
        if found is None:
            continue
        if found[3] is not None:
            RULE_HELD_BACK.labels(found[2], found[3]).set(count)
        elif found[2] is not None:
            RULE_FAULTS.labels(found[2], found[1]).set(count)
        elif found[1] == "late":
            follow(LATE, count)
        elif found[1] == "duplicate":
            follow(DUPLICATE, count)
        elif found[1] == "left":
            follow(LEFT, count)


def exposition() -> bytes:
    """Return all series in the Prometheus text format."""
    return generate_latest(REGISTRY)
