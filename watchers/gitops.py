"""What Argo CD and Flux say of drift, taken off their objects; pure.

Source: applications.argoproj.io (status.sync, status.resources, status.operationState);
kustomizations.kustomize.toolkit.fluxcd.io and helmreleases.helm.toolkit.fluxcd.io (conditions).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from engine.model.watch import Object

APPLICATIONS: Final = "applications.argoproj.io"
KUSTOMIZATIONS: Final = "kustomizations.kustomize.toolkit.fluxcd.io"
HELM_RELEASES: Final = "helmreleases.helm.toolkit.fluxcd.io"
HERE: Final = frozenset({"https://kubernetes.default.svc", "in-cluster"})
"""Destinations that are the cluster itself."""
_ENTRY = re.compile(r"([^_]*)_(.+)_([^_]*)_([^_]+)")
_TOLD: Final = 200
_MOST: Final = 50

State: TypeAlias = dict[str, Any]
"""Data of a drift signal, but for `since`; without `drifted` where nobody can say for now."""


def argo_states(application: Object) -> list[State] | None:
    """Return the state of each resource of an Application, None where Argo CD does not know.

    Of one that is synced to another cluster only the Application itself is told of, as its
    resources are not here.
    """
    status, spec = _map(application, "status"), _map(application, "spec")
    sync = _map(status, "sync")
    if _word(sync, "status") not in {"Synced", "OutOfSync"}:
        return None
    app = app_of(application)
    syncing = _map(status, "operationState").get("phase") == "Running" or "operation" in application
    common: State = {
        "app": app,
        "source": "argocd",
        "syncing": syncing,
        "revision": _revision(sync),
    }
    resources = [one for one in _list(status, "resources") if not one.get("hook")]
    destination = _map(spec, "destination")
    place = destination.get("server") or destination.get("name")
    if not (isinstance(place, str) and place in HERE):
        differing = [_named(one) for one in resources if one.get("status") == "OutOfSync"]
        drifted = sync["status"] == "OutOfSync"
        return [
            {**common, **_own(application), **_difference("modified", differing, drifted=drifted)}
        ]
    return [{**common, **state} for one in resources if (state := _resource(one))]


def _resource(one: Mapping[str, Any]) -> State | None:
    status, health = _word(one, "status"), str(_map(one, "health").get("status") or "")
    if status not in {"Synced", "OutOfSync", "Unknown"}:
        return None
    difference = "modified"
    if health == "Missing":
        difference = "missing"
    elif one.get("requiresPruning"):
        difference = "extra"
    group, version = one.get("group"), str(one.get("version") or "")
    state: State = {
        "kind": str(one.get("kind") or ""),
        "apiVersion": f"{group}/{version}" if group else version,
        "namespace": str(one.get("namespace") or ""),
        "name": str(one.get("name") or ""),
        "uid": "",
        "workload": str(one.get("name") or ""),
    }
    if status == "Unknown":
        return state
    state |= _difference(difference, [], drifted=status == "OutOfSync")
    return {**state, "health": health} if health else state


def flux_state(obj: Object) -> State | None:
    """Return the state of a Kustomization or HelmRelease, None where Flux does not say.

    It is drifted while Flux could not make of the cluster what is desired.
    """
    if suspended(obj):
        return None
    status = _map(obj, "status")
    conditions = {str(one.get("type")): one for one in _list(status, "conditions")}
    ready = conditions.get("Ready", {})
    syncing = conditions.get("Reconciling", {}).get("status") == "True"
    if _word(ready, "status") not in {"True", "False"} and not syncing:
        return None
    drifted = ready.get("status") == "False"
    revision = status.get("lastAttemptedRevision") or status.get("lastAppliedRevision")
    state: State = {
        "app": app_of(obj),
        "source": "flux",
        "syncing": syncing or _word(ready, "reason") in {"Progressing", "ProgressingWithRetry"},
        "revision": str(revision or ""),
        **_own(obj),
        **_difference("modified", [], drifted=drifted),
    }
    if not drifted:
        return state
    said = f"{ready.get('reason', '')}: {ready.get('message', '')}"
    return {**state, "health": str(ready.get("reason", "")), "message": said[:_TOLD]}


def suspended(obj: Object) -> bool:
    """Whether Flux was told to leave it alone: nothing is drift there."""
    return bool(_map(obj, "spec").get("suspend"))


def inventory(kustomization: Object) -> list[State]:
    """Return the objects that a Kustomization applied, each as far as its inventory says.

    An entry is NAMESPACE_NAME_GROUP_KIND, with the version beside it; a name of RBAC may hold
    colons, which are written as two underscores.
    """
    state = flux_state(kustomization)
    if state is None or _map(kustomization, "spec").get("kubeConfig"):
        return []  # nothing is known yet, or all of it is in another cluster
    common = {name: state[name] for name in ("app", "source", "syncing", "revision")}
    found = []
    for entry in _list(_map(_map(kustomization, "status"), "inventory"), "entries"):
        match = _ENTRY.fullmatch(str(entry.get("id", "")))
        if match:
            namespace, name, group, kind = match.groups()
            version = str(entry.get("v", ""))
            api_version = f"{group}/{version}" if group else version
            named = {"namespace": namespace, "name": name.replace("__", ":")}
            found.append({**common, "kind": kind, "apiVersion": api_version, **named})
    return found


def beside(state: State, live: Object | None) -> State:
    """Return the state of an object of an inventory: there or missing."""
    if live is None:
        gone = {"uid": "", "workload": state["name"], "labels": {}}
        return {**state, **gone, **_difference("missing", [], drifted=True)}
    return {**state, **_own(live), **_difference("", [], drifted=False)}


def _own(obj: Object) -> State:
    metadata = _map(obj, "metadata")
    return {
        "kind": str(obj.get("kind", "")),
        "apiVersion": str(obj.get("apiVersion", "")),
        "namespace": str(metadata.get("namespace") or ""),
        "name": str(metadata.get("name", "")),
        "uid": str(metadata.get("uid", "")),
        "workload": str(metadata.get("name", "")),
        "labels": _map(metadata, "labels"),
    }


def _difference(difference: str, paths: list[str], *, drifted: bool) -> State:
    if not drifted:
        return {"drifted": False}
    return {"drifted": True, "difference": difference, "paths": sorted(paths)[:_MOST]}


def app_of(obj: Object) -> str:
    """Return what an application is called in signals."""
    return str(_map(obj, "metadata").get("name", ""))


def _named(one: Mapping[str, Any]) -> str:
    parts = (one.get("kind"), one.get("namespace"), one.get("name"))
    return "/".join(str(part) for part in parts if part)


def _revision(sync: Mapping[str, Any]) -> str:
    several = sync.get("revisions")
    texts = several if isinstance(several, list) and several else [sync.get("revision") or ""]
    return ",".join(map(str, texts))


def _word(value: Mapping[str, Any], name: str) -> str:
    """Return a text, empty where something else stands: that may not even have a hash."""
    inner = value.get(name)
    return inner if isinstance(inner, str) else ""


def _map(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inner = value.get(name)
    return inner if isinstance(inner, Mapping) else {}


def _list(value: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    inner = value.get(name)
    return (
        (one for one in inner if isinstance(one, Mapping)) if isinstance(inner, list) else iter(())
    )
