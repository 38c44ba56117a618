"""The hold of one rule and key: inactive, pending, firing. One table, one function."""

from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from engine.model.moves import after


class Phase(StrEnum):
    """Where a key stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


class Event(StrEnum):
    """What can happen to it.

    RISES: the condition became true. HELD: it was true for as long as `for` says. FALLS: it
    became false. KEPT: it was false for as long as `keep_firing_for` says. ENDS: the rule
    changed or went away.
    """

    RISES = "rises"
    HELD = "held"
    FALLS = "falls"
    KEPT = "kept"
    ENDS = "ends"


TABLE: Final = MappingProxyType(
    {
        (Phase.INACTIVE, Event.RISES): Phase.PENDING,
        (Phase.INACTIVE, Event.ENDS): Phase.INACTIVE,
        (Phase.PENDING, Event.HELD): Phase.FIRING,
        (Phase.PENDING, Event.FALLS): Phase.INACTIVE,
        (Phase.PENDING, Event.ENDS): Phase.INACTIVE,
        (Phase.FIRING, Event.RISES): Phase.FIRING,
        (Phase.FIRING, Event.FALLS): Phase.FIRING,
        (Phase.FIRING, Event.KEPT): Phase.INACTIVE,
        (Phase.FIRING, Event.ENDS): Phase.INACTIVE,
    }
)
"""A rule without `for` passes through PENDING in no time; FIRING goes on while the condition
rises and falls within `keep_firing_for`, which is 0 unless it is given."""


class Held(NamedTuple):
    """The hold of one key at one instant; instants are microseconds of stream time.

    `since`: first true of the pending phase, then start of the episode. `fell`: since when the
    condition is false while it fires. `firing`: id of the episode, empty before it fires.
    """

    phase: Phase = Phase.INACTIVE
    since: int = 0
    fell: int | None = None
    firing: str = ""


REST: Final = Held()


def move(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows `phase` on `event`.

    Raises:
        IllegalMove: the table has no such move.
    """
    return after(TABLE, "key", phase, event)
