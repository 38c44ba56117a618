"""A worker process of its own, over a store that others share: it counts the records of each log.

Run `python -m tests.bus.kafka_member STORE MEMBER SETTINGS`; the last is JSON. The count is part
of each commit, so that at the end it says whether a record was folded twice, or never.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine.bus.faust_worker import KafkaWorker, Record, Start
from engine.bus.settings import KafkaConfig
from engine.model.ports import SystemClock
from engine.store.checkpoint import Commit
from engine.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Collection

    from engine.bus.topics import Log

COUNT = "count"


class Counting:
    """An owner that commits each record by itself."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owned: dict[Log, tuple[int, int]] = {}

    async def assigned(self, log: Log) -> Start:
        epoch = await asyncio.to_thread(self._store.claim, log.stored)
        found = await asyncio.to_thread(self._store.load, log.stored)
        place = (await asyncio.to_thread(self._store.positions))[log.stored]
        self._owned[log] = (epoch, int(found.state.get(COUNT, b"0")))
        return Start(found.next_offset, place.appended_us // 1000)

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        raise AssertionError(f"{log}: {found} instead of {wanted}")

    async def take(self, log: Log, record: Record) -> None:
        epoch, count = self._owned[log]
        state = {COUNT: str(count + 1).encode()}
        commit = Commit(record.offset + 1, state, appended_us=record.at_ms * 1000)
        await asyncio.to_thread(self._store.commit, log.stored, epoch, commit)
        self._owned[log] = (epoch, count + 1)

    async def revoked(self, logs: Collection[Log]) -> None:
        for log in logs:
            self._owned.pop(log, None)


async def main(place: str, member: str, config: str) -> None:
    """Fold until the process ends."""
    store = Store.open(Path(place), clock=SystemClock())
    await KafkaWorker(KafkaConfig.model_validate_json(config), Counting(store), member=member).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
