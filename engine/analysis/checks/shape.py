"""Objects whose fields have other types than the API gives them: nothing can be said of these."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from engine.analysis.cluster_view import ClusterView, Object, key_of
from engine.analysis.field import at
from engine.analysis.symptom import Check, Found
from engine.analysis.text import clean

_EVERY: Final[tuple[tuple[str, ...], ...]] = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec",),
    ("status",),
)
_LISTS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "Pod": (
        ("spec", "containers"),
        ("spec", "initContainers"),
        ("spec", "volumes"),
        ("status", "conditions"),
        ("status", "containerStatuses"),
        ("status", "initContainerStatuses"),
    ),
    "Node": (("status", "conditions"), ("spec", "taints")),
    "Service": (("spec", "ports"),),
    "Deployment": (("status", "conditions"), ("spec", "template", "spec", "containers")),
    "StatefulSet": (("spec", "template", "spec", "containers"),),
    "DaemonSet": (("spec", "template", "spec", "containers"),),
    "ReplicaSet": (("spec", "template", "spec", "containers"),),
    "Job": (("status", "conditions"),),
    "Ingress": (("spec", "rules"), ("spec", "tls")),
    "PersistentVolumeClaim": (("status", "conditions"),),
}
_SHOWN = 3


def malformed(view: ClusterView) -> Iterator[Found]:
    """Yield one unknown a kind for the objects with fields of a wrong type."""
    wrong: dict[str, list[str]] = defaultdict(list)
    for kind in view.kinds():
        paths = (*_EVERY, *_LISTS.get(kind, ()))
        for obj in view.of(kind):
            fault = _fault(obj, paths)
            if fault:
                _, namespace, name = key_of(obj)
                wrong[kind].append(
                    f"{namespace}/{name} {fault}" if namespace else f"{name} {fault}"
                )
    for kind, found in sorted(wrong.items()):
        shown = "; ".join(found[:_SHOWN]) + ("; ..." if len(found) > _SHOWN else "")
        yield view.unknown(
            clean(f"{len(found)} objects of kind {kind}: {shown}"), "fields of an unexpected type"
        )


def _fault(obj: Object, paths: tuple[tuple[str, ...], ...]) -> str:
    for path in paths:
        found = at(obj, *path)
        if found is None or isinstance(found, dict):
            continue
        if path in _EVERY:
            return f"{'.'.join(path)} is a {_type(found)}"
        if not _is_list_of_mappings(found):
            return f"{'.'.join(path)} is no list of objects"
    return ""


def _is_list_of_mappings(found: Any) -> bool:
    return isinstance(found, list) and all(isinstance(item, dict) for item in found)


def _type(found: Any) -> str:
    names = {str: "text", list: "list", bool: "boolean", int: "number", float: "number"}
    return names.get(type(found), "value")


CHECKS = (Check("shape", "objects of the form that the API gives them", malformed, ()),)
