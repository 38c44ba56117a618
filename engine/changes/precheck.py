"""Precheck: all of it once more, from fresh reads, right before anything is written."""

from datetime import datetime, timedelta
from typing import Final

from engine.changes.brakes import brake
from engine.changes.gate import held_back
from engine.changes.locks import taken
from engine.changes.turn import PATIENCE_S, Astray, Go, Halt, Result, Turn
from engine.changes.work_out import unanswered, work_out
from engine.model.change import Change
from engine.model.change_state import ChangeEvent
from engine.model.errors import ClusterError
from engine.model.moved import Moved

FRESH_S: Final = 30.0
"""How old a check may be when the first object is written."""
BUSY_S: Final = 30.0
STALE: Final = "too much time passed since the check"


async def prechecking(turn: Turn) -> Result:
    """Check that it is approved, not held back, alone with its objects, and still the same."""
    hold = await _held(turn)
    if hold is not None:
        return hold
    try:
        change = await checked(turn)
    except Astray as halt:
        # What was read may be another thing the next time.
        late = turn.over(PATIENCE_S)
        return Go(halt.event, Moved(reason=str(halt))) if late else turn.again()
    except Halt as halt:
        return Go(halt.event, Moved(reason=str(halt)))
    except ClusterError as error:
        return unanswered(turn, error)
    # What people saw stays; what was critical before is what the verification compares with.
    kept = turn.change.model_copy(update={"critical": change.critical})
    return Go(ChangeEvent.DRY_RUN, Moved(reason="checked and dry-run again", change=kept))


async def dry_run_ok(turn: Turn) -> Result:
    """Begin to write, unless that came in between which holds it back."""
    if turn.expired():
        return Go(ChangeEvent.EXPIRE, Moved(reason="the approval ended before it was applied"))
    hold = await brake(turn)
    if hold is not None:
        return _hold(turn, hold.reason, hold.until)
    if turn.over(FRESH_S):
        return _hold(turn, STALE, turn.now)
    return Go(ChangeEvent.APPLY, Moved(reason="begins to write"))


async def checked(turn: Turn) -> Change:
    """Return the change as it would be now; it is the one that was approved.

    Raises:
        Halt: it is another one, or a check says no.
        ClusterError: a cluster did not answer.
    """
    change = await work_out(turn)
    if change.digest != turn.row.digest:
        raise Halt(ChangeEvent.SUPERSEDE, _difference(turn.change, change))
    return change


async def _held(turn: Turn) -> Go | None:
    if turn.expired():
        return Go(ChangeEvent.EXPIRE, Moved(reason="the approval ended before it was checked"))
    hold = await held_back(turn) or await taken(turn)
    return None if hold is None else _hold(turn, hold.reason, hold.until)


def _hold(turn: Turn, reason: str, until: datetime | None) -> Go:
    next_at = until or turn.now + timedelta(seconds=BUSY_S)
    if turn.row.expires is not None:
        next_at = min(next_at, turn.row.expires)
    return Go(ChangeEvent.HOLD, Moved(reason=reason, next_at=next_at))


def _difference(approved: Change, now: Change) -> str:
    """Return which parts of what was approved are another now."""
    parts = ("operations", "preconditions", "probes", "window_s", "rollback")
    differing = [name for name in parts if getattr(approved, name) != getattr(now, name)]
    shown = ", ".join(differing) or "its digest"
    return f"what would be done now is not what was approved: {shown} differ"
