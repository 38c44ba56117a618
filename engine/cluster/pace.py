"""A bounded rate of requests: a token bucket in the event loop's time."""

import asyncio


class Pace:
    """`per_s` turns a second on average, `burst` at once."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._ahead_s = (burst - 1) / per_s
        self._next = float("-inf")

    async def turn(self) -> None:
        """Return when the next request may be sent; turns are given in order of asking."""
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - self._ahead_s)
        wait = self._next - now
        self._next += 1 / self._per_s
        if wait > 0:
            await asyncio.sleep(wait)
