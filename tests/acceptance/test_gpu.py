"""GPU use under 50 %, whole: a real Prometheus, dogwatch, its mission, and who is told."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from engine.rules import yaml
from tests.acceptance.dogwatch import Dogwatch
from tests.testbeds.process import eventually
from tests.watchers.gpus import a_line, util

if TYPE_CHECKING:
    from tests.testbeds.kube import Kube
    from tests.testbeds.prometheus import Exporter, Prometheus
    from tests.testbeds.receiver import Receiver

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
SHIPPED = Path(__file__).parents[2] / "rules" / "gpu.yaml"
SYMPTOM = "{{ m.gpus }} GPUs work {{ m.use | round }} % of the time"


def rules() -> str:
    """Return the shipped rule in seconds instead of hours, with a mission that can run.

    Beside it the rule that fires where the shipped one must not: so silence is proven.
    """
    group: Any = yaml.read(SHIPPED.name, SHIPPED.read_bytes()).documents[0].plain()
    (shipped,) = (one for one in group["spec"]["rules"] if one["name"] == "gpu-underused")
    del shipped["tests"]
    mission = {"kind": "incident-response", "params": {"symptom": SYMPTOM}}
    quick = {**shipped, "over": "4s", "for": "2s", "mission": mission}
    enough = {**quick, "name": "gpu-used", "having": "m.use >= 50.0", "for": "6s"}
    del enough["mission"]
    group["spec"]["defaults"] = {"settle": "0s", "cooldown": "1h", "keep_firing_for": "2s"}
    group["spec"]["rules"] = [quick, enough]
    return json.dumps(group)  # JSON is YAML


def a_page(node: str, *uses: int) -> str:
    """Return what dcgm-exporter shows of a node whose GPUs are used so."""
    return "".join(
        util(use, gpu, Hostname=node)
        + a_line("DCGM_FI_DEV_GPU_TEMP", 50, gpu, Hostname=node)
        + a_line("DCGM_FI_DEV_XID_ERRORS", 0, gpu, Hostname=node)
        for gpu, use in enumerate(uses)
    )


def told(hook: Receiver, change: str, rule: str) -> list[dict[str, Any]]:
    """Return the deliveries of `change`, each with its signature proven."""
    found = []
    for request in hook.requests:
        Webhook(SECRET).verify(request.body, dict(request.headers))
        body = request.json()["data"]
        if (body["change"], body["rule"]) == (change, rule):
            found.append(body)
    return found


def test_gpus_that_work_less_than_half_of_the_time_are_reported_and_no_others(
    tmp_path: Path, kube: Kube, prometheus: Prometheus, exporter: Exporter, receiver: Receiver
) -> None:
    node = kube.node("gpu")
    (tmp_path / "hook").write_text(SECRET)
    exporter.page = a_page(node, 90, 10)
    prometheus.until(exporter.one("DCGM_FI_DEV_GPU_UTIL"))
    settings = {
        "clusters": [
            {
                "name": "alpha",
                "kubeconfig": str(kube.kubeconfig),
                "prometheus": {"url": prometheus.url, "match": exporter.match},
                "watchers": {"gpu": {"every_s": 1}},
            }
        ],
        "sinks": {
            "hook": {
                "type": "webhook",
                "url": f"{receiver.url}/hook",
                "secret_file": "hook",
                "allow_loopback_http": True,
            }
        },
        "routes": [{"sinks": ["hook"]}],
    }
    with Dogwatch(tmp_path, settings, rules()) as dogwatch:
        enough = eventually(lambda: told(receiver, "fire", "gpu-used") or None, 60)
        assert enough, dogwatch.process.tail()
        assert told(receiver, "fire", "gpu-underused") == []

        exporter.page = a_page(node, 40, 8)
        fired = eventually(lambda: told(receiver, "fire", "gpu-underused") or None, 60)
        assert fired, dogwatch.process.tail()
        results = eventually(lambda: told(receiver, "result", "gpu-underused") or None, 20)
        assert results, dogwatch.process.tail()
        assert "2 GPUs of alpha work" in json.dumps(fired[0])
        assert len(told(receiver, "fire", "gpu-underused")) == 1

        mission = results[0]["report"]["run_id"]
        path = json.loads(dogwatch.command("show", mission, "--output", "json"))
        nouns = {one["noun"] for one in path}
        assert {"firing", "mission", "report", "delivery"} <= nouns
