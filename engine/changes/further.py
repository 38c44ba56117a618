"""Further: before each wave after the first, whether the rest is still as it should be.

A plan may take an hour: who approved it may have left, the policy may forbid it by now, and what
had to hold before the first wave may hold no more.
"""

from dataclasses import replace

from engine.changes.intent import LEAVES
from engine.changes.plan import not_so, preconditions
from engine.changes.policy import facts, judge, refused
from engine.changes.record import is_done, waves_verified
from engine.changes.templates import Unfit
from engine.changes.turn import Halt, Turn
from engine.changes.work_out import looked
from engine.model.change import Change, Operation
from engine.model.change_row import Step, Verdict
from engine.model.change_state import ChangeEvent
from engine.model.errors import ClusterError


async def go_further(turn: Turn, wave: int) -> None:
    """Look once more before the first write of `wave`; nothing is asked before the first wave.

    Raises:
        Halt: it is not approved any more, or the policy refuses the rest by now.
        ClusterError: `blocked`, a precondition does not hold for now; or the cluster did not
            answer.
    """
    if not waves_verified(turn.row) or _begun(turn, wave):
        return
    _approved(turn)
    view = (await looked(turn)).view
    try:
        why = not_so(preconditions(turn.row.draft, view))
    except Unfit as error:
        raise Halt(ChangeEvent.REFUSE, str(error)) from error
    if why:
        raise ClusterError("blocked", why)
    rest = _rest(turn)
    known = facts(view, rest)
    there = [one for one in rest.operations if one.verb not in LEAVES or one.target.uid in known]
    rest = rest.model_copy(update={"operations": there})
    why = refused(turn.policy, replace(turn.row, change=rest), known)
    if why:
        raise Halt(ChangeEvent.REFUSE, f"the policy refuses the rest: {why}")


def _approved(turn: Turn) -> None:
    """By the policy as it is now, and the calendar as it was: what has begun is not too late."""
    judgement = judge(turn.policy, turn.row, turn.row.written[0].at)
    if judgement.verdict is not Verdict.APPROVE:
        raise Halt(ChangeEvent.REFUSE, f"it is not approved any more: {judgement.reason}")


def _begun(turn: Turn, wave: int) -> bool:
    return any(one.wave == wave for one in _operations(turn, done=True))


def _rest(turn: Turn) -> Change:
    """Return the change without what is done already."""
    return turn.change.model_copy(update={"operations": _operations(turn, done=False)})


def _operations(turn: Turn, *, done: bool) -> list[Operation]:
    return [
        one
        for number, one in enumerate(turn.change.operations)
        if is_done(turn.row, Step.DO, number) is done
    ]
