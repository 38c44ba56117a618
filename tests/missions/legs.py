"""A process that runs one mission in legs over a real store, and may be killed at any step."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
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
LEASE_S = 2.0
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


def begin(place: Path | str) -> None:
    """Queue the mission in the store at `place`."""
    store = Store.open(place, clock=SystemClock())
    row = MissionRow(MISSION, KIND, {}, datetime.now(UTC), rule="storm", firing="f-1")
    store.add_mission(replace(row, mode="apply"))
    store.close()


def live(
    folder: Path,
    environment: Mapping[str, str],
    place: Path | str,
    name: str = "local",
    *,
    decides: bool = True,
) -> None:
    """Run as the process `name` until the mission is over.

    With `decides` what it proposes is denied at once. On a store that is shared the process has
    a lease while it lives, and sees to what others left.
    """
    _register()
    arm_from(environment)
    asyncio.run(_live(folder, place, name, decides=decides))
    os._exit(0)  # the worker threads of a store that is being killed are not waited for


async def _live(folder: Path, place: Path | str, name: str, *, decides: bool) -> None:
    store = Store.open(place, clock=SystemClock())
    shared = isinstance(place, str)
    see_to = partial(_see_to, store, name, shared=shared)
    see_to()
    shelf = SnapshotShelf(folder / "shelf", 10)
    workers = Workers(store, {"eu": Counted(folder)}, shelf, MissionsConfig(), SystemClock())
    workers.process, workers.rule_of = name, lambda _name, _firing: RULE
    workers.routes = (Route(("out",), {}),)
    running = asyncio.create_task(workers.run())
    while not running.done():
        if shared:
            await asyncio.to_thread(see_to)
        row = await asyncio.to_thread(store.mission, MISSION)
        if row is not None and row.state in {MissionState.DONE, MissionState.FAILED}:
            break
        drafts = await asyncio.to_thread(store.changes, states=[ChangeState.DRAFT])
        if drafts and decides:
            await asyncio.to_thread(store.withdraw, MISSION, "ann", datetime.now(UTC))
            workers.call()
        await asyncio.sleep(LOOK_S)
    running.cancel()


def _see_to(store: Store, name: str, *, shared: bool) -> None:
    """Say that this process lives, and queue again what the dead left running."""
    if shared:
        store.acquire(f"process/{name}", name, LEASE_S)
    store.recover(shared=shared)


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
