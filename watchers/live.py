"""The objects that are there, beside those that are desired: few lists, each one once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.desired.applied import applied, sealed
from engine.model.errors import ClusterError
from engine.model.ports import Watch
from engine.model.watch import Object, Offered, Part

FEW = 3
"""Namespaces that are listed one by one; more of them are listed at once."""
Key = tuple[str, str, str, str]
"""apiVersion, kind, namespace and name."""
Place = tuple[str, str]
"""apiVersion and kind."""


@dataclass(frozen=True)
class Want:
    """One object that is desired: what it is, with its namespace where it has one."""

    key: Key
    offered: Offered


@dataclass
class Live:
    """What was found.

    Attributes:
        objects: by key, as they are, with `applied`: the fields that were applied last.
        labelled: by label selector the keys of the objects that it selects.
        unread: kinds that could not be listed, and why.
    """

    objects: dict[Key, Object] = field(default_factory=dict)
    labelled: dict[str, set[Key]] = field(default_factory=lambda: defaultdict(set))
    unread: dict[Place, ClusterError] = field(default_factory=dict)


async def listed(
    source: Watch, wants: Iterable[Want], owned: Iterable[tuple[str, Offered, Place]], salt: bytes
) -> Live:
    """List what is wanted, and what label selectors select.

    Args:
        source: the cluster.
        wants: objects that are desired.
        owned: label selectors, each with a kind that it is about.
        salt: for the digests that stand for the values of Secrets.
    """
    live, view = Live(), viewing(salt)
    by_kind: dict[tuple[Place, Offered], set[Key]] = defaultdict(set)
    for want in wants:
        by_kind[(want.key[0], want.key[1]), want.offered].add(want.key)
    for (place, offered), keys in by_kind.items():
        found = await _all(source, offered, parts(keys, view), live, place)
        live.objects |= {key: obj for key, obj in found.items() if key in keys}
    for selector, offered, place in owned:
        found = await _all(source, offered, [Part(labels=selector, view=view)], live, place)
        live.labelled[selector] |= found.keys()
        live.objects |= found
    return live


async def _all(
    source: Watch, offered: Offered, asked: Iterable[Part], live: Live, place: Place
) -> dict[Key, Object]:
    """Return the objects of several lists; one that fails is told in `live.unread`."""
    found: dict[Key, Object] = {}
    try:
        for part in asked:
            found |= {key_of(obj): obj for obj in await source.list(offered.resource, part)}
    except ClusterError as error:
        live.unread[place] = error
    return found


def parts(keys: Iterable[Key], view: Callable[[Object], Mapping[str, Any]]) -> list[Part]:
    """Return the lists that have all of `keys`, which are of one kind, and little else."""
    names = defaultdict(set)
    for _, _, namespace, name in keys:
        names[namespace].add(name)
    if len(names) > FEW:
        return [Part(view=view)]
    made = []
    for namespace, inner in sorted(names.items()):
        fields = [f"metadata.namespace={namespace}"] if namespace else []
        fields += [f"metadata.name={next(iter(inner))}"] if len(inner) == 1 else []
        made.append(Part(fields=",".join(fields), view=view))
    return made


def key_of(obj: Object) -> Key:
    """Return the key of an object."""
    metadata = obj.get("metadata") or {}
    return (
        str(obj.get("apiVersion", "")),
        str(obj.get("kind", "")),
        str(metadata.get("namespace") or ""),
        str(metadata.get("name", "")),
    )


def viewing(salt: bytes) -> Callable[[Object], Mapping[str, Any]]:
    """Return what is taken off an object as it comes: no value of a Secret, only digests."""

    def view(obj: Object) -> Mapping[str, Any]:
        made: dict[str, Any] = {"applied": applied(obj)}
        if obj.get("kind") == "Secret":
            made["data"] = sealed(obj, salt).get("data", {})
        return made

    return view
