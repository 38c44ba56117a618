"""A dogwatch without clusters: signals come by HTTP, one rule watches them, a webhook is told."""

from __future__ import annotations

import base64
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.dogwatch import TOKEN, Dogwatch
from tests.testbeds.process import eventually
from tests.testbeds.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
BATCH = "application/cloudevents-batch+json"
SENDER = "sensors/1"
RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: lab, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s, keep_firing_for: 1h}
  rules:
    - name: hot
      on: [{type: alert}]
      when: signal.data.celsius > 40
      by: [cluster, subject]
      labels: {severity: critical}
"""
STEP = timedelta(milliseconds=20)
_numbers = count(1)
_sent = [datetime.now(UTC)]


def an_alarm(subject: str = "attic", **changes: Any) -> dict[str, Any]:
    """Return a signal that the rule `hot` fires on; each is a little later than all before it."""
    _sent.append(max(datetime.now(UTC), _sent[-1] + STEP))
    return {
        "specversion": "1.0",
        "id": f"alarm-{next(_numbers)}",
        "source": SENDER,
        "type": "alert",
        "cluster": "lab",
        "subject": subject,
        "time": _sent[-1].isoformat(),
        "data": {"celsius": 50},
        **changes,
    }


def a_beat() -> dict[str, Any]:
    """Return the heartbeat of the sender: what it sent before counts as complete."""
    return an_alarm(type="watcher.heartbeat", data={})


def a_hook(receiver: Receiver, path: str = "/hook", **options: Any) -> dict[str, Any]:
    """Return the settings of a webhook sink; its secret is the file `secret`."""
    url = f"{receiver.url}{path}"
    own = {"url": url, "secret_file": "secret", "allow_loopback_http": True}
    return {"type": "webhook", **own, **options}


@dataclass
class Lab:
    """A running dogwatch and the receiver of its webhook."""

    dogwatch: Dogwatch
    hook: Receiver

    def post(self, body: bytes, kind: str = BATCH) -> httpx.Response:
        """Post bytes as they are."""
        headers = {"content-type": kind, "authorization": f"Bearer {TOKEN}"}
        url = f"{self.dogwatch.url}/v1/signals"
        return httpx.post(url, content=body, headers=headers, timeout=20)

    def fire(self, *subjects: str) -> None:
        """Send one alarm for each subject."""
        answer = self.dogwatch.send([*map(an_alarm, subjects), a_beat()])
        assert answer.status_code == 202, answer.text

    def told(self, change: str, subject: str = "") -> list[dict[str, Any]]:
        """Return what the webhook took of `change`, each delivery once, in order of arrival."""
        found: dict[str, dict[str, Any]] = {}
        for request in self.hook.requests:
            body = request.json()["data"]
            if body["change"] == change and subject in {"", body["group"].get("subject")}:
                found.setdefault(body["key"], body)
        return list(found.values())

    def await_told(self, change: str, subject: str, within_s: float = 10) -> dict[str, Any]:
        """Return the first delivery of `change` about `subject`."""
        found = eventually(lambda: self.told(change, subject) or None, within_s)
        assert found, (change, subject, self.dogwatch.process.tail())
        return found[0]

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples `dogwatch_<name>` that carry `labels`."""
        return sum(
            sample.value
            for family in text_string_to_metric_families(self.dogwatch.get("/metrics"))
            for sample in family.samples
            if sample.name == f"dogwatch_{name}" and labels.items() <= sample.labels.items()
        )

    def await_metric(self, name: str, value: float, **labels: str) -> None:
        """Wait until the metric has the value."""
        seen = eventually(lambda: self.metric(name, **labels) == value or None, 20)
        assert seen, (name, labels, self.metric(name, **labels))

    def reload(self) -> httpx.Response:
        """Ask for the rule files to be read now."""
        headers = {"authorization": f"Bearer {TOKEN}"}
        return httpx.post(f"{self.dogwatch.url}/-/reload", headers=headers, timeout=20)

    def readiness(self) -> tuple[int, str]:
        """Return the status and the text of /readyz."""
        answer = httpx.get(f"{self.dogwatch.url}/readyz", timeout=5)
        return answer.status_code, answer.text

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Return the log lines of this event."""
        return [line for line in self.dogwatch.log() if line["event"] == event]


@contextmanager
def a_lab(
    folder: Path, rules: str = RULES, sinks: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[Lab]:
    """Run a dogwatch over `folder` that tells its webhook `hook`, and further sinks if given."""
    with ExitStack() as stack:
        receiver = stack.enter_context(Receiver())
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secret").write_text(SECRET)
        every = {"hook": a_hook(receiver), **(sinks or {})}
        whole = {
            "sinks": every,
            "routes": [{"sinks": list(every)}],
            "stream": {"lateness_s": 0.01},
            **settings,
        }
        dogwatch = stack.enter_context(Dogwatch(folder, whole, rules))
        yield Lab(dogwatch, receiver)
