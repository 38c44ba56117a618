"""What is given up in a flood, in which order; what is critical never is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.app.intake.shedding import Pressure, Reason, Samples, shed
from engine.app.intake.worth import Worth, worth
from tests.app.intake.flood import (
    a_pod,
    a_sample,
    a_signal,
    data_of,
    floods,
    ids,
    waiting,
)

if TYPE_CHECKING:
    from engine.app.intake.entry import Entry
    from engine.model.signal import Signal

PRESSURES = st.sampled_from(Pressure)


def kept(entries: list[Entry], pressure: Pressure) -> list[Entry]:
    return shed(entries, pressure, Samples()).kept


@given(floods(), PRESSURES)
def test_what_is_critical_is_never_shed_but_for_what_is_there_twice(
    flood: list[Signal], pressure: Pressure
) -> None:
    stays = {entry.id for entry in kept(waiting(*flood), pressure)}
    assert {one.id for one in flood if worth(one) is Worth.CRITICAL} <= stays


@given(floods(), PRESSURES)
def test_the_order_stays_and_nothing_is_both_kept_and_shed(
    flood: list[Signal], pressure: Pressure
) -> None:
    entries = waiting(*flood)
    places = {id(entry): place for place, entry in enumerate(entries)}
    outcome = shed(entries, pressure, Samples())
    order = [places[id(entry)] for entry in outcome.kept]
    assert order == sorted(order)
    gone = {places[id(entry)] for entry, _ in outcome.shed}
    assert gone.isdisjoint(order)
    assert gone | set(order) == set(places.values())


@given(floods(), PRESSURES)
def test_what_stayed_stays_when_asked_again(flood: list[Signal], pressure: Pressure) -> None:
    samples = Samples()
    once = shed(waiting(*flood), pressure, samples).kept
    told = [entry.raw for entry in once]
    again = shed(once, pressure, samples)
    assert not again.shed
    assert [entry.raw for entry in again.kept] == told


@given(floods(), PRESSURES)
def test_the_last_of_every_level_stays(flood: list[Signal], pressure: Pressure) -> None:
    entries = waiting(*flood)
    first_copy = {entry.id: entry for entry in reversed(entries)}
    last = {one.key: one for one in first_copy.values() if one.worth is Worth.LEVEL}
    for entry in entries:
        if entry is first_copy[entry.id] and entry.worth is Worth.LEVEL:
            last[entry.key] = entry
    stays = set(ids(kept(entries, pressure)))
    assert {entry.id for entry in last.values()} <= stays


@given(floods(), st.sampled_from(list(Pressure)[:-1]))
def test_a_higher_pressure_keeps_no_more(flood: list[Signal], pressure: Pressure) -> None:
    less = kept(waiting(*flood), Pressure(pressure + 1))
    assert Counter(ids(less)) <= Counter(ids(kept(waiting(*flood), pressure)))


@pytest.mark.parametrize(
    ("pressure", "reasons"),
    [
        (Pressure.NONE, set()),
        (Pressure.DUPLICATES, {Reason.DUPLICATE, Reason.UNCHANGED}),
        (Pressure.METRICS, {Reason.DUPLICATE, Reason.UNCHANGED, Reason.SAMPLED}),
        (Pressure.LEVELS, set(Reason)),
    ],
)
def test_each_pressure_sheds_one_kind_more(pressure: Pressure, reasons: set[Reason]) -> None:
    again = a_pod(1, "a", phase="Pending")
    pods = [a_pod(number, "b", phase="Running") for number in (2, 3, 4)]
    samples = [a_sample(number, "s", number, number) for number in (5, 6)]
    outcome = shed(waiting(again, again, *pods, *samples), pressure, Samples())
    assert set(outcome.counts()) == reasons


def test_of_what_does_not_change_the_first_and_the_last_stay() -> None:
    same = [a_pod(number, "a", phase="Pending", old={"v": number}) for number in range(5)]
    other = a_pod(9, "a", phase="Running")
    assert ids(kept(waiting(*same, other), Pressure.DUPLICATES)) == ["s0", "s4", "s9"]


def test_an_object_that_differs_by_its_resource_version_alone_is_unchanged() -> None:
    pods = [
        a_pod(number, "a", object={"metadata": {"resourceVersion": str(number)}, "spec": {"x": 1}})
        for number in range(3)
    ]
    assert ids(kept(waiting(*pods), Pressure.DUPLICATES)) == ["s0", "s2"]


def test_a_series_keeps_one_sample_in_each_period_and_none_starves() -> None:
    samples = Samples()
    taken: Counter[str] = Counter()
    number = 0
    for second in range(0, 600, 5):  # in pieces, as they come
        batch = [a_sample(number := number + 1, f"s{one}", second, second) for one in range(20)]
        stays = shed(waiting(*batch), Pressure.METRICS, samples).kept
        taken.update(data_of(entry)["labels"]["series"] for entry in stays)
    assert set(taken.values()) <= {29, 30}
    assert len(taken) == 20


def test_a_sample_that_was_let_pass_is_not_asked_for_again() -> None:
    samples = Samples()
    flood = waiting(*(a_sample(second, "s", second, second) for second in range(100)))
    once = shed(flood, Pressure.METRICS, samples).kept
    assert 4 <= len(once) <= 5
    assert shed(once, Pressure.METRICS, samples).kept == once


def test_a_deletion_ends_what_was_before_it() -> None:
    pods = [
        a_pod(1, "a", change="added"),
        a_pod(2, "a"),
        a_pod(3, "a", change="deleted"),
        a_pod(4, "a", change="added"),
        a_pod(5, "a", phase="Running"),
    ]
    assert ids(kept(waiting(*pods), Pressure.LEVELS)) == ["s2", "s3", "s5"]


def test_the_last_state_tells_of_the_change_since_before_all_that_it_stands_for() -> None:
    pods = [
        a_pod(1, "a", old={"replicas": 1}, object={"replicas": 2}),
        a_pod(2, "a", old={"replicas": 2}, object={"replicas": 2, "ready": 1}),
        a_pod(3, "b", change="added", object={"v": 1}),
        a_pod(4, "b", old={"v": 1}, object={"v": 2}),
    ]
    first, second = map(data_of, kept(waiting(*pods), Pressure.LEVELS))
    assert (first["old"], first["object"]) == ({"replicas": 1}, {"replicas": 2, "ready": 1})
    assert (second["change"], second["object"]) == ("added", {"v": 2})
    assert "old" not in second


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("watcher.heartbeat", {}),
        ("watcher", {"state": "unread"}),
        ("alert", {"status": "resolved"}),
        ("audit", {"verb": "delete"}),
        ("prediction", {}),
        ("my.own.type", {"uid": "a"}),
        ("k8s.event", {"uid": "a", "eventType": "Warning"}),
        ("k8s.event", {"uid": "a", "eventType": ""}),
        ("k8s.event", {"eventType": "Normal"}),
        ("k8s.object", {"kind": "Pod", "uid": "a", "change": "deleted"}),
        ("k8s.object", {"kind": "Node", "uid": "a", "change": "modified"}),
        ("hardware", {"kind": "gpu", "uid": "a", "xid": 79}),
        ("hardware", {"kind": "nic", "uid": "a", "state": "down"}),
        ("hardware", {"kind": "inventory", "uid": "a", "missing": ["gpu-3"]}),
    ],
)
def test_critical_is(kind: str, data: dict[str, object]) -> None:
    flood = waiting(*(a_signal(number, kind, data, number) for number in range(9)))
    assert len(kept(flood, Pressure.LEVELS)) == 9
