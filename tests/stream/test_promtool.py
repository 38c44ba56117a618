"""Holds are those of Prometheus: the real promtool sees the same states on generated traces.

dogwatch moves at exact stream time, Prometheus at evaluations. On traces that change at
evaluations only, with holds of whole intervals, both say the same at each of them.
"""

import os
from collections.abc import Mapping
from random import Random

import pytest

from engine.model.firing import State
from engine.stream.evaluator import Evaluator
from tests.stream.building import a_rule, a_set, a_signal, us
from tests.testbeds.promtool import Promtool

pytestmark = pytest.mark.real
TICK = 60
TRACES, TICKS, RULES = int(os.environ.get("PROMTOOL_TRACES", "40")), 40, 12
Holds = Mapping[str, tuple[int, int]]
"""Rule -> ticks of `for` and `keep_firing_for`."""


@pytest.mark.parametrize("seed", range(3))
def test_for_and_keep_firing_for_are_those_of_prometheus(promtool: Promtool, seed: int) -> None:
    random = Random(seed)
    holds = {f"r{n}": (random.randrange(6), random.choice([0, 0, 1, 2, 5])) for n in range(RULES)}
    traces = {f"t{n}": trace(random) for n in range(TRACES)}
    looks = range(0, TICKS * TICK, TICK)
    theirs = promtool.alerts(
        [{"name": "g", "rules": [alert(rule, *hold) for rule, hold in holds.items()]}],
        {f'x{{t="{name}"}}': " ".join(map(str, values)) for name, values in traces.items()},
        looks,
        interval_s=TICK,
    )
    expected = [
        {(one.rule, dict(one.labels)["t"]): one.state for one in standing} for standing in theirs
    ]
    assert sum(map(len, expected)) > TRACES * RULES
    assert states(holds, traces) == expected


def trace(random: Random) -> list[int]:
    """Return 0 or 1 at each evaluation, in runs about as long as the holds."""
    values: list[int] = []
    while len(values) < TICKS:
        values += [random.randrange(2)] * random.choice([1, 1, 2, 3, 4, 6])
    return values[:TICKS]


def alert(name: str, for_: int, keep: int) -> dict[str, str]:
    times = {"for": f"{for_}m", "keep_firing_for": f"{keep}m"}
    return {"alert": name, "expr": "x > 0", **times}


def states(holds: Holds, traces: Mapping[str, list[int]]) -> list[dict[tuple[str, str], str]]:
    """Return what is open at each evaluation: (rule, trace) -> pending or firing."""
    rules = [
        a_rule(
            name,
            "metric",
            when="signal.value > 0.0",
            by=("cluster", "labels.t"),
            **{"for": f"{for_}m", "keep_firing_for": f"{keep}m"},
        )
        for name, (for_, keep) in holds.items()
    ]
    evaluator, open_, found = Evaluator(a_set(*rules)), dict[tuple[str, str], str](), []
    for tick in range(TICKS):
        at = tick * TICK
        step = evaluator.step(
            [
                a_signal(at, "metric", {"metric": "x", "labels": {"t": name}, "value": one[tick]})
                for name, one in traces.items()
            ]
        )
        moves = [*step.transitions, *evaluator.advance(us(at)).transitions]
        for move in moves:
            place = (move.rule, move.key["labels.t"])
            if move.state in {State.PENDING, State.FIRING}:
                open_[place] = move.state.value
            else:
                open_.pop(place, None)
        found.append(dict(open_))
    return found
