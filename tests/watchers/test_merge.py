"""Many streams as one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from watchers.merge import merge


async def count(*numbers: int, fail: bool = False) -> AsyncGenerator[int]:
    for number in numbers:
        await asyncio.sleep(0)
        yield number
    if fail:
        raise ValueError("broken stream")


async def test_everything_of_every_stream_comes_once_and_in_its_order() -> None:
    streams = {"a": count(*range(1000)), "b": count(*range(500)), "c": count()}
    items = [item async for came in merge(streams) for item in came]
    assert [n for name, n in items if name == "a"] == list(range(1000))
    assert [n for name, n in items if name == "b"] == list(range(500))


async def test_what_a_stream_raises_is_raised_and_the_others_are_closed() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[int]:
        try:
            while True:
                await asyncio.sleep(0.001)
                yield 1
        finally:
            closed.set()

    with pytest.raises(ValueError, match="broken stream"):
        async for _ in merge({"bad": count(1, fail=True), "good": endless()}):
            pass
    assert closed.is_set()


async def test_a_slow_consumer_slows_the_streams_down() -> None:
    made = 0

    async def eager() -> AsyncGenerator[int]:
        nonlocal made
        while True:
            made += 1
            yield made

    async with contextlib.aclosing(merge({"a": eager()})) as merged:
        await anext(merged)
        await asyncio.sleep(0.05)
        assert made <= 130
