"""Apply: write what was approved, one object after the other, each intent durable before."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from engine import failpoint
from engine.changes.brakes import stop
from engine.changes.further import go_further
from engine.changes.intent import LEAVES, Fate, begin, end, fate, read, send
from engine.changes.patience import lasted, tried, untried
from engine.changes.plan import operation_tried
from engine.changes.precheck import FRESH_S, checked
from engine.changes.record import (
    DONE,
    FAILED,
    WAVE,
    begun,
    is_done,
    is_open,
    waves_verified,
    written,
)
from engine.changes.templates import CHANGE, Edit
from engine.changes.turn import NOT_DONE, PATIENCE_S, Again, Go, Halt, Result, Turn, Wait, ask, said
from engine.changes.work_out import try_out
from engine.failpoint import Point
from engine.model.change import Operation, Risk
from engine.model.change_row import Step, Written
from engine.model.change_state import ChangeEvent
from engine.model.delivery import Occasion
from engine.model.errors import ClusterError, Frozen
from engine.model.moved import Moved
from engine.model.ports import Writer
from engine.model.snapshot import Object

STOP_S: Final = 2.0
"""How soon a plan that a freeze stopped looks whether it may go on."""
OUTLIVED_S: Final = 60.0
"""When a write that was begun cannot come any more: what the lease of a writer lasts (15 s), and
the server's patience (30 s), with something over for clocks that differ."""
LATER: Final = frozenset({"blocked", "throttled"})
"""Reasons with which a server says: not now."""
CONFLICT: Final = f"{FAILED}conflict"
_UNWRITTEN: Final = frozenset({ChangeEvent.SUPERSEDE, ChangeEvent.CONFLICT})
"""Events with which a change may end that wrote nothing; any other becomes a refusal."""


async def applying(turn: Turn) -> Result:
    """Do the next operation of the wave; a wave that is done is to be verified."""
    row, change = turn.row, turn.change
    waves = sorted({one.wave for one in change.operations})
    wave = waves[waves_verified(row)]
    for number, operation in enumerate(change.operations):
        if operation.wave == wave and not is_done(row, Step.DO, number):
            return await _one(turn, number, operation)
    passed = tuple(one for one in row.results if one.name == WAVE)
    now = turn.means.clock.now()
    reason = f"wave {len(passed) + 1} of {len(waves)} is written"
    confirm = change.risk is Risk.LOCKOUT
    deliveries = await ask(turn.means.asks, row, Occasion.REMINDER, now) if confirm else ()
    moved = Moved(reason=reason, verify_from=now, results=passed, deliveries=deliveries)
    return Go(ChangeEvent.APPLIED, moved)


async def _one(turn: Turn, number: int, operation: Operation) -> Result:
    try:
        result = await _settled(turn, number, operation) or await _do(turn, number, operation)
    except Frozen:  # Since it was looked: the store lets nothing be begun.
        return _frozen(turn)
    ends = isinstance(result, Go) and result.event is not ChangeEvent.ESCALATE
    return await _unsent(turn, number) or result if ends else result


async def _unsent(turn: Turn, number: int) -> Wait | None:
    """Wait, before it ends, until a write that was begun earlier cannot come any more.

    Whoever began it may have sent it late, and the server may take its time; as long as the
    object is as it was, it would still be kept.
    """
    last = written(turn.row, Step.DO, number)
    if last is None or last.outcome:
        return None
    until = last.at + timedelta(seconds=OUTLIVED_S)
    if turn.now < until:
        return Wait(until)
    row = await ask(turn.means.ledger.change, turn.row.id)
    if row is not None and is_open(row, Step.DO, number):
        await end(turn, Step.DO, number, f"{FAILED}it was not done", None)
    return None


async def _settled(turn: Turn, number: int, operation: Operation) -> Result | None:
    """Compare the object with an intent that was begun; None where it is yet to be done."""
    row, last = turn.row, written(turn.row, Step.DO, number)
    if last is None and not (operation.verb in LEAVES and begun(row)):
        return None
    uncertain = is_open(row, Step.DO, number)
    try:
        live = await read(turn.writer(), operation)
    except ClusterError as error:
        return _unread(turn, number, error) if uncertain else _later(turn, number, error)
    found = fate(operation, live)
    if found is Fate.DONE:
        await _noted(turn, number, DONE, live)
        return Again()
    if found is Fate.FOREIGN and (uncertain or _marked(live, row.id)):
        await _noted(turn, number, "", live)
        reason = f"{operation.target.ref} is neither as it was nor as it was to be written"
        return Go(ChangeEvent.ESCALATE, Moved(reason=reason))
    return _given_up(turn, number) if uncertain else None


def _given_up(turn: Turn, number: int) -> Go | None:
    """End what was tried many times, and never done; None: once more."""
    if not _tired(turn, number):
        return None
    reason = "it was tried many times, and never answered"
    return _ended(turn, number, ChangeEvent.REFUSE, reason)


async def _noted(turn: Turn, number: int, outcome: str, live: Object | None) -> None:
    """Keep what the object says, in place of another outcome that it was taken for."""
    if not is_open(turn.row, Step.DO, number):
        await begin(turn, Step.DO, number, live)
    await end(turn, Step.DO, number, outcome, live)


async def _do(turn: Turn, number: int, operation: Operation) -> Result:
    """Write one object, if it is still exactly as it was approved."""
    late = turn.expired() and not begun(turn.row, but=number)
    if late:
        return Go(ChangeEvent.SUPERSEDE, Moved(reason="the approval ended before it was applied"))
    hold = await stop(turn)
    if hold is not None:
        return _frozen(turn)
    try:
        await go_further(turn, operation.wave)
        live = await _same(turn, number, operation)
        writer = turn.writer()
    except Halt as halt:
        return _ended(turn, number, halt.event, str(halt))
    except ClusterError as error:
        return _later(turn, number, error)
    return await _write(turn, writer, number, live)


def _frozen(turn: Turn) -> Wait:
    """Wait for the thaw; what was tried in vain before counts no more."""
    return replace(turn.wait(STOP_S), results=untried(turn.row))


async def _same(turn: Turn, number: int, operation: Operation) -> Object:
    """Return the object, fresh, where writing it is still exactly what was approved."""
    row, change = turn.row, turn.change
    if not begun(row, but=number) and turn.over(FRESH_S):
        await checked(turn)  # The writer was away since the check.
    target = operation.target
    proposer = turn.means.proposer(target.cluster)
    cluster_uid = await proposer.identity()
    edit = Edit(operation.verb, target.ref, target.resource, operation.patch, operation.wave)
    tried = await try_out(proposer, edit, cluster_uid)
    operations = [*change.operations]
    operations[number] = operation_tried(tried, cluster_uid)
    if change.model_copy(update={"operations": operations}).digest != row.digest:
        reason = f"{target.ref} is not as it was when this was approved"
        raise Halt(ChangeEvent.SUPERSEDE, reason)
    return dict(tried.live)


async def _write(turn: Turn, writer: Writer, number: int, live: Object) -> Result:
    operation = turn.change.operations[number]
    again = written(turn.row, Step.DO, number)
    await begin(turn, Step.DO, number, live)
    try:
        with failpoint.around(Point.OBJECT_APPLIED):
            answer = await send(turn, writer, operation, live)
    except ClusterError as error:
        if error.reason not in NOT_DONE | LATER:
            # Perhaps it was done: the object says so next time.
            return tried(turn, Step.DO, number, said(error))
        return await _turned_away(turn, number, error, again)
    await end(turn, Step.DO, number, DONE, answer)
    return Again()


async def _turned_away(
    turn: Turn, number: int, error: ClusterError, again: Written | None
) -> Result:
    """The server did not do it: once more after a conflict, later where it says so, or never."""
    if error.reason == "conflict":
        await end(turn, Step.DO, number, CONFLICT, None)
        if again is None or again.outcome != CONFLICT:
            return Again()
        reason = f"it changed twice while it was written; {said(error)}"
        return _ended(turn, number, ChangeEvent.SUPERSEDE, reason)
    await end(turn, Step.DO, number, f"{FAILED}{said(error)}", None)
    if error.reason in LATER:
        return _later(turn, number, error)
    return _ended(turn, number, ChangeEvent.REFUSE, said(error))


def _unread(turn: Turn, number: int, error: ClusterError) -> Go | Wait:
    """Look again whether it was written; only a person can tell where it is never answered."""
    if not _tired(turn, number):
        return tried(turn, Step.DO, number, said(error))
    reason = f"it is not known whether it was written; given up after many tries; {said(error)}"
    return Go(ChangeEvent.ESCALATE, Moved(reason=reason))


def _later(turn: Turn, number: int, error: ClusterError) -> Go | Wait:
    """Try again, with pauses, for as long as the verification would take, then give up."""
    if not _tired(turn, number):
        return tried(turn, Step.DO, number, said(error))
    reason = f"given up after many tries; {said(error)}"
    nobody = error.reason == "config"  # Nobody may write there any more.
    return _ended(turn, number, ChangeEvent.SUPERSEDE if nobody else ChangeEvent.REFUSE, reason)


def _tired(turn: Turn, number: int) -> bool:
    """Whether it was tried in vain for as long as the verification would take."""
    return lasted(turn, Step.DO, number) >= max(PATIENCE_S, turn.change.window_s)


def _ended(turn: Turn, number: int, event: ChangeEvent, reason: str) -> Go:
    """Return how a change ends that cannot go on: what was written so far is rolled back."""
    if begun(turn.row, but=number):
        return Go(ChangeEvent.FAIL, Moved(reason=reason))
    return Go(event if event in _UNWRITTEN else ChangeEvent.REFUSE, Moved(reason=reason))


def _marked(live: Object | None, change: str) -> bool:
    """Whether an object says that this change was the last to write it."""
    annotations = {} if live is None else live["metadata"].get("annotations") or {}
    return bool(annotations.get(CHANGE) == change)
