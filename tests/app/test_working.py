"""Workers let go of what they hold when they stop in good order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine.app.config import MissionsConfig
from engine.app.shelf import SnapshotShelf
from engine.app.working import Workers
from engine.model.mission import MissionRow, MissionState
from engine.model.ports import SystemClock
from engine.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path


class Endless:
    """A cluster whose lists never end; `asked` says that one was begun."""

    name = "prod"

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def identity(self) -> str:
        return "uid"

    async def version(self) -> str:
        return "v1.36.3"

    async def list(self, resource: str) -> list[dict[str, Any]]:
        self.asked.set()
        await asyncio.sleep(60)
        return []

    async def log(self, pod: tuple[str, str], container: str, *, previous: bool) -> str:
        return ""


async def test_a_mission_under_way_at_a_stop_is_queued_again_without_a_crash(
    tmp_path: Path,
) -> None:
    clock, cluster = SystemClock(), Endless()
    store = Store.open(tmp_path / "store.db", clock=clock)
    shelf = SnapshotShelf(tmp_path / "shelf", 10)
    store.add_mission(MissionRow("m-1", "incident-response", {}, datetime.now(UTC)))
    workers = Workers(store, {"prod": cluster}, shelf, MissionsConfig(), clock)
    running = asyncio.create_task(workers.run())
    async with asyncio.timeout(10):
        await cluster.asked.wait()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    row = store.mission("m-1")
    store.close()
    assert row is not None
    assert (row.state, row.crashes) == (MissionState.QUEUED, 0)
