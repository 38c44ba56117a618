"""What is done to topics: grown, deleted, on full disks, and fed with what is no signal."""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from time import monotonic
from typing import TYPE_CHECKING
from zlib import crc32

import httpx
from aiokafka import AIOKafkaProducer

from tests.chaos.poison import poison
from tests.chaos.servers import back_at_once
from tests.chaos.world import a_play, times
from tests.ledger.sending import HEADERS
from tests.testbeds.kafka import Cluster
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.report import Outcome
    from tests.chaos.world import Play, World
    from tests.ledger.killing import Killer
    from tests.ledger.stage import Settings

FEW, MANY = 12, 24
"""Partitions before and after."""
SEEN_S = 60.0
BACK_S = 15.0
DISK_MB = 96
BURST = 500
"""Records of poison that are sent before it is asked how far the others are."""
_PLACED = "SELECT cluster, partition FROM placements"
_RELISTS = "SELECT key FROM meta WHERE key LIKE 'relist/%'"
_QUARANTINED = "SELECT coalesce(sum(count), 0) FROM quarantine_counts"


def grow(world: World, outcome: Outcome, number: int) -> None:
    """Partitions 12 -> 24 under load: nobody moves, and so many new clusters use the new ones."""

    def twelve(kafka: Settings) -> None:
        kafka["partitions"] = FEW

    with a_play(world, outcome, settings=twelve) as play:

        def work(_killer: Killer) -> None:
            play.some_happen()
            before = _placements(play)
            play.kafka.topics.grow(play.topic, MANY)
            play.did("growths")
            began = monotonic()
            probes = _clusters_beyond(FEW, "probe")
            noticed = eventually(lambda: _is_new(play, next(probes)), SEEN_S, every_s=1.0)
            outcome.figures["noticed_s"] = round(monotonic() - began, 1)
            if noticed is None:
                play.wrong(f"new partitions are not used {SEEN_S:g} s after they were made")
            unused = sum(not _is_new(play, name) for name in islice(probes, number))
            play.did("new clusters", number)
            if unused:
                play.wrong(f"{unused} of {number} new clusters use no new partition")
            after = _placements(play)
            moved = [name for name, place in before.items() if after[name] != place]
            if moved:
                play.wrong(f"clusters were moved: {moved}")
            back_at_once(play)

        play.run(work)


def deleted(world: World, outcome: Outcome, number: int) -> None:
    """The topic of signals is deleted when all in it was folded: told, and never silently reset."""
    with a_play(world, outcome) as play:

        def work(_killer: Killer) -> None:
            for _ in times(play, number, "deletions of the topic"):
                play.some_happen()
                play.hold()
                play.caught_up()
                _delete(play)
                play.go_on()
                back_at_once(play)
            told = len(play.stage.reading.select(_RELISTS))
            outcome.figures["partitions_told_to_list_again"] = told
            if not told:
                play.wrong("no watcher was told to list again")

        play.run(work)


def disk_full(world: World, outcome: Outcome, number: int) -> None:
    """The disks of all brokers are full; they end, and come back when there is room."""
    if os.geteuid() != 0:
        outcome.missing = "a small file system is mounted for it: run it as root"
        return
    with ExitStack() as held:
        folder = world.place(outcome.scenario)
        kafka = Cluster(folder / "kafka", world.installed)
        disks = [one.node.data for one in kafka.brokers.values()]
        for disk in disks:
            held.enter_context(_small_disk(disk))
        held.enter_context(kafka)
        play = held.enter_context(a_play(world, outcome, kafka=kafka))
        ready = play.stage.of("web")[0].is_ready

        def work(_killer: Killer) -> None:
            for _ in times(play, number, "times that all disks were full"):
                play.some_happen()
                ballast = [_fill(disk) for disk in disks]
                if eventually(lambda: not ready() or None, SEEN_S, every_s=0.5) is None:
                    play.wrong("the intake is ready though nothing can be written")
                for one in ballast:
                    one.unlink()
                kafka.kill()
                kafka.start()
                play.some_happen()
            back_at_once(play)

        play.run(work)


def poisoned(world: World, outcome: Outcome, number: int) -> None:
    """So many records that are no signals, of many kinds, among those that are."""
    with a_play(world, outcome) as play:

        def work(_killer: Killer) -> None:
            play.some_happen()
            for start in range(0, number, BURST):
                share = min(BURST, number - start)
                asyncio.run(_feed(play, start, share))
                play.did("poison records", share)
                if start % (20 * BURST) == 0:
                    world.tell(f"{outcome.scenario}: {start:,} of {number:,} records")
                    play.caught_up()
            back_at_once(play)
            ((found,),) = play.stage.reading.select(_QUARANTINED)
            outcome.figures["quarantined"] = int(found)
            if found != number:
                play.wrong(f"{found:,} of {number:,} poison records are in quarantine")

        play.run(work)


def _clusters_beyond(few: int, word: str) -> Iterator[str]:
    """Yield names of clusters that belong into partitions from `few` on."""
    names = (f"{word}-{number}" for number in count())
    return (name for name in names if crc32(name.encode()) % MANY >= few)


def _is_new(play: Play, cluster: str) -> bool | None:
    """Send a first heartbeat of a cluster; return whether it was placed in a new partition."""
    beat = {
        "specversion": "1.0",
        "id": f"{cluster}-1",
        "source": f"late/{cluster}",
        "type": "watcher.heartbeat",
        "time": "2025-06-01T00:00:00+00:00",
        "cluster": cluster,
        "data": {},
    }
    url = f"{play.stage.intakes[0]}/v1/signals"
    httpx.post(url, json=[beat], headers=HEADERS, timeout=10)
    return _placements(play).get(cluster, 0) >= FEW or None


def _placements(play: Play) -> dict[str, int]:
    return dict(play.stage.reading.select(_PLACED))


def _delete(play: Play) -> None:
    """Delete the topic; when nobody makes it again, do that as an operator would."""
    kafka = play.kafka.topics
    partitions = len(kafka.leaders(play.topic))
    kafka.delete(play.topic)
    back = eventually(lambda: play.topic in kafka.names() or None, BACK_S, every_s=0.5)
    if back is None:
        kafka.create(play.topic, partitions, min_insync_replicas="1", cleanup_policy="delete")
        play.did("times made again by hand")


@contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    size = f"size={DISK_MB}m"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Fill a disk to the last byte; return the file that does it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return ballast


async def _feed(play: Play, start: int, number: int) -> None:
    """Produce poison to random partitions, until the broker has it."""
    partitions = len(play.kafka.topics.leaders(play.topic))
    async with AIOKafkaProducer(
        bootstrap_servers=play.kafka.bootstrap, max_request_size=16 << 20, acks="all"
    ) as producer:
        sent = []
        for one in range(start, start + number):
            key, value = poison(one, play.random)
            partition = play.random.randrange(partitions)
            sent.append(await producer.send(play.topic, value, key, partition=partition))
        await asyncio.gather(*sent)
