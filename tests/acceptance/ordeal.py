"""One dogwatch that is killed over and over while a ledger is sent to it."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx
from standardwebhooks import Webhook

from tests.acceptance.dogwatch import TOKEN, Dogwatch
from tests.acceptance.ledger import RULES, T0, Episode, Event, Found, Told, batches, last_beat
from tests.testbeds.process import eventually
from tests.testbeds.receiver import Answer, Receiver, Request

if TYPE_CHECKING:
    from pathlib import Path

CLUSTERS = ("east", "west")
SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
HEADERS = {
    "content-type": "application/cloudevents-batch+json",
    "authorization": f"Bearer {TOKEN}",
}
PACE_S = 0.2
AGAIN_S = 0.05
WORK_S = 1.5
READY_S = 60.0
DRAIN_S = 120.0
EARLY = 0.35
"""Share of the kills that come during the start-up."""
_FIRINGS = "SELECT id, rule, key, opened_at, resolved_at FROM firings"
_MISSIONS = "SELECT id, firing, state, outcome, crashes FROM missions ORDER BY id"
_WAITING = """
SELECT (SELECT count(*) FROM missions WHERE state IN ('queued', 'running'))
     + (SELECT count(*) FROM deliveries WHERE state = 'waiting')
"""


class Sender:
    """Sends the ledger of one cluster in order, each batch until it is acknowledged."""

    def __init__(self, url: str, seed: int, cluster: str) -> None:
        self.sent: list[Event] = []
        self.attempts = 0
        self.enough = threading.Event()
        self.hopeless = threading.Event()
        self._url = f"{url}/v1/signals"
        self._seed = seed
        self._cluster = cluster

    def run(self) -> None:
        """Send until `enough` is set, then the last heartbeat; stop at once when `hopeless`."""
        with httpx.Client(headers=HEADERS, timeout=30, trust_env=False) as client:
            for batch in batches(self._seed, self._cluster):
                self._deliver(client, batch)
                self.sent += batch
                if self.enough.wait(PACE_S):
                    break
            self._deliver(client, [last_beat(self._cluster, self.sent[-1])])

    def _deliver(self, client: httpx.Client, batch: list[Event]) -> None:
        content = json.dumps(batch)
        while not self.hopeless.is_set():
            self.attempts += 1
            try:
                answer = client.post(self._url, content=content)
            except httpx.TransportError:
                self.hopeless.wait(AGAIN_S)
                continue
            if answer.status_code == 503:
                self.hopeless.wait(AGAIN_S)
                continue
            assert answer.status_code == 202, answer.text
            return


class Ordeal:
    """One dogwatch with a ledger and a receiver of its own; `close` it in the end.

    `told` are the deliveries as they came, each with its signature proven.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir()
        (folder / "hook").write_text(SECRET)
        self.told: list[Told] = []
        self._receiver = Receiver(self._hear)
        self.dogwatch = Dogwatch(folder, _settings(self._receiver.url), RULES)
        self.senders = [Sender(self.dogwatch.url, seed, cluster) for cluster in CLUSTERS]
        self._folder = folder
        self._random = Random(seed)
        self._start_s = 0.0
        self._pause = threading.Event()

    @property
    def events(self) -> list[Event]:
        """The ledger as far as it was sent."""
        return [event for sender in self.senders for event in sender.sent]

    def run(self, kills: int) -> Found:
        """Kill it `kills` times, let it finish its work, and return what it made of the ledger.

        Raises:
            NotReadyError: it did not come up again.
            AssertionError: it refused signals, or did not finish.
        """
        self._start()
        with ThreadPoolExecutor(len(self.senders)) as pool:
            sending = [pool.submit(sender.run) for sender in self.senders]
            try:
                for _ in range(kills):
                    self._kill()
                self._start()
            except BaseException:
                for sender in self.senders:
                    sender.hopeless.set()
                raise
            finally:
                for sender in self.senders:
                    sender.enough.set()
        for one in sending:
            one.result()
        self._drain()
        return Found(self._episodes(), self._missions(), self.told)

    def close(self) -> None:
        """End it and its receiver."""
        self.dogwatch.close()
        self._receiver.close()

    def _start(self) -> None:
        started = monotonic()
        process = self.dogwatch.process
        process.start()
        process.ready(self.dogwatch.is_ready, READY_S)
        self._start_s = self._start_s or monotonic() - started

    def _kill(self) -> None:
        """Kill it while it works, or kill it, start it again, and kill it while it starts."""
        process = self.dogwatch.process
        if self._random.random() < EARLY:
            process.start()
            self._pause.wait(self._random.uniform(0, self._start_s))
        else:
            self._start()
            self._pause.wait(self._random.uniform(0, WORK_S))
        assert process.running, process.tail()
        process.kill()

    def _drain(self) -> None:
        ended = eventually(lambda: self._done() or None, DRAIN_S, self._has_ended, every_s=0.5)
        (left,) = self._select("dogwatch.db", _WAITING)[0]
        assert ended, f"{left} missions and deliveries wait; {self.dogwatch.process.tail()}"

    def _has_ended(self) -> bool:
        return not self.dogwatch.process.running

    def _done(self) -> bool:
        """Whether the whole log is folded and all that came of it has ended."""
        (end,) = self._select("signals.db", 'SELECT max("offset") + 1 FROM log')[0]
        (folded,) = self._select("dogwatch.db", "SELECT next_offset FROM partitions")[0]
        return bool(end == folded and self._select("dogwatch.db", _WAITING)[0][0] == 0)

    def _episodes(self) -> dict[str, Episode]:
        found = {}
        for firing, rule, key, opened, resolved in self._select("dogwatch.db", _FIRINGS):
            group = json.loads(key)
            cluster = group.pop("cluster")
            (name,) = group.values()
            at = (opened - _T0_US, None if resolved is None else resolved - _T0_US)
            found[firing] = Episode(rule, cluster, name, *at)
        return found

    def _missions(self) -> list[tuple[str, str, str, str, int]]:
        """Return the missions as the store has them, which must be those that the CLI lists."""
        stored = self._select("dogwatch.db", _MISSIONS)
        listed = json.loads(
            self.dogwatch.command("mission", "list", "--limit", "100000", "--output", "json")
        )
        assert sorted(row["id"] for row in listed) == [row[0] for row in stored]
        return stored

    def _hear(self, request: Request) -> Answer:
        """Take a delivery in, if its signature is right; a wrong one is never taken."""
        body = Webhook(SECRET).verify(request.body, dict(request.headers))
        self.told.append(Told(request.path.strip("/"), request.headers["webhook-id"], body))
        return Answer()

    def _select(self, file: str, query: str) -> list[Any]:
        with closing(sqlite3.connect(self._folder / "data" / file, timeout=30)) as connection:
            return connection.execute(query).fetchall()


_T0_US = round(T0.timestamp()) * 1_000_000


def _settings(url: str) -> dict[str, Any]:
    hook = {"type": "webhook", "secret_file": "hook", "allow_loopback_http": True}
    return {
        "sinks": {
            "hook": {**hook, "url": f"{url}/hook"},
            "pager": {**hook, "url": f"{url}/pager"},
        },
        "routes": [
            {"sinks": ["hook"]},
            {"sinks": ["pager"], "match": {"severity": ["critical"]}, "on": ["fire"]},
        ],
    }
