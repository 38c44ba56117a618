"""A dogwatch that may change its cluster: engine and writer as processes, people with buttons."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import httpx
import yaml

from tests.acceptance.dogwatch import COMMAND, Dogwatch
from tests.conftest import SLACK_TOKEN
from tests.ledger.nursery import ROOT
from tests.testbeds.identities import token
from tests.testbeds.manifests import a_deployment, chaos
from tests.testbeds.process import Server, eventually, reserve_port

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.testbeds.kube import Kube
    from tests.testbeds.receiver import Receiver

GOOD = "registry.test/web:1"
BAD = "registry.test/web:does-not-exist"
SIGNING = "the signing secret of the Slack app"
TEAM = "T0TEST"
PEOPLE = {"ada": "U0ADA", "bo": "U0BO"}
RULES = """
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: acceptance, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 1h, keep_firing_for: 6s}
  rules:
    - name: bad-image
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: '"ImagePullBackOff" in signal.data.waiting'
      by: [cluster, namespace, workload]
      mission:
        kind: incident-response
        params:
          cluster: "{{ key.cluster }}"
          namespace: "{{ key.namespace }}"
          workload: "{{ key.workload }}"
        mode: apply
        approval: person
      labels: {severity: critical}
"""


def user_token(name: str) -> str:
    """Return the token that a user proves himself with."""
    return f"the long token of {name} for tests"


def a_policy(**changes: Any) -> dict[str, Any]:
    """Return a policy in which ada and bo may approve what disrupts, checked for some seconds."""
    users = {
        name: {
            "email": f"{name}@example.com",
            "slack": {"team": TEAM, "user": member},
            "token_sha256": hashlib.sha256(user_token(name).encode()).hexdigest(),
        }
        for name, member in PEOPLE.items()
    }
    return {
        "users": users,
        "groups": {"sre": list(PEOPLE)},
        "approvers": [{"risks": ["safe", "disruptive"], "groups": ["sre"]}],
        "budgets": {"replicas_percent": 100},
        "verification": {"window": "3s"},
        **changes,
    }


@dataclass
class Changing:
    """Engine and writer over one folder, the cluster, and the Slack that people look at."""

    folder: Path
    kube: Kube
    namespace: str
    slack: Receiver
    policy: dict[str, Any] = field(default_factory=a_policy)
    settings: dict[str, Any] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "slack").write_text(SLACK_TOKEN)
        (self.folder / "signing").write_text(SIGNING)
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(self.policy))
        self._kubeconfig("reader.yaml", "reader")
        self._kubeconfig("writer.yaml", "writer")
        rules = RULES.replace("NAMESPACE", self.namespace)
        self.dogwatch = Dogwatch(self.folder, self._settings(), rules)
        self.writer = self.a_writer()

    def _kubeconfig(self, file: str, account: str) -> None:
        """Write a kubeconfig with the token that the pod of `account` would have."""
        cluster = {"server": self.kube.url, "certificate-authority": str(self.kube.ca)}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "alpha", "cluster": cluster}],
            "users": [{"name": account, "user": {"token": token(self.kube, account)}}],
            "contexts": [{"name": "alpha", "context": {"cluster": "alpha", "user": account}}],
            "current-context": "alpha",
        }
        (self.folder / file).write_text(yaml.safe_dump(whole))

    def _settings(self) -> dict[str, Any]:
        slack = {
            "type": "slack",
            "token_file": "slack",
            "channel": "#oncall",
            "signing_secret_file": "signing",
            "base_url": f"{self.slack.url}/api",
            "allow_loopback_http": True,
        }
        return {
            "clusters": [
                {
                    "name": "alpha",
                    "kubeconfig": "reader.yaml",
                    "writer": {"kubeconfig": "writer.yaml"},
                }
            ],
            "sinks": {"oncall": slack},
            "routes": [{"sinks": ["oncall"]}],
            "changes": {"policy_file": "policy.yaml", "poll_s": 0.2},
            **self.settings,
        }

    def a_writer(self, name: str = "writer", **failpoints: str) -> Server:
        """Return a writer process that is not started; `failpoints` are those of the armed one."""
        port = reserve_port(self.dogwatch._held)
        self.ports[name] = port
        armed = [f"{key}={value}" for key, value in failpoints.items()]
        own = [f"DOGWATCH_CHANGES__LISTEN=127.0.0.1:{port}", f"PYTHONPATH={ROOT}", *armed]
        program = [sys.executable, "-m", "tests.failpoints.armed"] if armed else [str(COMMAND)]
        verb = ["run", "--role", "writer", "--config", str(self.dogwatch.config)]
        return Server(name, ["/usr/bin/env", *own, *program, *verb], self.folder / f"{name}.log")

    def start_writer(self) -> None:
        """Start the writer and wait until it has the lease."""
        self.await_writing(self.writer)

    def await_writing(self, writer: Server) -> None:
        """Start a writer and wait until it has the lease."""
        url = f"http://127.0.0.1:{self.ports[writer.name]}/readyz?verbose"

        def writes() -> bool | None:
            try:
                answer = httpx.get(url, timeout=2)
            except httpx.TransportError:
                return None
            return (answer.status_code == 200 and "[+] writing ok" in answer.text) or None

        writer.start()
        writer.ready(writes, 60)

    def __enter__(self) -> Self:
        self.dogwatch.__enter__()
        self.start_writer()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.writer.stop()
        self.dogwatch.__exit__(kind, error, at)

    # -- what people see and do ----------------------------------------------------------

    def messages(self, *words: str) -> list[dict[str, Any]]:
        """Return the messages at Slack, as posted or edited, that hold all `words`."""
        bodies = [request.json() for request in self.slack.requests]
        whole = [one for one in bodies if "blocks" in one]
        return [one for one in whole if all(word in json.dumps(one).lower() for word in words)]

    def asked(self) -> dict[str, Any]:
        """Wait for the message with buttons; return it."""
        found = eventually(lambda: self.messages('"type": "button"') or None, 60)
        assert found, self.tail()
        return found[-1]

    def told(self, *words: str, within_s: float = 60) -> dict[str, Any]:
        """Wait for a message that holds all `words`; return it."""
        found = eventually(lambda: self.messages(*words) or None, within_s)
        assert found, self.tail()
        return found[-1]

    def click(self, message: dict[str, Any], label: str, who: str = "ada") -> httpx.Response:
        """Press the button `label` of a message, as Slack tells of it."""
        actions = [
            element
            for block in message["blocks"]
            if block["type"] == "actions"
            for element in block["elements"]
            if element["type"] == "button" and element["text"]["text"] == label
        ]
        payload = {
            "type": "block_actions",
            "team": {"id": TEAM},
            "user": {"id": PEOPLE.get(who, who)},
            "actions": [{"type": "button", **actions[0]}],
            "response_url": f"{self.slack.url}/api/response",
            "container": {"channel_id": "C1", "message_ts": "1.1"},
        }
        return self.post_action(urlencode({"payload": json.dumps(payload)}).encode())

    def post_action(self, body: bytes, *, at: float | None = None) -> httpx.Response:
        """Post a signed action as Slack does, signed `at` seconds since 1970."""
        stamp = str(int(time() if at is None else at))
        base = b"v0:" + stamp.encode() + b":" + body
        signature = "v0=" + hmac.new(SIGNING.encode(), base, hashlib.sha256).hexdigest()
        return httpx.post(
            f"{self.dogwatch.url}/slack/actions",
            content=body,
            headers={
                "content-type": "application/x-www-form-urlencoded",
                "x-slack-request-timestamp": stamp,
                "x-slack-signature": signature,
            },
            timeout=10,
        )

    def command(self, *arguments: str, who: str = "ada") -> subprocess.CompletedProcess[str]:
        """Run a verb on the same configuration as `who`."""
        called = [str(COMMAND), *arguments, "--config", str(self.dogwatch.config)]
        return subprocess.run(
            called,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"DOGWATCH_TOKEN": user_token(who), "PATH": "/usr/bin:/bin"},
        )

    def states(self) -> dict[str, str]:
        """Return change -> state, as the API shows it."""
        headers = {"authorization": f"Bearer {user_token('ada')}"}
        answer = httpx.get(f"{self.dogwatch.url}/v1/changes", headers=headers, timeout=10)
        return {one["id"]: one["state"] for one in answer.json()}

    def state(self, *wanted: str, within_s: float = 60) -> str:
        """Wait until the first change is in a state of `wanted`; return which.

        One that was overtaken is planned anew, as another one.
        """

        def there() -> str | None:
            *_, state = ("", *self.states().values())  # the latest comes first
            return state if state in wanted else None

        found = eventually(there, within_s)
        assert found, f"{self.states()}\n{self.tail()}"
        return found

    def amend_policy(self, **changes: Any) -> None:
        """Put another policy in force, and wait until writer and pages have it."""
        logs = (self.folder / "dogwatch.log", self.folder / "writer.log")

        def counts() -> list[int]:
            return [log.read_text().count("policy in force") for log in logs]

        had = counts()
        (self.folder / "policy.yaml").write_text(yaml.safe_dump(a_policy(**changes)))
        assert eventually(
            lambda: (
                all(
                    log.read_text().count("policy in force") > n
                    for log, n in zip(logs, had, strict=True)
                )
                or None
            ),
            20,
        ), self.tail()

    def tail(self) -> str:
        """Return the ends of both logs."""
        return f"{self.dogwatch.process.tail(40)}\n--- writer\n{self.writer.tail(40)}"

    # -- the cluster ----------------------------------------------------------------------

    def image(self, name: str = "web") -> str:
        """Return the image that a Deployment asks for now."""
        found = self.kube.get("Deployment", name, self.namespace)
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def template(self, name: str = "web") -> Any:
        """Return the pod template of a Deployment."""
        return self.kube.get("Deployment", name, self.namespace)["spec"]["template"]


def text_of(message: dict[str, Any]) -> str:
    """Return what a Slack message says, without its marks."""
    parts = [block.get("text", {}).get("text", "") for block in message["blocks"]]
    return re.sub(r"[*_`]", "", "\n".join(parts))


def spoil(changing: Changing) -> Any:
    """Roll out a version that cannot start over one that is well; return the good template."""
    kube, namespace = changing.kube, changing.namespace
    kube.create(a_deployment("web", namespace, replicas=2, image=GOOD))
    kube.await_condition("Deployment", "web", "Available", namespace)
    good = changing.template()
    bad = {**chaos("imagepull"), "name": "web"}
    kube.patch(
        "Deployment",
        "web",
        namespace,
        spec={
            "template": {
                "metadata": {"labels": bad["labels"], "annotations": bad["annotations"]},
                "spec": {"containers": [{**good["spec"]["containers"][0], "image": BAD}]},
            }
        },
    )
    return good
