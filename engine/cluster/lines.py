"""A stream of bytes as batches of whole lines, with a tick where nothing comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from engine.model.errors import ClusterError

MAX_LINE_BYTES = 64 << 20


async def lines(chunks: AsyncIterator[bytes], tick_s: float) -> AsyncGenerator[list[bytes]]:
    """Yield the lines that came, or an empty list after `tick_s` seconds without any.

    Raises:
        ClusterError: `malformed`, a line of more than 64 MiB; what `chunks` raises.
    """
    rest = b""
    pending = asyncio.ensure_future(anext(chunks, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=tick_s)
            if not done:
                yield []
                continue
            chunk = pending.result()
            if chunk is None:
                return
            *whole, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                raise ClusterError("malformed", f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
            pending = asyncio.ensure_future(anext(chunks, None))
            if whole:
                yield [line for line in whole if line]
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)
