"""Leases: what one process at a time does, of several that could."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import structlog

from engine.failpoint import Point, around
from engine.model.errors import StoreError
from engine.store.store import Store

LOG = structlog.get_logger()
Work = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Terms:
    """How long a lease lasts, and how often it is renewed.

    `margin_s` before its end it counts as lost where it could not be renewed. A dead holder is
    replaced within term and renewal.
    """

    term_s: float = 15.0
    renew_s: float = 5.0
    margin_s: float = 3.0


class Hold(Protocol):
    """How this process shares work with others."""

    problem: str

    async def hold(self, name: str, work: Work) -> None:
        """Do `work` whenever this process is the one to do `name`, for ever."""

    def holds(self, name: str) -> bool:
        """Whether this process does `name` now."""


class Alone:
    """One process, that does everything."""

    problem = ""

    async def hold(self, name: str, work: Work) -> None:  # noqa: ARG002 - nobody else asks for it
        """Do `work`."""
        await work()

    def holds(self, name: str) -> bool:  # noqa: ARG002 - all of it
        """Return True."""
        return True


class Leases:
    """Shares work by leases in the store, under the name `holder`.

    `problem` says why the store could not be asked, empty while it can.
    """

    def __init__(self, store: Store, holder: str, terms: Terms | None = None) -> None:
        self._store = store
        self._holder = holder
        self._terms = terms or Terms()
        self._held: set[str] = set()
        self._epochs: dict[str, int] = {}
        self._until: dict[str, float] = {}
        self.problem = ""

    def holds(self, name: str) -> bool:
        """Whether this process holds the lease `name`."""
        return name in self._held

    def epoch(self, name: str) -> int:
        """Return the epoch in which this process has or had the lease `name`, 0 for never."""
        return self._epochs.get(name, 0)

    def left_s(self, name: str) -> float:
        """Return the seconds for which this process surely has the lease `name`; 0 for none."""
        return max(0.0, self._until.get(name, 0.0) - monotonic())

    async def hold(self, name: str, work: Work) -> None:
        """Run `work` while this process holds the lease `name`, and wait for it otherwise.

        When the lease is lost, or could not be renewed in time, `work` is cancelled.
        """
        task: asyncio.Task[None] | None = None
        until = 0.0
        try:
            while True:
                until = await self._asked(name, until)
                if until > monotonic():
                    task = task or self._begin(name, work)
                elif task is not None:
                    await self._lose(name, task)
                    task = None
                await self._wait(task)
        finally:
            self._held.discard(name)
            if task is not None:
                await _end(task)
                with suppress(StoreError):  # then it ends by itself
                    await asyncio.to_thread(self._store.give_back, name, self._holder)

    async def _asked(self, name: str, until: float) -> float:
        """Ask for the lease; return until when it is ours (monotonic), 0 where it is not.

        While work goes on a store that does not answer is not waited for beyond `until`.
        """
        asked, terms = monotonic(), self._terms
        asking = asyncio.ensure_future(
            asyncio.to_thread(self._store.acquire, name, self._holder, terms.term_s)
        )
        try:
            done, _ = await asyncio.wait({asking}, timeout=until - asked if until > asked else None)
        finally:
            asking.cancel()  # does nothing to one that has its answer
        if not done:
            self._refused("the store does not answer")
            return until
        try:
            epoch = asking.result()
        except StoreError as error:
            self._refused(str(error))
            return until
        self.problem = ""
        if epoch is None:
            return 0.0
        self._epochs[name] = epoch
        self._until[name] = asked + terms.term_s - terms.margin_s
        return self._until[name]

    def _refused(self, why: str) -> None:
        if not self.problem:
            LOG.warning("store refuses", of="leases", error=why)
        self.problem = why

    async def _wait(self, task: asyncio.Task[None] | None) -> None:
        """Wait until the lease must be renewed. What ends the work is raised."""
        if task is None:
            await asyncio.sleep(self._terms.renew_s)
            return
        await asyncio.wait({task}, timeout=self._terms.renew_s)
        if task.done():
            task.result()

    def _begin(self, name: str, work: Work) -> asyncio.Task[None]:
        LOG.info("lease taken", lease=name)
        self._held.add(name)
        return asyncio.create_task(work())

    async def _lose(self, name: str, task: asyncio.Task[None]) -> None:
        LOG.warning("lease lost", lease=name)
        with around(Point.LEASE_LOST):
            self._held.discard(name)
            await _end(task)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
