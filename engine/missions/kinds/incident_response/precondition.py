"""What must hold before a remedy is safe, each looked up in the snapshot: yes, no or unknown."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import (
    condition,
    flag,
    labels,
    mapping,
    mappings,
    name_of,
    namespace_of,
    text,
    texts,
    whole,
)
from engine.analysis.pod import created, is_done
from engine.analysis.reference import Reference, absent, references
from engine.analysis.revision import Revision, revisions
from engine.analysis.selector import selects
from engine.analysis.text import clean
from engine.model.report import ObjectRef, Precondition

_GITOPS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}
_SHOWN = 3
_HOUR = timedelta(hours=1)


def of_rollback(view: ClusterView, workload: ObjectRef) -> list[Precondition]:
    """Return the preconditions of going back to the previous revision of `workload`."""
    history = revisions(view, workload)
    previous = history[1] if len(history) > 1 else None
    return [
        _previous_exists(view, workload, history),
        *([_previous_served(previous), _references_there(view, previous)] if previous else []),
        *([_no_migration(view, workload, history[0])] if previous else []),
        not_owned_elsewhere(view, workload),
    ]


def _previous_exists(
    view: ClusterView, workload: ObjectRef, history: list[Revision]
) -> Precondition:
    name = "a previous revision exists"
    if len(history) > 1:
        return Precondition(name=name, holds=True, why=f"{history[1].ref}")
    kind = "replicasets.apps" if workload.kind == "Deployment" else "controllerrevisions.apps"
    why = view.why_unread(kind)
    return Precondition(
        name=name, holds=None if why else False, why=why or "the cluster keeps no earlier one"
    )


def _previous_served(previous: Revision) -> Precondition:
    ready = whole(previous.object, "status", "readyReplicas") or 0
    name = "the previous revision was healthy"
    if ready > 0:
        return Precondition(name=name, holds=True, why=f"{ready} of its pods are ready now")
    return Precondition(name=name, holds=None, why="none of its pods runs; no record of its health")


def _references_there(view: ClusterView, previous: Revision) -> Precondition:
    namespace = namespace_of(previous.object)
    needed = [r for r in references(previous.spec) if not r.optional]
    gone = [r for r in needed if absent(view, namespace, r)]
    unsure = [r for r in needed if absent(view, namespace, r) is None]
    name = "what the previous revision refers to exists"
    if gone:
        return Precondition(name=name, holds=False, why=f"missing: {_named(gone)}")
    if unsure:
        return Precondition(name=name, holds=None, why=f"not read: {_named(unsure)}")
    return Precondition(name=name, holds=True, why=f"{len(needed)} references, none missing")


def _named(found: list[Reference]) -> str:
    names = list(dict.fromkeys(f"{r.kind} {r.name} {r.key}".rstrip() for r in found))
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


def not_owned_elsewhere(view: ClusterView, target: ObjectRef) -> Precondition:
    """Whether nothing would undo the change: Argo CD, Flux, Helm."""
    name = "no other tool owns the object"
    obj = view.find(target)
    if obj is None:
        return Precondition(name=name, holds=None, why=f"{target} was not read")
    marks = {**labels(obj, "metadata", "labels"), **labels(obj, "metadata", "annotations")}
    owner = next((tool for mark, tool in _GITOPS.items() if mark in marks), "")
    if not owner and marks.get("app.kubernetes.io/managed-by") == "Helm":
        owner = "Helm"
    if owner:
        return Precondition(name=name, holds=False, why=f"{owner} does: change its source instead")
    return Precondition(name=name, holds=True, why="no mark of Argo CD, Flux or Helm")


def of_restart(view: ClusterView, workload: ObjectRef) -> list[Precondition]:
    """Return the preconditions of a restart: it destroys evidence."""
    keys = {(key[0], key[1]) for key in view.snapshot.logs}
    kept = sum((namespace_of(p), name_of(p)) in keys for p in view.pods_of(workload))
    return [
        Precondition(
            name="the logs are kept before they go",
            holds=kept > 0,
            why=f"logs of {kept} pods are in the snapshot",
        )
    ]


def of_drain(view: ClusterView, node: ObjectRef) -> list[Precondition]:
    """Return the preconditions of draining `node`: others must bear it."""
    sick = [n for n in view.of("Node") if condition(n, "Ready").get("status") != "True"]
    others = [
        n
        for n in view.of("Node")
        if name_of(n) != node.name and n not in sick and not flag(n, "spec", "unschedulable")
    ]
    return [
        Precondition(
            name="at most one node is unhealthy",
            holds=len(sick) <= 1,
            why=f"{len(sick)} of {len(view.of('Node'))} nodes are not ready",
        ),
        Precondition(
            name="another node can take pods",
            holds=bool(others),
            why=f"{len(others)} other nodes are ready and open",
        ),
        _budgets(view, node),
    ]


def _budgets(view: ClusterView, node: ObjectRef) -> Precondition:
    name = "no disruption budget blocks it"
    why = view.why_unread("poddisruptionbudgets.policy")
    if why:
        return Precondition(name=name, holds=None, why=why)
    spaces = {namespace_of(pod) for pod in view.pods_on(node.name) if not is_done(pod)}
    blocking = [
        f"{namespace_of(b)}/{name_of(b)}"
        for b in view.of("PodDisruptionBudget")
        if namespace_of(b) in spaces
        and whole(b, "status", "disruptionsAllowed") == 0
        and _covers(view, b, node)
    ]
    told = clean(", ".join(blocking[:_SHOWN]))
    return Precondition(
        name=name, holds=not blocking, why=f"blocked by {told}" if blocking else "none blocks"
    )


def _covers(view: ClusterView, budget: Object, node: ObjectRef) -> bool:
    selector = mapping(budget, "spec", "selector")
    return any(
        namespace_of(pod) == namespace_of(budget)
        and selects(selector, labels(pod, "metadata", "labels"))
        for pod in view.pods_on(node.name)
    )
