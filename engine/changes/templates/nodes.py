"""cordon and uncordon: whether a node takes new pods."""

from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import condition, flag, mappings, name_of, text
from engine.analysis.text import clean
from engine.changes.owner import not_owned_elsewhere
from engine.changes.templates.template import (
    Edit,
    NoParams,
    Template,
    Unfit,
    found,
    patching,
    place,
)
from engine.model.change import Probe, Risk
from engine.model.report import ObjectRef, Precondition

_NODE: Final = ("Node",)


def cordoning(view: ClusterView, node: Object, change_id: str) -> Edit:
    """Return the edit that keeps new pods off `node`."""
    return patching(view, node, {"spec": {"unschedulable": True}}, change_id)


def is_cordoned(node: Object) -> bool:
    """Whether `node` takes no new pods by a person's word."""
    return flag(node, "spec", "unschedulable") is True


def others_open(view: ClusterView, node: ObjectRef) -> Precondition:
    """Whether another node can take pods."""
    others = [
        n
        for n in view.of("Node")
        if name_of(n) != node.name and _is_ready(n) and not is_cordoned(n)
    ]
    return Precondition(
        name="another node can take pods",
        holds=bool(others),
        why=f"{len(others)} other nodes are ready and open",
    )


def few_sick(view: ClusterView) -> Precondition:
    """Whether at most one node is unhealthy: more are a failure of something else."""
    sick = [n for n in view.of("Node") if not _is_ready(n)]
    return Precondition(
        name="at most one node is unhealthy",
        holds=len(sick) <= 1,
        why=f"{len(sick)} of {len(view.of('Node'))} nodes are not ready",
    )


def _is_ready(node: Object) -> bool:
    return condition(node, "Ready").get("status") == "True"


def _cordon(view: ClusterView, ref: ObjectRef, params: NoParams, change_id: str) -> list[Edit]:  # noqa: ARG001 - the form of all templates
    node = found(view, ref, _NODE)
    if is_cordoned(node):
        raise Unfit(f"{ref} is cordoned already")
    return [cordoning(view, node, change_id)]


def _before_cordon(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Precondition]:  # noqa: ARG001 - the form of all templates
    return [others_open(view, ref), not_owned_elsewhere(view, ref)]


def _no_probes(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    return []


def _uncordon(view: ClusterView, ref: ObjectRef, params: NoParams, change_id: str) -> list[Edit]:  # noqa: ARG001 - the form of all templates
    node = found(view, ref, _NODE)
    if not is_cordoned(node):
        raise Unfit(f"{ref} is not cordoned")
    return [patching(view, node, {"spec": {"unschedulable": None}}, change_id)]


def _before_uncordon(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Precondition]:  # noqa: ARG001 - the form of all templates
    return [_node_well(view, ref), not_owned_elsewhere(view, ref)]


def _node_well(view: ClusterView, ref: ObjectRef) -> Precondition:
    node = view.find(ref)
    troubles = [
        text(entry, "type")
        for entry in mappings(node, "status", "conditions")
        if text(entry, "type") != "Ready" and text(entry, "status") == "True"
    ]
    if node is None or not _is_ready(node):
        troubles.insert(0, "not ready")
    return Precondition(
        name="the node is ready and reports no trouble",
        holds=not troubles,
        why=clean(", ".join(troubles)) or "Ready is True, nothing else is reported",
    )


def _node_ready(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    return [Probe(name="node-ready", args=place(ref))]


CORDON: Final = Template(
    name="cordon",
    summary="Keep new pods off a node; those that run there stay",
    risk=Risk.SAFE,
    reversible="yes",
    why_reversible="the node is opened again; no pod was moved",
    params=NoParams,
    needs=("nodes",),
    build=_cordon,
    preconditions=_before_cordon,
    probes=_no_probes,
    cures=False,
)
UNCORDON: Final = Template(
    name="uncordon",
    summary="Let a node take new pods again",
    risk=Risk.DISRUPTIVE,
    reversible="yes",
    why_reversible="the node is cordoned again; pods that came meanwhile stay",
    params=NoParams,
    needs=("nodes",),
    build=_uncordon,
    preconditions=_before_uncordon,
    probes=_node_ready,
)
