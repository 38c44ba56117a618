"""The checker of ledgers: what it computes by hand, and every fault that it must see."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.ledger import (
    CAUSED,
    PAGED,
    T0,
    Episode,
    Event,
    Found,
    Told,
    batches,
    expected,
    faults,
)

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000
Spans = list[tuple[float, float | None]]


def a_signal(kind: str, second: float, **data: Any) -> Event:
    time = (T0 + timedelta(seconds=second)).isoformat()
    return {"type": kind, "cluster": "c", "time": time, "data": {"name": "n", **data}}


def spans(rule: str, events: list[Event]) -> Spans:
    return [
        (one.opened / SECOND, None if one.resolved is None else one.resolved / SECOND)
        for one in expected(events)
        if one.rule == rule
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


def test_a_ledger_is_the_same_each_time() -> None:
    assert a_ledger() == a_ledger()


@pytest.mark.parametrize("rule", ["burst", "held", "hot", "seen"])
def test_a_ledger_has_firings_of_each_rule_that_end(rule: str) -> None:
    found = [one for one in expected(a_ledger()) if one.rule == rule and one.resolved]
    assert len(found) > 3


def test_a_run_without_a_fault_passes() -> None:
    events = a_ledger()
    assert faults(events, a_run(events), kills=0) == []


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
    assert says in "\n".join(faults(events, found, kills=0))


def test_one_repeat_a_kill_is_allowed() -> None:
    events = a_ledger()
    found = a_run(events)
    tell_twice_without_a_kill(found)
    assert faults(events, found, kills=1) == []


def test_a_mission_is_parked_after_five_crashes() -> None:
    events = a_ledger()
    found = a_run(events)
    found.missions[0] = (*found.missions[0][:2], "failed", "failed", 5)
    assert faults(events, found, kills=5) == []


def a_ledger() -> list[Event]:
    return [event for batch in islice(batches(7, "east"), 300) for event in batch]


def a_run(events: list[Event]) -> Found:
    """Return what a dogwatch without a fault makes of `events`."""
    episodes = {f"f-{number}": one for number, one in enumerate(expected(events))}
    caused = [firing for firing, one in episodes.items() if one.rule in CAUSED]
    missions = [(f"m-{firing}", firing, "done", "partial", 0) for firing in caused]
    told = [one for firing, episode in episodes.items() for one in _deliveries(firing, episode)]
    return Found(episodes, missions, told)


def _deliveries(firing: str, episode: Episode) -> list[Told]:
    told = [_told("hook", "fire", firing, episode.opened)]
    if episode.rule in PAGED:
        told.append(_told("pager", "fire", firing, episode.opened))
    if episode.resolved is not None:
        told.append(_told("hook", "resolve", firing, episode.resolved))
    if episode.rule in CAUSED:
        told.append(_told("hook", "result", firing, episode.opened))
    return told


def _told(sink: str, change: str, firing: str, at: int) -> Told:
    time = (T0 + timedelta(microseconds=at)).isoformat()
    body = {"data": {"incident": firing, "change": change, "at": time}}
    return Told(sink, f"d-{sink}-{change}-{firing}", body)
