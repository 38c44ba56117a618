"""The watcher of an audit log: what it tells, what it remembers, what it does with bad lines."""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import meters
from engine.model.errors import StoreError
from engine.model.signal import HEARTBEAT, Signal
from tests.watchers.sources import NOON, Script
from tests.watchers.test_audit import an_event
from watchers.audit import AuditConfig, watch_audit
from watchers.memory import Forgetful
from watchers.registry import Scene

LATER = timedelta(seconds=20)


@dataclass
class Hand:
    """A clock that a test moves by hand."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at


class Sick(Forgetful):
    """A store that refuses writes for a while."""

    refuses = 0

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        if self.refuses:
            self.refuses -= 1
            raise StoreError("the disk is full")
        await super().keep(changes)


@dataclass
class Watched:
    """One life of the watcher after another, over one log and one memory."""

    log: Path
    memory: Sick = field(default_factory=Sick)
    clock: Hand = field(default_factory=Hand)
    options: dict[str, Any] = field(default_factory=dict)

    def write(self, *entries: Any) -> None:
        lines = [one if isinstance(one, str) else json.dumps(one) for one in entries]
        with self.log.open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Life"]:
        config = AuditConfig(file_path=str(self.log), every_s=0.001, **self.options)
        scene = Scene(Script(), "uid", self.clock, memory=lambda _: self.memory)
        async with contextlib.aclosing(watch_audit(config, scene)) as batches:
            life = Life(self, scene, batches)
            await life.beat()
            yield life


@dataclass
class Life:
    watched: Watched
    scene: Scene
    batches: AsyncGenerator[list[Signal]]
    told: list[Signal] = field(default_factory=list)

    async def beat(self) -> list[Signal]:
        """Let time pass until the next heartbeat: all that is written by now is told before."""
        while True:
            batch = await anext(self.batches)
            self.told += batch
            if any(one.type == HEARTBEAT for one in batch):
                return batch

    async def after(self, span: timedelta = timedelta(seconds=5)) -> None:
        self.watched.clock.at += span
        await self.beat()

    def names(self) -> list[str]:
        return [one.data["name"] for one in self.told if one.type == "audit"]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    log = tmp_path / "audit.log"
    log.touch()
    return Watched(log)


def an_entry(number: int, **fields: Any) -> Any:
    return an_event(auditID=f"a-{number}", ref={"name": f"web-{number}"}, **fields)


def refused(reason: str) -> float:
    labels = {"receiver": "watchers/audit/west", "reason": reason}
    name = "dogwatch_receiver_refused_total"
    return meters.REGISTRY.get_sample_value(name, labels) or 0


async def test_requests_are_told_as_they_are_written_and_heartbeats_go_on(watched: Watched) -> None:
    watched.write(an_entry(0))
    async with watched.running() as life:
        assert life.names() == []
        watched.write(an_entry(1), an_entry(2, verb="get"), an_entry(3))
        await life.after()
        assert life.names() == ["web-1", "web-3"]
        first = next(one for one in life.told if one.type == "audit")
        assert (first.cluster, first.source) == ("west", "watchers/audit/west")
        assert first.time == watched.clock.at
        assert life.scene.sources["audit", "audit-log"].fault == ""
        assert life.scene.sources["audit", "audit-log"].objects == 3


async def test_without_a_file_nothing_runs() -> None:
    scene = Scene(Script(), "uid")
    assert [batch async for batch in watch_audit(AuditConfig(), scene)] == []


async def test_a_file_that_is_not_there_is_told_of_once_and_all_of_it_read_later(
    watched: Watched,
) -> None:
    watched.log.unlink()
    config = AuditConfig(file_path=str(watched.log), every_s=0.001)
    scene = Scene(Script(), "uid", watched.clock)
    async with contextlib.aclosing(watch_audit(config, scene)) as batches:
        told, beat = await anext(batches)
        assert beat.type == HEARTBEAT
        assert (told.type, told.data["reason"]) == ("watcher", "not-found")
        assert scene.sources["audit", "audit-log"].fault.startswith("not-found: ")
        watched.write(an_entry(1))
        batch = await anext(batches)
        assert [one.type for one in batch] == ["audit", "watcher"]
        assert batch[1].data["state"] == "ok"


async def test_after_a_crash_nothing_is_left_out_and_what_comes_twice_has_its_id(
    watched: Watched,
) -> None:
    async with watched.running() as life:
        watched.write(an_entry(1))
        await life.after()
        await life.after(LATER)
        watched.write(an_entry(2))
        await life.after()
        first = life.told
        assert life.names() == ["web-1", "web-2"]
    watched.write(an_entry(3))
    async with watched.running() as life:
        await life.after()
        assert life.names() == ["web-2", "web-3"]
        twice = {one.id for one in first} & {one.id for one in life.told if one.type == "audit"}
        assert twice == {"audit/a-2/ResponseComplete"}


async def test_what_comes_while_nobody_watches_is_told_after_the_first_start(
    watched: Watched,
) -> None:
    watched.write(an_entry(0))
    async with watched.running():
        pass
    watched.write(an_entry(1))
    async with watched.running() as life:
        await life.after()
        assert life.names() == ["web-1"]


async def test_a_store_that_refuses_delays_only_what_is_remembered(watched: Watched) -> None:
    watched.memory.refuses = 3
    async with watched.running() as life:
        for number in range(1, 8):
            watched.write(an_entry(number))
            await life.after(LATER)
        await life.after(LATER)
        assert len(life.names()) == 7
    watched.write(an_entry(8))
    async with watched.running() as life:
        await life.after()
        assert life.names() == ["web-8"]


async def test_what_the_store_refused_is_remembered_later_although_nothing_new_comes(
    watched: Watched,
) -> None:
    async with watched.running() as life:
        watched.write(an_entry(1))
        await life.after()
        watched.memory.refuses = 1
        for _ in range(3):
            await life.after(LATER)
        assert (life.names(), watched.memory.refuses) == (["web-1"], 0)
    async with watched.running() as life:
        await life.after()
        assert life.names() == []


async def test_a_memory_of_another_version_is_as_none(watched: Watched) -> None:
    await watched.memory.keep({"place": b"{}"})
    watched.write(an_entry(0))
    async with watched.running() as life:
        watched.write(an_entry(1))
        await life.after()
        assert life.names() == ["web-1"]


async def test_bad_lines_are_counted_told_once_and_fire_nothing(
    watched: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    before = refused("bad-json"), refused("bad-form"), refused("too-large")
    async with watched.running() as life:
        secret = "canary-" * 3
        watched.write(
            *[f"garbage {secret}"] * 300, {"level": secret}, "x" * (10 << 20), an_entry(1)
        )
        while not life.names():
            life.told += await anext(life.batches)
        assert life.names() == ["web-1"]
        assert {one.type for one in life.told} == {"audit", HEARTBEAT}
    after = refused("bad-json"), refused("bad-form"), refused("too-large")
    assert [one - other for one, other in zip(after, before, strict=True)] == [300, 1, 1]
    logged = capsys.readouterr().out
    assert logged.count("bad-json") == 1
    assert secret not in logged


async def test_the_next_part_is_read_once_the_one_before_was_taken(watched: Watched) -> None:
    watched.options["from_start"] = True
    watched.write(*[an_entry(number) for number in range(5000)])
    async with watched.running() as life:
        assert 0 < len(life.names()) < 2000
        while len(life.names()) < 5000:
            life.told += await anext(life.batches)
        assert life.names() == [f"web-{number}" for number in range(5000)]
