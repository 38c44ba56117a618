"""The shipped rules fire of what the watcher of metrics tells, and of nothing less."""

from pathlib import Path

import pytest

from engine.model.firing import State
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator
from tests.watchers.a_cluster_with_use import Told, Value, a_cluster, a_pod, watched

ROOT = Path(__file__).parents[2]
FILES = {path.name: path.read_bytes() for path in (ROOT / "rules").glob("*.yaml")}
RULES = load(FILES).rules
N1 = {"instance": "10.0.0.1:9100", "job": "node"}
WEB = {"namespace": "shop", "pod": "web-1"}
MODEL = {**WEB, "model_name": "llama"}
WASTEFUL = [a_pod(f"web-{n}", cpu="1", memory="64Mi") for n in range(4)]


def fired(told: list[Signal]) -> dict[str, dict[str, str]]:
    """Return the keys of the rules that fire on `told`, by rule."""
    names = {signal.data.get("metric") for signal in told}
    wanted = [r for r in RULES.rules if {m for on in r.on for m in on.metrics} & names]
    evaluator = Evaluator(RuleSet(tuple(wanted), RULES.digest))
    found = [one for signal in told for one in evaluator.step([signal]).transitions]
    return {one.rule: dict(one.key) for one in found if one.state is State.FIRING}


def buckets(*rates: float) -> list[Value]:
    ends = ("1", "10", "20", "+Inf")
    return [({**MODEL, "le": end}, rate) for end, rate in zip(ends, rates, strict=True)]


@pytest.mark.parametrize(
    ("minutes", "answers", "rule", "key"),
    [
        (
            17,
            {"node_memory": [(N1, 0.9)], "node_cpu": [(N1, 0.8)]},
            "node-pressure",
            {"labels.node": "n1", "signal.data.metric": "node_memory_used_ratio"},
        ),
        (
            12,
            {"time_to": buckets(0, 0, 9, 9)},
            "llm-latency",
            {"labels.namespace": "shop", "labels.workload": "web", "labels.model": "llama"},
        ),
        (
            12,
            {"kv_cache": [(MODEL, 0.95)]},
            "llm-kv-cache",
            {"labels.namespace": "shop", "labels.workload": "web", "labels.model": "llama"},
        ),
        (
            33,
            {"container_cpu": [(WEB, 0.9)]},
            "scale-needed-cpu",
            {"labels.namespace": "shop", "labels.workload": "web"},
        ),
    ],
)
def test_a_shipped_rule_fires_of_what_is_told_long_enough(
    minutes: int, answers: dict[str, list[Value]], rule: str, key: dict[str, str]
) -> None:
    source = a_cluster(a_pod("web-1", cpu="1", memory="1Gi"))
    told = watched(source, minutes * 60, metrics=Told(answers), usage="prometheus", every_s=30)
    found = fired(told)
    assert found == {rule: {**key, "cluster": "west"}}


def test_use_below_every_limit_fires_nothing() -> None:
    answers: dict[str, list[Value]] = {
        "node_": [(N1, 0.84)],
        "time_to": buckets(9, 9, 9, 9),
        "kv_cache": [(MODEL, 0.9)],
        "container_": [(WEB, 0.7)],
    }
    source = a_cluster(a_pod("web-1", cpu="1", memory="1Gi"))
    told = watched(source, 40 * 60, metrics=Told(answers), usage="prometheus", every_s=30)
    assert len(told) > 400
    assert fired(told) == {}


def test_a_gap_ends_a_hold_instead_of_filling_it() -> None:
    metrics = Told({"node_memory": [(N1, 0.9)]})
    source = a_cluster(a_pod("web-1"))
    told = watched(source, 28 * 60, metrics=metrics, usage="prometheus", every_s=30)
    start = min(one.time for one in told)
    gap = [
        one
        for one in told
        if one.type != "metric" or not 300 <= (one.time - start).total_seconds() < 960
    ]
    assert "node-pressure" in fired(told)
    assert fired(gap) == {}


@pytest.mark.parametrize(("use", "fires"), [(0.2, True), (0.4, False)])
def test_pods_that_request_too_much_are_told_on_monday_of_own_history_alone(
    use: float, *, fires: bool
) -> None:
    answers = [({"namespace": "shop", "pod": f"web-{n}"}, use) for n in range(4)]
    metrics = Told({"container_cpu": answers})
    source = a_cluster(*WASTEFUL)
    told = watched(source, 43 * 3600, metrics=metrics, usage="prometheus", every_s=1800)
    assert ("over-requested" in fired(told)) == fires
