"""Locks: what a change has for itself until it ends, so that no two work on the same at once."""

from typing import Final

from engine.analysis.cluster_view import ClusterView
from engine.changes.policy import Hold
from engine.changes.turn import Turn, ask
from engine.model.change import Change
from engine.model.report import ObjectRef

AT_WORK: Final = "is at work on the same object"
_WIDE: Final = "drain"
"""The template that is wide however few pods are left on its node."""


def locks_of(view: ClusterView, change: Change) -> list[str]:
    """Return the names of all locks of `change`, in the one order in which all take them.

    They stand for its target, for each object that is written, and for the workload of each pod:
    who drains a node and who rolls a Deployment back would both take its pods. A wide plan has
    the namespaces that it touches for itself, too: what two of them take does not add up there.
    """
    refs = [one.target.ref for one in (*change.operations, *change.rollback)]
    pods = [pod for ref in refs if (pod := view.find(ref)) is not None and ref.kind == "Pod"]
    alone = [change.draft.target, *refs, *map(view.workload, pods)]
    names = {_name(one) for one in alone}
    if len(change.operations) > 1 or change.draft.template == _WIDE:
        names |= {f"namespace {ref.namespace}" for ref in refs if ref.namespace}
    return sorted(f"{change.operations[0].target.cluster_uid}/{name}" for name in names)


async def taken(turn: Turn) -> Hold | None:
    """Take all locks of the change; return what holds it where another one has one of them."""
    ledger, names = turn.means.ledger, turn.change.locks
    other = await ask(ledger.take_locks, turn.row.id, names, epoch=turn.epoch)
    return Hold(f"change {other} {AT_WORK}") if other else None


def _name(ref: ObjectRef) -> str:
    return ref.uid or str(ref)
