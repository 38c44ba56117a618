"""A cluster whose nodes come, change and go as the test says, and a watcher of their devices."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.model.watch import Change, ChangeType, ResourceStatus
from tests.watchers.sources import NOON, Script
from tests.watchers.virtual import VirtualClock, at_once
from watchers.devices import DevicesConfig, watch_devices
from watchers.memory import Forgetful
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from engine.model.signal import Signal

FEATURE = "feature.node.kubernetes.io/"
DAY = 86400.0
START = int(NOON.timestamp())


def a_node(
    name: str = "n1",
    uid: str = "",
    *,
    gpus: int | None = 8,
    usable: int | None = None,
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    plugin = {} if gpus is None else {"nvidia.com/gpu": str(gpus)}
    shown = plugin if usable is None else {"nvidia.com/gpu": str(usable)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": uid or f"uid-{name}", "labels": dict(labels or {})},
        "spec": spec,
        "status": {
            "capacity": {"cpu": "96", "memory": "1Ti", **plugin},
            "allocatable": {"cpu": "95", **shown},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


@dataclass
class Cluster:
    """A cluster whose nodes the test shows and takes away, and a watcher of their devices."""

    memory: Forgetful = field(default_factory=Forgetful)
    config: DevicesConfig = field(default_factory=DevicesConfig)
    steps: list[tuple[float, Callable[[], Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.status = {"nodes": ResourceStatus()}
        self.scene = Scene(Script(), "uid", VirtualClock(), memory=self._memory, status=self.status)
        self._polled = Forgetful()

    def _memory(self, name: str) -> Any:
        return self.memory if name == "inventory" else self._polled

    def shows(self, at: float, *shown: dict[str, Any]) -> Cluster:
        return self.does(at, lambda: self._take(ChangeType.MODIFIED, shown))

    def loses(self, at: float, *gone: dict[str, Any]) -> Cluster:
        return self.does(at, lambda: self._take(ChangeType.DELETED, gone))

    def does(self, at: float, step: Callable[[], Any]) -> Cluster:
        self.steps.append((at, step))
        return self

    def _take(self, type_: ChangeType, shown: Collection[dict[str, Any]]) -> None:
        for node in shown:
            self.scene.kept.take("nodes", Change(type_, node))
        self.scene.kept.settle("nodes", whole=True)

    def until(self, seconds: float) -> list[Signal]:
        """Return what is told within the first `seconds`."""
        told: list[Signal] = []

        async def watch() -> None:
            async for signals in watch_devices(self.config, self.scene):
                told.extend(signals)

        async def main() -> None:
            self.scene.kept.expect(["nodes"])
            task = asyncio.create_task(watch())
            await asyncio.sleep(0)
            for at, step in sorted(self.steps, key=lambda one: one[0]):
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                done = step()
                if asyncio.iscoroutine(done):
                    await done
            await asyncio.sleep(seconds - asyncio.get_running_loop().time())
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

        at_once(main())
        return told
