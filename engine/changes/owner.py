"""Owner: who else keeps an object, or the fields that a patch touches, as it wants them.

What such a tool owns is not patched in the cluster: it would be put back. The change belongs
into the tool's source, for which `Owner.patch` is written.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object
from engine.analysis.field import flag, labels, mapping, mappings, name_of, namespace_of, text
from engine.analysis.text import clean
from engine.changes.shown import shown
from engine.model.ids import canonical
from engine.model.report import ObjectRef, Precondition

ARGO, FLUX, HELM, OLM, HPA = "Argo CD", "Flux", "Helm", "OLM", "a HorizontalPodAutoscaler"

_MARKS: Final = {
    "argocd.argoproj.io/tracking-id": ARGO,
    "argocd.argoproj.io/instance": ARGO,
    "kustomize.toolkit.fluxcd.io/name": FLUX,
    "helm.toolkit.fluxcd.io/name": FLUX,
    "meta.helm.sh/release-name": HELM,
    "olm.owner": OLM,
}
"""Labels and annotations by which tools mark whole objects; the value names what owns it."""
_OLM_PREFIX: Final = "operators.coreos.com/"
_OLM_GROUP: Final = "operators.coreos.com"
_MANAGERS: Final = {
    "argocd-controller": ARGO,
    "argocd-application-controller": ARGO,
    "argocd-server": ARGO,
    "kustomize-controller": FLUX,
    "helm-controller": FLUX,
    "gotk-kustomize-controller": FLUX,
    "gotk-helm-controller": FLUX,
    "helm": HELM,
    "Helm": HELM,
    "olm": OLM,
    "catalog-operator": OLM,
    "operator-lifecycle-manager": OLM,
}
"""Field managers in managedFields."""
_LONGEST: Final = 400
_SCALER: Final = "kube-controller-manager"
_INSTEAD: Final = {
    ARGO: "change the source of {}, which Argo CD syncs from",
    FLUX: "change the source of {}, which Flux reconciles",
    HELM: "set it with helm upgrade, or go back with helm rollback, of {}",
    OLM: "change the Subscription or the resource behind {}",
    HPA: "change its minReplicas and maxReplicas, not the replicas of {}",
}


@dataclass(frozen=True)
class Owner:
    """One tool that owns the object or a field.

    Attributes:
        tool: `Argo CD`, `Helm`, the kind of a controller ...
        why: by which mark that is known.
        instead: where to change it, a clause.
        patch: what would be changed in the tool's source, as a kustomize patch has it; empty
            where there is no such source.
    """

    tool: str
    why: str
    instead: str
    patch: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        there = f"; there: {self.in_source}" if self.patch else ""
        return f"{self.tool} owns it ({self.why}): {self.instead}{there}"

    @property
    def in_source(self) -> str:
        """The patch for the source as JSON in one line, without credentials, cut short."""
        return clean(canonical(shown(dict(self.patch))).decode(errors="replace"), _LONGEST)


def owner_of(obj: Object, patch: Mapping[str, Any]) -> Owner | None:
    """Return who owns `obj`, or a field that the merge patch `patch` touches.

    Args:
        obj: the live object with its managedFields.
        patch: what would be merged in; empty for a write that leaves all fields as they are,
            such as an eviction: then nobody's fields are touched.
    """
    if not patch:
        return None
    tool, why = _of_object(obj) or _of_fields(obj, patch) or ("", "")
    if not tool:
        return None
    shown = clean(f"{text(obj, 'kind')} {name_of(obj)}")
    named = shown if tool == HPA else f"{shown}: {why}"
    instead = _INSTEAD.get(tool, "change what it makes it from, {}").format(named)
    source = _for_source(obj, patch) if tool in {ARGO, FLUX, HELM} else {}
    return Owner(tool, why, clean(instead), source)


def not_owned_elsewhere(view: ClusterView, target: ObjectRef) -> Precondition:
    """Whether nothing would undo a change, as far as labels, annotations and owners tell."""
    name = "no other tool owns the object"
    obj = view.find(target)
    if obj is None:
        return Precondition(name=name, holds=None, why=f"{target} was not read")
    owner = _of_object(obj)
    if owner is not None:
        return Precondition(
            name=name, holds=False, why=f"{owner[0]} does: change its source instead"
        )
    return Precondition(name=name, holds=True, why="no mark of Argo CD, Flux, Helm or OLM")


def _for_source(obj: Object, patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return `patch` with the name of its object and without the mark of the change."""
    metadata = {**mapping(patch, "metadata"), "name": name_of(obj)}
    metadata.pop("annotations", None)
    if namespace_of(obj):
        metadata["namespace"] = namespace_of(obj)
    head = {"apiVersion": text(obj, "apiVersion"), "kind": text(obj, "kind"), "metadata": metadata}
    body = {key: value for key, value in patch.items() if key != "metadata"}
    return {**head, **body}


def _of_object(obj: Object) -> tuple[str, str] | None:
    """Return (tool, mark) of who owns the whole object."""
    marks = {**labels(obj, "metadata", "labels"), **labels(obj, "metadata", "annotations")}
    for mark, tool in _MARKS.items():
        if mark in marks:
            return tool, clean(f"{mark} {marks[mark]}")
    if marks.get("app.kubernetes.io/managed-by") == "Helm":
        return HELM, "app.kubernetes.io/managed-by Helm"
    operator = next((mark for mark in marks if mark.startswith(_OLM_PREFIX)), "")
    if operator:
        return OLM, clean(operator)
    return _controller(obj)


def _controller(obj: Object) -> tuple[str, str] | None:
    for owner in mappings(obj, "metadata", "ownerReferences"):
        group = text(owner, "apiVersion").partition("/")[0]
        named = clean(f"owner {text(owner, 'kind')} {text(owner, 'name')}")
        if group == _OLM_GROUP:
            return OLM, named
        if flag(owner, "controller"):
            return clean(f"the controller of {text(owner, 'kind')}"), named
    return None


def _of_fields(obj: Object, patch: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (tool, mark) of whose fields `patch` touches, by managedFields."""
    for entry in mappings(obj, "metadata", "managedFields"):
        manager = text(entry, "manager")
        tool = _tool_of(entry)
        if tool and _overlap(patch, mapping(entry, "fieldsV1")):
            return tool, clean(f"field manager {manager}")
    return None


def _tool_of(entry: Mapping[str, Any]) -> str:
    """Name the tool behind an entry: only autoscalers scale as the controller manager."""
    manager = text(entry, "manager")
    if manager == _SCALER and text(entry, "subresource") == "scale":
        return HPA
    return _MANAGERS.get(manager, "")


def _overlap(patch: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether `patch` touches one of `fields` (fieldsV1); lists are touched whole."""
    for name, value in patch.items():
        below = fields.get(f"f:{name}")
        if not isinstance(below, dict):
            continue
        if not isinstance(value, Mapping) or not below or _overlap(value, below):
            return True
    return False
