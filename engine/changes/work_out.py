"""Work out: from a draft to exactly what would be written, checked and dry-run, with its undo."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from engine.changes.brakes import repeats
from engine.changes.locks import locks_of
from engine.changes.look import Look
from engine.changes.owner import owner_of
from engine.changes.plan import Outline, Tried, operation_of, outline, propose, replaced
from engine.changes.policy import facts, refused, timing
from engine.changes.templates import TEMPLATES, Edit, Unfit
from engine.changes.turn import (
    NOT_DONE,
    PATIENCE_S,
    Astray,
    Go,
    Halt,
    Result,
    Turn,
    Wait,
    ask,
    said,
)
from engine.model.change import Change, Operation, Target
from engine.model.change_state import ChangeEvent, ChangeState
from engine.model.errors import ClusterError, DogwatchError
from engine.model.moved import Moved
from engine.model.ports import Writer
from engine.model.snapshot import Object

OPEN: Final = tuple(
    state for state in ChangeState if not state.final and state is not ChangeState.DRAFT
)
"""States in which a change of the same template and object makes another one needless."""
MANY: Final = 1000


async def draft(turn: Turn) -> Result:
    """Work out a draft; what cannot be done, or need not, ends here, and nobody is asked."""
    try:
        await _alone(turn)
        change = await work_out(turn)
        await _timely(turn, change)
    except Halt as halt:
        event = ChangeEvent.REFUSE if halt.event is ChangeEvent.SUPERSEDE else halt.event
        return Go(event, Moved(reason=str(halt), change=halt.change))
    except ClusterError as error:
        return unanswered(turn, error)
    times = timing(turn.policy, replace(turn.row, change=change, digest=change.digest))
    expires = turn.means.clock.now() + timedelta(seconds=times.expires_s)
    return Go(ChangeEvent.PROPOSE, Moved(reason="worked out", change=change, expires=expires))


def unanswered(turn: Turn, error: ClusterError) -> Go | Wait:
    """Return what follows when a cluster gives no answer to a read or a dry run: patience."""
    if error.reason in NOT_DONE:
        return Go(ChangeEvent.REFUSE_DRY_RUN, Moved(reason=said(error)))
    if turn.over(PATIENCE_S):
        reason = f"no answer for {PATIENCE_S / 60:g} minutes; {said(error)}"
        return Go(ChangeEvent.REFUSE_DRY_RUN, Moved(reason=reason))
    return turn.again()


async def work_out(turn: Turn) -> Change:
    """Return what the change of `turn` would be, from fresh reads and dry runs.

    Raises:
        Halt: a check says no; Astray: what was read led us astray.
        ClusterError: a cluster did not answer.
    """
    try:
        return await _worked_out(turn)
    except DogwatchError:
        raise
    except Exception as error:  # Objects are hostile: one of them must not make a loop.
        raise Astray(error) from error


async def _worked_out(turn: Turn) -> Change:
    row = turn.row
    look = await looked(turn)
    proposer = turn.means.proposer(row.draft.target.cluster)
    try:
        plan = outline(row.draft, look.view)
    except Unfit as error:
        raise Halt(ChangeEvent.REFUSE, str(error)) from error
    cluster_uid = await proposer.identity()
    lives = [await fetched(proposer, edit) for edit in plan.edits]
    operations = [
        operation_of(edit, live, cluster_uid) for edit, live in zip(plan.edits, lives, strict=True)
    ]
    await preflight(turn, operations)
    tried = [await try_out(proposer, edit, cluster_uid) for edit in plan.edits]
    change = _assembled(turn, plan, tried, look, cluster_uid)
    await preflight(turn, change.rollback)
    await _try_undo(proposer, change.rollback, tried)
    why = refused(turn.policy, replace(row, change=change), facts(look.view, change))
    if why:
        raise Halt(ChangeEvent.REFUSE, why, change)
    return change


async def looked(turn: Turn) -> Look:
    """Return the cluster, read anew, and what the kind of the mission says of it.

    Raises:
        Halt: there is no such template or kind, or it cannot judge what was read (Astray).
        ClusterError: the cluster did not answer, or not in time.
    """
    draft = turn.row.draft
    if draft.template not in TEMPLATES:
        raise Halt(ChangeEvent.REFUSE, f"there is no template '{draft.template}'")
    try:
        return await turn.means.look(draft)
    except ClusterError:
        raise
    except TimeoutError as error:
        raise ClusterError("timeout", "it took too long to assess what was read") from error
    except DogwatchError as error:
        raise Halt(ChangeEvent.REFUSE, str(error)) from error
    except Exception as error:  # A fault of the kind is an unknown, and never a loop.
        raise Astray(error) from error


async def fetched(writer: Writer, edit: Edit) -> Object:
    """Return the object of `edit` as it is, if it is the one meant and nobody else owns it.

    Raises:
        Halt: it is gone, was made anew, or is owned by somebody who would undo the change.
        ClusterError: the cluster did not answer.
    """
    ref = edit.ref
    try:
        live = await writer.get(edit.resource, ref.namespace, ref.name)
    except ClusterError as error:
        if error.reason != "not-found":
            raise
        raise Halt(ChangeEvent.SUPERSEDE, f"{ref} is gone") from error
    if ref.uid and live["metadata"].get("uid") != ref.uid:
        raise Halt(ChangeEvent.SUPERSEDE, f"{ref} was made anew")
    owner = owner_of(live, edit.patch)
    if owner is not None:
        raise Halt(ChangeEvent.REFUSE, str(owner))
    return live


async def try_out(proposer: Writer, edit: Edit, cluster_uid: str) -> Tried:
    """Return `edit` with the object as it is and as it would be, by the server's dry run.

    Raises:
        Halt: as `fetched`; the server refuses, or the object never stands still.
        ClusterError: the cluster did not answer, or a budget forbids an eviction for now.
    """
    live = await fetched(proposer, edit)
    try:
        return await _tried(proposer, edit, live, cluster_uid)
    except ClusterError as error:
        if error.reason != "conflict":
            raise _refusal(error) from error
    # It moved on between the two requests, as a busy object does: once more, then no more.
    live = await fetched(proposer, edit)
    try:
        return await _tried(proposer, edit, live, cluster_uid)
    except ClusterError as error:
        raise _refusal(error) from error


async def preflight(turn: Turn, operations: Sequence[Operation]) -> None:
    """Ask whether the writer may do all of `operations`. Raises Halt: it lacks rights."""
    writer = turn.writer()
    lacking = [one for one in operations if not await writer.allowed(one)]
    if lacking:
        texts = dict.fromkeys(f"{one.verb} {named(one.target)}" for one in lacking)
        raise Halt(ChangeEvent.REFUSE, f"the writer has no right to: {', '.join(texts)}")


def named(target: Target) -> str:
    """Return how an operation's target is called in reasons."""
    return f"{target.resource} {target.ref}"


async def _tried(proposer: Writer, edit: Edit, live: Object, cluster_uid: str) -> Tried:
    operation = operation_of(edit, live, cluster_uid)
    version = live["metadata"]["resourceVersion"]
    return Tried(edit, live, await proposer.write(operation, version=version, dry_run=True))


def _refusal(error: ClusterError) -> Halt | ClusterError:
    if error.reason == "conflict":
        return Halt(ChangeEvent.CONFLICT, said(error))
    if error.reason == "not-found":
        return Halt(ChangeEvent.SUPERSEDE, f"it is gone; {said(error)}")
    if error.reason in NOT_DONE - {"blocked"}:
        return Halt(ChangeEvent.REFUSE_DRY_RUN, said(error))
    return error


def _assembled(
    turn: Turn, plan: Outline, tried: Sequence[Tried], look: Look, cluster_uid: str
) -> Change:
    """Return the change, judged by its kind on the cluster as it would be."""
    row = turn.row
    foreseen = turn.means.assess(replaced(look.view, tried), row.draft)
    try:
        change = propose(
            plan, tried, look, cluster_uid=cluster_uid, window_s=1.0, foreseen=foreseen
        )
    except Unfit as error:
        raise Halt(ChangeEvent.REFUSE, str(error)) from error
    times = timing(turn.policy, replace(row, change=change))
    locks = locks_of(look.view, change)
    return change.model_copy(update={"window_s": times.window_s, "locks": locks})


async def _try_undo(proposer: Writer, undo: Sequence[Operation], tried: Sequence[Tried]) -> None:
    """Dry-run the roll-back on the objects as they are: whether it is valid, and let through."""
    lives = {one.live["metadata"]["uid"]: one.live for one in tried}
    for one in undo:
        version = lives[one.target.uid]["metadata"]["resourceVersion"]
        try:
            await proposer.write(one, version=version, dry_run=True)
        except ClusterError as error:
            if error.reason == "conflict":
                continue  # It moved on: that is looked at again before anything is written.
            raise _refusal(error) from error


async def _alone(turn: Turn) -> None:
    """Refuse a draft where another change does the same, and is not at its end."""
    draft = turn.row.draft
    wanted = (draft.template, draft.target)
    for other in await ask(turn.means.ledger.changes, states=OPEN, limit=MANY):
        same = (other.draft.template, other.draft.target) == wanted
        if same and other.id != turn.row.id and not other.settled:
            raise Halt(ChangeEvent.REFUSE, f"change {other.id} does the same, and is open")


async def _timely(turn: Turn, change: Change) -> None:
    """Refuse a change that nobody need be asked about, as it failed or was done just now."""
    row = replace(turn.row, change=change, digest=change.digest)
    why = await repeats(replace(turn, row=row))
    if why:
        raise Halt(ChangeEvent.REFUSE, why, change)
