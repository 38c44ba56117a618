"""Comings and goings of clusters, told durably: first onto the bus, then into the register.

Whoever calls has the lease of the cluster, so that no two processes tell of one at once. What was
told twice, because a process died in between, the evaluator knows already.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec
import structlog

from engine.app.fleet_register import (
    CONFIGURED,
    FAULTS,
    NAMES,
    UIDS,
    Record,
    Register,
    news,
    shown,
    turn,
)
from engine.app.ingesting import Remembered
from engine.app.intake.entry import Batch
from engine.app.intake.intake import Intake
from engine.model.errors import Overloaded, StoreError
from engine.model.instant import rfc3339, to_us
from engine.model.ports import Clock
from engine.store.store import Store

LOG = structlog.get_logger()
RETRY_S: Final = 1.0
_NOBODY: Final = ""
T = TypeVar("T")


@dataclass(frozen=True)
class Reached:
    """A cluster that was reached: its uid, empty where that is hidden; where it was found."""

    name: str
    uid: str
    source: str = CONFIGURED
    place: str = ""
    server: str = ""
    labels: tuple[tuple[str, str], ...] = ()


class Passages:
    """Tells the log, and the register, of clusters that come and go. Waits for a sick store."""

    def __init__(self, store: Store, intake: Intake, clock: Clock) -> None:
        self._store = store
        self._intake = intake
        self._clock = clock
        self._register = Register(
            Remembered(store, _NOBODY, NAMES), Remembered(store, _NOBODY, UIDS)
        )
        self._faults = Remembered(store, _NOBODY, FAULTS)

    async def known(self) -> dict[str, Record]:
        """Return every cluster that there was and that did not leave. Raises StoreError."""
        return await self._register.all()

    async def name_of(self, uid: str) -> str:
        """Return the name by which a cluster of this identity is known, empty for none."""
        return await _surely(lambda: self._register.name_of(uid))

    async def come(self, reached: Reached, gone: str, twin: str) -> bool:
        """Take note that a cluster was reached; return whether it was known by the name `gone`.

        Args:
            reached: who it is.
            gone: the name of the same cluster where that is no longer in the fleet.
            twin: the name of the same cluster where that is still there.
        """
        record = await _surely(lambda: self._register.record(reached.name))
        if record is not None and record.twin and not twin:
            record = None  # it is the only one now
        found = turn(reached.uid, record, gone)
        kept = self._record(reached, None if found.change else record, twin)
        if found.uid_before:
            # Its objects are those of another cluster: each would be told as lost.
            store = self._store
            await _surely(lambda: asyncio.to_thread(store.forget_cluster, reached.name))
        if found.change:
            about = {**shown(kept), "before": found.before, "uidBefore": found.uid_before}
            await self._tell(reached.name, found.change, about)
        if gone:
            await _surely(lambda: self._leads_on(gone, reached.name))
        if found.before:
            store = self._store
            await _surely(lambda: asyncio.to_thread(store.rename_memories, gone, reached.name))
        if kept != record:
            await _surely(lambda: self._register.keep(reached.name, kept))
        return bool(gone)

    async def hold(self, reached: Reached, twin: str) -> None:
        """Take note of a cluster that is not watched, as it is watched under the name `twin`.

        What was told under its own name so far is over.
        """
        record = await _surely(lambda: self._register.record(reached.name))
        if record is not None and not record.twin:
            await self.go(reached.name)
        kept = self._record(reached, None, twin)
        await _surely(lambda: self._register.keep(reached.name, kept))

    async def go(self, name: str) -> None:
        """Take note that a cluster left, or goes on under another name; once for each."""
        record = await _surely(lambda: self._register.record(name))
        if record is None:
            return
        change = "moved" if record.after else "left"
        await self._tell(name, change, {**shown(record), "after": record.after})
        await _surely(lambda: asyncio.to_thread(self._store.forget_cluster, name))
        await _surely(lambda: self._register.forget(name, record))

    async def faults(self, found: dict[str, dict[str, str]]) -> None:
        """Remember what is wrong at each source, for those who list the fleet."""
        with suppress(StoreError):  # the next look says it again
            known = await self._faults.recall()
            said = {label: msgspec.json.encode(places) for label, places in found.items()}
            gone = dict.fromkeys(known.keys() - said.keys())
            changed = {label: raw for label, raw in said.items() if known.get(label) != raw}
            if gone or changed:
                await self._faults.keep({**gone, **changed})

    def _record(self, reached: Reached, before: Record | None, twin: str) -> Record:
        return Record(
            uid=reached.uid or (before.uid if before else ""),
            source=reached.source,
            place=reached.place,
            server=reached.server,
            labels=dict(reached.labels),
            since=before.since if before else rfc3339(to_us(self._clock.now())),
            twin=twin,
        )

    async def _leads_on(self, gone: str, after: str) -> None:
        """Let the register know that `gone` goes on as `after`."""
        record = await self._register.record(gone)
        if record is not None:
            await self._register.keep(gone, msgspec.structs.replace(record, after=after))

    async def _tell(self, name: str, change: str, about: dict[str, str]) -> None:
        signal = news(name, self._clock.now(), change, about)
        LOG.info("fleet", cluster=name, change=change, uid=about["uid"], source=about["source"])
        await _surely(lambda: self._intake.accept(Batch([signal])))


async def _surely(work: Callable[[], Awaitable[T]]) -> T:
    """Return what `work` gives, however long store and bus refuse."""
    told = False
    while True:
        try:
            return await work()
        except (StoreError, Overloaded) as error:
            if not told:
                LOG.warning("store refuses", of="fleet", error=str(error))
            told = True
            await asyncio.sleep(RETRY_S)
