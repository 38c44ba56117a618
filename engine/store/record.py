"""Record: one station of the path that an id lies on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from engine.model.instant import from_us


@dataclass(frozen=True)
class Record:
    """One station of the path.

    Attributes:
        noun: signal, firing, transition, mission, step, report, change, decision, write, audit
            or delivery.
        id: its id; a transition, step, report, decision, write or audit entry has the one of
            its parent.
        parent: id of the record that caused it, empty for the first.
        at: when it came to be, aware UTC; stream time of a signal, firing and transition.
        what: its fields, JSON values.
    """

    noun: str
    id: str
    parent: str
    at: datetime
    what: Mapping[str, Any]

    @property
    def own(self) -> tuple[str, str, datetime, str]:
        """What no other record has, also of those that share an id and an instant."""
        named = (self.what.get(name) for name in ("step", "seq", "who", "state"))
        return self.noun, self.id, self.at, str(next((one for one in named if one), ""))


def fields(row: Row[Any], *names: str) -> dict[str, Any]:
    """Return the columns `names` of `row`."""
    return {name: getattr(row, name) for name in names}


def iso(at: int | None) -> str | None:
    """Return an instant in microseconds as ISO 8601, None as None."""
    return None if at is None else from_us(at).isoformat()
