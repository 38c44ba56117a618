"""Who asks the test cluster: one user per set of rights, so that a refusal is the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.testbeds.audit import ACCOUNTS
from tests.testbeds.controlplane import ADMIN
from tests.testbeds.manifests import Manifest, an_object

if TYPE_CHECKING:
    from collections.abc import Mapping

_READ = ["get", "list", "watch"]
_CORE = [
    "namespaces", "nodes", "pods", "pods/log", "services", "endpoints", "events", "configmaps",
    "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "resourcequotas",
    "limitranges", "replicationcontrollers",
]  # fmt: skip
_GROUPS = [
    "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "storage.k8s.io", "metrics.k8s.io", "coordination.k8s.io",
    "rbac.authorization.k8s.io",
]  # fmt: skip


def _read(groups: list[str], resources: list[str]) -> dict[str, Any]:
    return {"apiGroups": groups, "resources": resources, "verbs": _READ}


READER = "reader"
PODS_ONLY = "pods-only"
NOBODY = "nobody"

# user -> rules of its cluster role; the admin needs none
PERSONAS: Mapping[str, list[dict[str, Any]]] = {
    ADMIN: [],
    READER: [_read([""], _CORE), _read(_GROUPS, ["*"])],
    PODS_ONLY: [_read([""], ["namespaces", "pods"])],
    NOBODY: [],
}


# What a mission kind of all rights would be: the admin impersonates it where dogwatch writes.
ANY_KIND = f"{ACCOUNTS}any-kind"


def grants() -> list[Manifest]:
    """Return the cluster roles and bindings that give each persona its rights."""
    made = [_binding("any-kind", ANY_KIND, "cluster-admin")]
    for user, rules in PERSONAS.items():
        if rules:
            made += [_role(user, rules), _binding(user, user, f"persona-{user}")]
    return made


def _role(user: str, rules: list[dict[str, Any]]) -> Manifest:
    return an_object("ClusterRole", f"persona-{user}", rules=rules)


def _binding(name: str, user: str, role: str) -> Manifest:
    group = "rbac.authorization.k8s.io"
    return an_object(
        "ClusterRoleBinding",
        f"persona-{name}",
        roleRef={"apiGroup": group, "kind": "ClusterRole", "name": role},
        subjects=[{"apiGroup": group, "kind": "User", "name": user}],
    )
