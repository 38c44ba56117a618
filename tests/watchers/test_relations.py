"""Fields that depend on other objects: true, or left out, and told again when they move."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engine.model.signal import Signal
from engine.model.watch import WHOLE, ChangeType, Observation, Part, ResourceStatus
from tests.watchers.sources import Script, after, change, saw
from tests.watchers.virtual import VirtualClock, at_once
from watchers.memory import Forgetful
from watchers.objects import ObjectsConfig, watch_objects
from watchers.registry import Scene

ADDED, MODIFIED = ChangeType.ADDED, ChangeType.MODIFIED
DELETED, SYNCED = ChangeType.DELETED, ChangeType.SYNCED
RBAC = "rbac.authorization.k8s.io"
POLICIES, INGRESSES = "networkpolicies.networking.k8s.io", "ingresses.networking.k8s.io"
WORKLOADS = (
    "pods",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "replicasets.apps",
    "jobs.batch",
    "cronjobs.batch",
)
OF_NAMESPACES = ("namespaces", *WORKLOADS, "services", POLICIES, INGRESSES)
OLD = "2025-10-01T00:00:00Z"


def an_object(kind: str, name: str, space: str = "shop", **parts: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "uid": f"{kind}-{space}-{name}",
        "resourceVersion": "1",
        "creationTimestamp": OLD,
        **({"namespace": space} if space else {}),
        **parts.pop("metadata", {}),
    }
    groups = {"Role": f"{RBAC}/v1", "ClusterRole": f"{RBAC}/v1"}
    return {"apiVersion": groups.get(kind, "v1"), "kind": kind, "metadata": metadata, **parts}


def a_namespace(name: str = "shop") -> dict[str, Any]:
    return an_object("Namespace", name, "")


def a_pod(name: str, phase: str = "Running", owner: str = "", **spec: Any) -> dict[str, Any]:
    owners = [{"kind": owner, "name": "o", "uid": "o", "controller": True}] if owner else []
    metadata = {"ownerReferences": owners}
    return an_object("Pod", name, metadata=metadata, spec=spec, status={"phase": phase})


def of_claim(name: str) -> dict[str, Any]:
    return {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]}


class Timed(Script):
    """Shows each observation when its time has come."""

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        async for observation in super().watch(resource, status, part):
            await asyncio.sleep((observation.at - VirtualClock().now()).total_seconds())
            yield observation


def told(
    shown: dict[str, list[Observation]],
    *resources: str,
    memory: Any = None,
    every_s: float = 60.0,
) -> list[Signal]:
    """Return the signals of objects; resources without an observation are empty from the start."""
    names = resources or tuple(shown)
    everything = {name: shown.get(name, [saw(0)]) for name in names}
    config = ObjectsConfig(resources=names, related_every_s=every_s)
    kept = memory or Forgetful()

    async def run() -> list[Signal]:
        scene = Scene(Timed(everything), "uid", VirtualClock(), memory=lambda _: kept)
        return [s async for batch in watch_objects(config, scene) for s in batch]

    return [s for s in at_once(run()) if s.type == "k8s.object"]


def synced(*objects: dict[str, Any]) -> list[Observation]:
    return [saw(0, *(change(SYNCED, one) for one in objects), partial=True), saw(0)]


def fields(signals: list[Signal], kind: str, *names: str) -> list[tuple[Any, ...]]:
    """Return these fields of each signal of a kind, its change first; None where missing."""
    about = [s.data for s in signals if s.data["kind"] == kind]
    return [(data["change"], *(data.get(name) for name in names)) for data in about]


def test_a_namespace_says_from_the_start_what_is_in_it() -> None:
    found = told(
        {
            "namespaces": synced(a_namespace(), a_namespace("empty")),
            "pods": synced(
                a_pod("web"),
                a_pod("agent", owner="DaemonSet"),
                a_pod("waits", phase="Pending"),
                a_pod("done", phase="Succeeded"),
            ),
            "services": synced(
                an_object("Service", "in"),
                an_object("Service", "out", spec={"type": "NodePort"}),
            ),
            POLICIES: synced(an_object("NetworkPolicy", "a"), an_object("NetworkPolicy", "b")),
        },
        *OF_NAMESPACES,
    )
    names = ("name", "pods", "running", "exposed", "policies", "lastActivity")
    assert fields(found, "Namespace", *names) == [
        ("synced", "shop", 3, 1, True, 2, OLD),
        ("synced", "empty", 0, 0, False, 0, OLD),
    ]


@pytest.mark.parametrize(
    ("kind", "resource", "spec", "exposed"),
    [
        ("Service", "services", {"type": "LoadBalancer"}, True),
        ("Service", "services", {"type": "ClusterIP", "externalIPs": ["192.0.2.1"]}, True),
        ("Service", "services", {"type": "ClusterIP"}, False),
        ("Service", "services", {"type": ["odd"]}, False),
        ("Ingress", INGRESSES, {}, True),
    ],
)
def test_what_opens_a_namespace_to_the_outside(
    kind: str, resource: str, spec: dict[str, Any], exposed: bool
) -> None:
    door = an_object(kind, "door", spec=spec)
    shown = {"namespaces": synced(a_namespace()), resource: synced(door)}
    found = told(shown, *OF_NAMESPACES)
    assert fields(found, "Namespace", "exposed") == [("synced", exposed)]


def test_what_may_not_be_read_leaves_out_only_what_depends_on_it() -> None:
    shown = {
        "namespaces": synced(a_namespace()),
        POLICIES: [saw(0, fault="forbidden: no")],
        INGRESSES: [saw(0, fault="not-found: no such resource")],
    }
    found = told(shown, *OF_NAMESPACES)
    names = ("pods", "exposed", "policies", "lastActivity")
    assert fields(found, "Namespace", *names) == [("synced", 0, False, None, OLD)]


def test_what_is_not_watched_at_all_leaves_its_fields_out() -> None:
    found = told({"namespaces": synced(a_namespace())})
    names = ("pods", "running", "exposed", "policies", "lastActivity")
    assert fields(found, "Namespace", *names) == [("synced", None, None, None, None, None)]


def test_a_namespace_is_told_last_so_that_a_restart_takes_nothing_back() -> None:
    late = [saw(0, fault="unreachable: gone"), *synced(a_pod("web"))]
    found = told({"namespaces": synced(a_namespace()), "pods": late}, *OF_NAMESPACES)
    assert fields(found, "Namespace", "pods") == [("synced", 1)]


def test_a_resource_that_stays_away_is_not_waited_for_longer_than_a_minute() -> None:
    away = [saw(s, fault="timeout: slow") for s in range(0, 130, 10)]
    found = told({"namespaces": synced(a_namespace()), "pods": away}, *OF_NAMESPACES)
    assert fields(found, "Namespace", "pods", "policies") == [("synced", None, 0)]


def test_others_are_told_again_at_most_once_a_minute_with_an_id_of_its_own() -> None:
    pods = [saw(0), *(saw(s, change(ADDED, a_pod(f"p{s}"))) for s in range(1, 150))]
    found = told({"namespaces": synced(a_namespace()), "pods": pods}, *OF_NAMESPACES)
    assert fields(found, "Namespace", "pods") == [
        ("synced", 0),
        ("modified", 60),
        ("modified", 120),
    ]
    about = [s for s in found if s.data["kind"] == "Namespace"]
    assert len({s.id for s in about}) == 3
    assert all("old" not in s.data for s in about)
    assert [s.time for s in about] == [after(0), after(60), after(120)]


def test_what_says_nothing_new_is_not_told() -> None:
    changes = (change(MODIFIED, a_pod("web"), a_pod("web")) for _ in range(300))
    pods = [*synced(a_pod("web")), *(saw(s, one) for s, one in enumerate(changes, 1))]
    found = told({"namespaces": synced(a_namespace()), "pods": pods}, *OF_NAMESPACES)
    # The first of these changes is the newest activity of months.
    assert [one[0] for one in fields(found, "Namespace")] == ["synced", "modified"]


def test_a_deleted_object_says_nothing_any_more() -> None:
    pod = a_pod("web", **of_claim("data"))
    claim = an_object("PersistentVolumeClaim", "data")
    pods = [*synced(pod), saw(70, change(DELETED, pod)), saw(140)]
    shown = {"namespaces": synced(a_namespace()), "persistentvolumeclaims": synced(claim)}
    found = told({**shown, "pods": pods}, *OF_NAMESPACES, "persistentvolumeclaims")
    assert fields(found, "Namespace", "pods") == [("synced", 1), ("modified", 0)]
    claims = fields(found, "PersistentVolumeClaim", "used")
    assert claims == [("synced", True), ("modified", False)]


TEMPLATE = {"template": {"spec": of_claim("data-web-0")}}


@pytest.mark.parametrize(
    ("resource", "obj", "used"),
    [
        ("pods", a_pod("web", **of_claim("data-web-0")), True),
        ("pods", a_pod("done", phase="Succeeded", **of_claim("data-web-0")), True),
        ("pods", a_pod("web", **of_claim("data-web-1")), False),
        ("pods", a_pod("web", volumes=["odd", {"persistentVolumeClaim": 3}]), False),
        ("deployments.apps", an_object("Deployment", "d", spec=TEMPLATE), True),
        ("deployments.apps", an_object("Deployment", "d", "other", spec=TEMPLATE), False),
        ("jobs.batch", an_object("Job", "j", spec=TEMPLATE), True),
        (
            "cronjobs.batch",
            an_object("CronJob", "c", spec={"jobTemplate": {"spec": TEMPLATE}}),
            True,
        ),
        (
            "statefulsets.apps",
            an_object(
                "StatefulSet",
                "web",
                spec={"replicas": 0, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]},
            ),
            True,
        ),
        (
            "statefulsets.apps",
            an_object(
                "StatefulSet", "we", spec={"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
            ),
            False,
        ),
    ],
)
def test_a_claim_is_used_by_pods_and_by_templates_of_what_is_scaled_to_nothing(
    resource: str, obj: dict[str, Any], used: bool
) -> None:
    claim = an_object("PersistentVolumeClaim", "data-web-0")
    shown = {"persistentvolumeclaims": synced(claim), resource: synced(obj)}
    found = told(shown, "persistentvolumeclaims", *WORKLOADS)
    assert fields(found, "PersistentVolumeClaim", "used") == [("synced", used)]


def test_a_claim_is_not_called_unused_while_a_kind_of_workload_is_unknown() -> None:
    claims = synced(*(an_object("PersistentVolumeClaim", name) for name in ("a", "b")))
    shown = {
        "persistentvolumeclaims": claims,
        "pods": synced(a_pod("web", **of_claim("a"))),
        "cronjobs.batch": [saw(0, fault="forbidden: no")],
    }
    found = told(shown, "persistentvolumeclaims", *WORKLOADS)
    assert fields(found, "PersistentVolumeClaim", "used") == [("synced", True), ("synced", None)]


BINDING = f"rolebindings.{RBAC}"
ALL = [{"verbs": ["*"], "resources": ["pods"]}]
SOME = [{"verbs": ["get"], "resources": ["pods"]}]


def a_binding(role: str = "ops", kind: str = "Role", version: str = "1") -> dict[str, Any]:
    ref = {"kind": kind, "name": role}
    metadata = {"resourceVersion": version}
    return {**an_object("RoleBinding", "b", metadata=metadata), "roleRef": ref}


def bound(
    binding: list[Observation], roles: list[Observation], wide: list[Observation]
) -> list[tuple[Any, ...]]:
    shown = {BINDING: binding, f"roles.{RBAC}": roles, f"clusterroles.{RBAC}": wide}
    return fields(told(shown), "RoleBinding", "wildcard")


def test_a_binding_says_how_wide_its_role_is_by_kind_and_namespace() -> None:
    wide = synced(an_object("ClusterRole", "ops", "", rules=ALL))
    roles = synced(
        an_object("Role", "ops", rules=SOME), an_object("Role", "ops", "other", rules=ALL)
    )
    assert bound(synced(a_binding()), roles, wide) == [("synced", False)]
    assert bound(synced(a_binding(kind="ClusterRole")), roles, wide) == [("synced", True)]
    assert bound(synced(a_binding(role="none")), roles, wide) == [("synced", None)]


def test_a_new_binding_stays_new_until_its_role_is_there() -> None:
    """Who makes the binding first and the role afterwards is found all the same."""
    added = saw(5, change(ADDED, a_binding()))
    relabelled = saw(6, change(MODIFIED, a_binding(version="2"), a_binding()))
    role = an_object("Role", "ops", rules=ALL)
    roles = [saw(0), *(saw(s) for s in range(1, 20)), saw(20, change(ADDED, role))]
    later = [saw(s) for s in range(7, 40)]
    found = bound([saw(0), added, relabelled, *later], roles, [saw(0)])
    assert found == [("added", None), ("modified", None), ("added", True)]


def test_a_role_that_becomes_wider_makes_no_new_binding() -> None:
    before, now = (an_object("Role", "ops", rules=rules) for rules in (SOME, ALL))
    roles = [*synced(before), saw(70, change(MODIFIED, now, before))]
    found = bound([*synced(a_binding()), saw(90), saw(140)], roles, [saw(0)])
    assert found == [("synced", False), ("modified", True)]


def test_activity_is_the_newest_of_creation_writes_deletions_and_what_is_remembered() -> None:
    pod = a_pod("web")
    spaces = [a_namespace(name) for name in ("shop", "old", "gone")]
    written = {**an_object("Service", "s", "old"), "written": "2025-12-24T00:00:00Z"}
    memory = Forgetful()

    def shown(*pods: Observation) -> dict[str, list[Observation]]:
        return {
            "namespaces": synced(*spaces),
            "services": synced(written),
            "pods": [*synced(pod), *pods],
        }

    async def memories() -> dict[str, bytes]:
        return await memory.recall()

    at_once(memory.keep({"gone": b"2026-01-02T03:04:05+00:00", "odd": b"\xff", "no": b"1"}))
    found = told(shown(saw(70, change(DELETED, pod)), saw(140)), *OF_NAMESPACES, memory=memory)
    assert fields(found, "Namespace", "name", "lastActivity") == [
        ("synced", "shop", OLD),
        ("synced", "old", "2025-12-24T00:00:00Z"),
        ("synced", "gone", "2026-01-02T03:04:05Z"),
        ("modified", "shop", "2026-01-31T12:01:10Z"),
    ]
    assert at_once(memories())["gone"] == b"2026-01-02T03:04:05+00:00"
