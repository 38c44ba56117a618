"""All default watchers over a large cluster: CPU, memory, stalls, requests and signals.

Run `python -m tests.bench.watch_all [--seconds N] [--without WATCHER]... [--metrics-server]
[--where]`. Processes of their own stand in for the API server (over plain HTTP) and the
Prometheus, which metrics-server may replace. This one watches as `dogwatch run` does, writes each
batch as a record of the bus, and drops it. It measures the start, and the steady state once all
was listed and metrics were looked up twice. A stall is by how much a task that wants to run every
10 ms came late, and is told with what this process computed meanwhile: the rest is time that other
processes of the machine took. `--where` tells what the loop was at when it came late.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import sys
import threading
import urllib.request
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time, sleep, thread_time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from engine.app.collector import collect_rarely, settle_memory
from engine.app.serve import SWITCH_S
from engine.bus.codec import encode
from engine.cluster.reader import Reader
from engine.metrics.prometheus import prometheus
from engine.metrics.settings import PrometheusConfig
from engine.model.ports import SystemClock
from tests.bench.large_servers import serve_cluster, serve_measured_cluster, serve_metrics
from tests.cluster.answers import plain
from watchers.cluster import Means, WatchStatus, watch
from watchers.events import RESOURCE as EVENTS
from watchers.objects import RESOURCES
from watchers.registry import chosen

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from types import FrameType

    from engine.model.signal import Signal

SETTLE_S: Final = 40.0
"""Seconds after the lists until the steady state is measured: two looks for metrics."""
_TICK_S: Final = 0.01
_LATE_S: Final = 0.05
_DEEP: Final = 4
_SLOW_S: Final = 0.1
_SHOWN: Final = 25
_STATUS: Final = Path("/proc/self/status")


class Turn(NamedTuple):
    """By how much a turn of the loop came late, and what was computed meanwhile, in seconds."""

    late: float
    own: float
    others: float


class Phase:
    """What one stretch of time takes."""

    def __init__(self) -> None:
        self.signals: Counter[str] = Counter()
        self.size = 0
        self.turns: list[Turn] = []
        self._began, self._cpu = monotonic(), process_time()
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew

    @property
    def wall_s(self) -> float:
        return monotonic() - self._began

    @property
    def cpu_s(self) -> float:
        return process_time() - self._cpu

    def __str__(self) -> str:
        late, own = max(self.turns), max(self.turns, key=lambda turn: turn.own)
        slow = sum(turn.own > _SLOW_S for turn in self.turns)
        return (
            f"{self.cpu_s / self.wall_s:.3f} cores over {self.wall_s:.0f} s, memory "
            f"{_memory('VmRSS')} MiB, peak {_memory('VmHWM')} MiB\n"
            f"  longest stall {late.late * 1000:.0f} ms (computed meanwhile: the loop "
            f"{late.own * 1000:.0f} ms, other threads {late.others * 1000:.0f} ms); most that the "
            f"loop computed in one turn {own.own * 1000:.0f} ms; {slow} turns of more than "
            f"{_SLOW_S * 1000:.0f} ms; load of the machine {os.getloadavg()[0]:.1f}"
        )


def _memory(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) >> 10


def main(options: argparse.Namespace) -> None:
    """Print the figures."""
    there = serve_measured_cluster if options.metrics_server else serve_cluster
    with _standing_in(there) as cluster, _standing_in(serve_metrics) as metrics:
        collect_rarely()
        settle_memory()
        sys.setswitchinterval(SWITCH_S)
        asyncio.run(_measure(options, cluster, metrics))


@contextlib.contextmanager
def _standing_in(serve: Callable[[Any], None]) -> Iterator[int]:
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there,), daemon=True)
    server.start()
    try:
        yield here.recv()
    finally:
        server.terminate()


async def _measure(options: argparse.Namespace, cluster: int, metrics: int) -> None:
    configs = chosen(dict.fromkeys(options.without, False))
    status, turns = WatchStatus(), _Turns()
    means = (lambda _: Means()) if options.metrics_server else Means
    ticking = asyncio.create_task(turns.tick())
    places = _watched(turns) if options.where else Counter[str]()
    with TemporaryDirectory() as folder:
        reader = Reader("west", plain(cluster, Path(folder)), SystemClock())
        async with (
            prometheus(PrometheusConfig(url=f"http://127.0.0.1:{metrics}")) as served,
            contextlib.aclosing(reader),
            contextlib.aclosing(
                watch(reader, SystemClock(), configs, status, means(served))
            ) as stream,
        ):
            start = turns.phase = Phase()
            await _take(stream, start, lambda: _listed(status))
            listed_s, listed_cpu = start.wall_s, start.cpu_s
            await _take(stream, start, _after(SETTLE_S))
            before = await asyncio.to_thread(_counts, cluster, metrics)
            print(f"listed in {listed_s:.1f} s, {listed_cpu:.1f} s of CPU")
            print(f"from the start, and {SETTLE_S:.0f} s more: {start}")
            _print_places(places)
            steady = turns.phase = Phase()
            await _take(stream, steady, _after(options.seconds))
            after = await asyncio.to_thread(_counts, cluster, metrics)
            print(f"steady: {steady}")
    ticking.cancel()
    _print_rates(steady, after, before)
    faults = {name: one.fault for name, one in status.sources.items() if one.fault}
    print("faults:", *(f"{watcher}/{source}" for watcher, source in faults))
    _print_places(places)


async def _take(
    stream: AsyncGenerator[list[Signal]], phase: Phase, over: Callable[[], bool]
) -> None:
    """Take signals as the intake does, until `over`."""
    while not over():
        batch = await anext(stream)
        phase.signals.update(signal.type for signal in batch)
        phase.size += len(encode(batch))


def _listed(status: WatchStatus) -> bool:
    there = status.resources.keys() >= {*RESOURCES, EVENTS}
    return there and status.staleness_s(SystemClock().now()) is not None


def _after(seconds: float) -> Callable[[], bool]:
    end = monotonic() + seconds
    return lambda: monotonic() >= end


def _counts(*ports: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for port in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts") as answer:
            found.update(json.load(answer))
    return found


def _print_rates(phase: Phase, after: Counter[str], before: Counter[str]) -> None:
    seconds = phase.wall_s
    after.subtract(before)
    print(f"  {phase.size / seconds / 2**20:.2f} MiB/s of records; signals each second:")
    for name, count in phase.signals.most_common():
        print(f"    {count / seconds:9.2f} {name}")
    print("  requests each minute:")
    for name, count in after.most_common():
        if count:
            print(f"    {count / seconds * 60:9.2f} {name}")


def _print_places(places: Counter[str]) -> None:
    for text, count in places.most_common(_SHOWN):
        print(f"  {count:4} x {text}")
    places.clear()


class _Turns:
    """A task that wants to run every 10 ms; tells the phase how late it came."""

    def __init__(self) -> None:
        self.phase = Phase()
        self.latest = monotonic()

    async def tick(self) -> None:
        while True:
            before = _now()
            self.latest = before.late
            await asyncio.sleep(_TICK_S)
            took = Turn(*(now - then for now, then in zip(_now(), before, strict=True)))
            self.phase.turns.append(took._replace(late=took.late - _TICK_S))


def _now() -> Turn:
    own = thread_time()
    return Turn(monotonic(), own, process_time() - own)


def _watched(turns: _Turns) -> Counter[str]:
    """Count, in a thread, where the loop is whenever it is late."""
    places: Counter[str] = Counter()
    loop = threading.get_ident()

    def look() -> None:
        while True:
            sleep(_TICK_S)
            if monotonic() - turns.latest > _LATE_S:
                places[_place(sys._current_frames()[loop])] += 1

    threading.Thread(target=look, daemon=True).start()
    return places


def _place(frame: FrameType | None) -> str:
    """Return the innermost functions of ours in which a frame is."""
    found: list[str] = []
    while frame is not None and len(found) < _DEEP:
        name = str(Path(frame.f_code.co_filename))
        if "/watchers/" in name or "/engine/" in name:
            found.append(f"{Path(name).stem}.{frame.f_code.co_qualname}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--without", action="append", default=[], metavar="WATCHER")
    parser.add_argument("--metrics-server", action="store_true", help="instead of a Prometheus")
    parser.add_argument("--where", action="store_true")
    main(parser.parse_args())
