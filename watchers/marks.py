"""What says that dogwatch itself is behind an object or an Event, so that no rule chases it.

The last writer counts: `madeBy` of engine.cluster.clean, which reads managedFields, or the
component that made an Event. An annotation alone says nothing, as it outlives the next writer.
"""

import re
from typing import Any, Final

from engine.model.signal import MADE_BY
from engine.model.watch import Object
from watchers.written import ROTATED, WRITTEN

DEPTH: Final = "dogwatch.dev/depth"
"""Annotation: how many missions and changes led to it."""
_ADDED: Final = frozenset({"madeBy", WRITTEN, ROTATED})
_STEPS: Final = re.compile(r"[0-9]{1,3}")


def marks(obj: Object, component: str = "") -> dict[str, Any]:
    """Return `madeBy` and `depth` where dogwatch made or changed `obj`, else nothing.

    `component` is what made it, where the object is an Event.
    """
    if obj.get("madeBy") != MADE_BY and not component.startswith(MADE_BY):
        return {}
    annotations = obj["metadata"].get("annotations")
    depth = annotations.get(DEPTH, "") if isinstance(annotations, dict) else ""
    known = _STEPS.fullmatch(str(depth))
    return {"madeBy": MADE_BY, "depth": int(str(depth)) if known else 1}


def bare(obj: Object) -> Object:
    """Return `obj` as the cluster has it, without what was added when it was read."""
    return {name: part for name, part in obj.items() if name not in _ADDED}
