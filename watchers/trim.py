"""Large objects made small enough for the bus. Pure."""

import msgspec

from engine.model.watch import Object

MAX_BYTES = 64 << 10
_KEPT = frozenset(
    {
        *(("metadata", name) for name in ("name", "namespace", "uid", "resourceVersion")),
        *(("metadata", name) for name in ("labels", "ownerReferences", "creationTimestamp")),
    }
)
_Path = tuple[str, ...]


def trim(obj: Object) -> tuple[Object, tuple[str, ...]]:
    """Return `obj` in at most 64 KiB of JSON, and the paths that were taken out for that.

    The largest parts of the first and second level go first (`status.images`,
    `metadata.annotations`); what identifies the object stays.
    """
    size = len(msgspec.json.encode(obj))
    if size <= MAX_BYTES:
        return obj, ()
    kept = {name: dict(part) if isinstance(part, dict) else part for name, part in obj.items()}
    gone = []
    for path, weight in sorted(_weights(obj).items(), key=lambda item: (-item[1], item[0])):
        if size <= MAX_BYTES:
            break
        parent = kept if len(path) == 1 else kept[path[0]]
        del parent[path[-1]]
        size -= weight
        gone.append(".".join(path))
    return kept, tuple(gone)


def _weights(obj: Object) -> dict[_Path, int]:
    """Return the bytes of each part that may go."""
    weights: dict[_Path, int] = {}
    for name, part in obj.items():
        if isinstance(part, dict):
            weights |= {(name, key): _size(key, value) for key, value in part.items()}
        elif name not in {"apiVersion", "kind"}:
            weights[name,] = _size(name, part)
    return {path: weight for path, weight in weights.items() if path not in _KEPT}


def _size(name: str, value: object) -> int:
    return len(msgspec.json.encode({name: value})) - 1
