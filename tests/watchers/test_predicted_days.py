"""The shipped rules of predictions: they fire on what is coming, and on no quiet day."""

import math
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from engine.model.firing import State
from engine.model.instant import to_us
from engine.model.signal import Signal
from engine.rules.load import load
from engine.rules.rule import RuleSet
from engine.stream.evaluator import Evaluator
from tests.watchers.days import CPU, DISK, MEMORY, NODE_CPU, NODE_MEMORY, Days, a_pod, day, pod
from watchers.aims import GPU_DEMAND
from watchers.foresight import Bounds, Foresight

RULES = Path(__file__).parents[2] / "rules"
FILES = {path.name: path.read_bytes() for path in RULES.glob("*.yaml")}
Curve = Callable[[float], float | None]
NAMES = (
    "pod-crash-predicted",
    "node-pressure-predicted",
    "gpu-exhaustion-predicted",
    "anomaly",
)
PREDICTED = RuleSet(tuple(rule for rule in load(FILES).rules.rules if rule.name in NAMES))


def fired(log: list[Signal]) -> list[tuple[str, float]]:
    """Return rule and hour of each opening."""
    evaluator = Evaluator(PREDICTED)
    steps = [evaluator.step(log), evaluator.advance(max(to_us(signal.time) for signal in log))]
    start = min(to_us(signal.time) for signal in log)
    return [
        (move.rule, (move.at - start) / 3.6e9)
        for step in steps
        for move in step.transitions
        if move.state is State.FIRING
    ]


def quiet(seed: int) -> Days:
    """Return days with a daily season, deployments, restarts, scaling, collection and noise."""
    random = Random(seed)
    days = Days(random, noise=random.choice((0.003, 0.01, 0.02)))
    peak, deploy = random.uniform(0.6, 0.93), random.uniform(60, 76)
    scale = random.uniform(50, 70)

    def web(hour: float) -> float:
        return day(hour, 0.3, peak)

    for name in ("web-1", "web-2"):
        days.add(MEMORY, pod(name), lambda hour: web(hour) if hour < deploy else None)
        days.add(CPU, pod(name), lambda hour: day(hour, 0.2, 0.9) if hour < deploy else None)
        days.pods.append(a_pod(name, deploy, change="deleted"))
    for name in ("web-3", "web-4"):
        # A new pod warms up within an hour or two; its first minutes are busy.
        warm = random.uniform(0.2, 0.7)
        days.add(MEMORY, pod(name), warming(web, deploy, warm))
        days.add(CPU, pod(name), starting(deploy))
        days.pods.append(a_pod(name, deploy, change="added"))
    # One restarts: its memory begins anew. One is collected each half hour, from 40 to 70 %.
    again = random.uniform(49, 75)
    days.add(MEMORY, pod("api-1", "api"), lambda hour: 0.6 if hour < again else 0.35)
    days.pods.append(a_pod("api-1", again, restarts=1, workload="api"))
    days.add(MEMORY, pod("java-1", "java"), lambda hour: 0.4 + 0.6 * (hour % 0.5))
    # Pods come to a node; nightly jobs keep it busy for an hour; a disk is cleaned at 85 %.
    node = {"node": "n1"}
    days.add(NODE_MEMORY, node, lambda hour: day(hour, 0.4, 0.7) + (0.15 if hour > scale else 0))
    days.add(NODE_CPU, node, lambda hour: 0.93 if 2 <= hour % 24 < 3 else day(hour, 0.2, 0.8))
    days.add(DISK, {"node": "n1", "mountpoint": "/"}, lambda hour: 0.4 - 0.02 * (hour % 12))
    # Jobs of eight GPUs come and go.
    jobs = [random.randint(0, 3) for _ in range(100)]
    days.add(GPU_DEMAND, {}, lambda hour: jobs[int(hour)] / 4)
    return days


def warming(curve: Callable[[float], float], since: float, slow: float) -> Curve:
    def value(hour: float) -> float | None:
        if hour < since:
            return None
        return curve(hour) * (1 - math.exp(-(hour - since) / slow))

    return value


def starting(since: float) -> Curve:
    def value(hour: float) -> float | None:
        if hour < since:
            return None
        return 3.0 if hour < since + 0.1 else day(hour, 0.2, 0.9)

    return value


@pytest.mark.parametrize("seed", range(2))
def test_nothing_fires_on_quiet_days_from_the_first_hour_on(seed: int) -> None:
    assert fired(quiet(seed).foreseen(80)) == []


LEAK_FROM = 60.0


def leaking(hour: float, usual: float, rate: float) -> float:
    return min(usual + max(hour - LEAK_FROM, 0) * rate, 1.0)


@pytest.mark.parametrize("seed", range(2))
def test_a_leak_fires_before_it_crashes_and_a_quiet_pod_beside_it_does_not(seed: int) -> None:
    random = Random(seed)
    days = Days(random)
    rate = random.uniform(0.06, 0.1)
    days.add(MEMORY, pod("web-1"), lambda hour: leaking(hour, day(hour, 0.25, 0.4), rate))
    days.add(MEMORY, pod("api-1", "api"), lambda hour: day(hour, 0.25, 0.8))
    log = days.foreseen(LEAK_FROM + 0.65 / rate)
    (opened,) = fired(log)
    assert opened[0] == "pod-crash-predicted"
    crash = next(
        h / 60 for h in range(3600, 6000) if leaking(h / 60, day(h / 60, 0.25, 0.4), rate) >= 1
    )
    assert crash - 4.5 <= opened[1] < crash - 0.5
    told = [s.data for s in log if s.type == "prediction"]
    assert {data["name"] for data in told if data["confidence"] >= 0.8} == {"web-1"}
    sure = next(data for data in told if data["confidence"] >= 0.8)
    assert sure["workload"] == "web"
    assert sure["limit"] == 1.0
    assert "memory in use of its limit is" in sure["message"]


def test_a_disk_that_fills_fires_for_its_node() -> None:
    days = Days(Random(1), noise=0.002)
    disk = {"node": "n1", "mountpoint": "/var"}
    days.add(DISK, disk, lambda hour: max(0.6 - 0.05 * max(hour - 50, 0), 0.0))
    log = days.foreseen(59)
    ((rule, hour),) = fired(log)
    assert rule == "node-pressure-predicted"
    assert 55 <= hour <= 58
    last = [s.data for s in log if s.type == "prediction"][-1]
    assert (last["node"], last["kind"], last["limit"]) == ("n1", "Node", 0.1)
    assert last["slope"] < 0


def test_gpus_that_are_asked_for_more_and_more_fire_within_a_day_of_their_end() -> None:
    days = Days(Random(2), noise=0.0)
    # One of forty more each two hours: the last one is taken after eighty hours.
    days.add(GPU_DEMAND, {}, lambda hour: int(hour / 2) / 40)
    ((rule, hour),) = fired(days.foreseen(78))
    assert rule == "gpu-exhaustion-predicted"
    assert 50 <= hour <= 70


def test_a_queue_for_gpus_that_lasts_fires_and_full_use_without_one_does_not() -> None:
    days = Days(Random(3), noise=0.0)
    days.add(GPU_DEMAND, {}, lambda hour: 1.0 if hour < 5 else 1.25)
    ((rule, hour),) = fired(days.foreseen(8))
    assert rule == "gpu-exhaustion-predicted"
    assert 5.5 <= hour <= 6.5


def test_one_prediction_that_is_not_told_again_fires_nothing() -> None:
    days = Days(Random(3), noise=0.0)
    days.add(GPU_DEMAND, {}, lambda hour: 1.0 if hour < 5 else 1.25)
    told = days.foreseen(8)
    once = next(s for s in told if s.type == "prediction" and s.data["confidence"] >= 0.8)
    assert fired([s for s in told if s.type != "prediction" or s is once]) == []


def test_what_is_sure_fires_although_another_series_of_the_node_is_not() -> None:
    days = Days(Random(1), noise=0.002)
    fast, slow = ({"node": "n1", "mountpoint": mount} for mount in ("/var", "/slow"))
    days.add(DISK, fast, lambda hour: max(0.6 - 0.05 * max(hour - 50, 0), 0.0))
    days.add(DISK, slow, lambda hour: 0.6 - 0.02 * max(hour - 50, 0))
    log = days.foreseen(59)
    both = {s.data["labels"]["mountpoint"] for s in log if s.type == "prediction"}
    assert both == {"/var", "/slow"}
    assert [rule for rule, _ in fired(log)] == ["node-pressure-predicted"]


def test_what_is_unusual_for_a_workload_fires_once_two_days_are_known() -> None:
    days = Days(Random(4), noise=0.03)
    days.add(CPU, pod("web-1"), lambda hour: 2.5 if hour > 62 else day(hour, 0.2, 0.9))
    days.add(
        CPU, pod("new-1", "new"), lambda hour: None if hour < 40 else 2.5 if hour > 62 else 0.5
    )
    log = days.foreseen(63)
    ((rule, hour),) = fired(log)
    assert rule == "anomaly"
    assert 62.2 <= hour <= 62.6
    told = {s.data["workload"]: s.data["confidence"] for s in log if s.type == "prediction"}
    assert told["web"] >= 0.8 > told["new"]


def test_restarts_that_come_faster_and_faster_fire() -> None:
    days = Days(Random(5))
    times = [1.0, 9.0, 14.6, 18.5, 21.3, 23.2]
    days.pods = [a_pod("web-1", hour, restarts=n + 1) for n, hour in enumerate(times)]
    days.pods.append(a_pod("web-1", 0, change="synced"))
    ((rule, hour),) = fired(days.foreseen(23.4))
    assert rule == "pod-crash-predicted"
    assert hour >= 18.5


def later(hour: float) -> float | None:
    return leaking(hour, 0.3, 0.1) if hour >= LEAK_FROM else None


def test_what_is_kept_of_the_days_before_is_as_good_after_a_restart() -> None:
    days = Days(Random(6))
    days.add(MEMORY, pod("web-1"), lambda hour: leaking(hour, 0.3, 0.1))
    before, after = Foresight(Bounds()), Foresight(Bounds())
    days.foreseen(LEAK_FROM, before)
    for name, packed in before.pasts(lambda _: True):
        assert after.recall(name, packed)
    leak = Days(Random(7))
    leak.add(MEMORY, pod("web-1"), later)
    assert [rule for rule, _ in fired(leak.foreseen(66, after))] == ["pod-crash-predicted"]
    assert fired(leak.foreseen(66)) == []
