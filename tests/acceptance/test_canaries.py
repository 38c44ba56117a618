"""Secret data never leaves the watcher: no canary is in what dogwatch keeps, says or sends."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.canaries import EACH, Canaries, stored
from tests.acceptance.lab import a_lab
from tests.testbeds.process import eventually
from watchers.objects import RESOURCES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.testbeds.kube import Kube

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
RULES = """\
apiVersion: dogwatch.dev/v1
kind: RuleGroup
metadata: {name: canaries, owner: sre}
spec:
  defaults: {settle: 0s, cooldown: 0s}
  rules:
    - name: any-certificate
      on: [{type: certificate, namespaces: ["NAMESPACE"]}]
      when: "true"
      by: [cluster, namespace, kind, name]
      annotations: {summary: "{{ key.name }}"}
      labels: {severity: low}
    - name: any-object
      on: [{type: k8s.object, kinds: [Secret, Pod], namespaces: ["NAMESPACE"]}]
      when: "true"
      by: [cluster, namespace, kind, name]
      labels: {severity: low}
    - name: one-mission
      on: [{type: k8s.object, kinds: [Pod], namespaces: ["NAMESPACE"]}]
      when: "true"
      by: [cluster, namespace]
      mission: {kind: incident-response, params: {namespace: "{{ key.namespace }}"}}
      labels: {severity: critical}
"""


def test_no_canary_leaves_the_watchers(kube: Kube, tmp_path: Path) -> None:
    namespace = kube.namespace("canaries")
    canaries = Canaries(namespace, random.Random(7))
    assert len(canaries.planted) >= 40
    assert sum(map(len, canaries.planted.values())) >= 1000
    kube.create(*canaries.objects)
    watchers = {
        "certificates": {"secrets": True, "other_secrets": True, "every_s": 1},
        "objects": {"resources": [*RESOURCES, "secrets"]},
    }
    clusters = [{"name": "alpha", "kubeconfig": str(kube.kubeconfig), "watchers": watchers}]
    folder = tmp_path / "lab"
    rules = RULES.replace("NAMESPACE", namespace)
    with a_lab(folder, rules, clusters=clusters) as lab:

        def told(rule: str) -> int:
            bodies = (one.json()["data"] for one in lab.hook.requests)
            return len({str(one["group"]) for one in bodies if one["rule"] == rule})

        # TLS and opaque Secrets have a certificate each, key stores and ca.crt too.
        assert eventually(lambda: told("any-certificate") >= 4 * EACH or None, 60), told(
            "any-certificate"
        )
        assert eventually(lambda: told("any-object") >= len(canaries.objects) or None, 60)
        assert eventually(lambda: told("one-mission") or None, 60)
        lab.await_told("result", "", 60)
        pages = [lab.dogwatch.get(page).encode() for page in ("/metrics", "/readyz?verbose")]
    sent = [one.body for one in lab.hook.requests]
    seen = [*stored(folder), ("pages", b"\n".join(pages)), ("webhook", b"\n".join(sent))]
    assert sum(len(content) for _, content in seen) > 1_000_000
    assert {where: found for where, text in seen if (found := canaries.found(text))} == {}


def test_a_canary_that_left_would_be_found() -> None:
    canaries = Canaries("shop", random.Random(7))
    manifests = repr(canaries.objects).encode()
    assert canaries.found(manifests) == set(canaries.planted) - {"p12-key"}
