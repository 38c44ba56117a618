"""The watcher of predictions: what will happen if it goes on like this."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Final

import structlog
from pydantic import Field, PositiveFloat, PositiveInt

from engine.model.config import Config
from engine.model.signal import Signal
from watchers.aims import AIMS, ODD, VOLUME, Aim, Kind, Side
from watchers.foreseen import Foreseen
from watchers.foresight import Bounds, Foresight
from watchers.gpu_places import see_node, see_pod
from watchers.pasts import Pasts
from watchers.polling import Fact, Looked, poll
from watchers.registry import Scene, Source, watcher
from watchers.supply import Supply, see_lodger, see_room

LOG = structlog.get_logger()
SOURCE: Final = Source(
    "signals",
    "where metrics, restarts and GPUs of the cluster are heading",
    setting="clusters[].prometheus.url, or metrics-server",
    verbs=(),
)
_SLICE: Final = 100
"""Series that are looked at before others get their turn."""


class Toward(Config):
    """One more metric that is followed: `limit` is the value at which `prediction` happens.

    `falls`: it is reached from above.
    """

    prediction: Kind
    limit: float = Field(allow_inf_nan=False)
    falls: bool = False


class PredictionsConfig(Config):
    """Every `every_s` seconds all series are looked at.

    What is less sure than `least_confidence` or farther away than `horizon_s` is not told.
    `toward` has further metrics by name. `anomalies` are the metrics of workloads of which
    unusual values are told: high ones, low ones, or both. At most `max_series` series are
    followed, each in about 1 KiB.
    """

    every_s: PositiveFloat = 60.0
    horizon_s: PositiveFloat = 86_400.0
    least_confidence: float = Field(default=0.5, ge=0, le=1)
    toward: dict[str, Toward] = Field(default_factory=dict)
    anomalies: dict[str, Side] = Field(default_factory=lambda: dict(ODD))
    max_series: PositiveInt = 50_000


@watcher("predictions", config=PredictionsConfig, sources=(SOURCE,))
async def watch_predictions(
    config: PredictionsConfig, scene: Scene
) -> AsyncGenerator[list[Signal]]:
    """Yield `prediction` for what is going to happen, and heartbeats; mostly nothing.

    data: prediction, metric, labels, value, limit, horizon (seconds), confidence, slope (for each
    second) or score, message, and namespace, kind, name, workload and node of what it is about.

    pod-crash: memory of a pod on its way to its limit, a volume that fills, or restarts that come
    faster and faster. node-pressure: memory, CPU, a file system or the pods of a node.
    gpu-exhaustion: the GPUs that pods have and wait for, of all there are. anomaly: a metric of a
    workload far from its last hours and from this hour of the days before. A confidence is what
    of such a prediction came true on the series itself: see engine.analysis.trend and .season.

    Source: the signals of the cluster, and the Pods and Nodes that the watcher of objects keeps.
    """
    aims = {**AIMS, **{name: _aim(name, one) for name, one in config.toward.items()}}
    bounds = Bounds(config.horizon_s, config.least_confidence, config.max_series)
    foresight = Foresight(bounds, aims, config.anomalies)
    looking = _Looking(scene, foresight, config.every_s)
    with scene.tapped(foresight.take, "predictions"):
        async for batch in poll("predictions", scene, [SOURCE.name], config.every_s, looking.look):
            yield batch


class _Looking:
    """Looks at all series of one cluster, without keeping others from their work."""

    def __init__(self, scene: Scene, foresight: Foresight, every_s: float) -> None:
        self._scene = scene
        self._foresight = foresight
        self._every_s = every_s
        # Restarts are told of by a memory of its own: poll has that of the watcher's name.
        self._pasts = Pasts(scene.memory("predictions.pasts"), foresight)
        self._supply = Supply(
            scene.kept.of("pods", see_lodger),
            scene.kept.of("nodes", see_room),
            scene.kept.of("pods", see_pod),
            scene.kept.of("nodes", see_node),
        )
        self._left_out = False

    async def look(self, at: datetime) -> Looked:
        """Return a fact of each prediction; none while nothing of the cluster is seen."""
        await self._pasts.keep()
        if blind := self._scene.cut_off:
            return Looked(faults={SOURCE.name: blind})
        self._count(at)
        looked = Looked()
        slices = len(self._foresight) // _SLICE + 1
        pause_s = self._every_s / 2 / slices if slices > 1 else 0.0
        for place, found in enumerate(self._foresight.look(at), 1):
            if found is not None and (data := self._whose(found)):
                looked.facts.append(
                    Fact("prediction", found.subject, data, SOURCE.name, level=False)
                )
            if place % _SLICE == 0:
                await asyncio.sleep(pause_s)
        return looked

    def _count(self, at: datetime) -> None:
        kept = self._scene.kept
        if kept.whole("pods") and kept.whole("nodes"):
            for metric, labels, value in self._supply.samples():
                self._foresight.sample(metric, labels, at.timestamp(), value)
        left_out = self._foresight.left_out > 0
        if left_out and not self._left_out:
            LOG.warning("more series than are followed", cluster=self._scene.source.name)
        self._left_out = left_out

    def _whose(self, found: Foreseen) -> dict[str, Any] | None:
        """Return the data of a prediction; of a volume with the workload that has it, if any."""
        data = found.data
        if data["metric"] != VOLUME:
            return data
        users = self._supply.users(data["namespace"], data["name"])
        owners = [owner for uid in users if (owner := self._scene.owners.of(uid))]
        return {**data, "workload": owners[0].name} if owners else None


def _aim(name: str, toward: Toward) -> Aim:
    return Aim(toward.prediction, toward.limit, name, falls=toward.falls)
