"""dogwatch over Kafka and PostgreSQL: one process for all, or one for some roles."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

from tests.acceptance.dogwatch import TOKEN, Dogwatch
from tests.acceptance.lab import BATCH, RULES, a_beat, an_alarm
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.kafka import Cluster

SOON_S = 60.0
UNSAFE = ["replication_factor", "min_insync_replicas"]


class Scaled(Dogwatch):
    """A dogwatch over Kafka and PostgreSQL; it may not get ready. No `roles`: it does all."""

    def ready_soon(self) -> bool:
        return bool(eventually(self.is_ready, SOON_S))

    def unready(self, *words: str) -> str:
        """Return the page of readiness once it says no with these words, in a line."""

        def asked() -> str | None:
            page = self.page()
            lines = [one for one in page.splitlines() if all(word in one for word in words)]
            return lines[0] if lines and self.is_ready() is None else None

        found = eventually(asked, SOON_S)
        assert found, (words, self.page(), self.process.tail(20))
        return found

    def page(self) -> str:
        found = eventually(lambda: self._page() or None, SOON_S)
        assert found, self.process.tail(20)
        return found

    def _page(self) -> str:
        try:
            return self.get("/readyz?verbose")
        except httpx.TransportError:
            return ""

    def fires(self, subject: str) -> bool:
        """Send an alarm until it is taken; return whether its firing is there soon after."""
        taken = eventually(lambda: self.answers([an_alarm(subject), a_beat()]) == 202 or None, 90)
        assert taken, self.process.tail(20)
        return bool(eventually(lambda: f'"{subject}"' in self._firings() or None, SOON_S))

    def answers(self, events: list[dict[str, Any]]) -> int:
        """Post events, however long the answer takes; return its status, 0 for none."""
        headers = {"content-type": BATCH, "authorization": f"Bearer {TOKEN}"}
        url, body = f"{self.url}/v1/signals", json.dumps(events)
        try:
            return httpx.post(url, content=body, headers=headers, timeout=60).status_code
        except httpx.ConnectError:
            return 0

    def _firings(self) -> str:
        return self.command("mission", "list", "--limit", "100", "--output", "json")


LAB = RULES.replace(
    "      labels: {severity: critical}\n",
    "      labels: {severity: critical}\n"
    '      mission: {kind: incident-response, params: {symptom: "{{ key.subject }}"}}\n',
)


@contextmanager
def scaled(folder: Path, url: str, kafka: Cluster, **bus: Any) -> Iterator[Scaled]:
    """Start a dogwatch over these servers, and end it; nothing waits for it to be ready."""
    folder.mkdir(parents=True, exist_ok=True)
    dogwatch = Scaled(folder, servers(url, kafka, **bus), LAB)
    dogwatch.process.start()
    try:
        yield dogwatch
    finally:
        dogwatch.close()


def servers(url: str, kafka: Cluster, **bus: Any) -> dict[str, Any]:
    """Return settings over these servers, with topics and a group of their own."""
    prefix = kafka.topic_prefix()
    own = {
        "brokers": kafka.bootstrap.split(","),
        "topic_prefix": prefix,
        "group": f"{prefix}group",
        "partitions": 2,
        "replication_factor": 1,
        "min_insync_replicas": 1,
        "allow_unsafe": UNSAFE,
    }
    return {
        "store": {"url": url},
        "bus": {"kafka": {**own, **bus}},
        "stream": {"lateness_s": 0.01},
    }
