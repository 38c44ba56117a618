"""Work that is too long for the loop, done in a thread."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
FEW: Final = 2000
"""Things that are not worth a thread."""


async def aside(work: Callable[[], T], count: int) -> T:
    """Return what `work` returns, which is about `count` things; raise what it raises.

    Where there are many, others on the loop have their turns meanwhile. One that is cancelled ends
    when `work` has: that may be changing what others use next.
    """
    if count < FEW:
        return work()
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait({working})
        raise
