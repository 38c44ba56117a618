"""ClusterView: one cluster's snapshot with the indexes that checks need, built once.

Every index is linear in the objects; every sequence has one order, whatever the order of
the snapshot: (namespace, name), events by time. `why_unread` and `missing` say whether the
absence of an object means anything.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeAlias

from engine.analysis.event import Event, read_event
from engine.analysis.field import (
    flag,
    labels,
    mapping,
    mappings,
    name_of,
    namespace_of,
    text,
)
from engine.analysis.resource import CLUSTER_WIDE, RESOURCE_OF, is_ours
from engine.model.ids import canonical
from engine.model.report import ObjectRef, Unknown
from engine.model.snapshot import ClusterSnapshot

Object: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[str, str, str]
"""(kind, namespace, name); the namespace is empty for kinds of the whole cluster."""
_DEEPEST = 10


class ClusterView:
    """One cluster at one instant, read only.

    Args:
        snapshot: what was read; objects of any shape.
        now: instant of the assessment, aware UTC; `now` of the view is the snapshot's own
            `taken_at` where it has one, so that ages are those of the moment of reading.
    """

    def __init__(self, snapshot: ClusterSnapshot, now: datetime) -> None:
        self.snapshot = snapshot
        self.name = snapshot.name
        self.now = snapshot.taken_at or now
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

    # -- what absence means -------------------------------------------------------------

    def why_unread(self, resource: str) -> str:
        """Return why absence among `resource` (`pods`) says nothing; empty where it does."""
        snapshot = self.snapshot
        for what in (resource, "cluster"):
            if what in snapshot.unread:
                return snapshot.unread[what]
        if snapshot.read is None:
            return "a folder of manifests: what is absent may exist in the cluster"
        return "" if resource in snapshot.read else "not read"

    def missing(self, kind: str, namespace: str, name: str) -> bool | None:
        """Whether an object is certainly absent; None where that cannot be known."""
        if self.get(kind, namespace, name) is not None:
            return False
        resource = RESOURCE_OF.get(kind)
        return None if resource is None or self.why_unread(resource) else True

    def unknown(self, what: str, reason: str) -> Unknown:
        """Return the statement that `what` could not be told in this cluster."""
        return Unknown(what=what, cluster=self.name, reason=reason)

    # -- owners -------------------------------------------------------------------------

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

    @cached_property
    def _tops(self) -> Mapping[int, ObjectRef]:
        return {id(pod): self.top(pod) for pod in self.of("Pod")}

    def workload(self, pod: Object) -> ObjectRef:
        """Return the top controller of a pod of this view (remembered)."""
        return self._tops.get(id(pod)) or self.top(pod)

    # -- pods ---------------------------------------------------------------------------

    @cached_property
    def _pods_by_workload(self) -> Mapping[Key, list[Object]]:
        index: dict[Key, list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            index[key_of_ref(self.workload(pod))].append(pod)
        return index

    @cached_property
    def _pods_by_controller(self) -> Mapping[Key, list[Object]]:
        index: dict[Key, list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            owner = self.controller(pod)
            if owner is not None:
                index[key_of_ref(owner)].append(pod)
        return index

    @cached_property
    def _pods_by_node(self) -> Mapping[str, list[Object]]:
        index: dict[str, list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            node = text(pod, "spec", "nodeName")
            if node:
                index[node].append(pod)
        return index

    @cached_property
    def _pods_by_label(self) -> Mapping[tuple[str, str, str], list[Object]]:
        index: dict[tuple[str, str, str], list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            for label, value in labels(pod, "metadata", "labels").items():
                index[namespace_of(pod), label, value].append(pod)
        return index

    @cached_property
    def _pods_by_namespace(self) -> Mapping[str, list[Object]]:
        index: dict[str, list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            index[namespace_of(pod)].append(pod)
        return index

    def pods_of(self, workload: ObjectRef) -> Sequence[Object]:
        """Return the pods whose top controller (or self) is `workload`."""
        return self._pods_by_workload.get(key_of_ref(workload), ())

    def pods_controlled_by(self, controller: ObjectRef) -> Sequence[Object]:
        """Return the pods whose direct controller (a ReplicaSet, a Job) is `controller`."""
        return self._pods_by_controller.get(key_of_ref(controller), ())

    def pods_on(self, node: str) -> Sequence[Object]:
        """Return the pods bound to the node of this name."""
        return self._pods_by_node.get(node, ())

    def pods_in(self, namespace: str) -> Sequence[Object]:
        """Return the pods of `namespace`."""
        return self._pods_by_namespace.get(namespace, ())

    def selected(self, namespace: str, wanted: Mapping[str, str]) -> Sequence[Object]:
        """Return the pods of `namespace` that carry all labels `wanted`; none for no labels."""
        if not wanted:
            return ()
        lists = [self._pods_by_label.get((namespace, k, v), ()) for k, v in wanted.items()]
        fewest = min(lists, key=len)
        return [
            pod for pod in fewest if wanted.items() <= labels(pod, "metadata", "labels").items()
        ]

    # -- events and logs ----------------------------------------------------------------

    @cached_property
    def events(self) -> Sequence[Event]:
        """All Events, oldest first; one that both API groups gave counts once."""
        read = {event.id: event for event in map(read_event, self.of("Event"))}
        return sorted(read.values(), key=_event_order)

    @cached_property
    def _events_by_key(self) -> Mapping[Key, list[Event]]:
        index: dict[Key, list[Event]] = defaultdict(list)
        for event in self.events:
            index[event.kind, event.namespace, event.name].append(event)
        return index

    def events_of(self, obj: Object, *reasons: str) -> list[Event]:
        """Return the Events about `obj`, oldest first; with `reasons`, only those.

        An Event about an earlier object of the same name is left out.
        """
        key = key_of(obj)
        uid = text(obj, "metadata", "uid")
        found = [*self._events_by_key.get(key, ())]
        if key[0] in CLUSTER_WIDE:
            found += self._events_by_key.get((key[0], "default", key[2]), ())
        return [
            event
            for event in found
            if (not reasons or event.reason in reasons)
            and (not uid or event.uid in {"", uid, key[2]})
        ]

    def log(self, pod: Object, container: str, *, previous: bool) -> str | None:
        """Return the tail of a container's log, raw, None where it was not read."""
        key = (namespace_of(pod), name_of(pod), container, previous)
        found = self.snapshot.logs.get(key)
        return found if isinstance(found, str) else None

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


def _event_order(event: Event) -> tuple[str, str]:
    return (event.last.isoformat() if event.last else "", event.id)
