"""Where a log goes on, and who holds it: the holdings with an owner and brokers at our ports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from engine.bus import holding
from engine.bus.holding import Holdings, Record, Start
from engine.bus.topics import Log, Topic
from engine.model.errors import ConfigError, Fenced, StoreError
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

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


class Steady:
    """Brokers with a log of a hundred records, each of a time of its own; `refusal` is raised."""

    def __init__(self) -> None:
        self.sought: list[int] = []
        self.refusal: Exception | None = None

    async def bounds(self, _log: Log) -> tuple[int, int]:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        return 0, 100

    async def stands(self, _log: Log, offset: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return offset, AT_MS + offset

    async def seek(self, _log: Log, offset: int) -> int:
        self.sought.append(offset)
        return len(self.sought)


class Store(Owner):
    """An owner whose records wait until the store answers, well or with `refusal`."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.refusal: Exception | None = None
        self.gap_refusal: Exception | None = None
        self.folded = WANTED
        self.begun = 0
        self.taking_over = 0
        self.let_go: list[Log] = []

    async def assigned(self, _log: Log) -> Start:
        self.begun += 1
        self.taking_over += 1
        assert self.taking_over == 1, "it is taken over twice at once"
        await asyncio.sleep(0.02)
        self.taking_over -= 1
        return Start(self.folded, AT_MS + self.folded - 1)

    async def gap(self, log: Log, wanted: int, found: int) -> None:
        await super().gap(log, wanted, found)
        refusal, self.gap_refusal = self.gap_refusal, None
        if refusal is not None:
            raise refusal

    async def take(self, _log: Log, record: Record) -> None:
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal
        self.folded = record.offset + 1

    async def revoked(self, logs: Collection[Log]) -> None:
        self.let_go.extend(logs)


NEXT = Record(WANTED, b"", b"", (), AT_MS + WANTED)


async def until(met: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not met():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.001)


async def folding(
    owner: Store, brokers: Steady, again_s: float = 0.02
) -> tuple[Holdings, asyncio.Task[None]]:
    """Return holdings whose owner waits for the store with the record NEXT."""
    holdings = Holdings(owner, brokers, again_s=again_s)
    holdings.assigned([LOG])
    await until(holdings.offsets)
    taking = asyncio.create_task(holdings.take(LOG, 1, NEXT))
    await asyncio.sleep(0)
    return holdings, taking


async def test_a_log_that_is_looked_at_while_a_record_is_folded_goes_on_behind_it() -> None:
    owner, brokers = Store(), Steady()
    holdings, taking = await folding(owner, brokers)
    holdings.again(LOG)
    await asyncio.sleep(0)
    owner.answers.set()
    await taking
    await until(holdings.offsets)
    assert owner.gaps == []
    assert brokers.sought == [WANTED, WANTED + 1]


async def test_a_record_refused_while_its_log_is_looked_at_lets_it_be_taken_over_anew() -> None:
    owner, brokers = Store(), Steady()
    owner.refusal = StoreError("store: away")
    holdings, taking = await folding(owner, brokers)
    holdings.again(LOG)
    owner.answers.set()
    await taking
    await until(holdings.offsets)
    assert owner.begun == 2
    assert brokers.sought == [WANTED, WANTED]


async def test_a_log_lost_beside_a_record_that_is_refused_is_taken_over_once() -> None:
    owner, brokers = Store(), Steady()
    owner.refusal = Fenced("somebody else owns it")
    holdings, taking = await folding(owner, brokers)
    holdings.lost(LOG)
    owner.answers.set()
    await taking
    await until(holdings.offsets)
    await holdings.revoked([LOG])
    assert owner.begun == 2


async def test_a_log_lost_while_its_gap_is_told_is_taken_over_again() -> None:
    owner, brokers = Store(), Steady()
    owner.folded, owner.gap_refusal = 200, Fenced("somebody else owns it")
    holdings = Holdings(owner, brokers, again_s=0.02)
    holdings.assigned([LOG])
    await until(holdings.offsets)
    holdings.check()
    assert owner.gaps == [(200, 0), (200, 0)]
    assert owner.begun == 2


async def test_a_secret_that_is_unreadable_for_a_while_leaves_the_log_waiting() -> None:
    owner, brokers = Store(), Steady()
    brokers.refusal = ConfigError("bus.kafka.sasl.password_file: it is empty")
    holdings = Holdings(owner, brokers, again_s=0.02)
    holdings.assigned([LOG])
    await until(lambda: holdings.problems)
    holdings.check()
    brokers.refusal = None
    await until(holdings.offsets)
    assert not holdings.problems
    assert brokers.sought == [WANTED]


async def test_a_log_that_is_let_go_after_a_refusal_is_told_to_its_owner() -> None:
    owner, brokers = Store(), Steady()
    owner.refusal = StoreError("store: away")
    owner.answers.set()
    holdings, taking = await folding(owner, brokers, again_s=60)
    await taking
    await holdings.revoked([LOG])
    assert owner.let_go == [LOG]
    assert holdings.held() == ()


async def test_a_fault_of_the_owner_is_told_and_its_logs_are_held_no_longer() -> None:
    owner, brokers = Store(), Steady()
    brokers.refusal = ZeroDivisionError("its own")
    holdings = Holdings(owner, brokers, again_s=0.02)
    holdings.assigned([LOG])
    await until(lambda: owner.begun)
    await holdings.revoked([LOG])
    assert holdings.held() == ()
    with pytest.raises(ZeroDivisionError):
        holdings.check()
