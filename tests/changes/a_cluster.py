"""A cluster at the port of the change path: objects with uids and versions, kept in memory.

Its controllers are quick: a Deployment is rolled out as soon as it is written, unless its image
is bad, or gets sick later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

from engine.analysis.cluster_view import ClusterView
from engine.changes.look import Look
from engine.changes.merge import apply_patch, same
from engine.model.change import Draft, Operation, Verb
from engine.model.errors import ClusterError
from engine.model.signal import MADE_BY
from engine.model.snapshot import ClusterSnapshot

if TYPE_CHECKING:
    from engine.model.ports import Clock

Object: TypeAlias = dict[str, Any]
Key: TypeAlias = tuple[str, str, str]
Webhook: TypeAlias = Callable[[Operation, Object], Object]

RESOURCES = {
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "Pod": "pods",
    "Node": "nodes",
}
READ = frozenset(
    {
        *RESOURCES.values(),
        "events",
        "jobs.batch",
        "statefulsets.apps",
        "daemonsets.apps",
        "controllerrevisions.apps",
        "horizontalpodautoscalers.autoscaling",
        "poddisruptionbudgets.policy",
    }
)
GOOD, BAD = "shop:1", "shop:2-bad"
UID = "u-east"
SICK = "x-sick"


@dataclass
class Sent:
    """One request to write that reached the server, and whether it was kept."""

    who: str
    verb: Verb
    name: str
    dry_run: bool
    operation: Operation
    kept: bool = False


@dataclass
class ACluster:
    """The server. `faults` are raised by the next writes for good, before or after they are kept.

    Attributes:
        objects: by (resource, namespace, name).
        sent: every request to write.
        webhook: admission, asked of each write; it may mutate or refuse.
        faults: (side, reason) of the next writes that are no dry runs.
        down: reason with which everything fails, empty while it serves.
        forbidden: verbs that the writer has no right to.
        between: called right before a write that is no dry run is looked at.
    """

    clock: Clock
    name: str = "east"
    objects: dict[Key, Object] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    webhook: Webhook | None = None
    faults: list[tuple[str, str]] = field(default_factory=list)
    down: str = ""
    forbidden: frozenset[Verb] = frozenset()
    between: Callable[[Operation], None] | None = None
    looks: int = 0
    critical: frozenset[str] = frozenset()
    budgets: int = 1000

    def __post_init__(self) -> None:
        self._versions = count(100)
        self._uids = count(1)

    # -- what a test does to it ---------------------------------------------------------

    def add(self, obj: Object) -> Object:
        """Make an object: it gets a uid and a version."""
        metadata = {**obj["metadata"], "uid": f"u-{next(self._uids)}"}
        metadata |= {"resourceVersion": str(next(self._versions)), "generation": 1}
        key = key_of(obj)
        self.objects[key] = settled({**deepcopy(obj), "metadata": metadata})
        return self.objects[key]

    def edit(self, kind: str, name: str, patch: Mapping[str, Any], namespace: str = "shop") -> None:
        """Change an object as somebody else does."""
        key = (RESOURCES[kind], "" if kind == "Node" else namespace, name)
        new = apply_patch(self.objects[key], patch)
        if "replicas" in (patch.get("spec") or {}):
            new = managed(new, "kubectl")
        self._keep(key, new)

    def remove(self, kind: str, name: str, namespace: str = "shop") -> Object:
        """Delete an object as somebody else does."""
        return self.objects.pop((RESOURCES[kind], namespace, name))

    def get(self, kind: str, name: str, namespace: str = "shop") -> Object:
        """Return an object as it is."""
        return self.objects[RESOURCES[kind], "" if kind == "Node" else namespace, name]

    @property
    def kept(self) -> list[Sent]:
        """The writes that changed something."""
        return [one for one in self.sent if one.kept]

    # -- the ports ----------------------------------------------------------------------

    def port(self, who: str) -> APort:
        """Return the server as seen by one identity."""
        return APort(self, who)

    async def look(self, draft: Draft) -> Look:
        """Read all of it, and judge it."""
        self.looks += 1
        self.serves()
        return self.assess(self.snapshot(), draft)

    def assess(self, snapshot: ClusterSnapshot, draft: Draft) -> Look:
        """The kind of these tests finds Deployments whose image is bad."""
        bad = [
            one
            for one in snapshot.objects
            if one["kind"] == "Deployment" and image_of(one).endswith("bad")
        ]
        findings = frozenset({SICK} if bad else set())
        return Look(
            ClusterView(snapshot, self.clock.now()), findings | self.critical, self.critical, True
        )

    def snapshot(self) -> ClusterSnapshot:
        """Return all of it."""
        objects = tuple(deepcopy(one) for one in self.objects.values())
        now = self.clock.now()
        return ClusterSnapshot(self.name, UID, "v1.36.3", now, objects, read=READ)

    # -- the server ---------------------------------------------------------------------

    def serves(self) -> None:
        """Fail while it is down."""
        if self.down:
            raise ClusterError(self.down, f"{self.name}: it is {self.down}")

    def written(self, who: str, operation: Operation, version: str, *, dry_run: bool) -> Any:
        """Do one write as the server would."""
        if not dry_run and self.between is not None:
            self.between(operation)
        sent = Sent(who, operation.verb, operation.target.name, dry_run, operation)
        self.sent.append(sent)
        if who == "proposer" and not dry_run:
            raise ClusterError("refused", "the proposer may only dry-run")
        self.serves()
        fault = self.faults.pop(0) if self.faults and not dry_run else ("", "")
        if fault[0] == "before":
            raise ClusterError(fault[1], "as planned")
        answer = self._written(operation, version, dry_run=dry_run)
        sent.kept = not dry_run
        if fault[0] == "after":
            raise ClusterError(fault[1], "as planned")
        return answer

    def _written(self, operation: Operation, version: str, *, dry_run: bool) -> Object | None:
        target = operation.target
        key = (target.resource, target.namespace, target.name)
        live = self.objects.get(key)
        if live is None:
            raise ClusterError("not-found", f"{target.name} is not there")
        if (live["metadata"]["uid"], live["metadata"]["resourceVersion"]) != (target.uid, version):
            raise ClusterError("conflict", f"{target.name} moved on")
        if operation.verb is Verb.EVICT:
            if self.budgets <= 0:
                raise ClusterError("blocked", "its disruption budget allows none")
            if not dry_run:
                self.budgets -= 1
                del self.objects[key]
            return None
        new = patched(live, operation)
        if self.webhook is not None:
            new = self.webhook(operation, deepcopy(new))
        if dry_run:
            return new
        return deepcopy(self._keep(key, new))

    def _keep(self, key: Key, new: Object) -> Object:
        old = self.objects[key]
        generation = old["metadata"]["generation"] + (not same(old.get("spec"), new.get("spec")))
        version = str(next(self._versions))
        metadata = {**new["metadata"], "resourceVersion": version, "generation": generation}
        self.objects[key] = settled({**new, "metadata": metadata})
        return self.objects[key]


@dataclass(frozen=True)
class APort:
    """The port `Writer`, as one identity."""

    cluster: ACluster
    who: str

    @property
    def name(self) -> str:
        return self.cluster.name

    async def identity(self) -> str:
        self.cluster.serves()
        return UID

    async def get(self, resource: str, namespace: str, name: str) -> Object:
        self.cluster.serves()
        found = self.cluster.objects.get((resource, namespace, name))
        if found is None:
            raise ClusterError("not-found", f"{resource} {name} is not there")
        return deepcopy(found)

    async def allowed(self, operation: Operation) -> bool:
        self.cluster.serves()
        return operation.verb not in self.cluster.forbidden

    async def write(self, operation: Operation, *, version: str, dry_run: bool) -> Object | None:
        answer: Object | None = self.cluster.written(self.who, operation, version, dry_run=dry_run)
        return answer


def key_of(obj: Mapping[str, Any]) -> Key:
    """Return where an object is kept."""
    metadata = obj["metadata"]
    return (RESOURCES[obj["kind"]], metadata.get("namespace", ""), metadata["name"])


def image_of(deployment: Mapping[str, Any]) -> str:
    """Return the image of its only container."""
    image: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return image


def patched(live: Object, operation: Operation) -> Object:
    """Return an object as `operation` makes it."""
    new = apply_patch(live, operation.patch)
    return managed(new, MADE_BY) if operation.verb is Verb.SCALE else new


def managed(obj: Object, manager: str) -> Object:
    """Return an object of which `manager` set the replicas, by the scale subresource."""
    own: Object = {"f:spec": {"f:replicas": {}}}
    entry = {"manager": manager, "operation": "Update", "subresource": "scale", "fieldsV1": own}
    return {**obj, "metadata": {**obj["metadata"], "managedFields": [entry]}}


def settled(obj: Object) -> Object:
    """Return a Deployment with the status that its controller gives it in the end."""
    if obj["kind"] != "Deployment":
        return obj
    replicas = obj["spec"].get("replicas", 1)
    up = 0 if image_of(obj).endswith("bad") else replicas
    status = {
        "observedGeneration": obj["metadata"]["generation"],
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": up,
        "availableReplicas": up,
    }
    return {**obj, "status": status}


def a_template(image: str) -> Object:
    """Return a pod template."""
    containers = [{"name": "app", "image": image}]
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}


def a_shop(cluster: ACluster, name: str = "web", image: str = BAD) -> Object:
    """Make a Deployment that was rolled out twice: with a good image, then with `image`."""
    deployment = cluster.add(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "web"}},
                "template": a_template(image),
            },
        }
    )
    for revision, its in ((1, GOOD), (2, image)):
        cluster.add(
            {
                "apiVersion": "apps/v1",
                "kind": "ReplicaSet",
                "metadata": {
                    "name": f"{name}-{revision}",
                    "namespace": "shop",
                    "annotations": {"deployment.kubernetes.io/revision": str(revision)},
                    "ownerReferences": [_owner(deployment)],
                },
                "spec": {"template": a_template(its)},
            }
        )
    return deployment


def a_node(cluster: ACluster, name: str, pods: int = 0) -> Object:
    """Make a node with pods of one ReplicaSet."""
    node = cluster.add(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name},
            "spec": {},
            "status": {
                "conditions": [{"type": "Ready", "status": "True"}],
                "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "100"},
            },
        }
    )
    owner = cluster.objects.get(("replicasets.apps", "shop", "web-2"))
    for number in range(pods):
        assert owner is not None
        cluster.add(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"web-{name}-{number}",
                    "namespace": "shop",
                    "labels": {"app": "web"},
                    "ownerReferences": [_owner(owner)],
                },
                "spec": {"nodeName": name, "containers": [{"name": "app", "image": GOOD}]},
                "status": {
                    "phase": "Running",
                    "startTime": datetime(2026, 1, 1, tzinfo=UTC).isoformat(),
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
        )
    return node


def _owner(obj: Object) -> Object:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }
