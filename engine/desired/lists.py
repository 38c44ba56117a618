"""How lists of Kubernetes objects are compared: by which fields their items are told apart.

Source: x-kubernetes-list-map-keys and x-kubernetes-patch-merge-key of the Kubernetes API, 1.36.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_KEYS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "claims": (("name",),),
    "conditions": (("type",),),
    "containers": (("name",),),
    "env": (("name",),),
    "ephemeralContainers": (("name",),),
    "hostAliases": (("ip",),),
    "imagePullSecrets": (("name",),),
    "initContainers": (("name",),),
    "ownerReferences": (("uid",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
    "resourceClaims": (("name",),),
    "schedulingGates": (("name",),),
    "secrets": (("name",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "volumeClaimTemplates": (("metadata.name",),),
    "volumeDevices": (("devicePath",),),
    "volumeMounts": (("mountPath",),),
    "volumes": (("name",),),
    "webhooks": (("name",),),
}
"""By name of the list the fields that tell its items apart; the first that all items have."""
_DEFAULTS: Final[Mapping[str, str]] = {"protocol": "TCP"}
SETS: Final = frozenset({"finalizers", "tolerations", "accessModes", "secrets"})
"""Lists without an order."""
_OTHERS_ADD: Final[Mapping[str, frozenset[str]]] = {
    "Pod": frozenset({"volumes", "tolerations", "volumeMounts", "containers", "initContainers"}),
    "ServiceAccount": frozenset({"secrets", "imagePullSecrets"}),
}
"""By kind the lists that admission and controllers add to."""


def adds(kind: str, name: str) -> bool:
    """Whether others than people add to the list `name` of objects of `kind`."""
    return name == "finalizers" or name in _OTHERS_ADD.get(kind, ())


def keyed(name: str, *lists: Sequence[Any]) -> tuple[Mapping[str, Mapping[str, Any]], ...] | None:
    """Return the items of each of `lists` by what tells them apart, None where nothing does.

    A key reads as people write it: `web`, `80/TCP`.
    """
    for fields in _KEYS.get(name, ()):
        found = [_by(fields, items) for items in lists]
        if all(one is not None for one in found):
            return tuple(one for one in found if one is not None)
    return None


def key_of(fields: Mapping[str, Any]) -> str:
    """Return how the item of managedFields with these key fields is written."""
    return "/".join(str(fields[name]) for name in sorted(fields, key=_order))


def _order(name: str) -> tuple[bool, str]:
    return name in _DEFAULTS, name


def _by(fields: tuple[str, ...], items: Sequence[Any]) -> dict[str, Mapping[str, Any]] | None:
    found: dict[str, Mapping[str, Any]] = {}
    for item in items:
        key = _key(fields, item)
        if key is None or key in found:
            return None
        found[key] = item
    return found


def _key(fields: tuple[str, ...], item: Any) -> str | None:
    if not isinstance(item, Mapping):
        return None
    parts = []
    for name in fields:
        value: Any = item
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        value = value or _DEFAULTS.get(name)
        if not isinstance(value, str | int):
            return None
        parts.append(str(value))
    return "/".join(parts)
