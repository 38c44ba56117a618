"""Intent: a write is noted before it is sent, and afterwards the object says what came of it."""

from enum import StrEnum
from typing import Final

from engine.analysis.field import mapping
from engine.changes.diff import normalised
from engine.changes.record import holds
from engine.changes.templates import CHANGE
from engine.changes.turn import Turn, ask
from engine.model.change import Operation, Verb
from engine.model.change_row import Step, Written
from engine.model.errors import ClusterError, Fenced
from engine.model.ports import Writer
from engine.model.signal import MADE_BY
from engine.model.snapshot import Object

LEAVES: Final = frozenset({Verb.EVICT, Verb.DELETE})
"""Verbs after which the object is no longer there."""


class Fate(StrEnum):
    """What an object says of a write to it."""

    DONE = "done"
    NOT_DONE = "not done"
    FOREIGN = "foreign"


async def begin(turn: Turn, step: Step, number: int, live: Object | None) -> None:
    """Note that `live` is about to be written."""
    version = "" if live is None else live["metadata"]["resourceVersion"]
    before = {} if live is None else normalised(live)
    intent = Written(step, number, version, before, turn.means.clock.now())
    await ask(turn.means.ledger.begin_write, turn.row.id, intent, epoch=turn.epoch)


async def end(turn: Turn, step: Step, number: int, outcome: str, live: Object | None) -> None:
    """Note what came of the write that was begun; `live` is the object by now."""
    after = None if live is None else normalised(live)
    now = turn.means.clock.now()
    ledger = turn.means.ledger
    await ask(ledger.end_write, turn.row.id, step, number, outcome, after, now, epoch=turn.epoch)


async def send(turn: Turn, writer: Writer, operation: Operation, live: Object) -> Object | None:
    """Write for real, once the intent is noted; return what the server keeps, None: it is gone.

    Raises:
        Fenced: another writer may be at work by now; nothing was sent.
        ClusterError: as Writer.write.
    """
    if not turn.means.may_write():
        raise Fenced(f"change {turn.row.id}: the lease of the writer ended before it was sent")
    version = live["metadata"]["resourceVersion"]
    return await writer.write(operation, version=version, dry_run=False)


async def read(writer: Writer, operation: Operation) -> Object | None:
    """Return the object of `operation`, None where it is gone; one made anew is not it.

    Raises:
        ClusterError: the cluster did not answer.
    """
    target = operation.target
    try:
        live = await writer.get(target.resource, target.namespace, target.name)
    except ClusterError as error:
        if error.reason == "not-found":
            return None
        raise
    return live if live["metadata"].get("uid") == target.uid else None


def fate(operation: Operation, live: Object | None) -> Fate:
    """Return what the object says of the write: done, not done, or neither: somebody else.

    That it is as it was to be is not enough: somebody else may have made it so.
    """
    if operation.verb in LEAVES:
        leaving = live is None or "deletionTimestamp" in live["metadata"]
        return Fate.DONE if leaving else Fate.NOT_DONE
    if live is None:
        return Fate.FOREIGN
    plain = normalised(live)
    if holds(plain, operation.after):
        return Fate.DONE if _ours(operation, live) else Fate.FOREIGN
    return Fate.NOT_DONE if holds(plain, operation.before) else Fate.FOREIGN


def _ours(operation: Operation, live: Object) -> bool:
    """Whether it is we who wrote what is there: our mark says so, or else the server.

    A scale has no mark among its fields; who sets replicas anew takes them over.
    """
    if operation.verb is not Verb.SCALE:
        return CHANGE in mapping(operation.after, "metadata", "annotations")
    return any(
        entry.get("manager") == MADE_BY
        and entry.get("subresource") == "scale"
        and "f:replicas" in mapping(entry, "fieldsV1", "f:spec")
        for entry in live["metadata"].get("managedFields") or []
    )
