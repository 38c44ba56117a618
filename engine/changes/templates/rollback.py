"""rollback: give a workload the pod template of an earlier revision that the cluster keeps."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from pydantic import Field

from engine.analysis.change import WORKLOADS
from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import (
    labels,
    mapping,
    mappings,
    name_of,
    namespace_of,
    text,
    texts,
)
from engine.analysis.pod import created
from engine.analysis.reference import Reference, absent, references
from engine.analysis.revision import (
    Revision,
    earlier,
    plain_template,
    ready_pods,
    revisions,
    template_of,
)
from engine.analysis.text import clean
from engine.changes.merge import diff_patch
from engine.changes.owner import not_owned_elsewhere
from engine.changes.templates.rolling import rolls_out
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

_SHOWN: Final = 3
_HOUR: Final = timedelta(hours=1)


class RollbackParams(Config):
    """Which revision to go back to."""

    revision: int | None = Field(
        None, ge=1, description="its number; without one the newest earlier one that was healthy"
    )


def _build(view: ClusterView, ref: ObjectRef, params: RollbackParams, change_id: str) -> list[Edit]:
    """Return the one patch: exactly the fields of the template that differ."""
    workload = found(view, ref, WORKLOADS)
    rolls_out(view, workload)
    chosen = target_revision(view, ref, params)
    if chosen is None:
        raise Unfit(f"{ref}: the cluster keeps no earlier revision of it")
    now = plain_template(mapping(workload, "spec", "template"))
    patch = diff_patch(now, template_of(chosen))
    if not patch:
        raise Unfit(f"{ref} has the pod template of revision {chosen.number} already")
    return [patching(view, workload, {"spec": {"template": patch}}, change_id)]


def target_revision(view: ClusterView, ref: ObjectRef, params: RollbackParams) -> Revision | None:
    """Return the revision that a rollback goes to, None where the cluster keeps no such one.

    Raises:
        Unfit: a revision was asked for that is not there.
    """
    kept = earlier(view, ref)
    if params.revision is None:
        return next(iter(kept), None)
    chosen = next((one for one in kept if one.number == params.revision), None)
    if chosen is None:
        raise Unfit(f"{ref}: revision {params.revision} is not among the earlier ones it keeps")
    return chosen


def _preconditions(view: ClusterView, ref: ObjectRef, params: RollbackParams) -> list[Precondition]:
    chosen = target_revision(view, ref, params)
    history = revisions(view, ref)
    of_chosen = (
        [
            _previous_served(view, chosen),
            _references_there(view, chosen),
            _no_migration(view, ref, history[0]),
        ]
        if chosen
        else []
    )
    return [_previous_exists(view, ref, chosen), *of_chosen, not_owned_elsewhere(view, ref)]


def _previous_exists(
    view: ClusterView, workload: ObjectRef, chosen: Revision | None
) -> Precondition:
    name = "a previous revision exists"
    if chosen is not None:
        return Precondition(name=name, holds=True, why=f"{chosen.ref}")
    kind = "replicasets.apps" if workload.kind == "Deployment" else "controllerrevisions.apps"
    why = view.why_unread(kind)
    return Precondition(
        name=name, holds=None if why else False, why=why or "the cluster keeps no earlier one"
    )


def _previous_served(view: ClusterView, chosen: Revision) -> Precondition:
    ready = ready_pods(view, chosen)
    name = "the previous revision was healthy"
    if ready > 0:
        return Precondition(name=name, holds=True, why=f"{ready} of its pods are ready now")
    return Precondition(name=name, holds=None, why="none of its pods runs; no record of its health")


def _references_there(view: ClusterView, chosen: Revision) -> Precondition:
    namespace = namespace_of(chosen.object)
    needed = [r for r in references(chosen.spec) if not r.optional]
    gone = [r for r in needed if absent(view, namespace, r)]
    unsure = [r for r in needed if absent(view, namespace, r) is None]
    name = "what the previous revision refers to exists"
    if gone:
        return Precondition(name=name, holds=False, why=f"missing: {_named(gone)}")
    if unsure:
        return Precondition(name=name, holds=None, why=f"not read: {_named(unsure)}")
    return Precondition(name=name, holds=True, why=f"{len(needed)} references, none missing")


def _named(missing: list[Reference]) -> str:
    names = list(dict.fromkeys(f"{r.kind} {r.name} {r.key}".rstrip() for r in missing))
    return clean(", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else ""))


def _no_migration(view: ClusterView, workload: ObjectRef, newest: Revision) -> Precondition:
    """A schema that moved on may not fit the previous program."""
    name = "no migration job ran since the previous revision"
    why = view.why_unread("jobs.batch")
    ran = [
        name_of(job)
        for job in view.of("Job")
        if namespace_of(job) == workload.namespace
        and _is_migration(job)
        and _around(created(job), newest.created)
    ]
    ran += [clean(text(c, "name")) for c in _migrating_init(newest)]
    if ran:
        return Precondition(name=name, holds=False, why=clean(f"ran: {', '.join(ran[:_SHOWN])}"))
    return Precondition(name=name, holds=None if why else True, why=why or "none was found")


def _around(when: datetime | None, rollout: datetime | None) -> bool:
    """Whether a job belongs to a roll-out: it came with it, or within the hour before."""
    return when is None or rollout is None or rollout - when < _HOUR


def _is_migration(job: Object) -> bool:
    words = [name_of(job), *labels(job, "metadata", "labels").values()]
    for container in mappings(job, "spec", "template", "spec", "containers"):
        words += [text(container, "name"), *texts(container, "command"), *texts(container, "args")]
    return any("migrat" in word.lower() for word in words)


def _migrating_init(revision: Revision) -> Iterator[Object]:
    for container in mappings(revision.spec, "initContainers"):
        words = [text(container, "name"), *texts(container, "command"), *texts(container, "args")]
        if any("migrat" in word.lower() for word in words):
            yield container


def _probes(view: ClusterView, ref: ObjectRef, params: RollbackParams) -> list[Probe]:  # noqa: ARG001 - the form of all templates
    return [rollout_probe(ref)]


ROLLBACK: Final = Template(
    name="rollback",
    summary="Give a workload the pod template of its previous healthy revision",
    risk=Risk.DISRUPTIVE,
    reversible="yes",
    why_reversible="the present pod template is put back, which rolls out once more",
    params=RollbackParams,
    needs=(
        "deployments.apps",
        "statefulsets.apps",
        "daemonsets.apps",
        "replicasets.apps",
        "controllerrevisions.apps",
        "jobs.batch",
        "pods",
    ),
    build=_build,
    preconditions=_preconditions,
    probes=_probes,
)
