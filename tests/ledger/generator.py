"""The signals of a ledger: numbered, made from a seed, the same each time."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

from tests.ledger.conditions import END_US, SECOND_US, T0, instant
from tests.ledger.shapes import lots

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.ledger.conditions import Event

STRETCH_US = 5 * SECOND_US
"""Event time between two heartbeats."""
LARGEST = 400
"""Signals in a batch."""
Drawn = tuple[str, str, dict[str, Any]]
BEAT: Drawn = ("watcher.heartbeat", "", {})


def clusters(number: int) -> list[str]:
    """Return the names of `number` clusters."""
    return [f"c{place:03}" for place in range(number)]


def batches(seed: int, cluster: str, rules: int) -> Iterator[list[Event]]:
    """Yield batches of signals of `cluster` for `rules` rules, for ever, in order of time."""
    random = Random(f"{seed} {cluster}")
    numbers = count()
    parts = [_Lot(lot) for lot in range(lots(rules))]
    for stretch in count():
        drawn: list[Drawn] = [BEAT]
        for part in parts:
            drawn += part.draw(random)
        times = sorted(random.sample(range(STRETCH_US), len(drawn)))
        events = [
            _event(cluster, next(numbers), stretch * STRETCH_US + at, *one)
            for at, one in zip(times, drawn, strict=True)
        ]
        for start in range(0, len(events), LARGEST):
            yield events[start : start + LARGEST]


def ledger(seed: int, cluster: str, rules: int, signals: int) -> Iterator[list[Event]]:
    """Yield the batches of a ledger of at least `signals` signals of `cluster`, without its end."""
    sent = 0
    for batch in batches(seed, cluster, rules):
        if sent >= signals:
            return
        yield batch
        sent += len(batch)


def last_beats(cluster: str, after: Event) -> list[Event]:
    """Return the heartbeats that end the ledger of `cluster` behind the signal `after`."""
    start = instant(after["time"])
    steps = range(STRETCH_US, END_US + 1, STRETCH_US)
    return [_event(cluster, f"end-{step}", start + step, *BEAT) for step in steps]


class _Lot:
    """The signals of one lot of rules in one cluster."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._apps = [f"app-{letter}.{number}" for letter in "abcd"]
        self._people = [f"{name}.{number}" for name in ("ann", "bob")]
        self._values = {f"node-{place}.{number}": 50.0 for place in range(3)}

    def draw(self, random: Random) -> Iterator[Drawn]:
        """Yield what happens in one stretch of time."""
        for name in _some(random, self._apps, 0.25):
            yield "alert", name, {"severity": "warning", "lot": self._number}
        for name in _some(random, self._people, 0.3):
            verb = random.choice(["delete", "get", "list"])
            yield "audit", name, {"verb": verb, "resource": f"lot-{self._number}"}
        for name in [*self._values, *self._values]:
            if random.random() < 0.1:
                self._values[name] = random.choice([50.0, 70.0, 92.0, 94.0, 99.0])
            yield "metric", name, self._metric("busy", name, self._values[name])
        for name in _some(random, self._values, 0.3):
            yield "metric", name, self._metric("pulse", name, 1.0)
        for metric in ("mark", "stamp"):
            for name in _some(random, self._values, 0.02):
                yield "metric", name, self._metric(metric, name, 1.0)

    def _metric(self, metric: str, node: str, value: float) -> dict[str, Any]:
        named = {"metric": f"{metric}-{self._number}", "labels": {"node": node}, "node": node}
        return {**named, "value": value}


def _some(random: Random, names: Iterable[str], share: float) -> Iterator[str]:
    return (name for name in names if random.random() < share)


def _event(cluster: str, number: int | str, at: int, kind: str, name: str, data: Any) -> Event:
    return {
        "specversion": "1.0",
        "id": f"{cluster}-{number}",
        "source": f"ledger/{cluster}",
        "type": kind,
        "time": (T0 + timedelta(microseconds=at)).isoformat(),
        "cluster": cluster,
        "data": {**data, "name": name} if data else {},
    }
