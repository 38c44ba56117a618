"""Disruption budgets: which of them would refuse an eviction now."""

from collections.abc import Iterable, Sequence
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import labels, mapping, name_of, namespace_of, text, whole
from engine.analysis.pod import is_ready, phase
from engine.analysis.selector import selects
from engine.analysis.text import clean
from engine.model.report import Precondition

_SHOWN: Final = 3
_UNGUARDED: Final = frozenset({"Pending", "Succeeded", "Failed"})
"""Phases in which the Eviction API asks no budget."""


def unblocked(view: ClusterView, pods: Sequence[Object]) -> Precondition:
    """Whether no disruption budget refuses to let one of `pods` go now."""
    name = "no disruption budget blocks it"
    why = view.why_unread("poddisruptionbudgets.policy")
    if why:
        return Precondition(name=name, holds=None, why=why)
    blocking = [f"{namespace_of(b)}/{name_of(b)}" for b in _blocking(view, pods)]
    told = clean(", ".join(blocking[:_SHOWN]))
    return Precondition(
        name=name, holds=not blocking, why=f"blocked by {told}" if blocking else "none blocks"
    )


def _blocking(view: ClusterView, pods: Sequence[Object]) -> Iterable[Object]:
    spaces = {namespace_of(pod) for pod in pods}
    for budget in view.of("PodDisruptionBudget"):
        if namespace_of(budget) in spaces and any(_refuses(budget, pod) for pod in pods):
            yield budget


def _refuses(budget: Object, pod: Object) -> bool:
    """Whether `budget` refuses the eviction of `pod`, as the Eviction API decides."""
    covered = namespace_of(pod) == namespace_of(budget) and selects(
        mapping(budget, "spec", "selector"), labels(pod, "metadata", "labels")
    )
    if not covered or phase(pod) in _UNGUARDED or whole(budget, "status", "disruptionsAllowed"):
        return False
    if is_ready(pod):
        return True
    if text(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return False
    healthy = whole(budget, "status", "currentHealthy") or 0
    needed = whole(budget, "status", "desiredHealthy") or 0
    return healthy < needed or not needed
