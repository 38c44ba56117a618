"""Which object or series a signal is about."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from engine.model.signal import LEVEL_TYPES, Signal

_SORTED: Final = msgspec.json.Encoder(order="sorted")


def series_of(signal: Signal) -> str:
    """Return the identity of the object or series of `signal`, within its cluster.

    An object or an Event is known by its uid (an object without one by kind, namespace and
    name), a metric by its name and all its labels, a condition by its firing (where a rule fails
    by rule and cluster), any other level by all that names it.
    Other occurrences are about nothing that lasts: empty.
    """
    data, kind = signal.data, signal.type
    if kind in {"k8s.object", "k8s.event"}:
        uid = data.get("uid")
        if isinstance(uid, str) and uid:
            return uid
        return "" if kind == "k8s.event" else _joined(kind, data, ("kind", "namespace", "name"))
    if named := _NAMED.get(kind):
        return named(data)
    if kind not in LEVEL_TYPES:
        return ""
    joined = _joined(kind, data, _NAMING.get(kind, ("uid", "kind", "namespace", "name")))
    return f"{joined}\0{signal.source}\0{signal.subject or ''}"


def _labelled(data: dict[str, Any]) -> str:
    return _SORTED.encode((data.get("metric"), data.get("labels"))).decode()


def _condition(data: dict[str, Any]) -> str:
    return str(data.get("firing") or "") or _joined("condition", data, ("rule", "cluster"))


def _joined(kind: str, data: dict[str, Any], names: tuple[str, ...]) -> str:
    return "\0".join([kind, *(str(data.get(name, "")) for name in names)])


_NAMING: Final[Mapping[str, tuple[str, ...]]] = {
    # Its namespace is that of the pod that holds it for now.
    "hardware": ("uid", "kind", "name"),
}
_NAMED: Final[Mapping[str, Callable[[dict[str, Any]], str]]] = {
    "metric": _labelled,
    "condition": _condition,
}
