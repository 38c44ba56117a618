"""Blast: what a change touches at worst, in words."""

from collections.abc import Sequence
from typing import Final

from engine.analysis.cluster_view import ClusterView, Object, key_of_ref
from engine.analysis.doors import Doors
from engine.analysis.field import labels, mappings, name_of, namespace_of
from engine.analysis.pod import is_done
from engine.analysis.text import clean
from engine.changes.templates import Edit
from engine.model.change import Verb
from engine.model.report import ObjectRef

_SHOWN: Final = 3


def blast(view: ClusterView, edits: Sequence[Edit]) -> str:
    """Return which pods, Services and entrances the objects of `edits` stand behind."""
    workloads = _workloads(view, edits)
    pods = _pods(view, edits)
    parts = [
        _counted(view, edits, pods),
        _services(view, pods),
        _entrances(view, workloads),
        *_scratch(view, edits),
        f"cluster {view.name}",
    ]
    return clean("; ".join(parts), 600)


def _pods(view: ClusterView, edits: Sequence[Edit]) -> list[Object]:
    """The pods that are replaced or evicted; a node that is merely closed keeps its own."""
    evicted = [view.find(edit.ref) for edit in edits if edit.verb is Verb.EVICT]
    rolled = [
        pod
        for edit in edits
        if edit.verb is not Verb.EVICT and edit.ref.kind != "Node"
        for pod in view.pods_of(edit.ref)
        if not is_done(pod)
    ]
    return [pod for pod in evicted if pod is not None] + rolled


def _workloads(view: ClusterView, edits: Sequence[Edit]) -> list[ObjectRef]:
    refs = [
        view.workload(pod)
        for edit in edits
        if edit.verb is Verb.EVICT and (pod := view.find(edit.ref)) is not None
    ]
    refs += [edit.ref for edit in edits if edit.verb is not Verb.EVICT and edit.ref.kind != "Node"]
    return list({key_of_ref(ref): ref for ref in refs}.values())


def _counted(view: ClusterView, edits: Sequence[Edit], pods: Sequence[Object]) -> str:
    nodes = [edit.ref.name for edit in edits if edit.ref.kind == "Node"]
    of_nodes = [f"node {name}" for name in nodes]
    owners = {str(view.workload(pod)) for pod in pods}
    named = ", ".join(sorted(owners)[:_SHOWN]) + (" ..." if len(owners) > _SHOWN else "")
    unread = view.why_unread("pods")
    if unread:
        return ", ".join([*of_nodes, f"how many pods is not known ({unread})"])
    of_pods = f"{len(pods)} {'pod' if len(pods) == 1 else 'pods'}"
    return ", ".join([*of_nodes, f"{of_pods} of {named}" if named else of_pods])


def _services(view: ClusterView, pods: Sequence[Object]) -> str:
    unread = view.why_unread("services")
    if unread:
        return f"which Services lead to them is not known ({unread})"
    struck = {id(pod) for pod in pods}
    names = [
        f"{namespace_of(service)}/{name_of(service)}"
        for service in view.of("Service")
        if any(
            id(pod) in struck
            for pod in view.selected(namespace_of(service), labels(service, "spec", "selector"))
        )
    ]
    if not names:
        return "no Service leads to them"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"behind Service {', '.join(names[:_SHOWN])}{more}"


def _entrances(view: ClusterView, workloads: Sequence[ObjectRef]) -> str:
    doors = Doors(view)
    found = list(dict.fromkeys(door for ref in workloads for door in doors.to(ref)))
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        return f"users reach it by {', '.join(found[:_SHOWN])}{more}"
    if doors.why_unknown:
        return f"whether users reach it is not known ({doors.why_unknown})"
    return "no Ingress or outward Service leads to it"


def _scratch(view: ClusterView, edits: Sequence[Edit]) -> list[str]:
    """Say which evicted pods lose what they keep in an emptyDir."""
    evicted = [view.find(edit.ref) for edit in edits if edit.verb is Verb.EVICT]
    lost = [
        str(view.ref(pod))
        for pod in evicted
        if pod is not None
        and any("emptyDir" in volume for volume in mappings(pod, "spec", "volumes"))
    ]
    more = " ..." if len(lost) > _SHOWN else ""
    return [f"lost: the emptyDir of {', '.join(lost[:_SHOWN])}{more}"] if lost else []
