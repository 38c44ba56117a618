"""The writer: takes changes that are due, one step after the other, while it holds the lease."""

import asyncio
from datetime import datetime, timedelta

import structlog

from engine import meters
from engine.app.calling import called
from engine.app.config import ChangesConfig
from engine.app.leasing import Leases
from engine.changes.drive import advance
from engine.changes.means import Means
from engine.model.change_row import ChangeRow
from engine.model.errors import DogwatchError, Fenced, IllegalMove, StoreError
from engine.store.change_moves import WRITER
from engine.store.store import Store

LOG = structlog.get_logger()
ELSEWHERE = "another process is the writer"
AGAIN = timedelta(seconds=5)
"""How long a change is left alone that could not be gone on with, at first."""
AGAIN_MOST = timedelta(minutes=5)


class Writing:
    """Goes on with every change that is due, in each cluster `settings.at_once` at a time.

    One process at a time does this: the epoch of its lease stands in each of its writes, so that
    one that stood still writes nothing more.
    """

    def __init__(self, store: Store, means: Means, leases: Leases, settings: ChangesConfig) -> None:
        self._store = store
        self._means = means
        self._leases = leases
        self._settings = settings
        self._slots: dict[str, asyncio.Semaphore] = {}
        self._at_hand: dict[str, asyncio.Task[None]] = {}
        self._rests: dict[str, tuple[datetime, timedelta]] = {}
        self._called = asyncio.Event()
        self.problem = ELSEWHERE

    async def run(self) -> None:
        """Go on with changes until cancelled, which is what happens when the lease is lost."""
        self.problem = ""
        try:
            while True:
                try:
                    await self._write()
                except* Fenced:
                    # The lease is taken anew before long, or this is cancelled.
                    LOG.warning("another writer took over", epoch=self._leases.epoch(WRITER))
                    await asyncio.sleep(AGAIN.total_seconds())
        finally:
            self.problem = ELSEWHERE

    async def _write(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                try:
                    await self._look(group)
                    self.problem = ""
                except StoreError as error:
                    if isinstance(error, Fenced):
                        raise
                    if not self.problem:
                        LOG.warning("store refuses", of="changes", error=str(error))
                    self.problem = str(error)
                await called(self._called, self._settings.poll_s)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Begin with each change that is due and not at hand."""
        now = self._means.clock.now()
        meters.APPROVALS_PENDING.set(await asyncio.to_thread(self._store.awaiting))
        meters.FROZEN.set(bool(await asyncio.to_thread(self._store.freezes, now)))
        resting = (change for change, (until, _) in self._rests.items() if until > now)
        busy = {*self._at_hand, *resting}
        for row in await asyncio.to_thread(self._store.due_changes, now, exclude=busy):
            self._at_hand[row.id] = group.create_task(self._go_on(row))

    async def _go_on(self, row: ChangeRow) -> None:
        epoch = self._leases.epoch(WRITER)
        try:
            async with self._slot(row):
                await advance(row, self._means, epoch=epoch)
            self._rests.pop(row.id, None)
        except Fenced:
            raise
        except IllegalMove as error:
            # A person was quicker: what is there now is looked at with the next look.
            LOG.info("change moved elsewhere", change=row.id, why=str(error))
        except DogwatchError as error:
            self._rest(row, str(error))
        except Exception as error:  # noqa: BLE001 - one change must not end all, at every start anew
            self._rest(row, f"a fault of its own: {type(error).__name__}: {error}")
        finally:
            self._at_hand.pop(row.id, None)
            self._called.set()

    def _slot(self, row: ChangeRow) -> asyncio.Semaphore:
        """Return what is taken in turn in the cluster of `row`: a dead one delays no other."""
        cluster = row.draft.target.cluster
        return self._slots.setdefault(cluster, asyncio.Semaphore(self._settings.at_once))

    def _rest(self, row: ChangeRow, why: str) -> None:
        """Leave the change as it stands for a while, longer each time it happens again.

        Nothing more was written than is kept.
        """
        LOG.warning("change later", change=row.id, state=row.state.value, why=why)
        _, pause = self._rests.get(row.id, (None, AGAIN))
        self._rests[row.id] = (self._means.clock.now() + pause, min(2 * pause, AGAIN_MOST))
