"""restart, and what every roll-out asks of a workload."""

from datetime import UTC
from typing import Final

from pydantic import AwareDatetime, Field

from engine.analysis.change import WORKLOADS
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import flag, name_of, namespace_of, text
from engine.changes.owner import not_owned_elsewhere
from engine.changes.templates.template import (
    Edit,
    Template,
    Unfit,
    found,
    patching,
    rollout_probe,
)
from engine.model.change import Probe, Risk
from engine.model.config import Config
from engine.model.report import ObjectRef, Precondition

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"


class RestartParams(Config):
    """When the restart was asked for: the same instant is the same restart."""

    at: AwareDatetime = Field(description="written into the pod template")


def rolls_out(view: ClusterView, workload: Object) -> None:
    """Refuse a workload that does not roll out by itself when its template changes."""
    ref = view.ref(workload)
    if flag(workload, "spec", "paused"):
        raise Unfit(f"{ref} is paused: nothing rolls out before somebody resumes it")
    if text(workload, "spec", "updateStrategy", "type") == "OnDelete":
        raise Unfit(f"{ref} replaces its pods only when somebody deletes them (OnDelete)")


def _build(view: ClusterView, ref: ObjectRef, params: RestartParams, change_id: str) -> list[Edit]:
    workload = found(view, ref, WORKLOADS)
    rolls_out(view, workload)
    when = params.at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    template = {"metadata": {"annotations": {RESTARTED_AT: when}}}
    return [patching(view, workload, {"spec": {"template": template}}, change_id)]


def _preconditions(
    view: ClusterView,
    ref: ObjectRef,
    params: RestartParams,  # noqa: ARG001 - the form of all templates
) -> list[Precondition]:
    return [_logs_kept(view, ref), not_owned_elsewhere(view, ref)]


def _logs_kept(view: ClusterView, workload: ObjectRef) -> Precondition:
    """A restart destroys evidence."""
    keys = {(key[0], key[1]) for key in view.snapshot.logs}
    kept = sum((namespace_of(p), name_of(p)) in keys for p in view.pods_of(workload))
    return Precondition(
        name="the logs are kept before they go",
        holds=kept > 0,
        why=f"logs of {kept} pods are in the snapshot",
    )


def _probes(view: ClusterView, ref: ObjectRef, params: RestartParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    return [rollout_probe(ref)]


RESTART: Final = Template(
    name="restart",
    summary="Replace all pods of a workload, one after the other, as its strategy says",
    risk=Risk.DISRUPTIVE,
    reversible="no",
    why_reversible="pods that were replaced do not come back",
    params=RestartParams,
    needs=("deployments.apps", "statefulsets.apps", "daemonsets.apps", "pods"),
    build=_build,
    preconditions=_preconditions,
    probes=_probes,
)
