"""Pasts: what series did by the hour, remembered over restarts in a few large pieces."""

import asyncio
import zlib
from typing import Final

import msgspec

from engine.model.errors import StoreError
from engine.model.ports import Memory
from watchers.foresight import Foresight

PIECES: Final = 60
"""One is kept at each look, so at a look each minute each is kept once an hour."""
_Piece = list[tuple[str, bytes]]


class Pasts:
    """The past of one cluster's series in `memory`."""

    def __init__(self, memory: Memory, foresight: Foresight) -> None:
        self._memory = memory
        self._foresight = foresight
        self._recalled = False
        self._turn = 0

    async def keep(self) -> None:
        """Recall all of it at first, then keep one piece; the store may be away."""
        try:
            if not self._recalled:
                await self._recall(await self._memory.recall())
                self._recalled = True
                return
            self._turn = (self._turn + 1) % PIECES
            piece = list(self._foresight.pasts(lambda name: _place(name) == self._turn))
            packed = zlib.compress(msgspec.msgpack.encode(piece)) if piece else None
            await self._memory.keep({str(self._turn): packed})
        except StoreError:
            return

    async def _recall(self, kept: dict[str, bytes]) -> None:
        for packed in kept.values():
            await asyncio.sleep(0)  # of 10,000 pods all pieces take 0.3 s: others want a turn
            try:
                piece = msgspec.msgpack.decode(zlib.decompress(packed), type=_Piece)
            except (zlib.error, msgspec.DecodeError):
                continue
            for name, past in piece:
                self._foresight.recall(name, past)


def _place(name: str) -> int:
    return zlib.crc32(name.encode()) % PIECES
