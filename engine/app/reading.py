"""Read the embedded bus: every record in order into the fold, for ever."""

import asyncio

from engine.app.folding import RETRY_S, Fold
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import Fenced, StoreError


async def fold_log(fold: Fold, bus: EmbeddedBus) -> None:
    """Fold what is on the bus and what comes, until it is closed.

    Raises:
        Fenced: another process took the log over.
    """
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(fold.tick())
        await _read(fold, bus)
        ticking.cancel()


async def _read(fold: Fold, bus: EmbeddedBus) -> None:
    """Fold every record, however often the bus cannot be read."""
    while True:
        try:
            await fold.restore()
            await bus.end()
            fold.problem = ""
            async for offset, record in bus.read(fold.next_offset):
                await fold.take(offset, record, more=bus.holds)
                await asyncio.sleep(0)
        except Fenced:
            raise
        except StoreError as error:
            fold.refused(error)
            await asyncio.sleep(RETRY_S)
        else:
            return
