"""cert-manager as far as readers see it: its Certificates, with a status that a test writes."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.testbeds.manifests import Manifest, an_object, path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.testbeds.kube import Kube

NAME = "certificates.cert-manager.io"
_OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@contextmanager
def cert_manager(kube: Kube) -> Iterator[None]:
    """Let the cluster know Certificates for the length of a block."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"spec": _OPEN, "status": _OPEN}}
        },
    }
    spec = {
        "group": "cert-manager.io",
        "names": {"kind": "Certificate", "plural": "certificates", "singular": "certificate"},
        "scope": "Namespaced",
        "versions": [version],
    }
    kube.create(an_object("CustomResourceDefinition", NAME, spec=spec))
    try:
        kube.until(lambda: kube.api().get(path("Certificate")).is_success, "Certificates")
        yield
    finally:
        kube.delete("CustomResourceDefinition", NAME)


def a_certificate(name: str, namespace: str, secret: str) -> Manifest:
    """Return a Certificate that fills the Secret `secret`."""
    spec = {"secretName": secret, "dnsNames": [f"{name}.example.com"], "issuerRef": {"name": "ca"}}
    return an_object("Certificate", name, namespace, spec=spec)


def issued(end: datetime, renewal: datetime, *, ready: bool = True) -> dict[str, Any]:
    """Return the status of a Certificate that is valid until `end`, to be renewed at `renewal`."""
    condition = {"type": "Ready", "status": str(ready), "reason": "Ready", "message": "up to date"}
    return {
        "notAfter": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "renewalTime": renewal.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "conditions": [condition],
        "revision": 1,
    }
