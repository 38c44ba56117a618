"""The logs that a worker folds; here the one of the embedded bus."""

import asyncio
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.app.folding import Fold
from engine.app.means import Means, Part
from engine.app.reading import fold_log
from engine.app.second_stage import Chronicler
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import StoreError


class Waiting(NamedTuple):
    """Records that are not folded yet; the oldest came at `since_us` (Unix time), or before."""

    records: int = 0
    since_us: int | None = None


class Logs(Protocol):
    """What a worker folds."""

    async def begin(self) -> None:
        """Get ready; raises where it makes no sense to go on."""

    async def run(self) -> None:
        """Fold until cancelled. Raises Fenced when another process took the only log over."""

    def end(self) -> None:
        """Wait for nothing any more: `run` is about to be cancelled."""

    async def close(self) -> None:
        """Write what is pending."""

    async def swap(self) -> None:
        """Go on by the rules in force."""

    def folds(self) -> list[Fold]:
        """Return the folds that go on."""

    async def waiting(self) -> Waiting:
        """Return what waits to be folded here. Raises StoreError."""

    def problems(self) -> dict[str, str]:
        """Return name -> problem of what is more than store and bus."""

    def mission_ended(self) -> None:
        """Say that a mission of this process ended."""


class EmbeddedLog:
    """The one log of the embedded bus."""

    def __init__(self, means: Means, bus: EmbeddedBus, folder: Path) -> None:
        self._means = means
        self._bus = bus
        self._folder = folder

    async def begin(self) -> None:
        """Load the checkpoint.

        Raises:
            StoreError: the log ends before it: new signals would be taken for old ones.
        """
        means = self._means
        end = await self._bus.end()
        fold = self._fold = await asyncio.to_thread(Fold, means, Part())
        if end < fold.next_offset:
            raise StoreError(
                f"{self._folder}: signals.db ends at record {end}, dogwatch.db has folded "
                f"{fold.next_offset}: the log was cut off or replaced; restore both files "
                "together, or move both away to start anew"
            )
        append, second_us = self._bus.append, fold.second_us
        self._chronicler = Chronicler(means.store, append, means.clock, second_us)

    async def run(self) -> None:
        """Fold, and tell the second stage what the engine knows."""
        async with asyncio.TaskGroup() as group:
            group.create_task(fold_log(self._fold, self._bus))
            group.create_task(self._chronicler.run())

    def end(self) -> None:
        """Fold nothing more."""
        self._fold.end()

    async def close(self) -> None:
        """Write what is pending."""
        await self._fold.close()

    async def swap(self) -> None:
        """Go on by the rules in force."""
        await self._fold.swap()

    def folds(self) -> list[Fold]:
        """Return the fold."""
        return [self._fold]

    async def waiting(self) -> Waiting:
        """Return what waits to be folded. Raises StoreError."""
        first = self._fold.next_offset
        records = max(0, await self._bus.end() - first)
        return Waiting(records, await self._bus.appended_us(first) if records else None)

    def problems(self) -> dict[str, str]:
        """Return nothing: store and bus are all there is."""
        return {}

    def mission_ended(self) -> None:
        """Let the second stage know at once."""
        self._chronicler.call()
