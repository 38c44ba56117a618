"""How a ledger is sent: each cluster's signals in order, each batch until it is acknowledged."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import httpx

from tests.ledger.checker import Episode, expected
from tests.ledger.generator import clusters, last_beats, ledger
from tests.ledger.stage import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.ledger.shapes import Event

HEADERS = {
    "content-type": "application/cloudevents-batch+json",
    "authorization": f"Bearer {TOKEN}",
}
AGAIN_S = 0.05
ANSWER_S = 5.0
"""How long an intake may take; after that another one is asked, and this one may still do it."""


@dataclass(frozen=True)
class Ledger:
    """Which signals there are: at least `signals` in all, for `rules` rules."""

    seed: int
    rules: int = 7
    clusters: int = 2
    signals: int = 2_000

    def names(self) -> list[str]:
        """Return the names of the clusters."""
        return clusters(self.clusters)

    def batches(self, cluster: str) -> Iterator[list[Event]]:
        """Yield the batches of a cluster, the heartbeats that end it last."""
        batch: list[Event] = []
        for batch in ledger(self.seed, cluster, self.rules, -(-self.signals // self.clusters)):
            yield batch
        yield last_beats(cluster, batch[-1])

    def expected(self) -> list[Episode]:
        """Return the firings that the whole ledger must give."""
        found = []
        for cluster in self.names():
            events = [event for batch in self.batches(cluster) for event in batch]
            found += expected(events, self.rules)
        return found


class Moments:
    """Lets one thread wait for what happens in the others, counted by name."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._happened = threading.Condition()

    def happen(self, name: str) -> None:
        """Say that something happened now."""
        with self._happened:
            self._counts[name] += 1
            self._happened.notify_all()

    def await_next(self, name: str, number: int, timeout_s: float) -> bool:
        """Wait until it happened `number` times more; return whether it did."""
        with self._happened:
            wanted = self._counts[name] + number
            return self._happened.wait_for(lambda: self._counts[name] >= wanted, timeout_s)

    def count(self, name: str) -> int:
        """Return how often it happened."""
        with self._happened:
            return self._counts[name]


class Sender:
    """Sends the ledger of one cluster; stops at once when `hopeless` is set.

    `turn(share)` returns when that share of the ledger may be sent. `moments` hears of "sending",
    before each attempt, and "acknowledged".
    """

    def __init__(
        self,
        ledger: Ledger,
        cluster: str,
        intakes: Sequence[str],
        turn: Callable[[float], None],
        moments: Moments,
    ) -> None:
        self.signals = 0
        self.attempts = 0
        self.hopeless = threading.Event()
        self._ledger = ledger
        self._cluster = cluster
        self._intakes = cycle(intakes)
        self._url = next(self._intakes)
        self._turn = turn
        self._moments = moments

    def run(self) -> None:
        """Send it all. Raises AssertionError when signals are refused."""
        wanted = self._ledger.signals / self._ledger.clusters
        with httpx.Client(headers=HEADERS, timeout=ANSWER_S, trust_env=False) as client:
            for batch in self._ledger.batches(self._cluster):
                self._turn(self.signals / wanted)
                self._deliver(client, batch)
                if self.hopeless.is_set():
                    return
                self.signals += len(batch)

    def _deliver(self, client: httpx.Client, batch: list[Event]) -> None:
        content = json.dumps(batch)
        while not self.hopeless.is_set():
            self.attempts += 1
            self._moments.happen("sending")
            try:
                answer = client.post(f"{self._url}/v1/signals", content=content)
            except httpx.TransportError:
                self._elsewhere()
                continue
            if answer.status_code >= 500:
                self._elsewhere()
                continue
            assert answer.status_code == 202, answer.text
            self._moments.happen("acknowledged")
            return

    def _elsewhere(self) -> None:
        self._url = next(self._intakes)
        self.hopeless.wait(AGAIN_S)
