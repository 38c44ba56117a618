"""`snapshot.yaml`: what a recorded cluster says about itself."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import yaml

from engine.desired.manifests import ManifestDumper, read_mapping
from engine.model.errors import nearest
from engine.model.snapshot import ClusterSnapshot

ABOUT = "snapshot.yaml"
FORMAT = 1


def read_about(raw: bytes) -> tuple[dict[str, Any], list[str]]:
    """Return the fields that are as they should be, and a sentence for each other one.

    Raises:
        ValueError: the file holds no mapping.
    """
    kept: dict[str, Any] = {}
    faults = []
    for name, value in read_mapping(raw).items():
        if name not in _FIELDS:
            known = ", ".join(_FIELDS)
            faults.append(f"unknown field '{name}'; known: {known}{nearest(name, _FIELDS)}")
            continue
        expected, convert = _FIELDS[name]
        try:
            kept[name] = convert(value)
        except (TypeError, ValueError):
            faults.append(f"{name}: found {str(value)[:60]!r}, expected {expected}")
    return kept, faults


def describe(cluster: ClusterSnapshot) -> bytes:
    """Return the file that `read_about` reads back."""
    described: dict[str, Any] = {
        "format": FORMAT,
        "name": cluster.name,
        "version": cluster.version,
        "identity": cluster.identity,
        "taken_at": cluster.taken_at and cluster.taken_at.isoformat(),
        "capabilities": dict(cluster.capabilities),
        "read": None if cluster.read is None else sorted(cluster.read),
        "unread": dict(cluster.unread),
    }
    said = {name: value for name, value in described.items() if value is not None}
    text = yaml.dump(said, Dumper=ManifestDumper, sort_keys=True, allow_unicode=True)
    return str(text).encode()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _format(value: Any) -> int:
    if value != FORMAT:
        raise ValueError
    return FORMAT


def _version(value: Any) -> str:
    """A number is the version of the form, a text the version of the server."""
    return "" if value == FORMAT else _text(value)


def _instant(value: Any) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError
    return at


def _texts(value: Any) -> dict[str, str]:
    return {_text(name): _text(reason) for name, reason in dict(value).items()}


def _names(value: Any) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError
    return frozenset(_text(name) for name in value)


_FIELDS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "format": (str(FORMAT), _format),
    "name": ("a text", _text),
    "version": ("the server's version, such as v1.36.3", _version),
    "taken_at": ("an instant with a zone, such as 2026-01-31T12:00:00Z", _instant),
    "identity": ("the uid of the namespace kube-system", _text),
    "capabilities": ("a mapping", dict),
    "read": ("a list of resources", _names),
    "unread": ("a mapping of text to text", _texts),
}
