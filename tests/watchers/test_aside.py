"""Long work keeps nobody on the loop waiting, and ends before others use what it changes."""

import asyncio
import threading

import pytest

from watchers.aside import FEW, aside


async def test_others_have_their_turns_while_work_about_much_goes_on() -> None:
    turn = threading.Event()
    asyncio.get_running_loop().call_soon(turn.set)
    assert await aside(lambda: turn.wait(10), FEW)


async def test_work_about_little_is_done_at_once() -> None:
    assert await aside(threading.get_ident, FEW - 1) == threading.get_ident()


async def test_what_work_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await aside(lambda: 1 // 0, FEW)


async def test_one_who_is_cancelled_ends_after_the_work_that_was_begun() -> None:
    begun, go = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        go.wait(10)
        done.append("work")

    task = asyncio.create_task(aside(work, FEW))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    asyncio.get_running_loop().call_later(0.05, go.set)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ["work"]
