"""Who owns what: from a Pod to its Deployment, from the objects seen so far."""

import re
from dataclasses import dataclass
from typing import Any

from engine.model.watch import Object

_DEPTH = 5
# A CronJob names its Jobs by the minute since 1970: eight digits from 2019 to 2084.
_CRON_JOB = re.compile(r"(.+)-([26-9]\d{7}|[345]\d{7})")
_MINUTES = range(26_000_000, 60_000_000)


@dataclass(frozen=True, slots=True)
class Owner:
    """One object by kind and name; `uid` may be empty."""

    kind: str
    name: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: Owner
    parent: Owner | None
    template: str
    node: str


class Owners:
    """The objects of one cluster by uid, as small as climbing needs them."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def learn(self, obj: Object) -> None:
        """Remember `obj`, or its newest state."""
        entry = _entry(obj)
        self._entries[entry.owner.uid] = entry

    def forget(self, obj: Object) -> None:
        """Forget a deleted object."""
        self._entries.pop(_entry(obj).owner.uid, None)

    def workload(self, obj: Object) -> Owner:
        """Return the top controller of `obj`, itself where nothing controls it."""
        return self._climb(_entry(obj))

    def of(self, uid: str) -> Owner | None:
        """Return the top controller of a known object by uid, None if it is not known."""
        entry = self._entries.get(uid)
        return self._climb(entry) if entry else None

    def node(self, uid: str) -> str:
        """Return the node that a known Pod runs on, or an empty text."""
        entry = self._entries.get(uid)
        return entry.node if entry else ""

    def _climb(self, entry: _Entry) -> Owner:
        template = entry.template
        for _ in range(_DEPTH):
            if entry.parent is None:
                break
            above = self._entries.get(entry.parent.uid)
            if above is None:
                return _guess(entry.parent, template)
            entry = above
        return entry.owner


def controller(obj: Object) -> Owner | None:
    """Return the direct controller of `obj`; the node of a static Pod controls nothing."""
    for reference in _metadata(obj).get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") != "Node":
            return Owner(
                str(reference.get("kind", "")),
                str(reference.get("name", "")),
                str(reference.get("uid", "")),
            )
    return None


def _entry(obj: Object) -> _Entry:
    metadata = _metadata(obj)
    labels = metadata.get("labels") or {}
    own = Owner(
        str(obj.get("kind", "")), str(metadata.get("name", "")), str(metadata.get("uid", ""))
    )
    return _Entry(
        own,
        controller(obj),
        str(labels.get("pod-template-hash", "")),
        str((obj.get("spec") or {}).get("nodeName", "")) if own.kind == "Pod" else "",
    )


def _metadata(obj: Object) -> dict[str, Any]:
    metadata = obj.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _guess(parent: Owner, template: str) -> Owner:
    """Name the owner of a ReplicaSet or Job that was not seen, by how controllers name them."""
    if parent.kind == "ReplicaSet" and template and parent.name.endswith(f"-{template}"):
        return Owner("Deployment", parent.name.removesuffix(f"-{template}"))
    scheduled = _CRON_JOB.fullmatch(parent.name) if parent.kind == "Job" else None
    if scheduled and int(scheduled[2]) in _MINUTES:
        return Owner("CronJob", scheduled[1])
    return parent
