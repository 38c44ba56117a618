"""Time that passes at once: an event loop that does not wait, and the clock that goes with it."""

from __future__ import annotations

import asyncio
import selectors
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from tests.watchers.sources import NOON

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Never waits; what it was asked to wait for has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        self.passed += max(timeout or 0, 0)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumps = _Selector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.passed


class VirtualClock:
    """The wall clock of that loop: noon at its start."""

    def now(self) -> datetime:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())


def at_once(main: Coroutine[Any, Any, T]) -> T:
    """Run `main`, which must wait for nothing but time."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main)
