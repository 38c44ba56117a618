"""A scene of the change path with a real API server, its identities, and the real mission kind."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.analysis.cluster_view import ClusterView
from engine.app.assessing import Assessor
from engine.app.config import MissionsConfig
from engine.changes.drive import advance
from engine.changes.means import Means
from engine.changes.policy import load_policy
from engine.cluster.reader import Reader
from engine.cluster.writer import ClusterWriter
from engine.model.ports import SystemClock
from tests.changes.a_scene import POLICY, Scene
from tests.cluster.readers import as_persona
from tests.cluster.writers import SALT
from tests.testbeds.identities import account

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from engine.changes.look import Look
    from engine.model.change import Draft
    from engine.model.change_row import ChangeRow
    from engine.model.change_state import ChangeState
    from engine.model.ports import Writer
    from tests.testbeds.kube import Kube

WINDOW = "verification: {window: 4s}\nbudgets: {replicas_percent: 100, changes_per_hour: 1000}\n"
POLL_S = 0.1


class RealScene(Scene):
    """A scene whose time is the real one; objects lie in `namespace`."""

    def __init__(self, folder: Path, kube: Kube, namespace: str, reader: Reader) -> None:
        self.kube = kube
        self.namespace = namespace
        self._assessor = Assessor({"east": reader}, MissionsConfig(), SystemClock())
        context = as_persona(kube)
        self._ports = {
            who: ClusterWriter("east", context, act_as=account(who), salt=SALT)
            for who in ("proposer", "incident-response")
        }
        super().__init__(folder, load_policy("p.yaml", POLICY + WINDOW), SystemClock())  # type: ignore[arg-type]

    def started(self) -> None:
        super().started()
        given: dict[str, Any] = {**vars(self.means)}
        given |= {"look": self._look, "assess": self._assessor.assess}
        self.means = Means(**given)

    async def _look(self, draft: Draft) -> Look:
        """Return what is there, with logs: the kubelets of the test cluster serve none."""
        look = await self._assessor.look(draft)
        pods = [pod["metadata"] for pod in look.view.of("Pod")]
        logs = {(pod["namespace"], pod["name"], "main", True): "lost" for pod in pods}
        snapshot = replace(look.view.snapshot, logs=logs)
        return replace(look, view=ClusterView(snapshot, self.clock.now()))

    def port(self, who: str) -> Writer:
        return self._ports[who.removeprefix("writer of ")]

    def live(self, kind: str, name: str) -> Any:
        return self.kube.get(kind, name, "" if kind == "Node" else self.namespace)

    def draft_of(self, change: str, template: str, live: Any, **fields: Any) -> Draft:
        made = super().draft_of(change, template, live, **fields)
        params = {"cluster": "east", "namespace": self.namespace}
        return made.model_copy(update={"kind_params": params})

    async def ran(self, change: str, *states: ChangeState, turns: int = 600) -> ChangeRow:
        for _ in range(turns):
            row = self.at(change)
            if row.state.final or row.state in states:
                return row
            if row.next_at is None or row.next_at <= self.clock.now():
                await advance(row, self.means, epoch=self.epoch)
            else:
                await asyncio.sleep(POLL_S)
        raise AssertionError(f"{change} does not get on: {self.at(change)}")

    async def aclose(self) -> None:
        for port in self._ports.values():
            await port.aclose()
        self.close()


@asynccontextmanager
async def a_real_scene(folder: Path, kube: Kube) -> AsyncGenerator[RealScene]:
    """Give a scene in a namespace of its own, in which dogwatch may write."""
    namespace = kube.namespace("drive")
    kube.audit.approve(namespace)
    reader = Reader("east", as_persona(kube, "reader"), SystemClock())
    scene = RealScene(folder, kube, namespace, reader)
    try:
        yield scene
    finally:
        await reader.aclose()
        await scene.aclose()
