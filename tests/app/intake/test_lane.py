"""Clusters take turns, and what was taken out can go back to where it was."""

from __future__ import annotations

from engine.app.intake.flow import Flow
from engine.app.intake.lane import Lane
from engine.app.intake.shedding import Pressure
from tests.app.intake.flood import a_pod, a_signal, ids, waiting


def a_lane(**counts: int) -> Lane:
    lane = Lane(Flow(100, 3.0))
    for cluster, count in counts.items():
        lane.add(cluster, waiting(*(a_signal(number, "alert", {}) for number in range(count))))
    return lane


def test_a_cluster_with_little_has_its_turn_before_one_with_much_goes_on() -> None:
    lane = a_lane(much=1000, little=10, some=600)
    taken = [(cluster, len(own)) for _ in range(4) for cluster, own in lane.take(500)]
    assert taken == [
        ("much", 500),
        ("little", 10),
        ("some", 490),
        ("much", 500),
        ("some", 110),
    ]
    assert (lane.count, lane.bytes, lane.take(500)) == (0, 0, [])


def test_what_could_not_be_appended_waits_again_where_it_was() -> None:
    lane = a_lane(a=300, b=20)
    before = lane.bytes
    lane.put_back(lane.take(250))
    assert (lane.count, lane.bytes) == (320, before)
    taken: dict[str, list[str]] = {}
    while lane.count:
        for cluster, own in lane.take(100):
            taken.setdefault(cluster, []).extend(ids(own))
    assert taken == {"a": [f"s{n}" for n in range(300)], "b": [f"s{n}" for n in range(20)]}


def test_what_a_cluster_holds_is_counted_in_bytes_through_shedding() -> None:
    lane = Lane(Flow(100, 3.0))
    lane.add("a", waiting(*(a_pod(number, "p", old={"big": "x" * 500}) for number in range(99))))
    counts, gone = lane.shed(Pressure.LEVELS)
    assert counts.total() == len(gone) == 98
    assert lane.count == 1
    assert lane.held("a") == lane.bytes == 512 + len(lane.take(1)[0][1][0].raw)


def test_those_who_wait_get_their_own_back_and_the_others_stay() -> None:
    lane = a_lane(a=3)
    mine = waiting(a_signal(7, "alert", {}))
    mine[0].ticket = object()  # type: ignore[assignment] # whoever it is
    lane.add("a", mine)
    assert ids(lane.withdraw()) == ["s7"]
    assert [(cluster, ids(own)) for cluster, own in lane.take(9)] == [("a", ["s0", "s1", "s2"])]
