"""One object as it is desired beside the object as it is: which fields differ.

What the desired object does not say is the server's, except for what was said before and is no
longer (`applied`), items that somebody added to a list, and keys added to a selector.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeAlias

from engine.desired import lists
from engine.desired.values import empty, same

Path: TypeAlias = tuple[str, ...]
PATHS_TOLD: Final = 50
_SAID: Final = frozenset({"annotations", "finalizers", "labels"})
"""What a desired object says of its metadata, beside what it is called."""
_NOT_COMPARED: Final = frozenset({"apiVersion", "kind", "metadata", "status"})
_SERVERS_NOTES: Final = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        "deployment.kubernetes.io/revision",
        "deprecated.daemonset.template.generation",
    }
)
_PLAIN = re.compile(r"[^.\[\]/]+")


@dataclass(frozen=True)
class Ignored:
    """Fields that may differ: `paths` of objects that match, each with `*` for anything.

    A path stands for all below it too: `spec.template.spec.containers[proxy]`.
    """

    paths: tuple[str, ...]
    kind: str = "*"
    name: str = "*"
    namespace: str = "*"

    def about(self, obj: Mapping[str, Any]) -> bool:
        """Whether it is about `obj`."""
        metadata = obj.get("metadata") or {}
        return (
            _matches(self.kind, str(obj.get("kind", "")))
            and _matches(self.name, str(metadata.get("name", "")))
            and _matches(self.namespace, str(metadata.get("namespace", "")))
        )


BUILT_IN: Final = (
    Ignored(("webhooks[*].clientConfig.caBundle",), "*WebhookConfiguration"),
    Ignored(("spec.caBundle",), "APIService"),
    Ignored(("spec.conversion.webhook.clientConfig.caBundle",), "CustomResourceDefinition"),
)
"""What others fill in: caBundles, by cert-manager and such."""


def differing(
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    applied: Iterable[Path] = (),
    ignored: Iterable[Ignored] = BUILT_IN,
) -> list[str]:
    """Return the fields in which `live` is not as `desired`, in order of path.

    Args:
        desired: a manifest; of a Secret its values as digests, as those of `live` are.
        live: the object of the same kind and name, in the same version of the API.
        applied: fields that were applied last (see engine.desired.applied); those that `desired`
            no longer says differ while they are there yet.
        ignored: fields that may differ.
    """
    kind = str(desired.get("kind", ""))
    found = set(_below((), _compared(desired), _compared(live), kind))
    found |= _removed(applied, _compared(desired), _compared(live))
    if kind == "ClusterRole" and desired.get("aggregationRule"):
        found = {path for path in found if path[0] != "rules"}
    texts = sorted({text(path) for path in found})
    globs = [glob for one in ignored if one.about(desired) for glob in one.paths]
    return [path for path in texts if not any(_covers(glob, path) for glob in globs)]


def text(path: Path) -> str:
    """Return a path as people write it: `spec.template.spec.containers[web].image`."""
    steps = (
        step if step.startswith("[") or _PLAIN.fullmatch(step) else f"[{step}]" for step in path
    )
    return ".".join(steps).replace(".[", "[")


def nodes(obj: Mapping[str, Any]) -> dict[Path, bool]:
    """Return every field that `obj` says, by path; True for those that are taken as a whole."""
    return dict(_nodes((), _compared(obj)))


def _compared(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = obj.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    said = {name: metadata[name] for name in sorted(_SAID & metadata.keys())}
    notes = said.get("annotations")
    if isinstance(notes, Mapping):
        said["annotations"] = {k: v for k, v in notes.items() if k not in _SERVERS_NOTES}
    rest = {name: value for name, value in obj.items() if name not in _NOT_COMPARED}
    return {"metadata": said, **rest}


def _below(path: Path, desired: Any, live: Any, kind: str) -> Iterator[Path]:
    """Yield what differs at `path` and below; what is desired to be null is not desired."""
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        yield from _entries(path, desired, live, kind)
    elif isinstance(desired, list) and isinstance(live, list):
        yield from _items(path, desired, live, kind)
    elif isinstance(desired, Mapping | list) or isinstance(live, Mapping | list):
        if not empty(desired) or (live is not None and desired is not None):
            yield path
    elif desired is not None and not same(path, desired, live):
        yield path


def _entries(
    path: Path, desired: Mapping[str, Any], live: Mapping[str, Any], kind: str
) -> Iterator[Path]:
    for name in sorted(desired):
        yield from _below((*path, name), desired[name], live.get(name), kind)
    if path and _closed(path, kind):
        yield from ((*path, name) for name in live if name not in desired)


def _closed(path: Path, kind: str) -> bool:
    """Whether a key more in a map changes what the desired keys mean: those of selectors do."""
    if path[-1] == "nodeSelector":
        return kind != "Pod"
    return path[-1] == "matchLabels" or path[-1].lower().endswith("selector")


def _items(path: Path, desired: list[Any], live: list[Any], kind: str) -> Iterator[Path]:
    name = path[-1]
    by_key = None if name in lists.SETS else lists.keyed(name, desired, live)
    if by_key is not None:
        yield from _by_key(path, by_key[0], by_key[1], kind)
    elif name in lists.SETS:
        lost = any(not _in(path, item, live, kind) for item in desired)
        if lost or (len(live) > len(desired) and not lists.adds(kind, name)):
            yield path
    elif len(desired) != len(live):
        yield path
    else:
        for number, (one, other) in enumerate(zip(desired, live, strict=True)):
            yield from _below((*path, f"[{number}]"), one, other, kind)


def _by_key(
    path: Path, desired: Mapping[str, Any], live: Mapping[str, Any], kind: str
) -> Iterator[Path]:
    for key, item in desired.items():
        if key in live:
            yield from _below((*path, f"[{key}]"), item, live[key], kind)
        else:
            yield (*path, f"[{key}]")
    if not lists.adds(kind, path[-1]):
        yield from ((*path, f"[{key}]") for key in live if key not in desired)


def _in(path: Path, item: Any, live: Sequence[Any], kind: str) -> bool:
    return any(next(_below(path, item, one, kind), None) is None for one in live)


def _nodes(path: Path, value: Any) -> Iterator[tuple[Path, bool]]:
    if value is None:
        return
    inner: list[tuple[str, Any]] | None = None
    if isinstance(value, Mapping):
        inner = [(str(name), one) for name, one in value.items()]
    elif isinstance(value, list) and path and (by_key := lists.keyed(path[-1], value)):
        inner = [(f"[{key}]", one) for key, one in by_key[0].items()]
    yield path, inner is None
    for step, one in inner or ():
        yield from _nodes((*path, step), one)


def _removed(
    applied: Iterable[Path], desired: Mapping[str, Any], live: Mapping[str, Any]
) -> set[Path]:
    """Return the fields that were applied, are desired no longer, and are there yet."""
    wanted, there = dict(_nodes((), desired)), dict(_nodes((), live))
    found = set()
    for path in applied:
        for length in range(1, len(path) + 1):
            step = path[:length]
            if step not in there or wanted.get(step):
                break
            if step not in wanted:
                found.add(step)
                break
    return found


def _covers(glob: str, path: str) -> bool:
    """Whether `glob` stands for `path`, or for a field that it is below."""
    found = _pattern(glob).match(path)
    return found is not None and (found.end() == len(path) or path[found.end()] in ".[")


def _matches(glob: str, name: str) -> bool:
    return _pattern(glob).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, glob.split("*"))))
