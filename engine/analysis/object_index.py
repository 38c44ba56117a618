"""ObjectIndex: the objects of one snapshot by kind, place, name and uid, and who owns whom.

Every index is linear in the objects and built once, when it is first asked for; every
sequence is in order of (namespace, name), whatever the order of the snapshot.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias

from engine.analysis.field import (
    flag,
    mapping,
    mappings,
    name_of,
    namespace_of,
    text,
)
from engine.analysis.resource import CLUSTER_WIDE, is_ours
from engine.model.ids import canonical
from engine.model.report import ObjectRef
from engine.model.snapshot import ClusterSnapshot

Object: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, str, str]
"""(kind, namespace, name); the namespace is empty for kinds of the whole cluster."""
_DEEPEST = 10


class ObjectIndex:
    """The objects of `snapshot`, of any shape, read only; `name` is the cluster's."""

    def __init__(self, snapshot: ClusterSnapshot) -> None:
        self.snapshot = snapshot
        self.name = snapshot.name
        self._refs: dict[int, ObjectRef] = {}

    @cached_property
    def _kinds(self) -> Mapping[str, list[Object]]:
        kinds: dict[str, list[Object]] = defaultdict(list)
        for obj in self.snapshot.objects:
            kind, api = text(obj, "kind"), text(obj, "apiVersion")
            if kind and name_of(obj) and is_ours(kind, api):
                kinds[kind].append(obj)
        for found in kinds.values():
            _sort(found)
        return kinds

    @cached_property
    def nameless(self) -> int:
        """How many entries of the snapshot are no objects: without a kind or a name."""
        return sum(not (text(obj, "kind") and name_of(obj)) for obj in self.snapshot.objects)

    @cached_property
    def _by_key(self) -> Mapping[Key, Object]:
        index: dict[Key, Object] = {}
        for kind in sorted(self._kinds):
            for obj in self._kinds[kind]:
                index.setdefault(key_of(obj), obj)
        return index

    @cached_property
    def _by_uid(self) -> Mapping[str, Object]:
        index: dict[str, Object] = {}
        for kind in sorted(self._kinds):
            for obj in self._kinds[kind]:
                uid = text(obj, "metadata", "uid")
                if uid:
                    index.setdefault(uid, obj)
        return index

    # -- objects ------------------------------------------------------------------------

    def kinds(self) -> list[str]:
        """Return the kinds of which there are objects, in order of name."""
        return sorted(self._kinds)

    def of(self, kind: str) -> Sequence[Object]:
        """Return the objects of `kind` in order of (namespace, name)."""
        return self._kinds.get(kind, ())

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str], list[Object]]:
        index: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for kind, found in self._kinds.items():
            for obj in found:
                index[kind, namespace_of(obj)].append(obj)
        return index

    def within(self, kind: str, namespace: str) -> Sequence[Object]:
        """Return the objects of `kind` in `namespace`, in order of name."""
        return self._by_place.get((kind, namespace), ())

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object, None where the snapshot has none such (see `missing`)."""
        place = "" if kind in CLUSTER_WIDE else namespace
        return self._by_key.get((kind, place, name))

    def find(self, ref: ObjectRef) -> Object | None:
        """Return the object that `ref` names, None where the snapshot has none such."""
        return self.get(ref.kind, ref.namespace, ref.name)

    def ref(self, obj: Object) -> ObjectRef:
        """Return the reference to an object of this cluster (remembered by identity)."""
        known = self._refs.get(id(obj))
        if known is None:
            known = self._refs[id(obj)] = self._ref(obj)
        return known

    def _ref(self, obj: Object) -> ObjectRef:
        kind, namespace, name = key_of(obj)
        return ObjectRef(
            cluster=self.name,
            api_version=text(obj, "apiVersion"),
            kind=kind,
            namespace=namespace,
            name=name,
            uid=text(obj, "metadata", "uid"),
        )

    def named(self, kind: str, namespace: str, name: str) -> ObjectRef:
        """Return the reference to an object that may or may not exist."""
        found = self.get(kind, namespace, name)
        if found is not None:
            return self.ref(found)
        place = "" if kind in CLUSTER_WIDE else namespace
        return ObjectRef(cluster=self.name, kind=kind, namespace=place, name=name)

    @cached_property
    def _services_by_address(self) -> Mapping[str, Object]:
        index: dict[str, Object] = {}
        for service in self.of("Service"):
            address = text(service, "spec", "clusterIP")
            if address and address != "None":
                index.setdefault(address, service)
        return index

    def service_at(self, address: str) -> Object | None:
        """Return the Service with this cluster IP, None where there is none."""
        return self._services_by_address.get(address)

    def controller(self, obj: Object) -> ObjectRef | None:
        """Return the direct controller of `obj`, None for a bare object.

        A node is no controller: it is named by the mirror of a static pod, which is bare.
        """
        owners = [
            owner
            for owner in mappings(obj, "metadata", "ownerReferences")
            if text(owner, "kind") != "Node"
        ]
        chosen = [o for o in owners if flag(o, "controller")] or owners[:1]
        if not chosen or not (text(chosen[0], "kind") and text(chosen[0], "name")):
            return None
        owner = chosen[0]
        found = self._by_uid.get(text(owner, "uid"))
        if found is not None:
            return self.ref(found)
        kind = text(owner, "kind")
        known = self.named(kind, namespace_of(obj), text(owner, "name"))
        return known.model_copy(
            update={"api_version": text(owner, "apiVersion"), "uid": text(owner, "uid")}
        )

    def top(self, obj: Object) -> ObjectRef:
        """Return the top controller of `obj` (Pod -> ReplicaSet -> Deployment), or itself.

        A ReplicaSet that was not read but whose name ends in the pod's template hash
        stands for its Deployment.
        """
        ref = self.ref(obj)
        for _ in range(_DEEPEST):
            owner = self.controller(obj)
            if owner is None or owner == ref:
                return ref
            found = self.find(owner)
            if found is None:
                return _deployment_of(owner, obj)
            obj, ref = found, owner
        return ref

    def owned(self, owner: Object, kind: str) -> Iterator[Object]:
        """Yield the objects of `kind` that `owner` controls, in order of name."""
        yield from self._owned.get((key_of(owner), kind), ())

    @cached_property
    def _owned(self) -> Mapping[tuple[Key, str], list[Object]]:
        index: dict[tuple[Key, str], list[Object]] = defaultdict(list)
        for kind in ("ReplicaSet", "Job", "ControllerRevision"):
            for obj in self.of(kind):
                owner = self.controller(obj)
                if owner is not None:
                    index[key_of_ref(owner), kind].append(obj)
        return index


def key_of(obj: Object) -> Key:
    """Return (kind, namespace, name) of a raw object."""
    kind = text(obj, "kind")
    return kind, "" if kind in CLUSTER_WIDE else namespace_of(obj), name_of(obj)


def key_of_ref(ref: ObjectRef) -> Key:
    """Return (kind, namespace, name) of a reference."""
    return ref.kind, ref.namespace, ref.name


def _sort(found: list[Object]) -> None:
    """Sort by place; only namesakes are compared whole, so that the order is total."""
    names: dict[Key, int] = defaultdict(int)
    for obj in found:
        names[key_of(obj)] += 1
    found.sort(key=lambda o: (key_of(o), canonical(o) if names[key_of(o)] > 1 else b""))


def _deployment_of(owner: ObjectRef, pod: Object) -> ObjectRef:
    template_hash = text(mapping(pod, "metadata", "labels"), "pod-template-hash")
    suffix = f"-{template_hash}"
    if owner.kind != "ReplicaSet" or not template_hash or not owner.name.endswith(suffix):
        return owner
    return ObjectRef(
        cluster=owner.cluster,
        api_version="apps/v1",
        kind="Deployment",
        namespace=owner.namespace,
        name=owner.name.removesuffix(suffix),
    )
