"""Where a log goes on: at the record that was wanted, or told where that is another log by now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.bus import holding
from engine.bus.holding import Holdings, Record, Start
from engine.bus.topics import Log, Topic
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Collection

LOG = Log(Topic.SIGNALS, 1)
WANTED, AT_MS = 21, 1_000


class Brokers:
    """One log at a port of ours: its end at each look, and the time of the record before WANTED."""

    def __init__(self, ends: list[int], before_ms: int) -> None:
        self.sought: list[int] = []
        self._ends = ends
        self._before_ms = before_ms

    async def bounds(self, _log: Log) -> tuple[int, int]:
        return 0, self._ends.pop(0)

    async def stands(self, _log: Log, offset: int) -> tuple[int, int]:
        return offset, self._before_ms

    async def seek(self, _log: Log, offset: int) -> int:
        self.sought.append(offset)
        return 1


class Owner:
    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []

    async def assigned(self, _log: Log) -> Start:
        return Start(WANTED, AT_MS)

    async def gap(self, _log: Log, wanted: int, found: int) -> None:
        self.gaps.append((wanted, found))

    async def take(self, _log: Log, _record: Record) -> None: ...

    async def revoked(self, _logs: Collection[Log]) -> None: ...


async def taken_over(brokers: Brokers) -> Owner:
    """Return the owner once it was said where the log goes on."""
    owner = Owner()
    holdings = Holdings(owner, brokers, again_s=0)
    holdings.assigned([LOG])
    assert await asyncio.to_thread(eventually, lambda: brokers.sought or None, 10)
    return owner


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "RETRY_S", 0.01)


@pytest.mark.parametrize("ends", [[40], [5, 40]], ids=["at once", "while it was looked at"])
async def test_a_log_made_again_is_told_though_it_has_grown_past_what_is_wanted(
    ends: list[int],
) -> None:
    brokers = Brokers(ends, before_ms=AT_MS + 1)
    owner = await taken_over(brokers)
    assert owner.gaps == [(WANTED, 0)]
    assert brokers.sought == [0]


async def test_a_log_made_again_that_is_short_is_told() -> None:
    brokers = Brokers([5, 6], before_ms=AT_MS + 1)
    owner = await taken_over(brokers)
    assert owner.gaps == [(WANTED, 0)]
    assert brokers.sought == [0]


@pytest.mark.parametrize("ends", [[40], [WANTED], [5, 40]], ids=["more", "none", "late leader"])
async def test_the_log_that_was_left_goes_on_at_what_is_wanted(ends: list[int]) -> None:
    brokers = Brokers(ends, before_ms=AT_MS)
    owner = await taken_over(brokers)
    assert owner.gaps == []
    assert brokers.sought == [WANTED]
