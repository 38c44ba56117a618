"""What dogwatch measures of itself comes as signals, nothing else does, and rules fire of it."""

from __future__ import annotations

import re
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from engine import meters
from engine.app.config import NAME
from engine.app.configured import load_config
from engine.app.engine import Engine
from engine.app.own_metrics import own_signals, publish_once
from engine.app.roles import ALL, Role
from engine.bus.codec import decode
from engine.bus.embedded import EmbeddedBus
from engine.model.firing import State
from engine.model.ports import SystemClock
from engine.model.schema_metrics import METRICS, OWN_CLUSTER
from engine.rules.load import load
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator
from tests.watchers.sources import NOON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.signal import Signal

TICK = timedelta(seconds=15)
RULES = Path(__file__).parents[2] / "rules" / "engine.yaml"


def an_engine(folder: Path, roles: frozenset[Role] = ALL, more: str = "") -> Engine:
    file = folder / "dogwatch.yaml"
    file.write_text(f"data_dir: data\nrules: []\nsinks: {{ops: {{type: console}}}}\n{more}")
    settings = load_config(str(file), {})
    return Engine(settings, lambda _: RuleSet(), {}, SystemClock(), roles)


def names(told: Iterable[Signal]) -> set[str]:
    return {str(one.data["metric"]) for one in told}


def fired(told: Iterable[Signal]) -> set[str]:
    evaluator = Evaluator(load({"rules/engine.yaml": RULES.read_bytes()}).rules)
    found = [one for signal in told for one in evaluator.step([signal]).transitions]
    return {one.rule for one in found if one.state is State.FIRING}


async def test_gauges_come_onto_the_bus_as_signals_of_a_cluster_that_none_can_be_named(
    tmp_path: Path,
) -> None:
    async with an_engine(tmp_path) as engine:
        meters.BUS_LAG.set(7)
        await publish_once(engine, [])
        assert isinstance(engine.bus, EmbeddedBus)
        async with aclosing(engine.bus.read(0)) as records:
            record = (await anext(records))[1]
    signals = decode(record).signals
    lag = next(one for one in signals if one.data["metric"] == "dogwatch_consumer_lag_records")
    assert (lag.cluster, lag.source, lag.type) == (OWN_CLUSTER, "dogwatch/local", "metric")
    assert (lag.data["value"], lag.data["labels"], lag.data["unit"]) == (7.0, {}, "records")
    assert not re.match(NAME, OWN_CLUSTER)
    assert names(signals) <= set(METRICS)


async def test_only_what_a_process_measures_is_told(tmp_path: Path) -> None:
    meters.OUTBOX_OLDEST.labels("ops").set(5.0)
    meters.OUTBOX_OLDEST.labels("of-another-time").set(9000.0)
    meters.STALENESS.labels("of-another-time").set(9000.0)
    async with an_engine(tmp_path, frozenset({Role.RUNNER})) as engine:
        told = list(own_signals(engine, [], NOON))
    assert names(told) == {
        "dogwatch_outbox_oldest_seconds",
        "dogwatch_config_last_reload_successful",
        "dogwatch_frozen",
    }
    sinks = [one.data["labels"] for one in told if "outbox" in one.data["metric"]]
    assert sinks == [{"sink": "ops"}]


async def test_a_policy_is_told_of_only_where_there_is_to_be_one(tmp_path: Path) -> None:
    more = "changes: {policy_file: none.yaml}\n"
    async with an_engine(tmp_path, frozenset({Role.RUNNER}), more) as engine:
        told = list(own_signals(engine, [], NOON))
    policy = "dogwatch_policy_last_reload_successful"
    assert [one.data["value"] for one in told if one.data["metric"] == policy] == [0.0]


async def test_the_shipped_rules_fire_of_it(tmp_path: Path) -> None:
    meters.RELOAD_OK.set(1)
    async with an_engine(tmp_path) as engine:
        meters.OUTBOX_OLDEST.labels("ops").set(5.0)
        meters.BUS_LAG.set(10)
        calm = [s for n in range(30) for s in own_signals(engine, [], NOON + n * TICK)]
        meters.BUS_LAG.set(5000)
        meters.OUTBOX_OLDEST.labels("ops").set(700.0)
        meters.RELOAD_OK.set(0)
        bad = [s for n in range(30) for s in own_signals(engine, [], NOON + n * TICK)]
    assert fired(calm) == set()
    assert fired(bad) == {"lag-high", "sink-failing", "rules-refused"}
