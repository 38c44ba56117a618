"""What a hub says of other clusters: asked through its reader, page by page. Secrets stay here."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import msgspec

from engine.model.errors import ClusterError
from engine.model.ports import Watch

PAGE: Final = 250
_PAGES: Final = 400
"""More pages than that are no end: a server that always has one more is given up."""


async def secrets(hub: Watch, namespace: str, labels: str) -> list[Mapping[str, Any]]:
    """Return the Secrets of `namespace` with `labels`, raw. Raises ClusterError."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/secrets"
    found: list[Mapping[str, Any]] = []
    more = ""
    for _ in range(_PAGES):
        asked = {"labelSelector": labels, "limit": str(PAGE)}
        answer = await _json(hub, path, {**asked, "continue": more} if more else asked)
        items = answer.get("items") or []
        found += [one for one in items if isinstance(one, dict)]
        more = str(part(answer, "metadata").get("continue") or "")
        if not more:
            return found
    raise ClusterError("malformed", f"{path}: more than {_PAGES} pages")


async def secret(hub: Watch, namespace: str, name: str) -> Mapping[str, Any]:
    """Return one Secret, raw. Raises ClusterError."""
    where = f"{quote(namespace, safe='')}/secrets/{quote(name, safe='')}"
    return await _json(hub, f"/api/v1/namespaces/{where}", None)


def value(raw: Mapping[str, Any], key: str) -> bytes:
    """Return a value of a Secret, empty where it has none. Raises ClusterError, without it."""
    found = part(raw, "data").get(key)
    try:
        return base64.b64decode(found, validate=True) if isinstance(found, str) else b""
    except (binascii.Error, ValueError) as error:
        raise ClusterError("malformed", f"data.{key} is no base64") from error


def part(obj: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the mapping `name` of an object, an empty one where it is none."""
    found = obj.get(name)
    return found if isinstance(found, dict) else {}


def name_in(obj: Mapping[str, Any]) -> str:
    """Return the name of an object, as `NAMESPACE/NAME` where it has a namespace."""
    metadata = part(obj, "metadata")
    name, namespace = metadata.get("name"), metadata.get("namespace")
    shown = name if isinstance(name, str) else ""
    return f"{namespace}/{shown}" if isinstance(namespace, str) and namespace else shown


def fault(error: ClusterError) -> str:
    """Return why something could not be read, in words."""
    return f"{error.reason}: {error}"


async def _json(hub: Watch, path: str, params: Mapping[str, str] | None) -> Mapping[str, Any]:
    text = await hub.text(path, params)
    try:
        answer = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise ClusterError("malformed", f"{path}: the answer is no JSON") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("items") or [], list):
        raise ClusterError("malformed", f"{path}: the answer is of another form")
    return answer
