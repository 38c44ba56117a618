"""How a ledger is sent: each cluster's signals in order, each batch until it is acknowledged."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

import httpx

from tests.ledger.checker import Episode, expected
from tests.ledger.generator import clusters, last_beats, ledger
from tests.ledger.shapes import SHAPES
from tests.ledger.stage import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.ledger.conditions import Event

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
    rules: int = len(SHAPES)
    clusters: int = 2
    signals: int = 2_000

    def names(self) -> list[str]:
        """Return the names of the clusters."""
        return clusters(self.clusters)

    @property
    def share(self) -> int:
        """How many signals a cluster has at least."""
        return -(-self.signals // self.clusters)

    def batches(self, cluster: str) -> Iterator[list[Event]]:
        """Yield the batches of a cluster, without the heartbeats that end it."""
        return ledger(self.seed, cluster, self.rules, self.share)

    def whole(self, cluster: str, most: int | None = None) -> list[Event]:
        """Return the signals of a cluster, `most` batches of them, and the end behind them."""
        events = [event for batch in islice(self.batches(cluster), most) for event in batch]
        return [*events, *last_beats(cluster, events[-1])]

    def expected(self, sent: Mapping[str, int] | None = None) -> list[Episode]:
        """Return the firings that the ledger must give, as far as it was sent.

        `sent` are batches by cluster, without the heartbeats that end them; None: all.
        """
        found = []
        for cluster in self.names():
            found += expected(self.whole(cluster, sent[cluster] if sent else None), self.rules)
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

    `turn(share)` returns when that share of the ledger may be sent, False to end it there.
    `moments` hears of "sending", before each attempt, and "acknowledged".
    """

    def __init__(
        self,
        ledger: Ledger,
        cluster: str,
        intakes: Sequence[str],
        turn: Callable[[float], bool],
        moments: Moments,
    ) -> None:
        self.cluster = cluster
        self.batches = 0
        self.signals = 0
        self.attempts = 0
        self.hopeless = threading.Event()
        self._ledger = ledger
        self._intakes = cycle(intakes)
        self._url = next(self._intakes)
        self._turn = turn
        self._moments = moments

    def run(self) -> None:
        """Send it all. Raises AssertionError when signals are refused."""
        with httpx.Client(headers=HEADERS, timeout=ANSWER_S, trust_env=False) as client:
            last: Event = {}
            for batch in self._ledger.batches(self.cluster):
                # The first one goes in any case: an end has to be the end of something.
                if batch[0]["id"] != f"{self.cluster}-0" and not self._turn(self._share()):
                    break
                self._deliver(client, batch)
                if self.hopeless.is_set():
                    return
                self.signals += len(batch)
                self.batches += 1
                last = batch[-1]
            self._deliver(client, last_beats(self.cluster, last))

    def _share(self) -> float:
        return self.signals / self._ledger.share

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
