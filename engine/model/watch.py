"""What a watch of one resource of one cluster saw."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

Object = dict[str, Any]
View = Callable[[Object], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Part:
    """Which objects of a resource are asked for, and what is taken off each.

    Attributes:
        fields: field selector, such as `type=kubernetes.io/tls`.
        labels: label selector.
        view: given an object as the server sent it, returns what to add to it before Secret
            values, managedFields and the like are dropped. It must return nothing that must not
            leave the process.
    """

    fields: str = ""
    labels: str = ""
    view: View | None = None


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Offered:
    """How a server offers a kind: `resource` is what to list; it names the version too."""

    resource: str
    namespaced: bool


class ChangeType(StrEnum):
    """What happened to an object; synced: it was there when the watch began."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    SYNCED = "synced"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object; `old` is the object before, only when modified.

    Of an object that vanished while nobody watched, `object` is the last state seen and
    `unseen` is true.
    """

    type: ChangeType
    object: Object
    old: Object | None = None
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that happened to the resource up to `at` has been said by now.

    Not so when it is partial or has a fault.

    Attributes:
        at: wall clock, aware UTC.
        changes: in order; none while nothing happens.
        fault: why nothing more is seen for now (`forbidden: ...`), empty while all is well.
        partial: a list is under way.
    """

    at: datetime
    changes: tuple[Change, ...] = ()
    fault: str = ""
    partial: bool = False


@dataclass
class ResourceStatus:
    """How the watch of one resource fares.

    Attributes:
        seen: up to when everything was seen, None before the first complete list.
        fault: why nothing is seen now, empty while all is well.
        relists: complete lists asked for, by reason (start, expired).
        restarts: watches begun.
        objects: how many objects are known.
    """

    seen: datetime | None = None
    fault: str = ""
    relists: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    objects: int = 0
