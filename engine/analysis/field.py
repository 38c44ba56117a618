"""Total readers of raw JSON: a wrong type anywhere reads as absent, never as a crash.

JSON objects are plain dicts, and nothing else counts as one.
Every check reads objects through these: `whole(pod, "spec", "priority")` is None where any
step of the path is missing or has another type. `engine.analysis.checks.shape` tells which
objects were malformed, so that nothing is passed over in silence.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

_LONGEST_INSTANT = 40


def at(value: Any, *path: str) -> Any:
    """Return what lies at `path` (names of mappings), None where a step is missing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def mapping(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the mapping at `path`, an empty one where there is none."""
    found = at(value, *path)
    return found if isinstance(found, dict) else {}


def mappings(value: Any, *path: str) -> list[Mapping[str, Any]]:
    """Return the mappings in the list at `path`; items of other types are left out."""
    found = at(value, *path)
    if not isinstance(found, list):
        return []
    return [item for item in found if isinstance(item, dict)]


def text(value: Any, *path: str) -> str:
    """Return the text at `path`, an empty one where there is none. It is not cleaned."""
    found = at(value, *path)
    return found if isinstance(found, str) else ""


def texts(value: Any, *path: str) -> list[str]:
    """Return the texts in the list at `path`; items of other types are left out."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


def whole(value: Any, *path: str) -> int | None:
    """Return the whole number at `path`, None where there is none."""
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: Any, *path: str) -> bool | None:
    """Return the boolean at `path`, None where there is none."""
    found = at(value, *path)
    return found if isinstance(found, bool) else None


def instant(value: Any, *path: str) -> datetime | None:
    """Return the RFC 3339 instant at `path` in UTC, None where there is none."""
    found = at(value, *path)
    if not isinstance(found, str) or len(found) > _LONGEST_INSTANT:
        return None
    try:
        when = datetime.fromisoformat(found)
        return when.astimezone(UTC) if when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def labels(value: Any, *path: str) -> dict[str, str]:
    """Return the mapping of texts at `path` (labels, a selector); others are left out."""
    return {key: item for key, item in mapping(value, *path).items() if isinstance(item, str)}


def name_of(obj: Any) -> str:
    """Return `metadata.name`."""
    return text(obj, "metadata", "name")


def namespace_of(obj: Any) -> str:
    """Return `metadata.namespace`, empty for an object of the whole cluster."""
    return text(obj, "metadata", "namespace")


def condition(obj: Any, kind: str) -> Mapping[str, Any]:
    """Return the entry of `status.conditions` with type `kind`, empty where there is none."""
    for entry in mappings(obj, "status", "conditions"):
        if entry.get("type") == kind:
            return entry
    return {}
