"""Upkeep: old records of the bus and old rows of the store go, some each minute."""

import asyncio
from datetime import timedelta

import structlog

from engine.app.engine import Engine
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import StoreError

LOG = structlog.get_logger()
FORGET_S = 60.0


async def forget(engine: Engine) -> None:
    """Let go of what is older than the configuration says, for ever."""
    stream, missions = engine.settings.stream, engine.settings.missions
    while True:
        await asyncio.sleep(FORGET_S)
        try:
            if isinstance(engine.bus, EmbeddedBus):
                (fold,) = engine.folds()
                folded = fold.committed_offset
                await engine.bus.trim(
                    folded, keep_s=stream.retain_s, keep_bytes=stream.retain_bytes
                )
            old = engine.clock.now() - timedelta(seconds=missions.retain_s)
            await asyncio.to_thread(engine.store.prune, old)
        except StoreError as error:
            LOG.warning("store refuses", of="retention", error=str(error))
