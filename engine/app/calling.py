"""Wait for a call, or for a while."""

import asyncio


async def called(event: asyncio.Event, within_s: float) -> None:
    """Return once `event` is set, or `within_s` later; it is clear then.

    `asyncio.wait_for` may swallow a cancellation that comes as the event is set (Python 3.11).
    """
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
