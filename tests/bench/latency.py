"""How long a signal takes to reach a receiver: `dogwatch run`, one webhook, all on loopback.

Run `python -m tests.bench.latency [SAMPLES]`. Each sample is one signal that opens a firing of
its own; the next one is sent when it has arrived and a random pause is over. Prints
percentiles of the time from the POST, and from its 202 (the signal is durable then), until the
webhook arrived. A delivery that came before the 202 was read counts as 0.
"""

from __future__ import annotations

import base64
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import quantiles
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING, Any

import httpx

from tests.acceptance.dogwatch import TOKEN, Dogwatch
from tests.testbeds.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = 600
WARM_UP = 20
TARGET_MS = 50.0
SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: latency, owner: sre}
spec:
  rules:
    - name: alert
      on: [{type: alert}]
      when: signal.data.level == "critical"
      by: [cluster, name]
      settle: 0s
      mission: MISSION
      labels: {severity: critical}
"""
MISSION = "{kind: incident-response, params: {symptom: latency}}"


def main(samples: int) -> None:
    """Print the figures, without and with a mission for each firing."""
    for what, mission in (("firing -> webhook", None), ("with a mission each", MISSION)):
        posted, durable = _measured(samples, mission)
        print(f"{what}, {samples} samples, milliseconds:")
        for name, times in (("from the POST", posted), ("from its 202", durable)):
            print(f"  {name:<14} {_percentiles(times)}")


def _measured(samples: int, mission: str | None) -> tuple[list[float], list[float]]:
    """Return seconds from POST to webhook, and from its 202 to webhook."""
    rules = "\n".join(
        line.replace("MISSION", mission or "")
        for line in RULES.splitlines()
        if mission or "MISSION" not in line
    )
    with TemporaryDirectory() as folder, Receiver() as receiver:
        Path(folder, "secret").write_text(SECRET)
        with Dogwatch(Path(folder), _settings(receiver.url), rules) as dogwatch:
            times = _sampled(dogwatch.url, receiver, samples + WARM_UP)
    return [p for p, _ in times[WARM_UP:]], [d for _, d in times[WARM_UP:]]


def _sampled(url: str, receiver: Receiver, samples: int) -> list[tuple[float, float]]:
    random, pause = Random(7), threading.Event()
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/cloudevents+json"}
    times = []
    with httpx.Client(headers=headers, timeout=10, trust_env=False) as client:
        for number in range(1, samples + 1):
            event = _event(number)
            start = monotonic()
            answer = client.post(f"{url}/v1/signals", json=event)
            durable = monotonic()
            assert answer.status_code == 202, answer.text
            arrived = receiver.wait(number)[-1].at
            times.append((arrived - start, max(0.0, arrived - durable)))
            pause.wait(random.uniform(0.02, 0.08))
    return times


def _event(number: int) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"bench-{number}",
        "source": "bench",
        "type": "alert",
        "time": datetime.now(UTC).isoformat(),
        "cluster": "bench",
        "data": {"name": f"app-{number}", "level": "critical"},
    }


def _settings(url: str) -> dict[str, Any]:
    hook = {
        "type": "webhook",
        "url": f"{url}/hook",
        "secret_file": "secret",
        "allow_loopback_http": True,
    }
    return {"sinks": {"hook": hook}, "routes": [{"sinks": ["hook"], "on": ["fire"]}]}


def _percentiles(times: Sequence[float]) -> str:
    cuts = quantiles(times, n=100, method="inclusive")
    shown = {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(times)}
    verdict = "met" if cuts[98] * 1000 < TARGET_MS else "MISSED"
    figures = "  ".join(f"{name} {value * 1000:6.1f}" for name, value in shown.items())
    return f"{figures}  (p99 < {TARGET_MS:g}: {verdict})"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
