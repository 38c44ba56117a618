"""One contest: the same series under Prometheus' rules, and under ours as they are imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.prometheus.annotations import MISSING
from engine.rules.prometheus.convert import Status, convert
from engine.stream.evaluator import Evaluator

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.rules.rule import RuleSet
    from tests.testbeds.promtool import Promtool

SCRAPE_S = 47
"""No window is a multiple of it: where they are is where Prometheus 2 and 3 differ."""
TICKS = 24
START = datetime(2026, 1, 1, tzinfo=UTC)
LABELS: tuple[dict[str, str], ...] = (
    {"i": "1", "j": "p"},
    {"i": "2", "j": "p"},
    {"i": "3"},
    {"i": "4", "j": 'q"\\ é'},
)

number = st.sampled_from([0, 0, 1, 1, 2, 3, 0.5, 5])
run = st.tuples(st.one_of(st.none(), number), st.integers(1, 9))
values = st.lists(run, min_size=4, max_size=12).map(
    lambda runs: [one for one, times in runs for _ in range(times)][:TICKS]
)
Samples = dict[tuple[str, int], list[float | None]]
samples = st.fixed_dictionaries(
    {(metric, i): values for metric in "xab" for i in range(len(LABELS))}
)


def a_file(expressions: Sequence[str]) -> list[dict[str, Any]]:
    recorded = {"record": "recorded", "expr": "a / b"}
    alerts = [{"alert": f"A{i}", "expr": expr} for i, expr in enumerate(expressions)]
    return [{"name": "g", "rules": [recorded, *alerts]}]


def imported(groups: Sequence[Mapping[str, Any]], *, nearly: bool = False) -> RuleSet:
    found = convert("all.yaml", json.dumps({"groups": groups}), nearly=nearly)
    alerts = [one for one in found.outcomes if one.name != "recorded"]
    assert not [one for one in alerts if one.status is Status.REFUSED]
    loaded = load({"all.yaml": found.text})
    assert len(loaded.rules.rules) == len(alerts), loaded.faults
    return loaded.rules


def told(rules: RuleSet, given: Samples) -> list[set[tuple[str, frozenset[tuple[str, str]]]]]:
    """Return what fires under our evaluator after the signals of each tick."""
    evaluator, found = Evaluator(rules), []
    names = {rule.name: rule.labels["alertname"] for rule in rules.rules}
    for tick in range(TICKS):
        at = START + timedelta(seconds=SCRAPE_S * tick)
        evaluator.step([
            Signal(id=f"{metric}{i}@{tick}", source="scrape", type="metric", time=at, cluster="c",
                   data={"metric": metric, "labels": LABELS[i], "value": value})
            for (metric, i), one in given.items()
            if (value := one[tick] if tick < len(one) else None) is not None
        ])  # fmt: skip
        evaluator.advance(to_us(at) + 2_000)
        found.append({
            (names[one.rule], labels_of(one.key))
            for one in evaluator.open()
            if one.state is State.FIRING
        })  # fmt: skip
    return found


def labels_of(key: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    if "signal.labels" in key:
        return frozenset(json.loads(key["signal.labels"]).items())
    parts = {name.removeprefix("labels."): one for name, one in key.items() if name != "cluster"}
    return frozenset((name, one) for name, one in parts.items() if one != MISSING)


def selector(labels: Mapping[str, str]) -> str:
    quoted = (f"{name}={json.dumps(one, ensure_ascii=False)}" for name, one in labels.items())
    return f"{{{','.join(quoted)}}}"


def judged(
    promtool: Promtool, groups: list[dict[str, Any]], given: Samples
) -> list[set[tuple[str, frozenset[tuple[str, str]]]]]:
    """Return what fires under Prometheus at the evaluation of each tick."""
    series = {
        metric + selector(LABELS[i]): " ".join("_" if v is None else str(v) for v in one)
        for (metric, i), one in given.items()
    }
    looks = [SCRAPE_S * tick for tick in range(TICKS)]
    alerts = promtool.alerts(groups, series, looks, interval_s=SCRAPE_S)
    return [{(one.rule, frozenset(one.labels)) for one in found} for found in alerts]


def differing(
    promtool: Promtool, expressions: Sequence[str], given: Samples
) -> list[tuple[int, str, dict[str, str]]]:
    """Return tick, expression and labels of each alert that only one of the two has."""
    groups = a_file(expressions)
    expected, actual = judged(promtool, groups, given), told(imported(groups), given)
    return [
        (tick, expressions[int(name[1:])], dict(labels))
        for tick, (theirs, ours) in enumerate(zip(expected, actual, strict=True))
        for name, labels in theirs ^ ours
    ]
