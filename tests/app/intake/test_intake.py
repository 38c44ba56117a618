"""The intake over a real log: nobody folds it but the test, as fast as that likes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from engine.app.intake.entry import Batch
from engine.app.intake.intake import Intake, Limits
from engine.app.intake.progress import EmbeddedProgress
from engine.bus.codec import decode, encode
from engine.bus.embedded import EmbeddedBus
from engine.model.errors import Overloaded, StoreError
from engine.model.ports import SystemClock
from engine.model.signal import Signal
from tests.acceptance.test_bad_disk import a_small_disk
from tests.app.intake.flood import a_pod, a_sample, a_signal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB = 1 << 20
FLOOR = 100
WITHIN_S = 20


@dataclass
class Hall:
    """An intake before a log; `fold` folds what is there."""

    bus: EmbeddedBus
    intake: Intake
    offset: int = 0
    seen: list[Signal] = field(default_factory=list)

    async def fold(self, most: int = 1 << 30) -> None:
        """Fold up to `most` records, and let the intake know."""
        end = await self.bus.end()
        if end > self.offset and most:
            async for offset, record in self.bus.read(self.offset):
                self.seen += decode(record).signals
                self.offset = offset + 1
                most -= 1
                if self.offset >= end or most <= 0:
                    break

    async def fold_until(self, count: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while len(self.seen) < count:
                await self.fold()
                await asyncio.sleep(0.01)

    def ids(self) -> list[str]:
        return [signal.id for signal in self.seen]


@asynccontextmanager
async def a_hall(folder: Path, limit: int = MIB, shed_after_s: float = 5.0) -> AsyncIterator[Hall]:
    clock = SystemClock()
    bus = EmbeddedBus(folder / "signals.db", clock=clock)
    progress = EmbeddedProgress(bus, lambda: hall.offset, clock)
    intake = Intake(bus, progress, Limits(limit, shed_after_s, FLOOR), clock)
    hall = Hall(bus, intake)
    running = asyncio.create_task(intake.run())
    try:
        yield hall
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await intake.aclose()
        await bus.aclose()


def alerts(count: int, first: int = 0, size: int = 10, cluster: str = "c1") -> list[Signal]:
    return [
        Signal(
            id=f"a{number}",
            source="test",
            type="alert",
            time=datetime.now(UTC),
            cluster=cluster,
            data={"pad": "x" * size},
        )
        for number in range(first, first + count)
    ]


async def test_a_sender_hears_when_all_is_durable_and_the_log_has_it_as_it_was(
    tmp_path: Path,
) -> None:
    sent = [a_pod(1, "a", phase="Running", object={"x": [1, 2.5, None]}), a_sample(2, "s", 1)]
    async with a_hall(tmp_path) as hall:
        await hall.intake.accept(Batch(sent))
        assert await hall.bus.end() == 1
        records = [record async for _, record in first(hall.bus, 1)]
    assert records == [encode(sent)]


async def first(bus: EmbeddedBus, count: int) -> AsyncIterator[tuple[int, bytes]]:
    async for one in bus.read(0):
        yield one
        count -= 1
        if not count:
            return


async def test_the_log_gets_no_more_than_may_be_in_flight_and_the_rest_in_order_later(
    tmp_path: Path,
) -> None:
    async with a_hall(tmp_path) as hall:
        await hall.intake.put(Batch(alerts(5 * FLOOR)))
        await asyncio.sleep(0.2)
        unfolded = sum(len(decode(record).signals) for _, record in await everything(hall.bus))
        assert FLOOR <= unfolded <= 3 * FLOOR
        await hall.fold_until(5 * FLOOR)
    assert hall.ids() == [f"a{number}" for number in range(5 * FLOOR)]


async def everything(bus: EmbeddedBus) -> list[tuple[int, bytes]]:
    return [one async for one in first(bus, await bus.end())]


async def test_a_source_is_held_back_before_the_limit_and_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    most = 0
    async with a_hall(tmp_path, shed_after_s=1e6) as hall:

        async def source() -> None:
            for start in range(0, 4000, 100):
                await hall.intake.put(Batch(alerts(100, start, size=1000)))

        putting = asyncio.create_task(source())
        for _ in range(30):
            await asyncio.sleep(0.01)
            most = max(most, hall.intake.waiting_bytes)
        assert not putting.done()
        assert MIB / 2 < most <= MIB
        assert "held back" in hall.intake.problem
        await hall.fold_until(4000)
        await putting
    assert hall.ids() == [f"a{number}" for number in range(4000)]


async def test_a_sender_without_room_keeps_everything_and_what_was_promised_comes(
    tmp_path: Path,
) -> None:
    async with a_hall(tmp_path, shed_after_s=1e6) as hall:
        senders = []
        refused = 0
        for start in range(0, 4000, 100):
            batch = Batch(alerts(100, start, size=1000))
            senders.append(asyncio.create_task(hall.intake.accept(batch)))
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        for one in senders:
            if one.done() and one.exception() is not None:
                assert isinstance(one.exception(), Overloaded)
                refused += 1
        assert 5 < refused < 40
        with pytest.raises(Overloaded), hall.intake.hold(MIB):
            pass
        await hall.fold_until(100 * (40 - refused))
        answers = await asyncio.gather(*senders, return_exceptions=True)
        assert sum(answer is None for answer in answers) == 40 - refused
        taken = [at for at, answer in enumerate(answers) if answer is None]
        assert sorted(hall.ids()) == sorted(f"a{100 * at + n}" for at in taken for n in range(100))


async def test_a_cluster_that_floods_leaves_room_and_turns_to_another(tmp_path: Path) -> None:
    async with a_hall(tmp_path, shed_after_s=1e6) as hall:
        flood = asyncio.create_task(hall.intake.put(Batch(alerts(450, size=1000))))
        await flood
        again = asyncio.create_task(hall.intake.put(Batch(alerts(400, 450, size=1000))))
        quiet = asyncio.create_task(hall.intake.accept(Batch(alerts(1, 9999, cluster="c2"))))
        await asyncio.sleep(0.05)
        assert not again.done()
        await hall.fold_until(FLOOR + 1)
        await asyncio.wait_for(quiet, WITHIN_S)
        await hall.fold_until(851)
        await again
    # The other cluster had its turn long before the flood was through.
    assert hall.ids().index("a9999") < 851 - FLOOR


async def test_under_pressure_levels_and_metrics_are_shed_and_critical_ones_are_not(
    tmp_path: Path,
) -> None:
    async with a_hall(tmp_path, shed_after_s=0.1) as hall:
        await hall.intake.put(Batch(alerts(2 * FLOOR)))
        number = 0
        for second in range(20):
            pods = [a_pod(number := number + 1, f"p{n}", second, v=second) for n in range(100)]
            samples = [a_sample(number := number + 1, f"s{n}", 1, second) for n in range(100)]
            alarm = a_signal(-second - 1, "alert", {})
            await hall.intake.put(Batch([*pods, alarm, *samples]))
        await asyncio.sleep(0.5)
        assert "shed so far" in hall.intake.problem
        async with asyncio.timeout(WITHIN_S):
            while not {f"s{-second - 1}" for second in range(20)} <= set(hall.ids()):
                await hall.fold()
                await asyncio.sleep(0.01)
    folded = [one for one in hall.seen if one.type == "k8s.object"]
    assert len(folded) < 2000 / 4
    newest = {one.data["uid"]: one.data["v"] for one in folded}
    assert newest == {f"p{n}": 19 for n in range(100)}


async def test_who_sent_what_was_shed_is_answered(tmp_path: Path) -> None:
    async with a_hall(tmp_path, shed_after_s=0.1) as hall:
        await hall.intake.put(Batch(alerts(4 * FLOOR)))
        pods = [a_pod(number, "p", number) for number in range(200)]
        sending = asyncio.create_task(hall.intake.accept(Batch(pods)))
        await hall.fold_until(4 * FLOOR + 1)
        await asyncio.wait_for(sending, WITHIN_S)


async def test_a_full_disk_is_told_to_senders_at_once_and_watchers_wait(tmp_path: Path) -> None:
    with a_small_disk(tmp_path / "disk") as disk:
        async with a_hall(disk, limit=64 * MIB) as hall:
            await hall.intake.accept(Batch(alerts(1)))
            ballast = disk / "ballast"
            with pytest.raises(OSError, match="No space"):
                ballast.write_bytes(b"\0" * (64 * MIB))
            await hall.intake.put(Batch(alerts(50, 1, size=20_000)))
            for start in (100, 150):
                with pytest.raises(StoreError, match="full"):
                    await hall.intake.accept(Batch(alerts(50, start, size=20_000)))
            ballast.unlink()
            await hall.fold_until(51)
        assert hall.ids() == [f"a{number}" for number in range(51)]


async def test_what_waits_at_the_end_still_comes_onto_the_bus(tmp_path: Path) -> None:
    async with a_hall(tmp_path) as hall:
        await hall.intake.put(Batch(alerts(5 * FLOOR)))
    bus = EmbeddedBus(tmp_path / "signals.db", clock=SystemClock())
    seen = [signal for _, record in await everything(bus) for signal in decode(record).signals]
    await bus.aclose()
    assert [signal.id for signal in seen] == [f"a{number}" for number in range(5 * FLOOR)]


def test_the_same_flood_is_no_flood_for_who_said_so() -> None:
    assert Limits(MIB, 86400, FLOOR).pressure(600, 0.2) == 0
    assert [Limits(MIB, 5, FLOOR).pressure(s, 0) for s in (2, 3, 6, 8, 999)] == [0, 1, 2, 3, 3]
    assert [Limits(MIB, 5, FLOOR).pressure(0, part) for part in (0.2, 0.3, 0.6, 0.8)] == [
        0,
        1,
        2,
        3,
    ]
