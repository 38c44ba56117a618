"""The watcher of predictions: taps, counts, names, remembers, and keeps nobody waiting."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.model.errors import StoreError
from engine.model.schema_metrics import METRICS
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import Change, ChangeType, ResourceStatus
from tests.watchers.days import MEMORY, NODE_MEMORY, a_sample, at, pod
from tests.watchers.sources import Script, an_object
from tests.watchers.virtual import VirtualClock, at_once
from watchers.aims import AIMS, GPU_DEMAND, NODE_PODS, VOLUME
from watchers.aims import ODD as ODD_METRICS
from watchers.foresight import Bounds, Foresight
from watchers.memory import Forgetful
from watchers.predictions import PredictionsConfig, watch_predictions
from watchers.registry import Scene

Feed = Callable[[Scene, float], None]
"""Tells at each minute, by the hours since the start, what there is."""


@dataclass
class Ran:
    """What a watcher told, and what it left behind."""

    signals: list[Signal] = field(default_factory=list)

    @property
    def told(self) -> list[Mapping[str, Any]]:
        return [s.data for s in self.signals if s.type == "prediction"]


def run(
    feed: Feed, hours: float, config: PredictionsConfig | None = None, memory: Any = None
) -> Ran:
    kept = memory or Forgetful()

    async def main() -> Ran:
        ran = Ran()
        memories: dict[str, Any] = {"predictions.pasts": kept}
        scene = Scene(
            Script(),
            "uid",
            VirtualClock(),
            memory=lambda name: memories.setdefault(name, Forgetful()),
        )
        watching = watch_predictions(config or PredictionsConfig(), scene)
        async with contextlib.aclosing(watching) as batches, asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_gather(batches, ran))
            for minute in range(int(hours * 60)):
                await asyncio.sleep(60)
                feed(scene, (minute + 1) / 60)
            task.cancel()
        return ran

    return at_once(main())


async def _gather(batches: AsyncGenerator[list[Signal]], ran: Ran) -> None:
    async for batch in batches:
        ran.signals += batch


def tap(scene: Scene, *signals: Signal) -> None:
    for one in scene.taps:
        one(list(signals))


def rising(metric: str, labels: dict[str, str], slope: float = 0.2) -> Feed:
    def feed(scene: Scene, hour: float) -> None:
        tap(scene, a_sample(metric, labels, hour, 0.1 + slope * hour))

    return feed


def test_a_rise_is_told_each_minute_with_all_that_it_is_about() -> None:
    ran = run(rising(MEMORY, pod("web-1")), 3)
    last = ran.told[-1]
    named = {name: last[name] for name in ("prediction", "namespace", "kind", "name", "workload")}
    assert named == {
        "prediction": "pod-crash",
        "namespace": "shop",
        "kind": "Pod",
        "name": "web-1",
        "workload": "web",
    }
    assert (last["node"], last["metric"], last["limit"]) == ("n1", MEMORY, 1.0)
    assert last["labels"] == pod("web-1")
    assert last["value"] == pytest.approx(0.7, abs=0.01)
    assert last["horizon"] == pytest.approx(1.5 * 3600, abs=300)
    assert last["slope"] == pytest.approx(0.2 / 3600, rel=0.02)
    # Nothing is known of the days before: that is why it is not surer.
    assert 0.6 < last["confidence"] < 0.8
    told = [s for s in ran.signals if s.type == "prediction"]
    assert all(b.time - a.time <= timedelta(seconds=61) for a, b in pairwise(told))
    assert len({s.id for s in told}) == len(told)


def test_where_there_is_nothing_to_foresee_it_only_lives() -> None:
    flat = rising(NODE_MEMORY, {"node": "n1"}, slope=0.0)
    types = {s.type for s in run(flat, 3).signals}
    assert types == {HEARTBEAT}


def test_while_nothing_of_the_cluster_is_seen_it_neither_foresees_nor_claims_to_live() -> None:
    rise = rising(MEMORY, pod("web-1"))

    def feed(scene: Scene, hour: float) -> None:
        away = hour >= 2
        scene.status["pods"] = ResourceStatus(fault="unreachable: gone" if away else "")
        scene.status["roles"] = ResourceStatus(fault="forbidden: no")
        rise(scene, min(hour, 2))

    ran = run(feed, 3)
    last = max(s.time for s in ran.signals if s.type in {HEARTBEAT, "prediction"})
    assert at(2) <= last <= at(2.05)
    (state,) = [s.data for s in ran.signals if s.type == "watcher"]
    assert (state["state"], state["reason"]) == ("unread", "unreachable")


def test_what_is_far_away_or_unsure_is_told_only_if_asked_for() -> None:
    feed = rising(MEMORY, pod("web-1"))
    assert run(feed, 3, PredictionsConfig(horizon_s=3600)).told == []
    assert run(feed, 3, PredictionsConfig(least_confidence=0.9)).told == []


def test_other_metrics_can_be_followed_to_limits_of_their_own() -> None:
    config = PredictionsConfig.model_validate(
        {"toward": {"queue_length": {"prediction": "node-pressure", "limit": 0.9}}}
    )
    (last, *_) = reversed(run(rising("queue_length", {"node": "n1"}), 3, config).told)
    assert (last["metric"], last["limit"], last["node"]) == ("queue_length", 0.9, "n1")
    assert "rises by 0.2 an hour and reaches 0.9 in" in last["message"]


@pytest.mark.parametrize(
    "options",
    [
        {"toward": {"m": {"prediction": "doom", "limit": 1}}},
        {"toward": {"m": {"prediction": "pod-crash", "limit": "inf"}}},
        {"anomalies": {"m": "sideways"}},
        {"least_confidence": 1.1},
        {"every_s": 0},
    ],
)
def test_odd_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PredictionsConfig.model_validate(options)


ODD = [
    {"metric": MEMORY, "labels": pod("a"), "value": nan},
    {"metric": MEMORY, "labels": pod("a"), "value": inf},
    {"metric": MEMORY, "labels": pod("a"), "value": -1e308},
    {"metric": MEMORY, "labels": pod("a"), "value": 10**400},
    {"metric": MEMORY, "labels": pod("a"), "value": "0.5"},
    {"metric": MEMORY, "labels": None, "value": 0.5},
    {"metric": None, "labels": {}, "value": 0.5},
    {"metric": ["odd"], "labels": {}, "value": 0.5},
    {"metric": "another", "labels": {}, "value": 0.5},
    {},
]


@pytest.mark.parametrize("data", ODD)
def test_what_is_no_sample_is_passed_over(data: dict[str, Any]) -> None:
    foresight = Foresight(Bounds())
    made = Signal(id="1", source="s", type="metric", time=at(0), cluster="west", data=data)
    foresight.take([made])
    assert len(foresight) == 0


LARGE = st.sampled_from([1e308, -1e308, 1e38, 1e30, -1e30, 1e-320, 10**400, 1e17, 0.0, 0.5, 0.99])


@given(st.lists(LARGE, min_size=20, max_size=40))
def test_values_of_any_size_break_no_look(values: list[float]) -> None:
    foresight = Foresight(Bounds(confidence=0.0))
    for number, value in enumerate(values):
        for metric in (MEMORY, *ODD_METRICS):
            foresight.take([a_sample(metric, pod("a"), number / 20, value)])
    assert list(foresight.look(at(2))) is not None
    assert dict(foresight.pasts(bool)) is not None


def change(obj: dict[str, Any], kind: ChangeType = ChangeType.ADDED) -> Change:
    return Change(kind, obj)


def gpu_pod(number: int, node: str = "g1") -> dict[str, Any]:
    asks = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"containers": [asks], **({"nodeName": node} if node else {})}
    return an_object("Pod", f"gpu-{number}", spec=spec, status={"phase": "Running"})


def a_node(name: str, **allocatable: str) -> dict[str, Any]:
    return an_object("Node", name, status={"allocatable": allocatable})


def test_gpus_and_the_pods_of_nodes_are_counted_from_the_objects() -> None:
    """A pod more each three minutes; those without a GPU wait for a node."""

    def feed(scene: Scene, hour: float) -> None:
        kept = scene.kept
        if hour == 1 / 60:
            kept.take("nodes", change(a_node("g1", pods="140", **{"nvidia.com/gpu": "80"})))
            kept.take("nodes", change(a_node("odd", pods="many")))
            kept.settle("nodes", whole=True)
            kept.settle("pods", whole=True)
        minute = round(hour * 60)
        if minute % 3 == 0:
            number = minute // 3
            kept.take("pods", change(gpu_pod(number, "g1" if number <= 100 else "")))

    told = run(feed, 6).told
    metrics = {data["metric"]: data for data in told}
    assert metrics.keys() == {NODE_PODS, GPU_DEMAND}
    pods = next(data for data in told if data["metric"] == NODE_PODS)
    assert (pods["prediction"], pods["node"], pods["kind"]) == ("node-pressure", "g1", "Node")
    gpus = metrics[GPU_DEMAND]
    assert (gpus["prediction"], gpus["horizon"]) == ("gpu-exhaustion", 0.0)
    assert gpus["value"] == pytest.approx(1.5, abs=0.05)
    assert gpus["message"].endswith(" %, and so for most of the last hour")


def test_nothing_is_counted_before_all_nodes_and_pods_are_known() -> None:
    def feed(scene: Scene, hour: float) -> None:
        scene.kept.take("nodes", change(a_node("g1", **{"nvidia.com/gpu": "1"})))
        scene.kept.take("pods", change(gpu_pod(round(hour * 60))))

    assert run(feed, 2).told == []


def test_a_volume_is_named_by_the_workload_that_has_it_or_not_told() -> None:
    labels = {"namespace": "shop", "persistentvolumeclaim": "data"}
    lost = {"namespace": "shop", "persistentvolumeclaim": "lost"}
    mounts = [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}]
    owner = {"kind": "StatefulSet", "name": "db", "uid": "uid-db", "controller": True}
    db = an_object("Pod", "db-0", metadata={"ownerReferences": [owner]}, spec={"volumes": mounts})

    def feed(scene: Scene, hour: float) -> None:
        scene.owners.learn(db)
        scene.kept.take("pods", change(db))
        for one in (labels, lost):
            tap(scene, a_sample(VOLUME, one, hour, 0.9 - 0.2 * hour))

    told = run(feed, 3).told
    assert {(data["name"], data["workload"]) for data in told} == {("data", "db")}
    assert told[-1]["slope"] < 0
    assert told[-1]["message"].startswith("free space of a volume is 30")


def test_more_series_than_are_followed_are_left_out_and_those_that_end_make_room() -> None:
    foresight = Foresight(Bounds(series=10))
    for number in range(15):
        foresight.take([a_sample(MEMORY, pod(f"p{number}"), 0, 0.5)])
    assert (len(foresight), foresight.left_out) == (10, 5)
    list(foresight.look(at(1.1)))
    assert len(foresight) == 0
    foresight.take([a_sample(MEMORY, pod("new"), 1.1, 0.5)])
    assert (len(foresight), foresight.left_out) == (1, 0)


def test_each_series_gets_its_closer_look_in_turn_however_many_rise() -> None:
    foresight = Foresight(Bounds(closer=7))
    names = [f"p{number}" for number in range(30)]
    for minute in range(0, 150, 2):
        hour = minute / 60
        foresight.take(a_sample(MEMORY, pod(name), hour, 0.1 + 0.2 * hour) for name in names)
    looks = [{one.data["name"] for one in foresight.look(at(2.5)) if one} for _ in range(60)]
    assert max(map(len, looks)) <= 7
    assert set().union(*looks) == set(names)


class Away(Forgetful):
    """A store that cannot be reached for now."""

    async def recall(self, keys: Any = ()) -> dict[str, bytes]:
        raise StoreError("away")

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        raise StoreError("away")


def test_the_past_is_remembered_by_the_hour_and_a_store_that_is_away_hinders_nothing() -> None:
    memory = Forgetful()
    feed = rising(MEMORY, pod("web-1"))
    run(feed, 3, memory=memory)
    kept = at_once(memory.recall())
    assert 0 < len(kept) <= 60
    after = Forgetful()
    at_once(after.keep({**kept, "odd": b"odd", "0": b""}))
    run(feed, 1.2, memory=after)
    assert run(feed, 3, memory=Away()).told == run(feed, 3).told


def test_a_look_at_many_series_gives_others_their_turn() -> None:
    """A thousand series take half of the interval, a hundred at a time."""
    turns = 0

    async def main() -> None:
        nonlocal turns
        scene = Scene(Script(), "uid", VirtualClock())
        watching = watch_predictions(PredictionsConfig(), scene)
        task = asyncio.create_task(anext(watching))
        await task
        tap(scene, *(a_sample(MEMORY, pod(f"p{n}"), 0, 0.5) for n in range(1000)))
        looking = asyncio.create_task(_gather(watching, Ran()))
        before = VirtualClock().now()
        while (VirtualClock().now() - before).total_seconds() < 90:
            await asyncio.sleep(1)
            turns += 1
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        await watching.aclose()

    at_once(main())
    assert turns >= 80


def test_each_limit_is_of_a_metric_that_comes_or_is_counted_here() -> None:
    assert AIMS.keys() - METRICS.keys() == {GPU_DEMAND, NODE_PODS}
