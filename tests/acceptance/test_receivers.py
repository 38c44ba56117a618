"""Other systems post to a dogwatch that runs: real ones, those that flood, and those that lie."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import shutil
import socket
import ssl
import subprocess
from contextlib import ExitStack, aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.acceptance.reception import (
    OUTSIDE,
    PATH,
    SECRETS,
    URL,
    USER,
    a_reception,
    bearer,
    blocks,
    post,
    the_block,
    tls_in_front,
)
from tests.testbeds.alertmanager import Alertmanager
from tests.testbeds.controlplane import ADMIN, OWN, ControlPlane
from tests.testbeds.process import eventually
from tests.watchers.sources import Script
from tests.watchers.test_alertmanager import a_post, an_alert
from tests.watchers.test_audit import a_list, an_event
from tests.watchers.test_console_alert import POST
from tests.web.test_unpacking import bomb
from watchers.audit import AuditConfig, watch_audit
from watchers.registry import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.signal import Signal
    from tests.acceptance.lab import Lab
    from tests.testbeds.certificates import Authority

pytestmark = pytest.mark.timeout(120)
GARBAGE = 50


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with a_reception(tmp_path_factory.mktemp("reception")) as lab:
        yield lab


def subjects(lab: Lab) -> set[str]:
    """Return what fired so far is about."""
    return {one["group"]["subject"] for one in lab.told("fire")}


@pytest.mark.real
def test_a_real_alertmanager_tells_what_fires_and_what_is_resolved(
    lab: Lab, tmp_path: Path
) -> None:
    config = the_block("route")
    (hook,) = config["receivers"][0]["webhook_configs"]
    hook["url"] = hook["url"].replace(URL, lab.dogwatch.url)
    (tmp_path / "secrets").mkdir()
    secret = hook["http_config"]["authorization"]["credentials_file"]
    (tmp_path / secret).write_text(bearer("alerts.token")["authorization"].split()[1])
    config["route"] |= {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    began = datetime.now(UTC) - timedelta(minutes=1)
    labels = {"alertname": "DiskFull", "cluster": "am", "namespace": "shop", "pod": "db-0"}
    before = lab.metric("signals_duplicate_total")
    with Alertmanager(tmp_path, config) as alertmanager:
        alertmanager.fire(began, labels, {**labels, "alertname": "DiskSlow", "cluster": ""})
        fired = lab.await_told("fire", "DiskFull")
        assert fired["group"]["cluster"] == "am"
        assert lab.await_told("fire", "DiskSlow")["group"]["cluster"] == "prod"
        # The same state again each second counts once.
        seen = eventually(lambda: lab.metric("signals_duplicate_total") > before + 2 or None)
        assert seen
        alertmanager.fire(began, labels, ends=datetime.now(UTC))
        assert eventually(lambda: lab.metric("signals_total", type="alert") >= 3 or None)
    assert lab.told("fire", "DiskFull") == [fired]
    assert [one["rule"] for one in lab.told("fire", "DiskFull")] == ["alerted"]


def test_a_request_that_is_replayed_counts_once(lab: Lab) -> None:
    body = json.dumps(POST | {"alert": "Replayed", "id": "replay-1"}).encode()
    answers = [post(lab, f"console/{PATH}", body) for _ in range(3)]
    assert [one.status_code for one in answers] == [202] * 3
    lab.await_told("fire", "Replayed")
    lab.fire("marker-of-the-replay")
    assert [one["rule"] for one in lab.told("fire", "Replayed")] == ["alerted"]
    changed = json.dumps(POST | {"alert": "Replayed", "id": "replay-2"}).encode()
    post(lab, f"console/{PATH}", changed)
    rules = eventually(
        lambda: {one["rule"] for one in lab.told("fire", "Replayed")} - {"alerted"} or None
    )
    assert rules == {"alerted-twice"}


@pytest.mark.parametrize("number", range(3), ids=["structured", "binary", "batch"])
def test_each_command_of_the_page_sends_an_event_that_is_taken(lab: Lab, number: int) -> None:
    command = blocks("sh")[number].replace(URL, lab.dogwatch.url)
    done = subprocess.run(
        ["bash", "-c", command], cwd=lab.dogwatch.folder, capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"accepted": 1, "rejected": []}, done.stderr


def test_a_sender_may_speak_of_its_clusters_only_and_never_for_dogwatch(lab: Lab) -> None:
    def event(**fields: str) -> dict[str, Any]:
        at = datetime.now(UTC).isoformat()
        return {"specversion": "1.0", "id": "x", "source": "x", "type": "alert", "time": at,
                "cluster": "prod"} | fields  # fmt: skip

    body = json.dumps(
        [event(cluster="bank"), event(type="mission"), event(time="2100-01-01T00:00:00Z")]
    )
    kind = {"content-type": "application/cloudevents-batch+json"}
    answer = post(lab, "events", body.encode(), auth=USER, headers=kind)
    assert answer.status_code == 422
    assert [one.partition(":")[0] for one in answer.json()["rejected"]] == [
        "cluster", "type", "future",
    ]  # fmt: skip


def test_a_flood_of_garbage_is_counted_told_once_and_fires_nothing(lab: Lab) -> None:
    firings = lab.metric("firings_total")
    before = lab.metric("receiver_refused_total", receiver="alerts")
    url = f"{lab.dogwatch.url}/v1/receive/alerts"
    some = random.Random(7)
    with httpx.Client(headers=bearer("alerts.token"), timeout=20) as client:
        answers = [client.post(url, content=b"{" + some.randbytes(300)) for _ in range(GARBAGE)]
    assert {one.status_code for one in answers} == {422}
    assert lab.metric("receiver_refused_total", receiver="alerts") == before + GARBAGE
    told = [one for one in lab.logged("refused") if one["receiver"] == "alerts"]
    assert 1 <= sum(one["reason"] == "bad-json" for one in told) <= 2
    assert lab.metric("firings_total") == firings


def test_a_bomb_is_refused_and_dogwatch_goes_on(lab: Lab) -> None:
    packed = {**bearer("alerts.token"), "content-encoding": "gzip"}
    assert post(lab, "alerts", bomb(64 << 20), headers=packed).status_code == 413
    assert post(lab, "alerts", bomb(8 << 20), headers=packed).status_code == 413
    good = gzip.compress(json.dumps(a_post(an_alert())).encode())
    assert post(lab, "alerts", good, headers=packed).status_code == 202


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("alerts", {}),
        ("alerts", {"headers": {"authorization": "Bearer tok-audit"}}),
        ("alerts", {"headers": {"authorization": "Bearer let me in"}}),
        ("alerts/tok-alerts", {}),
        ("events", {"auth": ("ci", "wrong")}),
        ("console", {}),
        ("console/wrong", {}),
        ("console", {"headers": {"authorization": f"Bearer {PATH}"}}),
        ("audit-prod", {"headers": {"authorization": "Bearer tok-alerts"}}),
        ("nobody", {}),
    ],
)
def test_nobody_posts_without_the_secret_of_that_receiver(
    lab: Lab, path: str, given: dict[str, Any]
) -> None:
    answer = post(lab, path, json.dumps(a_post(an_alert())).encode(), **given)
    assert answer.status_code in {401, 404}


BODIES = [
    json.dumps(one).encode()
    for one in (a_post(an_alert()), POST, a_list(an_event()), [{"specversion": "1.0", "id": "1"}])
]
KINDS = ["application/json", "application/cloudevents+json", "text/plain", ""]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_posted_there_is_no_5xx_and_no_2xx_without_the_secret(
    lab: Lab, data: st.DataObject
) -> None:
    name, secret = data.draw(
        st.sampled_from(
            [("alerts", "tok-alerts"), ("audit-prod", "tok-audit"), (f"console/{PATH}", ""),
             ("events", "")]
        )
    )  # fmt: skip
    whole = data.draw(st.sampled_from(BODIES))
    at, cut = data.draw(st.integers(0, len(whole))), data.draw(st.integers(0, 40))
    body = whole[:at] + data.draw(st.binary(max_size=20)) + whole[at + cut :]
    known = data.draw(st.booleans())
    path = name if known else data.draw(st.sampled_from([name[:-1], "alerts", "events", "x/y"]))
    headers = {"content-type": data.draw(st.sampled_from(KINDS)), "ce-specversion": "1.0",
               "ce-id": data.draw(st.text("aé%\x7f", max_size=5)).encode().hex()}  # fmt: skip
    if known and secret:
        headers["authorization"] = f"Bearer {secret}"
    answer = post(lab, path, body, headers=headers, auth=USER if known and not secret else None)
    assert answer.status_code < 500
    if not known:
        assert answer.status_code in {401, 404}


def test_a_body_that_stops_coming_does_not_hold_up_the_others(lab: Lab) -> None:
    host, port = lab.dogwatch.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        head = (
            f"POST /v1/receive/console/{PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{{"
        )
        slow.sendall(head.encode())
        body = json.dumps(POST | {"alert": "Quick", "id": "quick"}).encode()
        assert post(lab, f"console/{PATH}", body).status_code == 202
    lab.await_told("fire", "Quick")


async def in_the_log(log: Path, subject: str) -> Signal:
    """Return what the watcher of the audit log tells about a subject."""
    config = AuditConfig(file_path=str(log), from_start=True, every_s=0.05)
    async with aclosing(watch_audit(config, Scene(Script(), "uid"))) as batches:
        async for batch in batches:
            for signal in batch:
                if signal.subject == subject:
                    return signal
    raise AssertionError(subject)


@pytest.mark.real
def test_a_real_api_server_posts_what_it_audits_with_the_files_of_the_page(
    lab: Lab, tmp_path: Path, binaries: dict[str, Path], authority: Authority
) -> None:
    policy, webhook = tmp_path / "audit-policy.yaml", tmp_path / "audit-webhook.yaml"
    policy.write_text(yaml.safe_dump(the_block("omitStages")))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "audit.token").write_text("tok-audit")
    shutil.copy(authority.certificate, tmp_path / "secrets" / "ca.crt")
    flags = [
        f"--audit-policy-file={policy}",
        f"--audit-webhook-config-file={webhook}",
        "--audit-webhook-batch-max-wait=1s",
        "--audit-webhook-batch-max-size=200",
    ]
    tokens = {OWN: "tok-own", ADMIN: "tok-admin", "eve": "tok-eve"}
    with ExitStack() as stack:
        outside = stack.enter_context(
            tls_in_front(lab.dogwatch.url, authority.server_context("dogwatch"))
        )
        text = yaml.safe_dump(the_block("current-context")).replace(OUTSIDE, outside)
        webhook.write_text(text)
        plane = ControlPlane(tmp_path / "plane", binaries, tokens, flags)
        stack.callback(plane.close)
        plane.start(["etcd", "kube-apiserver"])
        trust = ssl.create_default_context(cafile=str(plane.site.authority.certificate))
        api = stack.enter_context(httpx.Client(base_url=plane.site.url, verify=trust, timeout=20))
        for user in ("admin", "eve"):
            made = {"metadata": {"name": f"by-{user}"}, "data": {"password": "canary-7"}}
            path = "/api/v1/namespaces/default/configmaps"
            api.post(path, json=made, headers={"authorization": f"Bearer tok-{user}"})
        path = "/api/v1/namespaces/default/secrets"
        api.get(path, headers={"authorization": "Bearer tok-admin"})
        fired = lab.await_told("fire", "configmaps/default/by-admin", 20)
        assert fired["group"]["cluster"] == "prod"
        lab.await_told("fire", "secrets/default", 20)
        lab.await_told("fire", "configmaps/default", 20)  # what was denied has no name
        assert [one for one in subjects(lab) if "leases" in one] == []
        followed = asyncio.run(in_the_log(plane.site.audit_log, "configmaps/default/by-admin"))
        assert (followed.data["user"], followed.data["code"]) == ("admin", 201)
    data = b"".join(one.read_bytes() for one in (lab.dogwatch.folder / "data").rglob("*.db*"))
    assert b"canary-7" not in data


def test_no_secret_is_in_logs_metrics_or_pages(lab: Lab) -> None:
    post(lab, f"console/{PATH}x", b"{}")
    post(lab, "alerts", b"tok", headers=bearer("alerts.token"))
    seen = (lab.dogwatch.folder / "dogwatch.log").read_text() + lab.dogwatch.get("/metrics")
    assert [secret for secret in SECRETS if secret in seen] == []
    assert 'receiver="console"' in seen
