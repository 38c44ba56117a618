"""Relations: derived fields that depend on other objects, and who is to be told of anew. Pure.

Each object mentions others (watchers.mentions); counts of the mentions are the fields. When a
count changes, what it is about is told of again: at most once in a while, and only if a field
says something else than before.
"""

import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from engine.analysis.field import instant, name_of, namespace_of, text
from engine.model.watch import Change, ChangeType, Object
from watchers.activity import STEP, Activity
from watchers.mentions import Mention, claim, mentions, namespace, role

Fields = dict[str, Any]

ROLES: Final = ("roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io")
BINDINGS: Final = (
    "rolebindings.rbac.authorization.k8s.io",
    "clusterrolebindings.rbac.authorization.k8s.io",
)
RELATED: Final = ("namespaces", "persistentvolumeclaims", *BINDINGS)
"""Resources with fields that depend on others: listed when the others were, so that what is told
of them first is all that there is to tell."""
_DOORS: Final = ("services", "ingresses.networking.k8s.io")
_POLICIES: Final = ("networkpolicies.networking.k8s.io",)
_WORKLOADS: Final = (
    "pods",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicasets.apps",
    "jobs.batch",
    "cronjobs.batch",
)
FIELDS: Final = {
    "namespaces": frozenset({"pods", "running", "exposed", "policies", "lastActivity"}),
    "persistentvolumeclaims": frozenset({"used"}),
    **dict.fromkeys(BINDINGS, frozenset({"wildcard"})),
}
"""Fields that depend on other objects, by resource."""
_USES: Final = ("used", "row")
_CHECK: Final = timedelta(seconds=1)
_SOON: Final = timedelta(seconds=5)
"""How often at most what was not whole is told of again."""
_LEVEL: Final = 1


@dataclass(slots=True)
class _Told:
    """An object with such fields: what it was when it was last told of, as JSON, compressed."""

    resource: str
    about: tuple[str, ...]
    packed: bytes
    first: ChangeType
    fields: Fields
    whole: bool
    at: datetime


class Again(NamedTuple):
    """An object that is to be told of again, with no change of its own."""

    resource: str
    change: Change


class Relations:
    """The mentions of one cluster.

    Args:
        activity: when anything last happened in each namespace.
        every: how often one object is told of again, at most.
    """

    def __init__(self, activity: Activity, every: timedelta) -> None:
        self._activity = activity
        self._every = every
        self._soon = min(every, _SOON)
        self._said: dict[str, tuple[Mention, ...]] = {}
        self._counts: Counter[Mention] = Counter()
        self._whole: set[str] = set()
        self._told: dict[str, _Told] = {}
        self._about: dict[str, set[str]] = {}
        self._dirty: dict[str, None] = {}
        self._checked: datetime | None = None

    def take(self, change: Change, at: datetime) -> None:
        """Take note of a change that was seen at `at`."""
        self._activity.saw(change, at)
        obj = change.object
        uid = _uid(obj)
        space = namespace_of(obj)
        if space:
            self._touch(namespace(space))
        before = self._said.pop(uid, ())
        now = () if change.type is ChangeType.DELETED else mentions(obj)
        if now:
            self._said[uid] = now
        if now != before:
            self._counts.update(now)
            self._counts.subtract(before)
            for mention in {*before, *now}:
                if not self._counts[mention]:
                    del self._counts[mention]
                self._touch(mention.of)

    def settle(self, resource: str) -> None:
        """Take note that `resource` was listed completely, or that the server has none."""
        if resource not in self._whole:
            self._whole.add(resource)
            self._dirty.update(dict.fromkeys(self._told))
        if resource == "namespaces":
            self._activity.settle()

    def fields(self, resource: str, obj: Object) -> Fields:
        """Return those fields of `obj`; one that cannot be known now is left out."""
        return self._fields(resource, about(resource, obj))

    def told(self, resource: str, change: Change, fields: Fields, at: datetime) -> None:
        """Take note of what was told of an object at `at`, so that it can be told again."""
        if resource not in FIELDS:
            return
        uid = _uid(change.object)
        before = self._told.pop(uid, None)
        for what in before.about if before else ():
            self._about[what].discard(uid)
            if not self._about[what]:
                del self._about[what]
        if change.type is ChangeType.DELETED:
            return
        first: ChangeType = change.type
        whole = fields.keys() == FIELDS[resource]
        if before is not None and not before.whole:
            whole, first = whole and change.type is before.first, before.first
        packed = zlib.compress(msgspec.json.encode(change.object), _LEVEL)
        mentioned = about(resource, change.object)
        self._told[uid] = _Told(resource, mentioned, packed, first, fields, whole, at)
        for what in mentioned:
            self._about.setdefault(what, set()).add(uid)

    def due(self, at: datetime) -> list[Again]:
        """Return the objects of which something else is to be said than was told."""
        if self._checked is not None and at - self._checked < min(_CHECK, self._every):
            return []
        self._checked = at
        return list(self._due(at))

    def _due(self, at: datetime) -> Iterator[Again]:
        for uid in list(self._dirty):
            told = self._told.get(uid)
            if told is not None and at - told.at < (self._every if told.whole else self._soon):
                continue
            del self._dirty[uid]
            if told is None:
                continue
            told.at = at
            now = self._fields(told.resource, told.about)
            completed = not told.whole and now.keys() == FIELDS[told.resource]
            if completed or _differ(told.fields, now):
                # What was not whole when it was told of is still new, or still was there before.
                change = ChangeType.MODIFIED if told.whole else told.first
                obj = msgspec.json.decode(zlib.decompress(told.packed))
                yield Again(told.resource, Change(change, obj))

    def _touch(self, what: str) -> None:
        self._dirty.update(dict.fromkeys(self._about.get(what, ())))

    def _count(self, what: str, of: str, needs: Collection[str]) -> int | None:
        return self._counts[Mention(what, of)] if self._whole.issuperset(needs) else None

    def _any(self, what: str, of: str, needs: Collection[str]) -> bool | None:
        """Whether anything says so: yes as soon as one does, no only once all are known."""
        if self._counts[Mention(what, of)]:
            return True
        return False if self._whole.issuperset(needs) else None

    def _fields(self, resource: str, about: tuple[str, ...]) -> Fields:
        found: Fields = {}
        match resource:
            case "namespaces":
                found = self._namespace(*about)
            case "persistentvolumeclaims":
                found = {"used": self._used(about)}
            case "rolebindings.rbac.authorization.k8s.io":
                found = {"wildcard": self._wide(*about)}
            case "clusterrolebindings.rbac.authorization.k8s.io":
                found = {"wildcard": self._wide(*about)}
            case _:
                pass
        return {name: value for name, value in found.items() if value is not None}

    def _namespace(self, of: str) -> Fields:
        newest = self._activity.of(of.removeprefix(namespace("")))
        known = newest is not None and self._whole.issuperset((*_WORKLOADS, *_DOORS))
        return {
            "pods": self._count("pods", of, ("pods",)),
            "running": self._count("running", of, ("pods",)),
            "exposed": self._any("exposed", of, _DOORS),
            "policies": self._count("policies", of, _POLICIES),
            "lastActivity": _shown(newest) if newest and known else None,
        }

    def _used(self, about: tuple[str, ...]) -> bool | None:
        found = [self._any(what, of, _WORKLOADS) for what, of in zip(_USES, about, strict=False)]
        return True if any(found) else found[0]

    def _wide(self, of: str) -> bool | None:
        if self._counts[Mention("wide", of)]:
            return True
        return False if self._counts[Mention("narrow", of)] else None


def about(resource: str, obj: Object) -> tuple[str, ...]:
    """Return how others mention `obj`, where that matters to what is told of it."""
    space, name = namespace_of(obj), name_of(obj)
    if resource == "namespaces":
        return (namespace(name),)
    if resource == "persistentvolumeclaims":
        row, _, ordinal = name.rpartition("-")
        return (claim(space, name), *([claim(space, row)] if ordinal.isdigit() else []))
    if resource in BINDINGS:
        return (role(text(obj, "roleRef", "kind"), space, text(obj, "roleRef", "name")),)
    return ()


def _shown(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _uid(obj: Object) -> str:
    return text(obj, "metadata", "uid") or "/".join((namespace_of(obj), name_of(obj)))


def _differ(told: Fields, now: Fields) -> bool:
    """Whether `now` says something else; a little more activity is not worth it."""
    before, after = (instant(fields, "lastActivity") for fields in (told, now))
    if {**told, "lastActivity": 0} != {**now, "lastActivity": 0}:
        return True
    if before is None or after is None:
        return before != after
    return after - before >= STEP
