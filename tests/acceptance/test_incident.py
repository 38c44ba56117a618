"""The main job, whole: trouble in a real cluster becomes a proven report at every receiver."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from tests.acceptance.dogwatch import Dogwatch
from tests.conftest import MAIL_LOGIN, SLACK_TOKEN
from tests.testbeds.manifests import a_deployment, a_service, chaos, on_node
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.testbeds.certificates import Authority
    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver
    from tests.testbeds.smtp import MailServer

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]

SECRET = base64.b64encode(b"a webhook secret of 32 bytes....").decode()
WITHIN_S = 10.0
RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: acceptance, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 1h, keep_firing_for: 6s}
  rules:
    - name: crash-loop
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: '"CrashLoopBackOff" in signal.data.waiting'
      by: [cluster, namespace, workload]
      mission: {kind: incident-response, params: PARAMS}
      labels: {severity: critical}
    - name: image-pull
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: '"ImagePullBackOff" in signal.data.waiting'
      by: [cluster, namespace, workload]
      mission: {kind: incident-response, params: PARAMS}
      labels: {severity: critical}
    - name: no-endpoints
      on: [{type: k8s.object, kinds: [EndpointSlice], namespaces: ["NAMESPACE"]}]
      when: signal.data.readyEndpoints == 0
      by: [cluster, namespace, signal.data.service]
      mission: {kind: incident-response, params: {namespace: "{{ key.namespace }}", kind: Service}}
      labels: {severity: high}
    - name: node-not-ready
      on: [{type: k8s.object, kinds: [Node]}]
      when: '!signal.data.ready && signal.data.node.startsWith("NAMESPACE")'
      by: [cluster, node]
      mission: {kind: incident-response, params: {node: "{{ key.node }}"}}
      labels: {severity: critical}
"""
PARAMS = '{namespace: "{{ key.namespace }}", workload: "{{ key.workload }}"}'


@dataclass
class Stage:
    """A running dogwatch, the cluster it watches, and who is told."""

    dogwatch: Dogwatch
    kube: Kube
    namespace: str
    hook: Receiver
    slack: Receiver
    mail: MailServer

    def told(self, change: str, rule: str) -> list[dict[str, Any]]:
        """Return the webhook's deliveries of `change`, each with its signature proven."""
        found = []
        for request in self.hook.requests:
            Webhook(SECRET).verify(request.body, dict(request.headers))
            body = request.json()["data"]
            if body["change"] == change and body["rule"] == rule:
                found.append(body)
        return found

    def mails(self, *words: str) -> list[str]:
        """Return the plain texts of the mails that hold all `words`."""
        texts = [
            part.get_content()
            for mail in self.mail.mails
            for part in mail.message.walk()
            if part.get_content_type() == "text/plain"
        ]
        return [text for text in texts if all(word in text.lower() for word in words)]

    def posts(self, *words: str) -> list[str]:
        """Return the Slack messages that hold all `words`."""
        texts = [json.dumps(request.json()) for request in self.slack.requests]
        return [text for text in texts if all(word in text.lower() for word in words)]

    def await_result(self, rule: str) -> dict[str, Any]:
        """Wait for the report of `rule` at the webhook, within 10 s of its firing."""
        fired = eventually(lambda: self.told("fire", rule) or None, 60)
        assert fired, self.dogwatch.process.tail()
        since = monotonic()
        results = eventually(lambda: self.told("result", rule) or None, WITHIN_S)
        assert results, self.dogwatch.process.tail()
        assert monotonic() - since < WITHIN_S
        report: dict[str, Any] = results[0]["report"]
        return report


@pytest.fixture
def stage(
    tmp_path: Path,
    kube: Kube,
    receiver: Receiver,
    slack_server: Receiver,
    smtp: MailServer,
    authority: Authority,
) -> Iterator[Stage]:
    namespace = kube.namespace("acceptance")
    for name, text in {"slack": SLACK_TOKEN, "hook": SECRET, "mail": MAIL_LOGIN[1]}.items():
        (tmp_path / name).write_text(text)
    settings = {
        "clusters": [{"name": "alpha", "kubeconfig": str(kube.kubeconfig)}],
        "sinks": {
            "hook": {
                "type": "webhook",
                "url": f"{receiver.url}/hook",
                "secret_file": "hook",
                "allow_loopback_http": True,
            },
            "oncall": {
                "type": "slack",
                "token_file": "slack",
                "channel": "#oncall",
                "base_url": f"{slack_server.url}/api",
                "allow_loopback_http": True,
            },
            "mail": {
                "type": "email",
                "host": "localhost",
                "port": smtp.port,
                "username": MAIL_LOGIN[0],
                "password_file": "mail",
                "from": "dogwatch@example.com",
                "to": ["sre@example.com"],
                "ca_file": str(authority.certificate),
            },
        },
        "routes": [{"sinks": ["hook", "oncall", "mail"]}],
    }
    rules = RULES.replace("NAMESPACE", namespace).replace("PARAMS", PARAMS)
    with Dogwatch(tmp_path, settings, rules) as dogwatch:
        yield Stage(dogwatch, kube, namespace, receiver, slack_server, smtp)


def likely(report: dict[str, Any]) -> list[str]:
    return [h["cause"] for i in report["incidents"] for h in i["hypotheses"]]


def test_a_crash_loop_is_reported_to_all_with_its_cause_and_resolved(stage: Stage) -> None:
    trouble = chaos("crashloop", exit_code="137")
    stage.kube.create(a_deployment("web", stage.namespace, replicas=2, trouble=trouble))
    report = stage.await_result("crash-loop")
    assert report["incidents"][0]["root"]["name"] == "web"
    assert likely(report)[0].startswith("memory-"), report["incidents"]
    assert eventually(lambda: stage.mails("web", "likely cause") or None, 10), "no mail"
    assert eventually(lambda: stage.posts("web", "likely cause") or None, 10), "no Slack message"

    well = {"template": {"metadata": {"labels": {"chaos": None}}}}
    stage.kube.patch("Deployment", "web", stage.namespace, spec=well)
    ended = eventually(lambda: stage.told("resolve", "crash-loop") or None, 90)
    assert ended, stage.dogwatch.process.tail()
    assert len(stage.told("result", "crash-loop")) == 1
    first = next(r for r in stage.slack.requests if r.path.endswith("chat.postMessage"))
    assert eventually(
        lambda: any(r.path.endswith("chat.update") for r in stage.slack.requests) or None, 10
    ), "the first Slack message was not edited"
    assert "thread_ts" not in first.json()

    mission = report["run_id"]
    path = json.loads(stage.dogwatch.command("show", mission, "--output", "json"))
    nouns = [one["noun"] for one in path]
    assert [n for n in ("signal", "firing", "mission", "report", "delivery") if n in nouns] == [
        "signal",
        "firing",
        "mission",
        "report",
        "delivery",
    ]


def test_a_wrong_image_is_named(stage: Stage) -> None:
    image = "registry.test/web:does-not-exist"
    trouble = chaos("imagepull")
    stage.kube.create(a_deployment("web", stage.namespace, image=image, trouble=trouble))
    report = stage.await_result("image-pull")
    assert any(cause.startswith("image") for cause in likely(report))
    assert image in json.dumps(report["incidents"])


def test_a_service_whose_selector_matches_nothing_is_blamed(stage: Stage) -> None:
    stage.kube.create(
        a_deployment("web", stage.namespace),
        a_service("web", stage.namespace, selector={"app": "wep"}),
    )
    report = stage.await_result("no-endpoints")
    assert "selector-mismatch" in likely(report)
    assert report["incidents"][0]["root"]["kind"] == "Service"


def test_pods_of_a_dead_node_are_one_incident_of_that_node(stage: Stage) -> None:
    node = stage.kube.node(stage.namespace)
    stage.kube.create(a_deployment("web", stage.namespace, replicas=5, **on_node(node)))
    stage.kube.await_condition("Deployment", "web", "Available", stage.namespace)
    stage.kube.stop_heartbeats(node)
    report = stage.await_result("node-not-ready")
    roots = [(i["root"]["kind"], i["root"]["name"]) for i in report["incidents"]]
    assert roots[0] == ("Node", node)
    assert len([root for root in roots if root[0] == "Node"]) == 1
