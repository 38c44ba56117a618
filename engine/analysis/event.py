"""Event: one core or events.k8s.io Event, read into one form."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.analysis.field import instant, mapping, name_of, namespace_of, text, whole


@dataclass(frozen=True, slots=True)
class Event:
    """What was observed of one object.

    `message` is raw text of the cluster: clean it before it is shown. `count` is at least
    1. `first` and `last` are None where the Event does not say. `field` is fieldPath, for
    example `spec.containers{app}`.
    """

    reason: str
    warning: bool
    message: str
    count: int
    first: datetime | None
    last: datetime | None
    kind: str
    namespace: str
    name: str
    uid: str
    field: str
    id: str

    @property
    def container(self) -> str:
        """The container that fieldPath names, empty where it names none."""
        _, brace, rest = self.field.partition("{")
        return rest.partition("}")[0] if brace else ""


def read_event(obj: Any) -> Event:
    """Return the Event that a raw core/v1 or events.k8s.io/v1 object stands for."""
    about = mapping(obj, "involvedObject") or mapping(obj, "regarding")
    first = (
        instant(obj, "firstTimestamp")
        or instant(obj, "deprecatedFirstTimestamp")
        or instant(obj, "eventTime")
        or instant(obj, "metadata", "creationTimestamp")
    )
    last = (
        instant(obj, "series", "lastObservedTime")
        or instant(obj, "lastTimestamp")
        or instant(obj, "deprecatedLastTimestamp")
        or first
    )
    counts = (whole(obj, "count"), whole(obj, "deprecatedCount"), whole(obj, "series", "count"))
    return Event(
        reason=text(obj, "reason"),
        warning=text(obj, "type") == "Warning",
        message=text(obj, "message") or text(obj, "note"),
        count=max([1, *(count for count in counts if count is not None)]),
        first=first,
        last=last,
        kind=text(about, "kind"),
        namespace=text(about, "namespace"),
        name=text(about, "name"),
        uid=text(about, "uid"),
        field=text(about, "fieldPath"),
        id=text(obj, "metadata", "uid") or f"{namespace_of(obj)}/{name_of(obj)}",
    )
