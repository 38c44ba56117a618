"""The checker of ledgers: what it computes by hand, and every fault that it must see."""

from __future__ import annotations

import ast
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger.checker import Episode, Found, Told, expected, faults
from tests.ledger.conditions import T0, Event
from tests.ledger.generator import batches, ledger
from tests.ledger.shapes import CAUSED, PAGED, PAIRED, SECOND, SHAPES, rule_names, rules, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND_US = 1_000_000
Spans = list[tuple[float, float | None]]


RULES = len(SHAPES)
"""One of each shape."""
LASTING = {*SECOND, *PAIRED}
"""Shapes of rules that never end what they began."""


def a_signal(kind: str, second: float, **data: Any) -> Event:
    time = (T0 + timedelta(seconds=second)).isoformat()
    lot = {"lot": 0, "resource": "lot-0", "metric": "busy-0"}
    return {"type": kind, "cluster": "c", "time": time, "data": {"name": "n", **lot, **data}}


def spans(rule: str, events: list[Event]) -> Spans:
    return [
        (one.opened / SECOND_US, None if one.resolved is None else one.resolved / SECOND_US)
        for one in expected(events, RULES)
        if one.rule == f"{rule}-0"
    ]


def test_a_burst_is_five_alerts_in_a_minute() -> None:
    alerts = [a_signal("alert", at) for at in (0, 10, 20, 30, 40, 65, 200)]
    assert spans("burst", alerts) == [(40, 60), (65, 70)]


def test_a_node_is_held_after_twenty_busy_seconds() -> None:
    values = {0: 50, 10: 92, 25: 94, 35: 50, 40: 92, 59: 50, 70: 99}
    events = [a_signal("metric", at, value=float(value)) for at, value in values.items()]
    assert spans("held", events) == [(30, 35), (90, None)]


def test_a_node_is_hot_at_once_and_for_fifteen_more_seconds() -> None:
    values = {0: 99, 10: 92, 20: 99, 30: 92, 50: 92}
    events = [a_signal("metric", at, value=float(value)) for at, value in values.items()]
    assert spans("hot", events) == [(0, 45)]


def test_deletions_are_seen_until_thirty_silent_seconds() -> None:
    events = [a_signal("audit", at, verb="delete") for at in (0, 20, 55)]
    assert spans("seen", [*events, a_signal("audit", 60, verb="get")]) == [(0, 50), (55, 85)]


def test_a_chain_is_a_list_after_a_get_that_no_other_list_took() -> None:
    verbs = {0: "get", 5: "list", 6: "list", 40: "get", 41: "get", 61: "list", 90: "list"}
    events = [a_signal("audit", at, verb=verb) for at, verb in verbs.items()]
    assert spans("chain", events) == [(5, 35), (61, 91)]


def test_an_echo_comes_once_for_each_chain() -> None:
    events = [a_signal("audit", at, verb=verb) for at, verb in ((0, "get"), (5, "list"))]
    assert spans("echo", events) == [(5, None)]


def test_a_pair_is_what_is_marked_and_stamped() -> None:
    marks = [a_signal("metric", at, metric="mark-0", value=1.0) for at in (3, 9)]
    assert not spans("pair", marks)
    events = [*marks, a_signal("metric", 7, metric="stamp-0", value=1.0)]
    assert spans("pair", events) == [(7, None)]


def test_a_pulse_is_gone_after_twenty_silent_seconds() -> None:
    events = [a_signal("metric", at, metric="pulse-0", value=1.0) for at in (0, 15, 50)]
    assert spans("gone", events) == [(35, 50), (70, None)]


def test_rules_that_are_not_there_fire_not() -> None:
    events = [a_signal("audit", at, verb="delete") for at in (0, 20)]
    assert len(expected(events, 4)) == 1
    assert not expected(events, 3)


def test_a_ledger_is_the_same_each_time() -> None:
    assert a_ledger() == a_ledger()


def test_a_ledger_has_as_many_signals_as_were_asked_for() -> None:
    events = [one for batch in ledger(7, "east", 200, 5_000) for one in batch]
    assert 5_000 <= len(events) < 5_400
    assert len({one["id"] for one in events}) == len(events)
    assert max(len(batch) for batch in ledger(7, "east", 200, 5_000)) <= 400


def test_a_rule_file_has_as_many_rules_as_were_asked_for() -> None:
    assert rules(1000).count("- name: ") == 1000
    assert len(rule_names(1000)) == 1000


@pytest.mark.parametrize("shape", [one.name for one in SHAPES])
def test_a_ledger_has_firings_of_each_shape(shape: str) -> None:
    found = [one for one in expected(a_ledger(), RULES) if shape_of(one.rule) == shape]
    assert len(found) >= 3
    assert shape in LASTING or any(one.resolved for one in found)


def test_a_run_without_a_fault_passes() -> None:
    events = a_ledger()
    assert faults(expected(events, RULES), a_run(events), 0) == []


def lose_a_firing(found: Found) -> None:
    found.episodes.popitem()


def move_an_opening(found: Found) -> None:
    firing, one = found.episodes.popitem()
    found.episodes[firing] = one._replace(opened=one.opened + 1)


def lose_a_mission(found: Found) -> None:
    found.missions.pop()


def double_a_mission(found: Found) -> None:
    found.missions.append(("m-other", *found.missions[-1][1:]))


def leave_a_mission(found: Found) -> None:
    found.missions[0] = (*found.missions[0][:2], "running", "", 0)


def fail_a_mission(found: Found) -> None:
    found.missions[0] = (*found.missions[0][:2], "failed", "failed", 4)


def lose_a_delivery(found: Found) -> None:
    found.told.pop()


def tell_with_another_key(found: Found) -> None:
    found.told.append(found.told[0]._replace(key="d-other"))


def tell_other_content(found: Found) -> None:
    body = {"data": {**found.told[0].body["data"], "title": "other"}}
    found.told.append(found.told[0]._replace(body=body))


def tell_twice_without_a_kill(found: Found) -> None:
    found.told.append(found.told[0])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lose_a_firing, "firing lost (1)"),
        (move_an_opening, "firing too much (1)"),
        (lose_a_mission, "mission of firing lost (1)"),
        (double_a_mission, "mission of firing too much (1)"),
        (leave_a_mission, "ended 'running'"),
        (fail_a_mission, "ended 'failed'"),
        (lose_a_delivery, "delivery lost (1)"),
        (tell_with_another_key, "delivery too much (1)"),
        (tell_other_content, "came with two contents"),
        (tell_twice_without_a_kill, "1 repeats after 0 kills"),
    ],
)
def test_each_fault_is_seen(spoil: Callable[[Found], None], says: str) -> None:
    events = a_ledger()
    found = a_run(events)
    spoil(found)
    assert says in "\n".join(faults(expected(events, RULES), found, 0))


def test_one_repeat_a_kill_is_allowed() -> None:
    events = a_ledger()
    found = a_run(events)
    tell_twice_without_a_kill(found)
    assert faults(expected(events, RULES), found, 1) == []


def test_a_mission_is_parked_after_five_crashes() -> None:
    events = a_ledger()
    found = a_run(events)
    found.missions[0] = (*found.missions[0][:2], "failed", "failed", 5)
    assert faults(expected(events, RULES), found, 5) == []


def a_ledger() -> list[Event]:
    return [event for batch in islice(batches(7, "east", RULES), 300) for event in batch]


def a_run(events: list[Event]) -> Found:
    """Return what a dogwatch without a fault makes of `events`."""
    episodes = {f"f-{number}": one for number, one in enumerate(expected(events, RULES))}
    caused = [firing for firing, one in episodes.items() if shape_of(one.rule) in CAUSED]
    missions = [(f"m-{firing}", firing, "done", "partial", 0) for firing in caused]
    told = [one for firing, episode in episodes.items() for one in _deliveries(firing, episode)]
    return Found(episodes, missions, told)


def _deliveries(firing: str, episode: Episode) -> list[Told]:
    told = [_told("hook", "fire", firing, episode.opened)]
    if shape_of(episode.rule) in PAGED:
        told.append(_told("pager", "fire", firing, episode.opened))
    if episode.resolved is not None:
        told.append(_told("hook", "resolve", firing, episode.resolved))
    if shape_of(episode.rule) in CAUSED:
        told.append(_told("hook", "result", firing, episode.opened))
    return told


def _told(sink: str, change: str, firing: str, at: int) -> Told:
    time = (T0 + timedelta(microseconds=at)).isoformat()
    body = {"data": {"incident": firing, "change": change, "at": time}}
    return Told(sink, f"d-{sink}-{change}-{firing}", body)


@pytest.mark.parametrize("name", ["checker", "conditions", "shapes", "generator"])
def test_what_must_be_is_computed_without_the_engine(name: str) -> None:
    tree = ast.parse(Path(__file__).with_name(f"{name}.py").read_text())
    named = [
        module
        for node in ast.walk(tree)
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    assert named
    assert [one for one in named if one.partition(".")[0] in {"engine", "watchers", "sinks"}] == []
