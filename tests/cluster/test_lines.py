"""Bytes to lines, with ticks."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from engine.cluster import lines as module
from engine.cluster.lines import lines
from engine.model.errors import ClusterError


async def chunks(*parts: bytes, pause_s: float = 0.0) -> AsyncGenerator[bytes]:
    for part in parts:
        await asyncio.sleep(pause_s)
        yield part


async def test_lines_are_whole_however_the_bytes_are_cut() -> None:
    found = [b async for b in lines(chunks(b"a", b"b\ncd", b"\n\nef\ng", b"h\n"), 1)]
    assert found == [[b"ab"], [b"cd", b"ef"], [b"gh"]]


async def test_silence_gives_ticks_and_loses_nothing() -> None:
    found = [b async for b in lines(chunks(b"a\n", b"b\n", pause_s=0.05), 0.01)]
    assert [b for b in found if b] == [[b"a"], [b"b"]]
    assert found.count([]) >= 4


async def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 100)
    with pytest.raises(ClusterError, match="a line of more than"):
        async for _ in lines(chunks(b"x" * 60, b"x" * 60), 1):
            pass


async def test_what_the_bytes_raise_is_raised() -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield b"a\n"
        raise ClusterError("unreachable", "gone")

    stream = lines(broken(), 1)
    assert await anext(stream) == [b"a"]
    with pytest.raises(ClusterError, match="gone"):
        await anext(stream)
