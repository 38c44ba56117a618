"""Revisions of a workload, and what changed between two pod templates."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import at, mapping, mappings, text, whole
from engine.analysis.pod import created, is_ready
from engine.analysis.text import clean
from engine.model.report import ObjectRef

_NUMBER = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_REVISION_HASH = "controller-revision-hash"
_HISTORY: Final = {
    "Deployment": "ReplicaSet",
    "StatefulSet": "ControllerRevision",
    "DaemonSet": "ControllerRevision",
}
_PARTS: Final = ("image", "command", "args", "workingDir")
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle")
_POD_PARTS: Final = (
    "serviceAccountName",
    "securityContext",
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "volumes",
    "imagePullSecrets",
)
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its number, the object that keeps it, its pod spec."""

    number: int
    object: Object
    ref: ObjectRef
    spec: Mapping[str, Any]
    created: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One part of the template that changed; `part` is image, env, resources, probe, ..."""

    part: str
    container: str
    before: str
    after: str

    def __str__(self) -> str:
        where = f" of {self.container}" if self.container else ""
        return f"{self.part}{where}: {self.before or 'unset'} -> {self.after or 'unset'}"


def revisions(view: ClusterView, workload: ObjectRef) -> list[Revision]:
    """Return the revisions of a workload that the cluster keeps, the newest first."""
    owner, kind = view.find(workload), _HISTORY.get(workload.kind)
    if owner is None or kind is None:
        return []
    found = [_revision(view, obj) for obj in view.owned(owner, kind)]
    return sorted(found, key=lambda r: (-r.number, r.ref.name))


def template_of(revision: Revision) -> dict[str, Any]:
    """Return the whole pod template of `revision`, as its workload would hold it."""
    if text(revision.object, "kind") == "ReplicaSet":
        return plain_template(mapping(revision.object, "spec", "template"))
    return plain_template(mapping(revision.object, "data", "spec", "template"))


def plain_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a pod template without what a controller adds for its own book-keeping."""
    metadata = {k: v for k, v in mapping(template, "metadata").items() if v is not None}
    if "labels" in metadata:
        carried = mapping(metadata, "labels").items()
        metadata["labels"] = {key: value for key, value in carried if key != _HASH}
    kept = {key: value for key, value in template.items() if key not in {"$patch", "metadata"}}
    return {**kept, **({"metadata": metadata} if metadata else {})}


def earlier(view: ClusterView, workload: ObjectRef) -> list[Revision]:
    """Return the revisions that a workload can go back to, the best first.

    Those of which pods are ready come first, those that have pods and none is ready last;
    among equals the newest. The one that the workload asks for now is not among them.
    """
    history = revisions(view, workload)
    owner = view.find(workload)
    if _seen(owner):
        others = history[1:]
    else:
        wanted = plain_template(mapping(owner, "spec", "template"))
        others = [one for one in history if template_of(one) != wanted]
    return sorted(others, key=lambda one: _sickness(view, one))


def _seen(workload: Object | None) -> bool:
    """Whether the controller knows what is asked for now, so that the newest revision is that."""
    asked = whole(workload, "metadata", "generation") or 0
    return (whole(workload, "status", "observedGeneration") or asked) >= asked


def ready_pods(view: ClusterView, revision: Revision) -> int:
    """Return how many pods of `revision` are ready."""
    if text(revision.object, "kind") == "ReplicaSet":
        return whole(revision.object, "status", "readyReplicas") or 0
    return sum(map(is_ready, _pods(view, revision)))


def _sickness(view: ClusterView, revision: Revision) -> int:
    if ready_pods(view, revision):
        return 0
    has_pods = whole(revision.object, "status", "replicas") or len(_pods(view, revision))
    return 2 if has_pods else 1


def _pods(view: ClusterView, revision: Revision) -> list[Object]:
    """The pods of a ControllerRevision, marked with its name (StatefulSet) or its hash."""
    owner = view.controller(revision.object)
    known = {revision.ref.name, text(revision.object, "metadata", "labels", _REVISION_HASH)}
    pods = view.pods_of(owner) if owner is not None else ()
    return [pod for pod in pods if text(pod, "metadata", "labels", _REVISION_HASH) in known - {""}]


def _revision(view: ClusterView, obj: Object) -> Revision:
    if text(obj, "kind") == "ReplicaSet":
        number = text(obj, "metadata", "annotations", _NUMBER)
        spec = mapping(obj, "spec", "template", "spec")
        value = int(number) if number.isdecimal() and len(number) < _LONGEST else 0
    else:
        spec = mapping(obj, "data", "spec", "template", "spec")
        value = whole(obj, "revision") or 0
    return Revision(value, obj, view.ref(obj), spec, created(obj))


def rolled_out(view: ClusterView, workload: ObjectRef, revision: Revision) -> datetime | None:
    """Return when `revision` became the current one: by Event where there is one."""
    owner = view.find(workload)
    events = view.events_of(owner, "ScalingReplicaSet") if owner is not None else []
    scaled = f"Scaled up replica set {revision.ref.name} "
    told = [e.first for e in events if e.message.startswith(scaled) and e.first]
    return max([*told, *([revision.created] if revision.created else [])], default=None)


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return what differs between two pod specs, container by container.

    Values of environment variables are not shown, only their names: they may be secrets.
    """
    found: list[Difference] = []
    for field in ("initContainers", "containers"):
        before = {text(c, "name"): c for c in mappings(old, field)}
        after = {text(c, "name"): c for c in mappings(new, field)}
        for name in sorted(before.keys() | after.keys()):
            if name not in before or name not in after:
                was, now = ("", "added") if name in after else ("present", "")
                found.append(Difference("container", clean(name), was, now))
            else:
                found += _in_container(clean(name), before[name], after[name])
    return found + fields_changed(old, new, _POD_PARTS)


def fields_changed(
    old: Mapping[str, Any], new: Mapping[str, Any], fields: Iterable[str]
) -> list[Difference]:
    """Return which of `fields` differ between two objects, values in one line each."""
    return [
        Difference(field, "", _shown(old.get(field)), _shown(new.get(field)))
        for field in fields
        if old.get(field) != new.get(field)
    ]


def _in_container(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Difference]:
    for part in (*_PARTS, "ports", "securityContext", "volumeMounts"):
        if old.get(part) != new.get(part):
            yield Difference(part, name, _shown(old.get(part)), _shown(new.get(part)))
    yield from _environment(name, old, new)
    for group in ("requests", "limits"):
        before, after = mapping(old, "resources", group), mapping(new, "resources", group)
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                where = f"resources.{group}.{clean(key, 60)}"
                yield Difference(where, name, _shown(before.get(key)), _shown(after.get(key)))
    for part in _PROBES:
        if old.get(part) != new.get(part):
            yield Difference(part, name, _shown(old.get(part)), _shown(new.get(part)))


def _environment(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    before = {text(v, "name"): v for v in mappings(old, "env")}
    after = {text(v, "name"): v for v in mappings(new, "env")}
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            was = _source(before[key]) if key in before else ""
            now = _source(after[key]) if key in after else ""
            yield Difference(f"env {clean(key, 80)}", name, was, now)
    if at(old, "envFrom") != at(new, "envFrom"):
        yield Difference("envFrom", name, _shown(old.get("envFrom")), _shown(new.get("envFrom")))


def _source(variable: Mapping[str, Any]) -> str:
    """Say where a variable comes from, never what it holds."""
    for field in ("configMapKeyRef", "secretKeyRef"):
        ref = mapping(variable, "valueFrom", field)
        if ref:
            return clean(f"{field} {text(ref, 'name')}/{text(ref, 'key')}", _LONGEST)
    return "another source" if mapping(variable, "valueFrom") else "a value"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return clean(value, _LONGEST)
    return clean(_flat(value), _LONGEST)


def _flat(value: Any) -> str:
    """Write a small structure in one line: `httpGet.path=/live, periodSeconds=10`."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_flat(item)}" for key, item in sorted(value.items()))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + "; ".join(_flat(item) for item in value) + "]"
    return clean(value, _LONGEST)
