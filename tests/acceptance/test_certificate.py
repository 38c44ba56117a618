"""A certificate about to expire: from a real API server to whoever is told, by shipped rules."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.lab import Lab, a_lab
from tests.testbeds.cert_manager import a_certificate, cert_manager, issued
from tests.testbeds.manifests import an_object
from tests.testbeds.process import eventually
from tests.watchers.signed import b64, now, signed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.testbeds.kube import Kube
    from tests.testbeds.manifests import Manifest
    from tests.watchers.signed import Signed

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]
SHIPPED = Path(__file__).parents[2] / "rules" / "certificates.yaml"
SOON, LATER = "certificate-expiring-soon", "certificate-expiring"
INCIDENT = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: acceptance, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 1h}
  rules:
    - name: certificate-incident
      on: [{type: certificate, namespaces: ["NAMESPACE"]}]
      when: timestamp(signal.data.notAfter) - now < duration("96h") && !signal.data.managed
      by: [cluster, namespace, name]
      mission: {kind: incident-response, params: {namespace: "{{ key.namespace }}"}}
      labels: {severity: critical}
"""


def ending(days: float) -> Signed:
    """Return a certificate that is 85 days old and ends in `days`."""
    return signed("shop", 85 + days, begin=now() - timedelta(days=85), hosts=["shop.example.com"])


def tls(name: str, namespace: str, one: Signed, **annotations: str) -> Manifest:
    data = {"tls.crt": b64(one.pem), "tls.key": b64(one.key_pem)}
    metadata = {"annotations": annotations}
    return an_object(
        "Secret", name, namespace, type="kubernetes.io/tls", data=data, metadata=metadata
    )


@dataclass
class Stage:
    """A running dogwatch that watches one namespace's certificates."""

    lab: Lab
    kube: Kube
    namespace: str

    def told(self, change: str) -> set[tuple[str, str, str]]:
        """Return (rule, kind, name) of what was told of this namespace."""
        found = set()
        for request in self.lab.hook.requests:
            body = request.json()["data"]
            group = body["group"]
            if body["change"] == change and group.get("namespace") == self.namespace:
                found.add((body["rule"], group.get("kind", ""), group["name"]))
        return found

    def until(self, change: str, *wanted: tuple[str, str, str]) -> None:
        assert eventually(lambda: set(wanted) <= self.told(change) or None, 40), (
            self.told(change),
            self.lab.dogwatch.process.tail(),
        )


@contextmanager
def a_stage(kube: Kube, folder: Path, rules: str) -> Iterator[Stage]:
    namespace = kube.namespace("certificates")
    watchers = {"certificates": {"secrets": True, "every_s": 1}, "events": False}
    clusters = [{"name": "alpha", "kubeconfig": str(kube.kubeconfig), "watchers": watchers}]
    with a_lab(folder, rules.replace("NAMESPACE", namespace), clusters=clusters) as lab:
        yield Stage(lab, kube, namespace)


def test_what_nobody_renews_in_time_is_told_and_ends_with_its_renewal_or_its_end(
    kube: Kube, tmp_path: Path
) -> None:
    with cert_manager(kube), a_stage(kube, tmp_path, SHIPPED.read_text()) as stage:
        namespace = stage.namespace
        day = timedelta(days=1)
        late, due = ending(5), ending(6)
        overdue = issued(now() + 5 * day, now() - day)
        in_time = issued(now() + 6 * day, now() + day)
        kube.create(
            tls("by-hand", namespace, ending(3)),
            tls("by-hand-too", namespace, ending(20)),
            tls("for-long", namespace, ending(200)),
            tls("overdue-tls", namespace, late, **{"cert-manager.io/certificate-name": "overdue"}),
            tls("in-time-tls", namespace, due, **{"cert-manager.io/certificate-name": "in-time"}),
            a_certificate("overdue", namespace, "overdue-tls"),
            a_certificate("in-time", namespace, "in-time-tls"),
        )
        kube.patch_status("Certificate", "overdue", namespace, **overdue)
        kube.patch_status("Certificate", "in-time", namespace, **in_time)
        fired = {
            (SOON, "Secret", "by-hand"),
            (LATER, "Secret", "by-hand"),
            (LATER, "Secret", "by-hand-too"),
            (SOON, "Certificate", "overdue"),
            (LATER, "Certificate", "overdue"),
        }
        stage.until("fire", *fired)

        renewed = {"tls.crt": b64(ending(200).pem)}
        kube.patch("Secret", "overdue-tls", namespace, data=renewed)
        fresh = issued(now() + 200 * day, now() + 140 * day)
        kube.patch_status("Certificate", "overdue", namespace, **fresh)
        kube.patch("Secret", "by-hand", namespace, data=renewed)
        kube.delete("Secret", "by-hand-too", namespace)
        stage.until("resolve", *fired)
        assert stage.told("fire") == fired


def test_a_certificate_starts_a_mission_whose_report_arrives(kube: Kube, tmp_path: Path) -> None:
    with a_stage(kube, tmp_path, INCIDENT) as stage:
        kube.create(tls("by-hand", stage.namespace, ending(3)))
        stage.until("fire", ("certificate-incident", "", "by-hand"))
        stage.until("result", ("certificate-incident", "", "by-hand"))
        printed = stage.lab.dogwatch.command("watch", "certificates", "--once", "--output", "json")
    told = [json.loads(line)["data"] for line in printed.splitlines()]
    places = {(one["kind"], one["name"]) for one in told if "kind" in one}
    assert {("Secret", "by-hand"), ("APIServer", "kube-apiserver")} <= places
