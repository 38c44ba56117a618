"""Undo: put back exactly our fields, last object first, where nobody else changed them since.

No freeze and no calendar stops it: to take back what was done is not a new change.
"""

from collections.abc import Mapping
from typing import Any, Final

from engine import failpoint
from engine.changes.brakes import brake
from engine.changes.diff import normalised
from engine.changes.intent import begin, end, read, send
from engine.changes.patience import lasted, tried
from engine.changes.record import DONE, FAILED, holds, is_done, is_open, undo_number, written
from engine.changes.turn import NOT_DONE, Again, Go, Result, Turn, said
from engine.failpoint import Point
from engine.model.change import Operation
from engine.model.change_row import Step
from engine.model.change_state import ChangeEvent
from engine.model.errors import ClusterError
from engine.model.moved import Moved
from engine.model.ports import Writer
from engine.model.snapshot import Object

WITHIN_S: Final = 3600.0
"""How long a roll-back is tried while a cluster does not answer."""
_LATER: Final = frozenset({"conflict", "blocked", "throttled"})


async def verify_failed(turn: Turn) -> Result:
    """Roll back what can be; else a person has to go on."""
    change = turn.change
    if change.reversible == "no" or not change.rollback:
        reason = f"{turn.row.reason}; it cannot be undone: {change.why_reversible}"
        return Go(ChangeEvent.ESCALATE, Moved(reason=reason))
    return Go(ChangeEvent.ROLL_BACK, Moved(reason=turn.row.reason))


async def rolling_back(turn: Turn) -> Result:
    """Undo the next object; once all were looked at, tell whether all is as before."""
    for number, undo in enumerate(turn.change.rollback):
        if _written(turn, undo) and not _settled(turn, number):
            return await _undo(turn, number, undo)
    failed = [
        f"{undo.target.ref}: {last.outcome.removeprefix(FAILED)}"
        for number, undo in enumerate(turn.change.rollback)
        if (last := written(turn.row, Step.UNDO, number)) and last.outcome != DONE
    ]
    hold = await brake(turn)
    frozen = f"; everything is frozen: {hold.reason}" if hold and hold.freeze_all else ""
    if failed:
        reason = f"{turn.row.reason}; not rolled back: {'; '.join(failed)}{frozen}"
        return Go(ChangeEvent.ESCALATE, Moved(reason=reason))
    return Go(ChangeEvent.ROLLED_BACK, Moved(reason=f"{_told(turn)}{frozen}"))


async def _undo(turn: Turn, number: int, undo: Operation) -> Result:
    try:
        writer = turn.writer()
        live = await read(writer, undo)
    except ClusterError as error:
        return await _later(turn, number, None, said(error))
    if live is None:
        return await _given_up(turn, number, None, "it is gone, or was made anew")
    if holds(normalised(live), undo.after):
        await _ensured(turn, number, live)
        await end(turn, Step.UNDO, number, DONE, live)
        return Again()
    return await _put_back(turn, writer, number, live)


async def _put_back(turn: Turn, writer: Writer, number: int, live: Object) -> Result:
    undo = turn.change.rollback[number]
    foreign = _foreign(normalised(live), undo.before, undo.after)
    if foreign:
        why = f"somebody else changed {', '.join(foreign)} since; that is not overwritten"
        return await _given_up(turn, number, live, why)
    return await _write(turn, writer, number, live)


async def _write(turn: Turn, writer: Writer, number: int, live: Object) -> Result:
    undo = turn.change.rollback[number]
    await begin(turn, Step.UNDO, number, live)
    try:
        with failpoint.around(Point.OBJECT_ROLLED_BACK):
            answer = await send(turn, writer, undo, live)
    except ClusterError as error:
        if error.reason in NOT_DONE - _LATER:
            await end(turn, Step.UNDO, number, f"{FAILED}{said(error)}", None)
            return Again()
        # Done or not: the object says so next time.
        return await _later(turn, number, live, said(error))
    kept = answer is not None and holds(normalised(answer), undo.after)
    outcome = DONE if kept else f"{FAILED}the server keeps it otherwise than it was"
    await end(turn, Step.UNDO, number, outcome, answer)
    return Again()


async def _later(turn: Turn, number: int, live: Object | None, why: str) -> Result:
    if lasted(turn, Step.UNDO, number) >= WITHIN_S:
        return await _given_up(turn, number, live, f"tried for an hour: {why}")
    return tried(turn, Step.UNDO, number, why)


async def _given_up(turn: Turn, number: int, live: Object | None, why: str) -> Result:
    await _ensured(turn, number, live)
    await end(turn, Step.UNDO, number, f"{FAILED}{why}", live)
    return Again()


async def _ensured(turn: Turn, number: int, live: Object | None) -> None:
    """Note an intent for an outcome to be kept where none was begun."""
    if not is_open(turn.row, Step.UNDO, number):
        await begin(turn, Step.UNDO, number, live)


def _settled(turn: Turn, number: int) -> bool:
    last = written(turn.row, Step.UNDO, number)
    return last is not None and bool(last.outcome)


def _written(turn: Turn, undo: Operation) -> bool:
    """Whether what `undo` undoes was written, or may have been."""
    return any(
        operation.target == undo.target
        and (is_done(turn.row, Step.DO, number) or is_open(turn.row, Step.DO, number))
        for number, operation in enumerate(turn.change.operations)
    )


def _foreign(
    live: Mapping[str, Any], ours: Mapping[str, Any], was: Mapping[str, Any], path: str = ""
) -> list[str]:
    """Return the fields that are neither as we wrote them nor as they were before."""
    found: list[str] = []
    for name, value in ours.items():
        now, before, place = live.get(name), was.get(name), f"{path}.{name}" if path else name
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = now if isinstance(now, Mapping) else {}
            found += _foreign(inner, value, before, place)
        elif not (holds(live, {name: value}) or holds(live, {name: before})):
            found.append(place)
    return found


def _told(turn: Turn) -> str:
    """Return why it was rolled back, and what of it stays as it is."""
    change = turn.change
    kept = [
        str(one.target.ref)
        for number, one in enumerate(change.operations)
        if undo_number(turn.row, one) is None and is_done(turn.row, Step.DO, number)
    ]
    stays = f"; not undone: {', '.join(kept)} ({change.why_reversible})" if kept else ""
    return f"{turn.row.reason}{stays}"
