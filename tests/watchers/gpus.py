"""A cluster with GPUs to look at: what dcgm-exporter shows, and who holds them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from engine.metrics.exposition import parse
from engine.model.watch import Change, ChangeType
from tests.watchers.sources import NOON, Script, an_object
from tests.watchers.virtual import VirtualClock, at_once
from watchers.gpu import GpuConfig, watch_gpu
from watchers.gpu_places import see_node, see_pod
from watchers.memory import Forgetful
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from engine.model.ports import Memory
    from engine.model.series import Series
    from engine.model.signal import Signal

Answer = str | Exception
H100 = "NVIDIA H100 80GB HBM3"


def a_line(metric: str, value: object, gpu: int = 0, /, **labels: str) -> str:
    """Return one line of dcgm-exporter of a GPU of node n1; an empty label is left out."""
    given = {
        "gpu": str(gpu),
        "UUID": f"GPU-{gpu}",
        "device": f"nvidia{gpu}",
        "modelName": H100,
        "Hostname": "n1",
        **labels,
    }
    shown = ",".join(f'{name}="{text}"' for name, text in given.items() if text)
    return f"{metric}{{{shown}}} {value}\n"


def util(value: object, gpu: int = 0, /, **labels: str) -> str:
    return a_line("DCGM_FI_DEV_GPU_UTIL", value, gpu, **labels)


def seen(page: str, at: datetime = NOON) -> list[Series]:
    """Return the series of `page`."""
    return parse(page, at, lambda _: True).series


class Gauges:
    """A Prometheus: pages that it has seen when asked, one after the other; the last for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def query(self, expression: str, at: datetime) -> list[Series]:
        self.asked.append(expression)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return seen(answer, at)

    async def range(
        self, expression: str, start: datetime, end: datetime, step_s: float
    ) -> list[Series]:
        raise AssertionError("the watcher of GPUs asks for no past")


def a_node(name: str = "n1", *, gpus: str = "8", **rest: Any) -> dict[str, Any]:
    status = {
        "allocatable": {"cpu": "8", "nvidia.com/gpu": gpus},
        "addresses": [{"type": "InternalIP", "address": f"10.0.0.{name[1:]}"}],
        **rest.pop("status", {}),
    }
    metadata = {"namespace": "", "labels": {"pool": "gpus", "feature.node.kubernetes.io/x": "1"}}
    return an_object("Node", name, metadata=metadata | rest, status=status)


def a_pod(
    name: str, *, gpus: str = "", node: str = "n1", image: str = "train", **spec: Any
) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": gpus} if gpus else {}
    container = {"name": "main", "image": image, "resources": {"limits": limits}}
    status = spec.pop("status", {"phase": "Running" if node else "Pending"})
    metadata = spec.pop("metadata", {"namespace": "ml"})
    body = {"containers": [container], "nodeName": node, **spec}
    return an_object("Pod", name, metadata=metadata, spec=body, status=status)


def told(
    gauges: Gauges | None,
    *objects: dict[str, Any],
    seconds: float = 1,
    lists: Mapping[str, Any] | None = None,
    memory: Memory | None = None,
    whole: bool = True,
    then: Mapping[float, Sequence[Change]] | None = None,
    **config: Any,
) -> list[Signal]:
    """Return what the watcher tells in the first seconds; `then`: changes of nodes by time."""
    kept = memory or Forgetful()

    async def main() -> list[Signal]:
        scene = Scene(
            Script(lists=lists), "uid", VirtualClock(), metrics=gauges, memory=lambda _: kept
        )
        scene.kept.of("nodes", see_node)
        scene.kept.of("pods", see_pod)
        for obj in objects:
            resource = f"{obj['kind'].lower()}s"
            scene.kept.take(resource, Change(ChangeType.SYNCED, obj))
            scene.owners.learn(obj)
        for resource in ("nodes", "pods") if whole else ():
            scene.kept.settle(resource, whole=True)
        changing = asyncio.create_task(_change(scene, then or {}))
        signals: list[Signal] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for batch in watch_gpu(GpuConfig(**config), scene):
                    signals += batch
        changing.cancel()
        return signals

    return at_once(main())


async def _change(scene: Scene, then: Mapping[float, Sequence[Change]]) -> None:
    passed = 0.0
    for at, changes in sorted(then.items()):
        await asyncio.sleep(at - passed)
        passed = at
        for one in changes:
            scene.kept.take("nodes", one)


def devices(signals: Sequence[Signal]) -> list[dict[str, Any]]:
    return [one.data for one in signals if one.type == "hardware"]


def metrics(signals: Sequence[Signal]) -> dict[str, float]:
    """Return the last value by name, with the model of those that have one."""
    return {
        "/".join([one.data["metric"], *one.data["labels"].values()]): one.data["value"]
        for one in signals
        if one.type == "metric"
    }
