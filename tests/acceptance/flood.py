"""A flood: senders that offer a running dogwatch many times what it can fold.

It knows nothing of the bus, so it floods an embedded dogwatch and one over Kafka alike. Each
request holds metrics of one cluster, pods that change, and some alerts; who is told 503 keeps the
alerts and sends them again, as a sender would.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.acceptance.dogwatch import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADERS = {
    "content-type": "application/cloudevents-batch+json",
    "authorization": f"Bearer {TOKEN}",
}
SERIES = 300
PODS = 100
CLUSTERS = 2


@dataclass
class Sent:
    """What was sent: `taken` by type, ids of alerts that were taken, and requests refused."""

    taken: Counter[str] = field(default_factory=Counter)
    offered: int = 0
    alerts: set[str] = field(default_factory=set)
    refused: int = 0
    retry_after: set[int] = field(default_factory=set)
    other: list[str] = field(default_factory=list)


class Flood:
    """Senders to the dogwatch at `url`, some for each of CLUSTERS.

    `metrics`, `pods`, `alerts`: how many of each a request holds; `pad`: bytes of each alert.
    """

    def __init__(
        self, url: str, *, metrics: int = 300, pods: int = 100, alerts: int = 2, pad: int = 10
    ) -> None:
        self._url = f"{url}/v1/signals"
        self._metrics, self._pods, self._alerts, self._pad = metrics, pods, alerts, pad
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.sent = Sent()

    def run(self, seconds: float, senders: int = 4) -> Sent:
        """Flood for so long; return once every alert that was made is taken."""
        threads = [
            threading.Thread(target=self._send, args=(f"c{number % CLUSTERS}",), daemon=True)
            for number in range(senders)
        ]
        for thread in threads:
            thread.start()
        self._over.wait(seconds)
        self._over.set()
        for thread in threads:
            thread.join(120)
        return self.sent

    def _send(self, cluster: str) -> None:
        kept: list[dict[str, Any]] = []
        with httpx.Client(timeout=60) as client:
            while not self._over.is_set() or kept:
                flooding = not self._over.is_set()
                alerts = kept or [self._alert(cluster) for _ in range(self._alerts)]
                batch = [*(self._rest(cluster) if flooding else ()), *alerts]
                kept = self._post(client, batch, alerts)

    def _post(
        self, client: httpx.Client, batch: list[dict[str, Any]], alerts: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Send `batch`; return the alerts to send again."""
        try:
            answer = client.post(self._url, content=json.dumps(batch), headers=HEADERS)
        except httpx.TransportError as error:
            self.sent.other.append(repr(error))
            return alerts
        with self._lock:
            self.sent.offered += len(batch)
            if answer.status_code == 202:
                self.sent.taken.update(one["type"] for one in batch)
                self.sent.alerts.update(one["id"] for one in alerts)
                return []
            if answer.status_code != 503:
                self.sent.other.append(f"{answer.status_code} {answer.text}")
                return alerts
            self.sent.refused += 1
            self.sent.retry_after.add(int(answer.headers["retry-after"]))
        self._over.wait(0.2)
        return alerts

    def _alert(self, cluster: str) -> dict[str, Any]:
        number = next(self._numbers)
        data = {"celsius": 50, "pad": "x" * self._pad}
        return {**_event("alert", cluster, number, data), "subject": f"s{number}"}

    def _rest(self, cluster: str) -> Iterator[dict[str, Any]]:
        for _ in range(self._metrics):
            number = next(self._numbers)
            labels = {"series": str(number % SERIES), "node": f"n{number % 7}"}
            data = {"metric": "m", "labels": labels, "value": number % 100}
            yield _event("metric", cluster, number, data)
        for _ in range(self._pods):
            number = next(self._numbers)
            data = {"kind": "Pod", "uid": f"u{number % PODS}", "name": f"p{number % PODS}"}
            data |= {"namespace": "shop", "change": "modified", "phase": str(number)}
            yield _event("k8s.object", cluster, number, data)


def _event(kind: str, cluster: str, number: int, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"f{number}",
        "source": f"flood/{cluster}",
        "type": kind,
        "cluster": cluster,
        "time": datetime.now(UTC).isoformat(),
        "data": data,
    }


def rss(pid: int) -> int:
    """Return the bytes of memory that a process has now."""
    return _status(pid, "VmRSS")


def most_rss(pid: int) -> int:
    """Return the most bytes of memory that a process ever had."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(name))
