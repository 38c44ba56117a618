"""Drive: take a change from state to state, until it has to wait or is at its end."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import timedelta
from typing import Final

import structlog

from engine import meters
from engine.changes.apply import applying
from engine.changes.gate import approved, awaiting, proposed
from engine.changes.means import Means
from engine.changes.precheck import dry_run_ok, prechecking
from engine.changes.turn import Again, Go, Result, Turn, Wait, ask
from engine.changes.undo import rolling_back, verify_failed
from engine.changes.verify import verifying
from engine.changes.work_out import draft
from engine.failpoint import Point, around
from engine.model.change_row import ChangeRow
from engine.model.change_state import ChangeEvent, ChangeState, move
from engine.model.delivery import Delivery, Occasion
from engine.model.errors import IllegalMove

LOG = structlog.get_logger()
NO_POLICY_S: Final = 60.0

STEPS: Final[Mapping[ChangeState, Callable[[Turn], Awaitable[Result]]]] = {
    ChangeState.DRAFT: draft,
    ChangeState.PROPOSED: proposed,
    ChangeState.AWAITING: awaiting,
    ChangeState.APPROVED: approved,
    ChangeState.PRECHECKING: prechecking,
    ChangeState.DRY_RUN_OK: dry_run_ok,
    ChangeState.APPLYING: applying,
    ChangeState.VERIFYING: verifying,
    ChangeState.VERIFY_FAILED: verify_failed,
    ChangeState.ROLLING_BACK: rolling_back,
}
"""What is done in each state that is not final."""

POINTS: Final[Mapping[tuple[ChangeState, ChangeEvent], Point]] = {
    (ChangeState.DRAFT, ChangeEvent.PROPOSE): Point.CHANGE_PROPOSED,
    (ChangeState.PROPOSED, ChangeEvent.ASK): Point.APPROVAL_ASKED,
    (ChangeState.PRECHECKING, ChangeEvent.DRY_RUN): Point.DRY_RUN_DONE,
    (ChangeState.VERIFYING, ChangeEvent.FAIL): Point.VERIFY_DECIDED,
    (ChangeState.VERIFYING, ChangeEvent.NEXT_WAVE): Point.VERIFY_DECIDED,
    (ChangeState.VERIFYING, ChangeEvent.VERIFY): Point.VERIFY_DECIDED,
}
_UNASKED: Final = frozenset({ChangeState.DRAFT, ChangeState.PROPOSED})
"""Nobody was asked yet: the report of the mission says how it ended."""


async def advance(row: ChangeRow, means: Means, *, epoch: int) -> None:
    """Take the change of `row` as far as it goes now; the row itself is read anew.

    Args:
        row: a change that is due.
        means: see there.
        epoch: of the writer's lease; whoever lost it writes nothing.

    Raises:
        StoreError: the store did not answer; nothing was written since. Try again later.
        Fenced: another writer is at work.
    """
    while (found := await ask(means.ledger.change, row.id)) and not found.state.final:
        policy = means.policy()
        now = means.clock.now()
        if policy is None:
            next_at = now + timedelta(seconds=NO_POLICY_S)
            await _touch(found, means, Wait(next_at), epoch)
            return
        if not await _step(Turn(found, means, policy, epoch, now)):
            return


async def _step(turn: Turn) -> bool:
    """Do what its state asks for, and keep it; False where it is to wait now."""
    row, means = turn.row, turn.means
    async with _in_turn(row, means):
        result = await STEPS[row.state](turn)
        if isinstance(result, Wait):
            await _touch(row, means, result, turn.epoch)
            return False
        return isinstance(result, Again) or await _move(turn, result)


def _in_turn(row: ChangeRow, means: Means) -> AbstractAsyncContextManager[object]:
    """Let one change of a cluster begin at a time: each counts those that did before."""
    begins = row.state is ChangeState.DRY_RUN_OK
    return means.begins[row.draft.target.cluster] if begins else nullcontext()


async def _touch(row: ChangeRow, means: Means, wait: Wait, epoch: int) -> None:
    try:
        await ask(
            means.ledger.touch_change,
            row.id,
            row.state,
            next_at=wait.until,
            results=wait.results,
            deliveries=wait.deliveries,
            epoch=epoch,
        )
    except IllegalMove as error:
        LOG.info("change moved meanwhile", change=row.id, error=str(error))


async def _move(turn: Turn, go: Go) -> bool:
    """Move; False where it is to wait now, or somebody moved it meanwhile."""
    row, now = turn.row, turn.means.clock.now()
    to = move(row.state, go.event)
    moved = replace(go.moved, deliveries=(*go.moved.deliveries, *(await _told(turn, go, to))))
    try:
        with _point(row.state, go.event):
            await ask(
                turn.means.ledger.move_change,
                row.id,
                row.state,
                go.event,
                moved,
                now,
                epoch=turn.epoch,
            )
    except IllegalMove as error:
        LOG.info("change moved meanwhile", change=row.id, error=str(error))
        return False
    meters.CHANGES.labels(to.value).inc()
    LOG.info("change moves", change=row.id, frm=row.state, to=to, reason=moved.reason)
    return moved.next_at is None or moved.next_at <= now


async def _told(turn: Turn, go: Go, to: ChangeState) -> tuple[Delivery, ...]:
    """Tell of the end of what people were asked about, or the policy approved."""
    row, now = turn.row, turn.means.clock.now()
    if not to.final or row.state in _UNASKED:
        return ()
    results = row.results if go.moved.results is None else go.moved.results
    ended = replace(
        row,
        state=to,
        reason=go.moved.reason,
        actor=go.moved.actor,
        changed=now,
        results=results,
    )
    return tuple(await ask(turn.means.asks, ended, Occasion.CHANGE, now))


def _point(state: ChangeState, event: ChangeEvent) -> AbstractContextManager[None]:
    point = POINTS.get((state, event))
    return nullcontext() if point is None else around(point)
