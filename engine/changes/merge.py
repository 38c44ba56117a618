"""JSON merge patches (RFC 7386) over plain JSON, in which null stands for absent.

Objects may hold no null as the value of a name, as those of the Kubernetes API do not; lists
are replaced whole.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from engine.model.ids import canonical

Json: TypeAlias = dict[str, Any]

OTHERS_WRITE_TOO: Final = frozenset({"annotations", "labels"})
"""Maps in which everybody keeps entries: one that was absent is never taken away whole."""


def diff_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> Json:
    """Return the smallest patch that makes `after` of `before`."""
    return touched(before, after)[1]


def apply_patch(obj: Any, patch: Mapping[str, Any]) -> Json:
    """Return `obj` with `patch` merged in; both are left as they are."""
    merged: Json = dict(obj) if isinstance(obj, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            merged[name] = apply_patch(merged.get(name), value)
        else:
            merged[name] = value
    return merged


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Json, Json]:
    """Return exactly the fields that differ, as they are in each; null where absent.

    Each of the two is a merge patch: the first makes `before` of `after`, the second the
    other way.
    """
    was: Json = {}
    becomes: Json = {}
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if same(old, new):
            continue
        if _descends(name, old, new):
            was[name], becomes[name] = touched(old or {}, new or {})
        else:
            was[name], becomes[name] = old, new
    return was, becomes


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; `true` is not `1`."""
    return canonical(one) == canonical(other)


def _descends(name: str, old: Any, new: Any) -> bool:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return True
    added = old is None and isinstance(new, Mapping) and bool(new)
    return added and name in OTHERS_WRITE_TOO
