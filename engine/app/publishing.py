"""Publish: what the first stage told of goes from the store onto the topic of the second one."""

import asyncio

import structlog

from engine.app.calling import called
from engine.bus.codec import decode
from engine.bus.kafka import KafkaBus
from engine.bus.topics import Topic
from engine.model.errors import Fenced, StoreError
from engine.store.store import Store

LOG = structlog.get_logger()
AT_ONCE = 500
LOOK_S = 5.0
RETRY_S = 1.0


class Publisher:
    """Publishes the conditions of one partition in order, until cancelled.

    They stand in the store since the commit of their firings, so that none is lost. One that is
    published twice, because this process died in between, counts once.
    """

    def __init__(self, store: Store, bus: KafkaBus, partition: int, epoch: int) -> None:
        self._store = store
        self._bus = bus
        self._partition = partition
        self._epoch = epoch
        self._called = asyncio.Event()

    def call(self) -> None:
        """Say that there are new ones."""
        self._called.set()

    async def run(self) -> None:
        """Publish for ever. Raises Fenced when somebody else owns the partition."""
        told = False
        while True:
            try:
                while await self._some():
                    pass
                told = False
            except Fenced:
                raise
            except StoreError as error:
                if not told:
                    LOG.warning("conditions wait", partition=self._partition, error=str(error))
                told = True
                await asyncio.sleep(RETRY_S)
                continue
            await called(self._called, LOOK_S)

    async def _some(self) -> bool:
        """Publish what waits, AT_ONCE at most; return whether there was any."""
        rows = await asyncio.to_thread(self._store.unpublished, self._partition, AT_ONCE)
        if not rows:
            return False
        signals = [signal for _, _, record in rows for signal in decode(record).signals]
        await self._bus.append_to(Topic.CONDITIONS, 0, signals)
        last = rows[-1][0]
        await asyncio.to_thread(self._store.published, self._partition, self._epoch, last)
        return True
