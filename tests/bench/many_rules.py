"""Rule files of any number of rules, of mixed shapes, of which few meet the traffic.

Eight general rules look at the traffic of tests.bench.traffic: a tenth of the metrics and the
objects. Each other rule is one team's: it names what no signal has, each shape another way.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

FILE = 50
"""Rules of one file."""


def rule_files(count: int) -> dict[str, bytes]:
    """Return files of `count` rules in all, by path."""
    made = [_rule(fields) for fields in _listed(count)]
    return {
        f"bench-{start // FILE}.yaml": _file(start // FILE, made[start : start + FILE])
        for start in range(0, count, FILE)
    }


def general() -> list[dict[str, Any]]:
    """Return the rules that meet signals: thresholds, holds, windows, counters."""
    pods = {"on": [{"type": "k8s.object", "kinds": ["Pod"]}]}
    return [
        {"name": "hot", **_metric("m_00"), "when": "signal.value > 98.0", "for": "5m"},
        {"name": "mean", **_metric("m_10"), **_window("avg", "5m", "m.n > 99.0")},
        {"name": "rate", **_metric("m_20"), **_window("increase", "5m", "m.n > 9e9")},
        {"name": "peak", **_metric("m_30"), **_window("max", "1m", "m.n > 100.0")},
        {
            "name": "storm",
            **pods,
            "over": "10m",
            "measure": {"n": {"fn": "increase", "of": "signal.data.restarts"}},
            "having": "m.n > 5",
        },
        {"name": "not-ready", **pods, "when": "!signal.data.ready", "for": "5m"},
        {
            "name": "back-off",
            "on": [{"type": "k8s.event", "reasons": ["BackOff"]}],
            "over": "10m",
            "measure": {"n": {"fn": "count"}},
            "having": "m.n > 50",
        },
        {
            "name": "rollout",
            "on": [{"type": "k8s.object", "kinds": ["Deployment"]}],
            "when": "signal.data.available < signal.data.desired",
            "for": "15m",
        },
    ]


def _listed(count: int) -> Iterator[dict[str, Any]]:
    first = general()
    yield from first[:count]
    for number in range(count - len(first)):
        yield {"name": f"team-{number}", **_narrow(number)}


def _narrow(number: int) -> dict[str, Any]:
    """Return what one team's rule looks at: one of eight shapes."""
    pods = {"type": "k8s.object", "kinds": ["Pod"]}
    counted = {"over": "5m", "measure": {"n": {"fn": "count"}}, "having": "m.n > 5"}
    shapes: tuple[dict[str, Any], ...] = (
        {**_metric(f"own_{number}"), **_window("avg", "5m", "m.n > 90.0")},
        {"on": [{**pods, "namespaces": [f"own-{number}"]}], "when": "!signal.data.ready"},
        {"on": [{"type": "k8s.event", "reasons": [f"Own{number}"]}], **counted},
        {
            "on": [pods],
            "when": f'signal.workload == "own-{number}" && !signal.data.ready',
            "for": "5m",
        },
        {"on": [pods], "when": f'signal.name.startsWith("own-{number}-") && !signal.data.ready'},
        {"on": [{**pods, "labels": f"app=own-{number}"}], "when": "signal.data.restarts > 9"},
        {
            **_metric(f"own_{number}_*"),
            **_window("increase", "10m", "m.n > 5.0"),
        },
        {
            "on": [{"type": "k8s.object", "kinds": ["Deployment"], "clusters": [f"c-{number}x"]}],
            "when": "signal.data.available < signal.data.desired",
            "for": "15m",
        },
    )
    return shapes[number % len(shapes)]


def _metric(name: str) -> dict[str, Any]:
    return {"on": [{"type": "metric", "metrics": [name]}], "by": ["cluster", "labels.node"]}


def _window(fn: str, over: str, having: str) -> dict[str, Any]:
    return {"over": over, "measure": {"n": {"fn": fn, "of": "signal.value"}}, "having": having}


def _rule(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "by": ["cluster", "namespace", "workload"],
        "cooldown": "30m",
        "labels": {"severity": "low"},
        **fields,
    }


def _file(number: int, rules: list[dict[str, Any]]) -> bytes:
    content = {
        "apiVersion": "dogwatch.dev/v1",
        "kind": "RuleGroup",
        "metadata": {"name": f"bench-{number}", "owner": "bench"},
        "spec": {"rules": rules},
    }
    return msgspec.yaml.encode(content)
