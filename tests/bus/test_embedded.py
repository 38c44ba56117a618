"""The embedded bus: what was acknowledged is there, in order, for every reader."""

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from engine.bus.codec import Damaged, decode
from engine.bus.embedded import POLL_S, EmbeddedBus
from engine.model.errors import StoreError
from engine.model.signal import Signal

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Hand:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at


def a_signal(number: int, **fields: Any) -> Signal:
    return Signal(id=str(number), source="s", type="k8s.event", time=NOON, **fields)


@pytest.fixture
async def bus(tmp_path: Path) -> AsyncIterator[EmbeddedBus]:
    bus = EmbeddedBus(tmp_path / "bus.db", clock=Hand())
    yield bus
    await bus.aclose()


async def take(bus: EmbeddedBus, count: int, offset: int = 0) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    async with asyncio.timeout(5), aclosing(bus.read(offset)) as records:
        async for at, record in records:
            found.append((at, record))
            if len(found) == count:
                break
    return found


async def test_records_come_back_in_order_with_offsets_from_zero(bus: EmbeddedBus) -> None:
    assert await bus.end() == await bus.start() == 0
    assert [await bus.append_bytes(record) for record in (b"a", b"b", b"c")] == [0, 1, 2]
    assert await take(bus, 2, offset=1) == [(1, b"b"), (2, b"c")]
    assert await bus.end() == 3


async def test_an_append_is_one_record_a_cluster_and_gives_the_last_offset(
    bus: EmbeddedBus,
) -> None:
    batch = [a_signal(n, cluster="east" if n % 2 else "west") for n in range(1200)]
    last = await bus.append(batch)
    records = await take(bus, last + 1)
    clusters = [{signal.cluster for signal in decode(record).signals} for _, record in records]
    assert clusters == [{"west"}, {"west"}, {"east"}, {"east"}]
    assert sum(len(decode(record).signals) for _, record in records) == 1200


async def test_an_empty_append_writes_nothing(bus: EmbeddedBus) -> None:
    await bus.append([])
    assert await bus.end() == 0


async def test_a_waiting_reader_is_woken_at_once(bus: EmbeddedBus) -> None:
    loop = asyncio.get_running_loop()
    waits = []
    async with aclosing(bus.read(0)) as records:
        for _ in range(15):
            reading = asyncio.ensure_future(anext(records))
            await asyncio.sleep(POLL_S / 10)  # a poll would come after the rest of POLL_S
            began = loop.time()
            await bus.append_bytes(b"x")
            await asyncio.wait_for(reading, 5)
            waits.append(loop.time() - began)
    assert median(waits) < POLL_S / 2


async def test_appends_of_another_process_are_seen(bus: EmbeddedBus, tmp_path: Path) -> None:
    other = EmbeddedBus(tmp_path / "bus.db", clock=Hand())
    reading = asyncio.create_task(take(bus, 1))
    await asyncio.sleep(0.1)
    await other.append_bytes(b"from elsewhere")
    assert await reading == [(0, b"from elsewhere")]
    await other.aclose()


async def test_many_writers_at_once_get_an_offset_each(bus: EmbeddedBus) -> None:
    offsets = await asyncio.gather(*(bus.append_bytes(str(n).encode()) for n in range(300)))
    assert sorted(offsets) == list(range(300))
    assert dict(await take(bus, 300)) == {at: str(n).encode() for n, at in enumerate(offsets)}


async def test_a_cancelled_append_does_not_disturb_the_others(bus: EmbeddedBus) -> None:
    tasks = [asyncio.create_task(bus.append_bytes(b"x")) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert len({offset for offset in done if isinstance(offset, int)}) >= 19


async def test_closing_ends_a_waiting_reader_and_refuses_appends(tmp_path: Path) -> None:
    bus = EmbeddedBus(tmp_path / "bus.db", clock=Hand())

    async def read_all() -> list[tuple[int, bytes]]:
        return [entry async for entry in bus.read(0)]

    reading = asyncio.create_task(read_all())
    await bus.append_bytes(b"a")
    await asyncio.sleep(0.1)
    await bus.aclose()
    assert await asyncio.wait_for(reading, 5) == [(0, b"a")]
    with pytest.raises(StoreError, match="closed"):
        await bus.append_bytes(b"b")


async def test_trimming_keeps_offsets_and_the_limits(tmp_path: Path) -> None:
    clock = Hand()
    bus = EmbeddedBus(tmp_path / "bus.db", clock=clock)
    for _ in range(10):
        await bus.append_bytes(b"x" * 100)
        clock.at += timedelta(seconds=1)
    assert await bus.trim(10, keep_s=8.5) == 2
    assert await bus.trim(4, keep_bytes=300) == 2
    assert await bus.start() == 4
    assert await bus.trim(10, keep_bytes=300, keep_s=100) == 3
    assert await bus.trim(99) == 2
    assert (await bus.start(), await bus.end()) == (9, 10)
    assert await take(bus, 1) == [(9, b"x" * 100)]
    assert await bus.append_bytes(b"y") == 10
    await bus.aclose()


async def test_a_record_with_a_wrong_checksum_comes_as_damaged(tmp_path: Path) -> None:
    bus = EmbeddedBus(tmp_path / "bus.db", clock=Hand())
    await bus.append([a_signal(1)])
    with sqlite3.connect(tmp_path / "bus.db") as connection:
        connection.execute("""UPDATE log SET bytes = CAST(replace(bytes, '"1"', '"7"') AS BLOB)""")
    connection.close()
    [(_, record)] = await take(bus, 1)
    assert isinstance(record, Damaged)
    await bus.aclose()


async def test_a_full_disk_refuses_whole_appends_and_heals_alone(tmp_path: Path) -> None:
    bus = EmbeddedBus(tmp_path / "bus.db", clock=Hand())
    await bus.append_bytes(b"before")
    pages = bus._table.writing.execute("PRAGMA page_count").fetchone()[0]
    bus._table.writing.execute(f"PRAGMA max_page_count={pages + 4}")
    big = [a_signal(n, cluster=str(n), data={"x": "y" * 9000}) for n in range(20)]
    with pytest.raises(StoreError, match="disk is full"):
        await bus.append(big)
    both = await asyncio.gather(bus.append(big), bus.append_bytes(b"ok"), return_exceptions=True)
    assert [type(result) for result in both] == [StoreError, int]
    bus._table.writing.execute("PRAGMA max_page_count=100000")
    last = await bus.append(big)
    records = await take(bus, last + 1)
    assert [record for _, record in records[:2]] == [b"before", b"ok"]
    assert len(records) == 22
    await bus.aclose()


def damaged(content: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(content))
    if chance.random() < 0.3:
        return content[:at]
    return content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :]


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


async def records_of(path: Path) -> list[bytes] | str:
    """Return every record of the bus at `path`, or the sentence with which it is refused."""
    try:
        bus = EmbeddedBus(path, clock=Hand())
    except StoreError as error:
        return str(error)
    try:
        return [record for _, record in await take(bus, await bus.end())]
    except StoreError as error:
        return str(error)
    finally:
        await bus.aclose()


@pytest.mark.parametrize("rounds", [40, pytest.param(1000, marks=pytest.mark.slow)])
async def test_a_damaged_file_gives_every_record_or_is_refused(tmp_path: Path, rounds: int) -> None:
    bus = EmbeddedBus(tmp_path / "bus.db", clock=Hand())
    written = [bytes([n]) * 700 for n in range(60)]
    for record in written:
        await bus.append_bytes(record)
    await bus.aclose()
    content = (tmp_path / "bus.db").read_bytes()
    chance = random.Random(rounds)
    refused = noticed = 0
    for _ in range(rounds):
        (tmp_path / "hurt.db").write_bytes(damaged(content, chance))
        found = await records_of(tmp_path / "hurt.db")
        remove(tmp_path / "hurt.db")
        if isinstance(found, str):
            assert "hurt.db: " in found
            refused += 1
            continue
        wrong = [new for new, old in zip(found, written, strict=True) if new != old]
        assert all(isinstance(record, Damaged) for record in wrong)
        noticed += len(wrong)
    assert refused > rounds // 10
    assert noticed > rounds // 10


WRITER = """
import asyncio, sys
from engine.bus.embedded import POLL_S, EmbeddedBus
from engine.model.ports import SystemClock

async def write():
    bus = EmbeddedBus(sys.argv[1], clock=SystemClock())
    number = int(sys.argv[2])
    while True:
        names = [str(number + n) for n in range(3)]
        offsets = await asyncio.gather(*(bus.append_bytes(n.encode() * 50) for n in names))
        print(*(f"{o}:{n}" for o, n in zip(offsets, names)), flush=True)
        number += 3

asyncio.run(write())
"""


def run_until_killed(path: Path, number: int, seconds: float) -> dict[int, str]:
    """Return what the writer said was durable before it was killed."""
    command = [sys.executable, "-c", WRITER, str(path), str(number)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        lines = [first, *process.stdout.read().splitlines(keepends=True)]
    said = " ".join(line for line in lines if line.endswith("\n")).split()
    return {int(offset): name for offset, _, name in (entry.partition(":") for entry in said)}


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kills = int(os.environ.get("STORE_KILLS", "20"))
    path = tmp_path / "bus.db"
    chance = random.Random(1)
    said: dict[int, str] = {}
    for round_ in range(kills):
        number = round_ * 1_000_000
        said |= await asyncio.to_thread(run_until_killed, path, number, chance.uniform(0, 0.3))
    bus = EmbeddedBus(path, clock=Hand())
    end = await bus.end()
    found = dict(await take(bus, end))
    await bus.aclose()
    assert list(found) == list(range(end))
    assert {at: name.encode() * 50 for at, name in said.items()}.items() <= found.items()
