"""What was applied to an object last, as fields without values; and Secrets without theirs.

Taken off an object as the server sent it, in the process that watches: no value leaves it.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from engine.desired import lists
from engine.desired.compare import Path, nodes

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
MANAGERS: Final = frozenset(
    {
        "argocd-application-controller",
        "argocd-controller",
        "helm-controller",
        "kubectl",
        "kustomize-controller",
    }
)
"""Who applies desired states, as managedFields name them."""
_DIGEST: Final = "sealed:"
_DEEPEST: Final = 100


def applied(obj: Mapping[str, Any]) -> list[Path]:
    """Return the fields of `obj` that one of MANAGERS applied last, without their values.

    By managedFields where it was applied by the server, else by kubectl's copy. Fields applied
    in another version of the API are left out, as is all that can not be read.
    """
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        return []
    found: set[Path] = set()
    entries = metadata.get("managedFields")
    for entry in entries if isinstance(entries, list) else ():
        if _applies(entry, obj):
            found.update(_fields((), entry.get("fieldsV1")))
    notes = metadata.get("annotations")
    if isinstance(notes, Mapping):
        found.update(_copied(notes.get(LAST_APPLIED), obj))
    return sorted(path for path in found if path and path[0] != "status")


def _applies(entry: Any, obj: Mapping[str, Any]) -> bool:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("manager"), str):
        return False
    return (
        entry.get("operation") == "Apply"
        and entry["manager"] in MANAGERS
        and not entry.get("subresource")
        and entry.get("apiVersion") == obj.get("apiVersion")
    )


def _fields(path: Path, value: Any) -> Iterator[Path]:
    """Yield the fields of fieldsV1: `f:` a field, `k:` an item by its key, `v:` one of a set."""
    if not isinstance(value, Mapping) or len(path) > _DEEPEST:
        return
    inner = [(str(name), one) for name, one in value.items() if name != "."]
    if path and (not inner or any(name.startswith(("v:", "i:")) for name, _ in inner)):
        yield path
        return
    for name, one in inner:
        form, _, rest = name.partition(":")
        if form == "f":
            yield from _fields((*path, rest), one)
        elif form == "k" and (key := _key(rest)):
            yield from _fields((*path, f"[{key}]"), one)


def _key(written: str) -> str:
    try:
        fields = msgspec.json.decode(written)
    except (ValueError, RecursionError):
        return ""
    return lists.key_of(fields) if isinstance(fields, dict) else ""


def _copied(copy: Any, obj: Mapping[str, Any]) -> Iterable[Path]:
    if not isinstance(copy, str):
        return []
    try:
        last = msgspec.json.decode(copy)
        if not isinstance(last, dict) or last.get("apiVersion") != obj.get("apiVersion"):
            return []
        return [path for path, whole in nodes(last).items() if whole]
    except (ValueError, RecursionError):
        return []


def sealed(obj: Mapping[str, Any], salt: bytes) -> dict[str, Any]:
    """Return `obj`, and if it is a Secret, with digests instead of its values; stringData too.

    Equal values have equal digests under one salt, which must stay within the process.
    """
    if obj.get("kind") != "Secret" or obj.get("apiVersion") != "v1":
        return dict(obj)
    values = {
        **{key: _decoded(value) for key, value in _entries(obj.get("data"))},
        **{key: str(value).encode() for key, value in _entries(obj.get("stringData"))},
    }
    data = {
        key: _DIGEST + hmac.digest(salt, value, "sha256").hex() for key, value in values.items()
    }
    rest = {name: value for name, value in obj.items() if name not in {"data", "stringData"}}
    return {**rest, "data": data}


def _entries(values: Any) -> Iterable[tuple[str, Any]]:
    entries = values.items() if isinstance(values, Mapping) else ()
    return [(str(key), "" if value is None else value) for key, value in entries]


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(str(value))
    except (binascii.Error, ValueError):
        return str(value).encode()
