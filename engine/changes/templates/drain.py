"""drain: cordon a node, then evict its pods wave by wave; disruption budgets hold."""

from collections import Counter
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import mapping
from engine.analysis.pod import is_done
from engine.analysis.text import clean
from engine.changes.owner import not_owned_elsewhere
from engine.changes.templates.budgets import unblocked
from engine.changes.templates.headroom import room_for
from engine.changes.templates.nodes import cordoning, few_sick, is_cordoned, others_open
from engine.changes.templates.pods import evicting, is_mirror, whole_again
from engine.changes.templates.scaling import SCALED, replicas_of
from engine.changes.templates.template import (
    Edit,
    NoParams,
    Template,
    Unfit,
    found,
    place,
)
from engine.model.change import Probe, Risk
from engine.model.report import ObjectRef, Precondition

MOST: Final = 99
_SHOWN: Final = 3
_SHARE: Final = 10


def leaving(view: ClusterView, node: str) -> list[Object]:
    """Return the pods that a drain of `node` moves: not those of DaemonSets, static or ended."""
    return [
        pod
        for pod in view.pods_on(node)
        if not is_done(pod) and not is_mirror(pod) and not _stays(view, pod)
    ]


def _stays(view: ClusterView, pod: Object) -> bool:
    controller = view.controller(pod)
    return controller is not None and controller.kind == "DaemonSet"


def _build(view: ClusterView, ref: ObjectRef, params: NoParams, change_id: str) -> list[Edit]:  # noqa: ARG001 - the form of all templates
    node = found(view, ref, ("Node",))
    why = view.why_unread("pods")
    if why:
        raise Unfit(f"{ref}: which pods it runs is not known: {why}")
    pods = leaving(view, ref.name)
    bare = [str(view.ref(pod)) for pod in pods if view.controller(pod) is None]
    if bare:
        raise Unfit(clean(f"{ref}: nothing would make anew {', '.join(bare[:_SHOWN])}"))
    if len(pods) > MOST:
        raise Unfit(f"{ref} runs {len(pods)} pods that would move: more than {MOST}")
    cordon = [] if is_cordoned(node) else [cordoning(view, node, change_id)]
    edits = [*cordon, *_waves(view, pods, first=len(cordon))]
    if not edits:
        raise Unfit(f"{ref} is cordoned, and nothing is left on it to move")
    return edits


def _waves(view: ClusterView, pods: list[Object], *, first: int) -> list[Edit]:
    """One pod goes first; then, in each wave, at most a tenth of each workload's replicas."""
    edits: list[Edit] = []
    taken: Counter[str] = Counter()
    for pod in pods:
        top = view.workload(pod)
        workload = view.find(top)
        scaled = workload is not None and top.kind in SCALED
        share = max(1, replicas_of(workload) // _SHARE) if workload is not None and scaled else 1
        wave = 0 if not edits else 1 + taken[str(top)] // share
        taken[str(top)] += bool(edits)
        edits.append(evicting(view, pod, first + wave))
    return sorted(edits, key=lambda edit: edit.wave)


def _preconditions(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Precondition]:  # noqa: ARG001 - the form of all templates
    pods = leaving(view, ref.name)
    return [
        few_sick(view),
        others_open(view, ref),
        room_for(view, [mapping(pod, "spec") for pod in pods], without=ref.name),
        unblocked(view, pods),
        not_owned_elsewhere(view, ref),
    ]


def _probes(view: ClusterView, ref: ObjectRef, params: NoParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    again = whole_again(view, leaving(view, ref.name))
    return [Probe(name="gone"), Probe(name="drained", args=place(ref)), *again]


DRAIN: Final = Template(
    name="drain",
    summary="Cordon a node, then evict its pods in waves",
    risk=Risk.DISRUPTIVE,
    reversible="partly",
    why_reversible="the node is opened again; pods that moved stay where they are",
    params=NoParams,
    needs=(
        "nodes",
        "pods",
        "poddisruptionbudgets.policy",
        "replicasets.apps",
        "deployments.apps",
        "statefulsets.apps",
    ),
    build=_build,
    preconditions=_preconditions,
    probes=_probes,
    cures=False,
)
