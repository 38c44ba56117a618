"""ClusterView: one cluster's snapshot as checks see it, with every index built once.

Sequences have one order, whatever the order of the snapshot: objects by (namespace, name),
events by time. `why_unread` and `missing` say whether the absence of an object means anything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

from engine.analysis.event import Event, read_event
from engine.analysis.field import labels, name_of, namespace_of, text
from engine.analysis.object_index import Key, Object, ObjectIndex, key_of, key_of_ref
from engine.analysis.resource import CLUSTER_WIDE, RESOURCE_OF
from engine.model.report import ObjectRef, Unknown
from engine.model.snapshot import ClusterSnapshot

__all__ = ["ClusterView", "Key", "Object", "key_of", "key_of_ref"]


class ClusterView(ObjectIndex):
    """One cluster at one instant, read only.

    Args:
        snapshot: what was read; objects of any shape.
        now: instant of the assessment, aware UTC; `now` of the view is the snapshot's own
            `taken_at` where it has one, so that ages are those of the moment of reading.
    """

    def __init__(self, snapshot: ClusterSnapshot, now: datetime) -> None:
        super().__init__(snapshot)
        self.now = snapshot.taken_at or now

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

    # -- pods ---------------------------------------------------------------------------

    @cached_property
    def _tops(self) -> Mapping[int, ObjectRef]:
        return {id(pod): self.top(pod) for pod in self.of("Pod")}

    def workload(self, pod: Object) -> ObjectRef:
        """Return the top controller of a pod of this view (remembered)."""
        return self._tops.get(id(pod)) or self.top(pod)

    @cached_property
    def _pods_by_workload(self) -> Mapping[Key, list[Object]]:
        index: dict[Key, list[Object]] = defaultdict(list)
        for pod in self.of("Pod"):
            index[key_of_ref(self.workload(pod))].append(pod)
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


def _event_order(event: Event) -> tuple[str, str]:
    return (event.last.isoformat() if event.last else "", event.id)
