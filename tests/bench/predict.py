"""What it costs to follow 10,000 pods and 1,000 nodes for predictions.

Run `python -m tests.bench.predict [PODS [NODES]]`. One process, one core, seconds of CPU time:
`tap` is what the samples of one minute (every 15 s) take as they pass by, `look` one look at all
series, its longest stretch without a turn for others, and `rising` the same where every series
moves toward its limit, the worst that can be. Memory is what the process grew by for four hours
of samples and a week of hours.
"""

import gc
import resource
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import process_time
from typing import Final

from engine.model.signal import Signal
from tests.watchers.days import CPU, DISK, MEMORY, NODE_CPU, NODE_MEMORY
from watchers.followed import FINE, FINE_S, HOUR_S, HOURS, hours
from watchers.foreseen import named
from watchers.foresight import Bounds, Foresight
from watchers.predictions import _SLICE

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
EVERY: Final = timedelta(seconds=15)
PODS_OF_WORKLOAD: Final = 5

Series = list[tuple[str, str, dict[str, str]]]


def main(pods: int, nodes: int) -> None:
    """Print the figures of `pods` and `nodes`."""
    for name, slope in (("quiet", 0.0), ("rising", 0.15)):
        series = _series(pods, nodes)
        before = _held()
        foresight = Foresight(Bounds())
        _past(foresight, series, slope)
        held = _held() - before
        tap = _tap(foresight, series, slope)
        look, longest, told = _look(foresight)
        count = len(foresight)
        print(
            f"{name}: {count:,} series; tap {tap:.2f} s a minute; look {look:.2f} s, at most "
            f"{longest * 1000:.0f} ms at a stretch, {told:,} told; {held / 2**20:.0f} MiB, "
            f"{held / count:,.0f} bytes each"
        )


def _series(pods: int, nodes: int) -> Series:
    found: Series = []
    for number in range(pods):
        workload = f"workload-{number // PODS_OF_WORKLOAD}"
        labels = {
            "namespace": f"namespace-{number % 100}",
            "workload": workload,
            "pod": f"{workload}-{number}",
            "node": f"node-{number % nodes}",
        }
        found += [(metric, named(metric, labels), labels) for metric in (MEMORY, CPU)]
    for number in range(nodes):
        labels = {"node": f"node-{number}"}
        found += [(metric, named(metric, labels), labels) for metric in (NODE_MEMORY, NODE_CPU)]
        disk = {**labels, "mountpoint": "/var"}
        found.append((DISK, named(DISK, disk), disk))
    return found


def _past(foresight: Foresight, series: Series, slope: float) -> None:
    """Give a week by the hour, then four hours of one sample in each bucket."""
    random = Random(7)
    probe, began = Foresight(Bounds()), START - timedelta(seconds=FINE * FINE_S)
    probe.take(_samples(series, began, 0.3, random))
    for name in probe._pasts:
        week = hours(name)
        for n in range(HOURS):
            week.add(began.timestamp() + (n - HOURS) * HOUR_S, 0.3 + random.gauss(0, 0.02))
        week.close(began.timestamp())
        foresight.recall(name, week.pack())
    for n in range(FINE, 0, -1):
        at = START - timedelta(seconds=n * FINE_S)
        rise = slope * (FINE - n) * FINE_S / HOUR_S
        foresight.take(_samples(series, at, 0.3 + rise, random))


def _held() -> int:
    """Return the bytes of memory that this process has."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def _tap(foresight: Foresight, series: Series, slope: float) -> float:
    """Return the seconds that the samples of one minute take."""
    random = Random(8)
    level = 0.3 + slope * FINE * FINE_S / HOUR_S
    batches = [list(_samples(series, START + n * EVERY, level, random)) for n in range(4)]
    start = process_time()
    for batch in batches:
        for first in range(0, len(batch), 500):
            foresight.take(batch[first : first + 500])
    return process_time() - start


def _look(foresight: Foresight) -> tuple[float, float, int]:
    """Return seconds of one look, the mean of ten; its longest slice; how much is told."""
    longest, told, total = 0.0, 0, 0.0
    for turn in range(10):
        start = last = process_time()
        looking = foresight.look(START + timedelta(minutes=turn + 1))
        for place, found in enumerate(looking, 1):
            told += found is not None
            if place % _SLICE == 0:
                now = process_time()
                longest, last = max(longest, now - last), now
        total += process_time() - start
    return total / 10, longest, told // 10


def _samples(series: Series, at: datetime, level: float, random: Random) -> Iterable[Signal]:
    for metric, subject, labels in series:
        value = (1 - level if metric == DISK else level) + random.gauss(0, 0.02)
        yield Signal(
            id=subject,
            source="watchers/metrics/west",
            type="metric",
            subject=subject,
            time=at,
            cluster="west",
            data={"metric": metric, "labels": labels, "value": value},
        )


if __name__ == "__main__":
    asked = [int(argument) for argument in sys.argv[1:]]
    main(*(asked + [10_000, 1_000][len(asked) :]))
