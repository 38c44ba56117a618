"""Builders of recorded clusters: healthy by default, one thing broken by each argument."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.analysis.resource import RESOURCE_OF
from engine.missions.kinds.incident_response.params import IncidentParams
from engine.missions.kinds.incident_response.run import incident_response
from engine.model.report import Finding, Incident, Report
from engine.model.snapshot import ClusterSnapshot, Snapshot

Raw = dict[str, Any]
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
ALL = frozenset(RESOURCE_OF.values())


def ago(minutes: float) -> str:
    return (NOON - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def an(kind: str, name: str, api: str = "v1", namespace: str = "shop", **fields: Any) -> Raw:
    meta: Raw = {"name": name, "uid": f"uid-{kind}-{namespace}-{name}"}
    meta |= {"namespace": namespace} if namespace else {}
    meta |= {"creationTimestamp": ago(3 * 24 * 60)}
    meta |= fields.pop("meta", {})
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def owned_by(owner: Raw) -> Raw:
    return {
        "ownerReferences": [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
    }


def a_node(name: str = "n1", ready: str = "True", **spec: Any) -> Raw:
    reason = {"True": "KubeletReady", "False": "KubeletNotReady"}.get(ready, "NodeStatusUnknown")
    entry = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": "Kubelet stopped posting node status." if ready == "Unknown" else "kubelet says",
        "lastTransitionTime": ago(10 if ready != "True" else 4000),
    }
    room = {"cpu": "8", "memory": "32Gi", "pods": "110"}
    return an(
        "Node",
        name,
        namespace="",
        spec=spec,
        status={"conditions": [entry], "allocatable": room, "capacity": room},
    )


def a_container(name: str = "app", image: str = "registry.example/web:1", **more: Any) -> Raw:
    return {"name": name, "image": image, "ports": [{"containerPort": 8080}], **more}


def running(name: str = "app", *, ready: bool = True, restarts: int = 0, **more: Any) -> Raw:
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": {"running": {"startedAt": ago(60)}},
        **more,
    }


def waiting(reason: str, message: str = "", name: str = "app", **more: Any) -> Raw:
    return {
        "name": name,
        "ready": False,
        "restartCount": more.pop("restarts", 0),
        "state": {"waiting": {"reason": reason, "message": message}},
        **more,
    }


def crashed(
    code: int = 1, reason: str = "Error", name: str = "app", message: str = "", restarts: int = 5
) -> Raw:
    ended = {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": ago(3),
        "finishedAt": ago(2),
    }
    return waiting(
        "CrashLoopBackOff",
        f"back-off 2m40s restarting failed container={name}",
        name,
        restarts=restarts,
        lastState={"terminated": ended},
    )


def a_pod(
    name: str = "web-1",
    *statuses: Raw,
    owner: Raw | None = None,
    node: str = "n1",
    ready: bool | None = None,
    **more: Any,
) -> Raw:
    seen = list(statuses) or [running()]
    is_ready = all(s["ready"] for s in seen) if ready is None else ready
    status: Raw = {
        "phase": more.pop("phase", "Running"),
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {
                "type": "Ready",
                "status": str(is_ready),
                "lastTransitionTime": ago(more.pop("unready", 8)),
            },
        ],
        "containerStatuses": seen,
        **more.pop("status", {}),
    }
    spec: Raw = {
        "nodeName": node,
        "containers": [a_container(s["name"]) for s in seen],
        **more.pop("spec", {}),
    }
    meta = {"labels": {"app": "web"}, **more.pop("meta", {})}
    meta |= owned_by(owner) if owner else {}
    return an("Pod", name, spec=spec, status=status, meta=meta, **more)


def a_template(**container: Any) -> Raw:
    return {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [a_container(**container)]},
    }


def a_deployment(name: str = "web", replicas: int = 1, ready: int = 1, **more: Any) -> Raw:
    status: Raw = {
        "replicas": replicas,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": replicas,
        "observedGeneration": 1,
        "conditions": more.pop("conditions", []),
    }
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "web"}},
        "template": more.pop("template", a_template()),
    }
    return an("Deployment", name, "apps/v1", spec=spec, status=status, **more)


def a_replicaset(
    owner: Raw,
    name: str,
    *,
    revision: int,
    made: float,
    template: Raw | None = None,
    ready: int = 1,
) -> Raw:
    meta = {
        "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        "creationTimestamp": ago(made),
        **owned_by(owner),
    }
    return an(
        "ReplicaSet",
        name,
        "apps/v1",
        spec={"replicas": ready, "template": template or a_template()},
        status={"replicas": ready, "readyReplicas": ready},
        meta=meta,
    )


def an_event(about: Raw, reason: str, message: str, minutes: float = 2, container: str = "") -> Raw:
    meta = about["metadata"]
    place: Raw = {"kind": about["kind"], "name": meta["name"], "uid": meta["uid"]}
    place |= {"namespace": meta["namespace"]} if "namespace" in meta else {}
    place |= {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
    return an(
        "Event",
        f"{meta['name']}.{reason}.{abs(hash_of(message))}",
        involvedObject=place,
        reason=reason,
        message=message,
        type="Warning",
        count=3,
        firstTimestamp=ago(minutes + 5),
        lastTimestamp=ago(minutes),
    )


def hash_of(message: str) -> int:
    return sum(ord(c) * (i + 1) for i, c in enumerate(message))


def a_service(name: str = "web", **more: Any) -> Raw:
    spec = {
        "selector": {"app": "web"},
        "ports": [{"port": 80, "targetPort": 8080}],
        "type": "ClusterIP",
    }
    return an("Service", name, spec=spec | more.pop("spec", {}), **more)


def a_cluster(
    *objects: Raw,
    name: str = "east",
    logs: Mapping[tuple[str, str, str, bool], str] | None = None,
    read: frozenset[str] | None = ALL,
    unread: Mapping[str, str] | None = None,
) -> ClusterSnapshot:
    return ClusterSnapshot(
        name,
        identity=f"uid-{name}",
        version="v1.36.3",
        taken_at=NOON,
        objects=objects,
        logs=logs or {},
        read=read,
        unread=unread or {},
    )


def a_snapshot(*clusters: ClusterSnapshot) -> Snapshot:
    return Snapshot({c.name: c for c in sorted(clusters, key=lambda c: c.name)})


def assessed(*objects: Raw, params: Mapping[str, str] | None = None, **more: Any) -> Report:
    return mission_on(a_cluster(*objects, **more), params=params)


def mission_on(*clusters: ClusterSnapshot, params: Mapping[str, str] | None = None) -> Report:
    return incident_response(a_snapshot(*clusters), IncidentParams(**(params or {})), NOON)


def the_incident(report: Report) -> Incident:
    assert len(report.incidents) == 1, [i.title for i in report.incidents]
    return report.incidents[0]


def causes(report: Report) -> list[str]:
    """The best cause of each incident."""
    return [incident.hypotheses[0].cause for incident in report.incidents]


def findings_of(report: Report, check: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.check == check]


def shuffled(objects: Iterable[Raw]) -> list[Raw]:
    return sorted(objects, key=lambda o: hash_of(str(o["metadata"]["name"])) % 97, reverse=True)
