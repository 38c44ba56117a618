"""scale: give a workload another number of replicas, within bounds."""

from typing import Final

from pydantic import Field

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import mapping, text, whole
from engine.analysis.resource import RESOURCE_OF
from engine.analysis.text import clean
from engine.changes.owner import not_owned_elsewhere
from engine.changes.templates.headroom import room_for
from engine.changes.templates.template import Edit, Template, Unfit, found, rollout_probe
from engine.model.change import Probe, Risk, Verb
from engine.model.config import Config
from engine.model.report import ObjectRef, Precondition

SCALED: Final = ("Deployment", "StatefulSet")
_MOST_JUDGED: Final = 1000


class ScaleParams(Config):
    """How many replicas there are to be."""

    replicas: int = Field(ge=1, description="at most double the present count plus one")


def replicas_of(workload: Object) -> int:
    """Return how many replicas a workload asks for; 1 where it does not say."""
    asked = whole(workload, "spec", "replicas")
    return 1 if asked is None else max(asked, 0)


def most(present: int) -> int:
    """Return the most replicas that one change may ask for."""
    return 2 * present + 1


def _build(
    view: ClusterView,
    ref: ObjectRef,
    params: ScaleParams,
    change_id: str,  # noqa: ARG001 - a Scale keeps no annotations
) -> list[Edit]:
    present = replicas_of(found(view, ref, SCALED))
    if params.replicas == present:
        raise Unfit(f"{ref} asks for {present} replicas already")
    if params.replicas > most(present):
        raise Unfit(
            f"{ref}: {params.replicas} replicas are more than double the present {present} plus one"
        )
    patch = {"spec": {"replicas": params.replicas}}
    return [Edit(Verb.SCALE, ref, RESOURCE_OF[ref.kind], patch)]


def _preconditions(view: ClusterView, ref: ObjectRef, params: ScaleParams) -> list[Precondition]:
    workload = view.find(ref)
    more = params.replicas - replicas_of(workload) if workload is not None else 0
    spec = mapping(workload, "spec", "template", "spec")
    room = [room_for(view, [spec] * min(more, _MOST_JUDGED))] if more > 0 else []
    return [*room, _no_autoscaler(view, ref), not_owned_elsewhere(view, ref)]


def _no_autoscaler(view: ClusterView, ref: ObjectRef) -> Precondition:
    name = "no autoscaler sets its replicas"
    for scaler in view.within("HorizontalPodAutoscaler", ref.namespace):
        aim = mapping(scaler, "spec", "scaleTargetRef")
        if (text(aim, "kind"), text(aim, "name")) == (ref.kind, ref.name):
            why = clean(f"{view.ref(scaler)} does: change its bounds instead")
            return Precondition(name=name, holds=False, why=why)
    why = view.why_unread(RESOURCE_OF["HorizontalPodAutoscaler"])
    return Precondition(name=name, holds=None if why else True, why=why or "none was found")


def _probes(view: ClusterView, ref: ObjectRef, params: ScaleParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    return [rollout_probe(ref)]


SCALE: Final = Template(
    name="scale",
    summary="Give a workload another number of replicas, at most double plus one",
    risk=Risk.DISRUPTIVE,
    reversible="yes",
    why_reversible="the present number is put back",
    params=ScaleParams,
    needs=(
        "deployments.apps",
        "statefulsets.apps",
        "horizontalpodautoscalers.autoscaling",
        "pods",
        "nodes",
    ),
    build=_build,
    preconditions=_preconditions,
    probes=_probes,
)
