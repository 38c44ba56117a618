"""Who renews what: certificates that a controller renews, told by what it writes on them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from engine.model.watch import Object

CERTIFICATE_NAME: Final = "cert-manager.io/certificate-name"
"""Annotation of a Secret that cert-manager fills: which Certificate it belongs to."""
_ANNOTATIONS: Final = {
    CERTIFICATE_NAME: "cert-manager",
    "cert-manager.io/inject-ca-from": "cert-manager",
    "cert-manager.io/inject-ca-from-secret": "cert-manager",
    "cert-manager.io/inject-apiserver-ca": "cert-manager",
    "service.beta.openshift.io/originating-service-name": "service-ca",
    "service.alpha.openshift.io/originating-service-name": "service-ca",
    "service.beta.openshift.io/inject-cabundle": "service-ca",
    "service.alpha.openshift.io/inject-cabundle": "service-ca",
    "auth.openshift.io/certificate-not-after": "openshift",
}
_LABELS: Final = {
    "cert.kyverno.io/managed-by": "kyverno",
    "common.k8s.elastic.co/type": "eck",
    "networking.internal.knative.dev/certificate-uid": "knative",
    "olm.managed": "olm",
    "strimzi.io/cluster": "strimzi",
}
_OWNERS: Final = {
    "cert-manager.io": "cert-manager",
    "k8s.elastic.co": "eck",
    "kafka.strimzi.io": "strimzi",
    "core.strimzi.io": "strimzi",
    "postgresql.cnpg.io": "cnpg",
    "postgres-operator.crunchydata.com": "crunchy-pgo",
    "operator.openshift.io": "openshift",
}
"""API groups, or what they end with, whose controllers renew the certificates of what they own.

Others fill Secrets too (External Secrets, Sealed Secrets), and renew nothing.
"""


def issuer_of(obj: Object) -> str:
    """Return the name of the controller that renews the certificates of `obj`, empty: nobody."""
    metadata = mapping(obj.get("metadata"))
    for table, field in ((_ANNOTATIONS, "annotations"), (_LABELS, "labels")):
        written = mapping(metadata.get(field))
        for name, controller in table.items():
            if name in written:
                return controller
    return _owner(metadata.get("ownerReferences"))


def mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` where it is a mapping, else an empty one: objects may have any shape."""
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """Return `value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def _owner(references: Any) -> str:
    for reference in map(mapping, items(references)):
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        for known, controller in _OWNERS.items():
            if reference.get("controller") is True and f".{group}".endswith(f".{known}"):
                return controller
    return ""
