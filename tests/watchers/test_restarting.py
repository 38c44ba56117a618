"""Restarts: only those that come faster and faster foretell the next one."""

from random import Random
from typing import Any

import pytest

from tests.watchers.days import a_pod, at
from watchers.restarting import MOST_PODS, Faster, Restarting


def seen(*hours: float, **data: Any) -> Restarting:
    """Return what is known after a pod restarted at each of `hours`."""
    restarting = Restarting()
    restarting.take(a_pod("web-1", 0, change="added"))
    for count, hour in enumerate(hours, 1):
        restarting.take(a_pod("web-1", hour, restarts=count, **data))
    return restarting


def faster(restarting: Restarting, hour: float) -> list[Faster]:
    return restarting.faster(at(hour).timestamp())


SHRINKING = (1.0, 9.0, 14.6, 18.5, 21.3, 23.2)


def test_restarts_that_come_ever_faster_foretell_the_next_one() -> None:
    (found,) = faster(seen(*SHRINKING), 23.3)
    assert found.horizon_s == pytest.approx((23.2 + 1.9 * 0.7 - 23.3) * 3600, rel=0.05)
    assert found.confidence > 0.8
    assert found.data == {
        "namespace": "shop",
        "name": "web-1",
        "workload": "web",
        "node": "n1",
        "restarts": 6,
    }
    assert "8.0 hours, 5.6 hours, 3.9 hours, 2.8 hours, 114 minutes apart" in found.message


@pytest.mark.parametrize(
    "hours",
    [
        (),
        (1, 5, 8, 10),
        (1, 3, 5, 7, 9, 11),
        (0, 0.01, 0.03, 0.07, 0.15, 0.31),
        (1, 9, 14, 20, 22, 23),
        (1, 1, 1, 1, 1, 1),
    ],
    ids=["none", "too few", "evenly", "a crash loop", "not each time", "at once"],
)
def test_other_restarts_foretell_nothing(hours: tuple[float, ...]) -> None:
    assert faster(seen(*hours), 24) == []


def test_one_that_is_overdue_is_no_longer_foretold() -> None:
    assert faster(seen(*SHRINKING), 28) == []


def test_a_pod_that_waits_in_a_crash_loop_or_is_gone_is_not_foretold() -> None:
    assert faster(seen(*SHRINKING, waiting=["CrashLoopBackOff"]), 23.3) == []
    restarting = seen(*SHRINKING)
    restarting.take(a_pod("web-1", 23.2, change="deleted", restarts=6))
    assert faster(restarting, 23.3) == []


def test_restarts_from_before_the_watch_began_are_no_restarts() -> None:
    restarting = Restarting()
    restarting.take(a_pod("web-1", 0, change="synced", restarts=9))
    for count, hour in enumerate(SHRINKING[1:], 10):
        restarting.take(a_pod("web-1", hour, restarts=count))
    (found,) = faster(restarting, 23.3)
    assert found.data["restarts"] == 14


def test_restarts_by_chance_are_hardly_ever_foretold() -> None:
    random = Random(1)
    told = 0
    for _ in range(500):
        hours, hour = [], 0.0
        for _ in range(6):
            hour += random.expovariate(1 / 3)
            hours.append(hour)
        told += any(one.confidence >= 0.8 for one in faster(seen(*hours), hours[-1]))
    assert told <= 5


def test_it_is_known_whose_containers_ran_out_of_memory_and_whose_pods_changed() -> None:
    restarting = seen(1.0, terminated=["OOMKilled"])
    now_s = at(2).timestamp()
    assert restarting.killed("shop", "web", now_s)
    assert not restarting.killed("shop", "api", now_s)
    assert restarting.changed("shop", "web", at(0.5).timestamp())
    assert not restarting.changed("shop", "web", now_s)
    restarting.tidy(at(100).timestamp())
    assert not restarting.killed("shop", "web", at(3).timestamp())


def test_no_more_pods_are_kept_than_there_is_room_for() -> None:
    restarting = Restarting()
    for number in range(MOST_PODS + 10):
        restarting.take(a_pod(f"p{number}", 1, restarts=1))
    assert len(restarting._pods) == MOST_PODS


@pytest.mark.parametrize("odd", [{"restarts": "3"}, {"restarts": True}, {"uid": None}, {}])
def test_odd_pods_are_no_restarts(odd: dict[str, Any]) -> None:
    restarting = Restarting()
    restarting.take(a_pod("web-1", 1, **{"waiting": None, "terminated": None, **odd}))
    assert faster(restarting, 2) == []
