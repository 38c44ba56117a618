"""Workers in processes of their own: killed, stopped, started again; each record counts once."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import pytest

from engine.bus.kafka import KafkaBus
from engine.bus.topics import Log, Topic
from engine.model.ports import SystemClock
from engine.store.store import Store
from tests.bus.kafka_member import COUNT
from tests.bus.kafka_setup import Places, a_signal, settings, until

if TYPE_CHECKING:
    from pathlib import Path

    from engine.bus.settings import KafkaConfig
    from tests.testbeds.kafka import Cluster

pytestmark = pytest.mark.real

CLUSTERS = ("a", "b", "c", "d", "e", "f")


class Team:
    """Member processes over one store."""

    def __init__(self, config: KafkaConfig, folder: Path) -> None:
        self.config = config
        self.place = folder / "store.db"
        self.store = Store.open(self.place, clock=SystemClock())
        self.members: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str) -> None:
        arguments = (str(self.place), name, self.config.model_dump_json())
        self.members[name] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bus.kafka_member", *arguments
        )

    async def send(self, name: str, number: signal.Signals) -> None:
        self.members[name].send_signal(number)
        if number is signal.SIGKILL:
            await self.members.pop(name).wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for name in list(self.members):
            with suppress(ProcessLookupError):
                await self.send(name, signal.SIGKILL)
        self.store.close()

    def folded(self) -> dict[int, int]:
        return {number: one.next_offset for number, one in self.store.positions().items()}

    def epochs(self) -> dict[int, int]:
        return {number: one.epoch for number, one in self.store.positions().items()}

    def count(self, log: Log) -> int:
        return int(self.store.load(log.stored).state.get(COUNT, b"0"))


async def _fill(bus: KafkaBus, count: int, start: int) -> None:
    for number in range(start, start + count):
        await bus.append([a_signal(name, number) for name in CLUSTERS])


async def _all_folded(team: Team, bus: KafkaBus) -> dict[Log, int]:
    ends = {log: end for log, end in (await bus.ends()).items() if end}
    await until(lambda: all(team.folded().get(log.stored, 0) >= end for log, end in ends.items()))
    return ends


def _config(kafka: Cluster, **other: Any) -> KafkaConfig:
    return settings(kafka, **other)


async def test_the_logs_of_a_killed_member_go_on_elsewhere_and_each_record_counts_once(
    kafka: Cluster, tmp_path: Path
) -> None:
    async with (
        KafkaBus(config := _config(kafka), Places()) as bus,
        Team(config, tmp_path) as team,
    ):
        await bus.declare()
        await team.start("one")
        await team.start("two")
        for number in range(4):
            await _fill(bus, 20, 20 * number)
            if number in {1, 2}:
                await team.send("one", signal.SIGKILL)
            if number == 1:
                await team.start("one")
        for log, end in (await _all_folded(team, bus)).items():
            assert team.count(log) == end


async def test_a_process_started_again_takes_over_from_its_killed_self_at_once(
    kafka: Cluster, tmp_path: Path
) -> None:
    config = _config(kafka, session_timeout_s=300)
    async with KafkaBus(config, Places()) as bus, Team(config, tmp_path) as team:
        await bus.declare()
        await team.start("one")
        await _fill(bus, 5, 0)
        await _all_folded(team, bus)
        await team.send("one", signal.SIGKILL)
        await team.start("one")
        await _fill(bus, 5, 5)
        # Without the name it would take the session of five minutes.
        for log, end in (await _all_folded(team, bus)).items():
            assert team.count(log) == end


async def test_a_member_that_stood_still_writes_nothing_when_it_wakes(
    kafka: Cluster, tmp_path: Path
) -> None:
    config = _config(kafka, session_timeout_s=1)
    async with KafkaBus(config, Places()) as bus, Team(config, tmp_path) as team:
        await bus.declare()
        await team.start("one")
        await _fill(bus, 5, 0)
        await _all_folded(team, bus)
        before = team.epochs()
        filling = asyncio.create_task(_fill(bus, 50, 5))
        await team.send("one", signal.SIGSTOP)
        await team.start("two")
        await filling
        await _all_folded(team, bus)
        assert all(team.epochs()[number] > epoch for number, epoch in before.items())
        await team.send("one", signal.SIGCONT)
        await _fill(bus, 50, 55)
        for log, end in (await _all_folded(team, bus)).items():
            assert team.count(log) == end
        assert not [log for log in team.epochs() if log not in {0, 1, 2, 3, -2}]
        assert Log(Topic.CONDITIONS, 0).stored in team.epochs()


async def test_a_process_that_is_asked_to_end_lets_go_and_leaves_the_group_at_once(
    kafka: Cluster, tmp_path: Path
) -> None:
    config = _config(kafka, session_timeout_s=300)
    async with KafkaBus(config, Places()) as bus, Team(config, tmp_path) as team:
        await bus.declare()
        await team.start("one")
        await _fill(bus, 2, 0)
        await _all_folded(team, bus)
        await team.send("one", signal.SIGINT)
        await team.members.pop("one").wait()
        await team.start("two")
        await _fill(bus, 2, 2)
        for log, end in (await _all_folded(team, bus)).items():
            assert team.count(log) == end
