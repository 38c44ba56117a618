"""Many streams as one, in the order in which things come."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")
_WAITING = 64


async def merge(
    streams: Mapping[str, AsyncGenerator[T]],
) -> AsyncGenerator[list[tuple[str, T]]]:
    """Yield what has come from the streams since the last time, with their names.

    Ends when all have ended. A slow consumer slows the streams down: 64 items wait at most.

    Raises:
        Whatever a stream raises.
    """
    box: _Box[T] = _Box()
    tasks = [asyncio.create_task(box.fill(name, stream)) for name, stream in streams.items()]
    for task in tasks:
        task.add_done_callback(lambda _: box.arrived.set())
    try:
        while tasks:
            await box.arrived.wait()
            if came := box.empty():
                yield came
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
        if left := box.empty():
            yield left
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Box(Generic[T]):
    """Where items wait for the consumer."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self._items: deque[tuple[str, T]] = deque()
        self._room = asyncio.Semaphore(_WAITING)

    async def fill(self, name: str, stream: AsyncGenerator[T]) -> None:
        async with contextlib.aclosing(stream):
            async for item in stream:
                await self._room.acquire()
                self._items.append((name, item))
                self.arrived.set()

    def empty(self) -> list[tuple[str, T]]:
        self.arrived.clear()
        came = list(self._items)
        self._items.clear()
        for _ in came:
            self._room.release()
        return came
