"""What a stage made of a ledger: waited for until all work has ended, and read from its store."""

from __future__ import annotations

import json
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.ledger.checker import Episode, Found, pairs
from tests.ledger.conditions import T0
from tests.ledger.shapes import SECOND, shape_of
from tests.testbeds.process import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ledger.killing import Blows
    from tests.ledger.stage import Reading, Stage

STILL_S = 90.0
"""How long nothing may be done while something is left: leases and sessions of the dead end."""
_POSITIONS = "SELECT partition, next_offset FROM partitions"
_FIRINGS = "SELECT id, rule, key, opened_at, resolved_at FROM firings"
_MISSIONS = "SELECT id, firing, state, outcome, crashes FROM missions ORDER BY id"
_CONDITIONS_WAIT = "SELECT count(*) FROM conditions"
_MISSIONS_WAIT = "SELECT count(*) FROM missions WHERE state IN ('queued', 'running')"
_DELIVERIES_WAIT = "SELECT count(*) FROM deliveries WHERE state = 'waiting'"
_T0_US = round(T0.timestamp()) * 1_000_000
_NOBODY = Episode("", "", "a firing that is not in the store", 0, None)


def positions(reading: Reading) -> dict[int, int]:
    """Return how far each log was folded."""
    return dict(reading.select(_POSITIONS))


def drain(stage: Stage) -> None:
    """Wait until all that is on the logs now was folded, and what came of it has ended.

    Raises:
        AssertionError: that does not come, or a process ended; the text has their last lines.
    """
    reading = stage.reading
    first = {log: end for log, end in reading.ends().items() if log >= 0}
    _wait(stage, lambda: _behind(positions(reading), first), "records to be folded")
    # What was found is told to the second stage, which may find more.
    _wait(stage, lambda: _count(reading, _CONDITIONS_WAIT), "conditions to be published")
    ends = reading.ends()
    _wait(stage, lambda: _behind(positions(reading), ends), "conditions to be folded")
    _wait(stage, lambda: _count(reading, _MISSIONS_WAIT), "missions to end")
    _wait(stage, lambda: _count(reading, _DELIVERIES_WAIT), "deliveries to be made")


def episodes(reading: Reading) -> dict[str, Episode]:
    """Return the firings in the store by id."""
    made, second = {}, {}
    for firing, rule, key, opened, resolved in reading.select(_FIRINGS):
        group = json.loads(key) if isinstance(key, str) else dict(key)
        about = group.pop("signal.data.firing", "")
        cluster, name = group.pop("cluster", ""), "".join(group.values())
        at = (opened - _T0_US, None if resolved is None else resolved - _T0_US)
        episode = Episode(rule, cluster, name, *at)
        if shape_of(rule) in SECOND:
            second[firing] = (episode, about)
        else:
            made[firing] = episode
    paired = {one[:3]: one for one in pairs(made.values())}
    of_echoes = {one: made.get(about, _NOBODY) for one, (_, about) in second.items()}
    for firing, (episode, about) in second.items():
        of = of_echoes[firing] if about else paired.get(episode[:3], _NOBODY)
        made[firing] = of._replace(rule=episode.rule, resolved=episode.resolved)
    return made


def missions(stage: Stage) -> list[tuple[str, str, str, str, int]]:
    """Return the missions as the store has them, which must be those that the CLI lists."""
    stored = [(*row[:4], int(row[4])) for row in stage.reading.select(_MISSIONS)]
    printed = stage.command("mission", "list", "--limit", "100000", "--output", "json")
    assert sorted(row["id"] for row in json.loads(printed)) == sorted(row[0] for row in stored)
    return stored


def done_to(blows: Blows) -> dict[str, Any]:
    """Return the figures of what was done to a stage."""
    return {
        "kills": blows.kills,
        "kills_by_role": dict(blows.by_role),
        "kills_by_phase": dict(blows.by_phase),
        "zombies": blows.zombies,
        "departures": blows.departures,
    }


def figures_of(found: Found) -> dict[str, Any]:
    """Return the figures of what came of a ledger."""
    keys = Counter((one.sink, one.key) for one in found.told)
    repeats = Counter(sink for (sink, _), number in keys.items() for _ in range(number - 1))
    return {
        "firings": len(found.episodes),
        "missions": len(found.missions),
        "mission_crashes": sum(row[4] for row in found.missions),
        "deliveries": len(found.told),
        "repeats": dict(repeats),
    }


def _wait(stage: Stage, left: Callable[[], int], what: str) -> None:
    """Wait until nothing is left, as long as it becomes less now and then."""
    patience = _Patience(left)
    done = eventually(
        lambda: patience.look() == 0 or None,
        float("inf"),
        lambda: patience.over or not all(one.running for one in stage.members),
        every_s=0.2,
    )
    if done is None:
        tails = "\n".join(f"{one.name}:\n{one.tail(15)}" for one in stage.members)
        raise AssertionError(f"{left()} {what} still wait; {tails}")


class _Patience:
    """Looks at a number that should become less; `over` when it did not for STILL_S."""

    def __init__(self, left: Callable[[], int]) -> None:
        self._left = left
        self._least: int | None = None
        self._since = monotonic()

    @property
    def over(self) -> bool:
        return monotonic() - self._since > STILL_S

    def look(self) -> int:
        number = self._left()
        if self._least is None or number < self._least:
            self._least, self._since = number, monotonic()
        return number


def _behind(folded: dict[int, int], ends: dict[int, int]) -> int:
    """Return how many records were not folded yet."""
    return sum(max(0, end - folded.get(log, 0)) for log, end in ends.items())


def _count(reading: Reading, query: str) -> int:
    ((number,),) = reading.select(query)
    return int(number)
