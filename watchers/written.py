"""When an object was last written, read off its managedFields before they are dropped. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from engine.analysis.field import mapping, mappings
from engine.model.watch import Object

WRITTEN: Final = "written"
ROTATED: Final = "rotated"
_VALUES: Final = ("f:data", "f:stringData")


def written(obj: Object) -> Mapping[str, str]:
    """Return what to add to an object as the server sent it: times in RFC 3339, no values.

    `written`: the newest time of any writer. `rotated`, of a Secret: the newest time of a writer
    that owns values of it, so its values have not changed since; not there where no writer is
    known to. The server moves the time of a writer whenever that one changes what it owns.

    Source: Server-Side Apply, metadata.managedFields.
    """
    if obj.get("kind") != "Namespace" and "namespace" not in mapping(obj, "metadata"):
        return {}
    entries = mappings(obj, "metadata", "managedFields")
    found = {WRITTEN: _newest(entries)}
    if obj.get("kind") == "Secret":
        found[ROTATED] = _newest(one for one in entries if _owns_values(one))
    return {name: time for name, time in found.items() if time}


def _owns_values(entry: Mapping[str, Any]) -> bool:
    owned = mapping(entry, "fieldsV1")
    return any(name in owned for name in _VALUES)


def _newest(entries: Iterable[Mapping[str, Any]]) -> str:
    times = (one.get("time") for one in entries)
    return max((time for time in times if isinstance(time, str)), default="")
