"""A process that runs one mission in legs over a real store, and may be killed at any step."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.app.config import MissionsConfig
from engine.app.shelf import SnapshotShelf
from engine.app.working import Workers
from engine.missions.notices import Route
from engine.missions.registry import mission
from engine.model.change_state import ChangeState
from engine.model.config import Config
from engine.model.mission import MissionRow, MissionState
from engine.model.ports import SystemClock
from engine.model.report import Coverage, ObjectRef, Outcome, ProposedChange, Report
from engine.rules.rule import Rule
from engine.store.store import Store
from tests.failpoints.armed import arm_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.model.snapshot import Snapshot

MISSION = "m-1"
KIND = "acts"
LOOK_S = 0.02
WEB = ObjectRef(cluster="eu", kind="Deployment", namespace="shop", name="web", uid="u-web")
RULE = Rule("storm", (), (), "h")


class NoParams(Config):
    """Nothing may be asked of the kind."""


@dataclass
class Counted:
    """A cluster that counts in a file how often it is read."""

    folder: Path
    name: str = "eu"

    async def identity(self) -> str:
        with (self.folder / "reads").open("a", encoding="utf-8") as reads:
            reads.write("read\n")
        return "uid-eu"

    async def version(self) -> str:
        return "v1.36.3"

    async def list(self, resource: str) -> list[dict[str, Any]]:
        return []

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        return ""


def begin(folder: Path) -> None:
    """Queue the mission."""
    store = Store.open(folder / "store.db", clock=SystemClock())
    row = MissionRow(MISSION, KIND, {}, datetime.now(UTC), rule="storm", firing="f-1")
    store.add_mission(replace(row, mode="apply"))
    store.close()


def live(folder: Path, environment: Mapping[str, str], *, decides: bool = True) -> None:
    """Run until the mission is over; with `decides` what it proposes is denied at once."""
    _register()
    arm_from(environment)
    asyncio.run(_live(folder, decides=decides))
    os._exit(0)  # the worker threads of a store that is being killed are not waited for


async def _live(folder: Path, *, decides: bool) -> None:
    store = Store.open(folder / "store.db", clock=SystemClock())
    store.recover()
    shelf = SnapshotShelf(folder / "shelf", 10)
    workers = Workers(store, {"eu": Counted(folder)}, shelf, MissionsConfig(), SystemClock())
    workers.rule_of = lambda _name, _firing: RULE
    workers.routes = (Route(("out",), {}),)
    running = asyncio.create_task(workers.run())
    while not running.done():
        row = await asyncio.to_thread(store.mission, MISSION)
        if row is not None and row.state in {MissionState.DONE, MissionState.FAILED}:
            break
        drafts = await asyncio.to_thread(store.changes, states=[ChangeState.DRAFT])
        if drafts and decides:
            await asyncio.to_thread(store.withdraw, MISSION, "ann", datetime.now(UTC))
            workers.call()
        await asyncio.sleep(LOOK_S)
    running.cancel()


def _register() -> None:
    @mission(KIND, type="repair", params=NoParams, needs=("pods",), phases=3, changes=("restart",))
    def acts(snapshot: Snapshot, _: NoParams, now: datetime) -> Report:
        """Find the same each time, and propose a restart."""
        option = ProposedChange(
            id="c-web",
            operation="restart",
            target=WEB,
            title="restart web",
            risk="low",
            reversible="yes",
            findings=[],
            template="restart",
        )
        return Report(
            kind=KIND,
            clusters=dict.fromkeys(snapshot.clusters, ""),
            started=now,
            finished=now,
            outcome=Outcome.FINDINGS,
            summary="Broken.",
            coverage=Coverage(answered=1, possible=1),
            changes=[option],
        )
