"""Patience: how long a step is tried in vain; time in which nobody tried does not count.

It is kept in the results of the row, so that it outlives the writer, and lets people see why
nothing seems to happen. A pause because of a freeze drops it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from engine.changes.record import TRIES
from engine.changes.turn import LATEST_S, SOONEST_S, Turn, Wait
from engine.model.change import ProbeResult
from engine.model.change_row import ChangeRow, Step

LATE_S: Final = 60.0
"""How late a try may come and still count in full; beyond that the writer was away."""


def tried(turn: Turn, step: Step, number: int, why: str) -> Wait:
    """Return a pause after a try in vain, the longer the longer it is tried already."""
    since = _since(turn, step, number)
    pause = min(max((turn.now - since).total_seconds(), SOONEST_S), LATEST_S)
    result = ProbeResult(name=_name(step, number), holds=None, why=why, at=since)
    return replace(turn.wait(pause), results=(*untried(turn.row), result))


def lasted(turn: Turn, step: Step, number: int) -> float:
    """Return for how many seconds it is tried in vain by now, 0 where it was not yet."""
    return (turn.now - _since(turn, step, number)).total_seconds()


def untried(row: ChangeRow) -> tuple[ProbeResult, ...]:
    """Return the results without what was tried in vain."""
    return tuple(one for one in row.results if not one.name.startswith(TRIES))


def _since(turn: Turn, step: Step, number: int) -> datetime:
    """Return since when it is tried, moved on by the time in which the writer was away."""
    row = turn.row
    last = next((one for one in row.results if one.name == _name(step, number)), None)
    if last is None:
        return turn.now
    due = (row.next_at or turn.now) + timedelta(seconds=LATE_S)
    return last.at + max(turn.now - due, timedelta())


def _name(step: Step, number: int) -> str:
    return f"{TRIES}{step} {number}"
