"""Record: what a row says was written, and what a report says became of the change."""

from collections.abc import Mapping
from typing import Any, Final

from engine.changes.merge import same
from engine.changes.shown import shown
from engine.model.change import Operation, ProbeResult
from engine.model.change_row import ChangeRow, Step, Verdict, Written
from engine.model.change_state import ChangeState
from engine.model.report import AppliedChange, Precondition

DONE: Final = "done"
FAILED: Final = "failed: "
WAVE: Final = "wave"
"""Name of the result that says that a wave was verified."""
LOOK: Final = "look"
"""Name of the result that says that it was looked once more, and something was seen."""
TRIES: Final = "tries to "
"""What the name of a result begins with that says since when a step is tried in vain."""


def written(row: ChangeRow, step: Step, number: int) -> Written | None:
    """Return what was begun last for one operation, None where nothing was."""
    found = (one for one in reversed(row.written) if (one.step, one.number) == (step, number))
    return next(found, None)


def is_done(row: ChangeRow, step: Step, number: int) -> bool:
    """Whether an operation was done for certain."""
    last = written(row, step, number)
    return last is not None and last.outcome == DONE


def is_open(row: ChangeRow, step: Step, number: int) -> bool:
    """Whether an operation was begun, and it is not known whether it was done."""
    last = written(row, step, number)
    return last is not None and not last.outcome


def begun(row: ChangeRow, *, but: int | None = None) -> bool:
    """Whether something was written, or may have been; the operation `but` does not count."""
    return any(
        one.step is Step.DO and one.number != but and not one.outcome.startswith(FAILED)
        for one in row.written
    )


def waves_verified(row: ChangeRow) -> int:
    """Return how many waves were applied and verified."""
    return sum(one.name == WAVE for one in row.results)


def checks(row: ChangeRow) -> tuple[ProbeResult, ...]:
    """Return what the probes found, without what is noted beside it for the writer alone."""
    found = (one for one in row.results if one.name != LOOK)
    return tuple(one for one in found if not one.name.startswith(TRIES))


def holds(obj: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether `obj` has exactly these values in the fields of a merge patch; null: absent."""
    return all(_is(obj.get(name), value) for name, value in fields.items())


def _is(found: Any, value: Any) -> bool:
    if isinstance(value, Mapping) and value:
        return holds(found if isinstance(found, Mapping) else {}, value)
    return same(found or None, value or None) if value in (None, {}) else same(found, value)


def applied(row: ChangeRow) -> AppliedChange:
    """Return what a report says of the change, also of one that never came to be applied."""
    change = row.change
    approvals = [one for one in row.decisions if one.verdict is Verdict.APPROVE]
    decisions = approvals if row.state is not ChangeState.REJECTED else list(row.decisions)
    done = [one.at for one in row.written if one.step is Step.DO and one.outcome == DONE]
    return AppliedChange(
        id=row.id,
        title=row.draft.title,
        state=row.state,
        reason=row.reason,
        digest=row.digest,
        risk=change.risk if change is not None else "",
        target=row.draft.target,
        lines=[] if change is None else change.lines,
        diff="" if change is None else change.diff,
        decided_by=list(dict.fromkeys(one.who for one in decisions)),
        decided=decisions[-1].at if decisions else None,
        applied=min(done, default=None),
        ended=row.changed if row.state.final else None,
        checks=[Precondition(name=one.name, holds=one.holds, why=one.why) for one in checks(row)],
        objects=_objects(row) if row.state is ChangeState.NEEDS_HUMAN else [],
    )


def _objects(row: ChangeRow) -> list[dict[str, Any]]:
    """Return each object that is, or may be, other than it was before: exactly our fields."""
    if row.change is None:
        return []
    return [
        _object(row, number, operation)
        for number, operation in enumerate(row.change.operations)
        if is_done(row, Step.DO, number) or is_open(row, Step.DO, number)
    ]


def _object(row: ChangeRow, number: int, operation: Operation) -> dict[str, Any]:
    undo = undo_number(row, operation)
    back = undo is not None and is_done(row, Step.UNDO, undo)
    before, after = (
        shown(fields, salt=operation.target.uid) for fields in (operation.before, operation.after)
    )
    return {
        "object": str(operation.target.ref),
        "before": before or None,
        "after": (before if back else after) or None,
        "outcome": _outcome(row, number, undo),
    }


def _outcome(row: ChangeRow, number: int, undo: int | None) -> str:
    """Return what is known of one operation and of its undo, in words."""
    if undo is not None and (last := written(row, Step.UNDO, undo)) is not None:
        return f"roll-back {last.outcome or 'not known to be done'}"
    last = written(row, Step.DO, number)
    return (last.outcome if last is not None else "") or "not known to be done"


def undo_number(row: ChangeRow, operation: Operation) -> int | None:
    """Return the number of what undoes `operation`, None where nothing does."""
    if row.change is None:
        return None
    numbers = enumerate(row.change.rollback)
    return next((at for at, one in numbers if one.target == operation.target), None)
