"""Headroom: whether the nodes have room for pods that are yet to come."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.analysis.cluster_view import ClusterView
from engine.analysis.scheduling import fitting, unjudged
from engine.model.report import Precondition


def room_for(
    view: ClusterView, specs: Sequence[Mapping[str, Any]], without: str = ""
) -> Precondition:
    """Whether pods of `specs` fit on the nodes, but for the one named `without`.

    Unknown where they do by what is judged, and ask for something that is not judged.
    """
    name = "the nodes have room for the new pods"
    unread = view.why_unread("nodes") or view.why_unread("pods")
    if unread:
        return Precondition(name=name, holds=None, why=unread)
    fit = fitting(view, specs, without)
    if fit < len(specs):
        return Precondition(name=name, holds=False, why=f"for {fit} of {len(specs)}")
    beyond = sorted({word for spec in specs for word in unjudged(spec)})
    if beyond:
        why = f"by what they ask, yes; not judged: {', '.join(beyond)}"
        return Precondition(name=name, holds=None, why=why)
    return Precondition(name=name, holds=True, why=f"for all {len(specs)}")
