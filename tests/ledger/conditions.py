"""When the conditions of a ledger are true: computed from the signals of one key.

Nothing here comes from the engine.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T0 = datetime(2025, 6, 1, tzinfo=UTC)
SECOND_US = 1_000_000
END_US = 120 * SECOND_US
"""How far heartbeats go on behind the last signal: every timer has run by then."""

Event = dict[str, Any]
Change = tuple[int, bool]
"""From this instant on a condition is true, or false."""


def instant(time: str) -> int:
    """Return RFC 3339 `time` in microseconds since T0."""
    return (datetime.fromisoformat(time) - T0) // timedelta(microseconds=1)


def _times(own: Sequence[Event]) -> list[int]:
    return [instant(one["time"]) for one in own]


def burst(own: Sequence[Event]) -> list[Change]:
    """Five in a minute."""
    at = _times(own)
    steps = sorted([*((t, 1) for t in at), *((t + 60 * SECOND_US, -1) for t in at)])
    inside, changes = 0, []
    for t, step in steps:
        inside += step
        changes.append((t, inside >= 5))
    return changes


def held(own: Sequence[Event]) -> list[Change]:
    """Above 90 for twenty seconds."""
    return _delayed(_levels(own, 90.0), rise=20 * SECOND_US)


def hot(own: Sequence[Event]) -> list[Change]:
    """Above 95, and fifteen seconds more."""
    return _delayed(_levels(own, 95.0), fall=15 * SECOND_US)


def seen(own: Sequence[Event]) -> list[Change]:
    """A deletion, until none came for thirty seconds."""
    return _occurrences([instant(one["time"]) for one in own if one["data"]["verb"] == "delete"])


def chain(own: Sequence[Event]) -> list[Change]:
    """A list after a get within twenty seconds, each get taken once, the earliest first."""
    begun: list[int] = []
    whole = []
    for one in own:
        at = instant(one["time"])
        begun = [first for first in begun if at - first <= 20 * SECOND_US]
        if one["data"]["verb"] == "get":
            begun.append(at)
        elif one["data"]["verb"] == "list" and begun:
            begun.pop(0)
            whole.append(at)
    return _occurrences(whole)


def gone(own: Sequence[Event]) -> list[Change]:
    """Not heard of for twenty seconds, once known."""
    at, changes = _times(own), []
    for t, after in zip(at, [*at[1:], at[-1] + END_US], strict=True):
        changes.append((t, False))
        if after - t > 20 * SECOND_US:
            changes.append((t + 20 * SECOND_US, True))
    return changes


def once(own: Sequence[Event]) -> list[Change]:
    """Above a half, for ever."""
    return _levels(own, 0.5)


def _levels(own: Sequence[Event], limit: float) -> list[Change]:
    return [(instant(one["time"]), one["data"]["value"] > limit) for one in own]


def _occurrences(at: Sequence[int], stale_us: int = 30 * SECOND_US) -> list[Change]:
    """Return when something that happened at those times is true: until none came for long."""
    ends = [t + stale_us for t in at]
    nexts = [*at[1:], ends[-1] + 1] if ends else []
    gaps = [(end, False) for end, after in zip(ends, nexts, strict=True) if after > end]
    return sorted([*((t, True) for t in at), *gaps])


def _delayed(changes: Sequence[Change], rise: int = 0, fall: int = 0) -> list[Change]:
    """Return `changes` as they are after a hold: true for `rise` before it counts, or false."""
    edges = [one for i, one in enumerate(changes) if i == 0 or one[1] != changes[i - 1][1]]
    ends = [*(at for at, _ in edges[1:]), edges[-1][0] + END_US]
    found = []
    for (at, true), end in zip(edges, ends, strict=True):
        hold = rise if true else fall
        if end - at > hold:
            found.append((at + hold, true))
    return found


def spans(changes: Iterable[Change]) -> Iterator[tuple[int, int | None]]:
    """Yield from when to when the condition is true; None: it still is in the end."""
    opened = None
    for at, true in changes:
        if true and opened is None:
            opened = at
        elif not true and opened is not None:
            yield opened, at
            opened = None
    if opened is not None:
        yield opened, None
