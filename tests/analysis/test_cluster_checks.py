"""Checks of nodes, services, storage, jobs, scaling, admission, ingresses: sick and healthy."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.analysis.checks import (
    admission,
    ingresses,
    jobs,
    nodes,
    scaling,
    scheduling,
    service_ports,
    services,
    storage,
)
from engine.analysis.cluster_view import ClusterView
from engine.analysis.resource import RESOURCE_OF
from engine.analysis.symptom import Symptom
from engine.model.report import Unknown
from engine.model.snapshot import ClusterSnapshot

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODULES = (
    admission,
    ingresses,
    jobs,
    nodes,
    scaling,
    scheduling,
    service_ports,
    services,
    storage,
)
ALL = frozenset(RESOURCE_OF.values())
Raw = dict[str, Any]


def found(*objects: Raw, read: frozenset[str] | None = ALL) -> list[Symptom | Unknown]:
    view = ClusterView(ClusterSnapshot("c", objects=objects, read=read), NOON)
    return [item for module in MODULES for check in module.CHECKS for item in check.run(view)]


def words(*objects: Raw, read: frozenset[str] | None = ALL) -> list[str]:
    return [item.cause.word for item in found(*objects, read=read) if isinstance(item, Symptom)]


def an(kind: str, name: str, api: str = "v1", **fields: Any) -> Raw:
    meta = {"name": name, "namespace": "shop", "uid": f"{kind}-{name}", **fields.pop("meta", {})}
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def conditions(*entries: tuple[str, str, str, str]) -> list[Raw]:
    return [
        {
            "type": t,
            "status": s,
            "reason": r,
            "message": m,
            "lastTransitionTime": "2026-03-01T11:00:00Z",
        }
        for t, s, r, m in entries
    ]


def a_node(name: str = "n1", *entries: tuple[str, str, str, str], **spec: Any) -> Raw:
    healthy = entries or (("Ready", "True", "KubeletReady", "ok"),)
    return an("Node", name, spec=spec, status={"conditions": conditions(*healthy)})


def a_pod(name: str = "web-1", ready: str = "True", **spec: Any) -> Raw:
    ports = spec.pop("ports", [{"name": "http", "containerPort": 8080}])
    return an(
        "Pod",
        name,
        meta={"labels": spec.pop("labels", {"app": "web"})},
        spec={"nodeName": "n1", "containers": [{"name": "app", "ports": ports}], **spec},
        status={"phase": "Running", "conditions": conditions(("Ready", ready, "", ""))},
    )


def a_service(selector: Raw, target: Any = "http", **spec: Any) -> Raw:
    ports = [{"name": "web", "port": 80, "targetPort": target}]
    return an("Service", "web", spec={"selector": selector, "ports": ports, **spec})


def a_deployment(labels: Raw, replicas: int = 1) -> Raw:
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app"}]}}
    return an("Deployment", "web", "apps/v1", spec={"replicas": replicas, "template": template})


def an_event(about: Raw, reason: str, message: str) -> Raw:
    meta = about["metadata"]
    ref = {"kind": about["kind"], "namespace": "shop", "name": meta["name"], "uid": meta["uid"]}
    return an(
        "Event",
        f"{meta['name']}.{reason}",
        involvedObject=ref,
        reason=reason,
        message=message,
        type="Warning",
        lastTimestamp="2026-03-01T11:59:00Z",
    )


def a_job(name: str, outcome: str, created: str = "2026-03-01T10:00:00Z", **more: Any) -> Raw:
    reason = {"Failed": "BackoffLimitExceeded"}.get(outcome, "")
    status = {"conditions": conditions((outcome, "True", reason, "x")), "failed": 7}
    meta = {"creationTimestamp": created, **more.pop("meta", {})}
    return an("Job", name, "batch/v1", meta=meta, spec={"backoffLimit": 6}, status=status)


def owned_by(owner: Raw) -> Raw:
    meta = owner["metadata"]
    reference = {"kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return {
        "ownerReferences": [{"apiVersion": owner["apiVersion"], "controller": True, **reference}]
    }


CRON = an("CronJob", "nightly", "batch/v1", spec={"schedule": "0 3 * * *"})
CLASS = an("StorageClass", "fast", "storage.k8s.io/v1", volumeBindingMode="WaitForFirstConsumer")
REPLICAS = an("ReplicaSet", "web-1", "apps/v1", spec={"replicas": 3}, status={"replicas": 1})
QUOTA = an("ResourceQuota", "team", status={"hard": {"pods": "10"}, "used": {"pods": "10"}})


def a_claim(phase: str = "Pending", **spec: Any) -> Raw:
    return an("PersistentVolumeClaim", "data", spec=spec, status={"phase": phase})


def a_scaler(*entries: tuple[str, str, str, str], target: str = "web") -> Raw:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return an(
        "HorizontalPodAutoscaler",
        "web",
        "autoscaling/v2",
        spec={"scaleTargetRef": reference, "maxReplicas": 5},
        status={"desiredReplicas": 5, "conditions": conditions(*entries)},
    )


def a_budget(name: str = "web", allowed: int = 0, healthy: int = 1, **labels: str) -> Raw:
    return an(
        "PodDisruptionBudget",
        name,
        "policy/v1",
        spec={"selector": {"matchLabels": labels or {"app": "web"}}},
        status={"disruptionsAllowed": allowed, "currentHealthy": healthy, "expectedPods": 1},
    )


def an_ingress(service: str, port: Raw, secret: str = "") -> Raw:
    backend = {"service": {"name": service, "port": port}}
    tls = [{"secretName": secret}] if secret else []
    rules = [{"host": "shop.example", "http": {"paths": [{"path": "/", "backend": backend}]}}]
    return an("Ingress", "web", "networking.k8s.io/v1", spec={"rules": rules, "tls": tls})


SICK = {
    "node-not-ready": [a_node("n1", ("Ready", "False", "KubeletNotReady", "runtime is down"))],
    "node-unreachable": [a_node("n1", ("Ready", "Unknown", "NodeStatusUnknown", ""))],
    "disk-pressure": [a_node("n1", ("Ready", "True", "", ""), ("DiskPressure", "True", "", ""))],
    "node-problem": [a_node("n1", ("Ready", "True", "", ""), ("KernelDeadlock", "True", "", ""))],
    "cordoned": [a_node("n1", unschedulable=True)],
    "selector-mismatch": [a_service({"app": "wep"}), a_deployment({"app": "web", "x": "wep-1"})],
    "pods-not-ready": [a_service({"app": "web"}), a_pod(ready="False")],
    "scaled-to-zero": [a_service({"app": "web"}), a_deployment({"app": "web"}, 0)],
    "target-port-absent": [a_service({"app": "web"}, "https"), a_pod()],
    "storage-class-missing": [a_claim(storageClassName="nvme")],
    "provisioning-failed": [
        CLASS,
        claim := a_claim(storageClassName="fast"),
        an_event(claim, "ProvisioningFailed", "quota of disks is used up"),
    ],
    "volume-lost": [a_claim("Lost", volumeName="pv-1")],
    "backoff-limit": [a_job("import", "Failed")],
    "schedule-broken": [CRON, an_event(CRON, "TooManyMissedTimes", "too many missed start times")],
    "cronjob-failing": [
        CRON,
        *(
            a_job(f"n{d}", "Failed", f"2026-02-0{d}T03:00:00Z", meta=owned_by(CRON))
            for d in (1, 2, 3)
        ),
    ],
    "hpa-no-metric": [
        a_scaler(("ScalingActive", "False", "FailedGetResourceMetric", "missing request for cpu")),
        a_deployment({"app": "web"}),
    ],
    "hpa-at-maximum": [
        a_scaler(("ScalingLimited", "True", "TooManyReplicas", "")),
        a_deployment({"app": "web"}),
    ],
    "hpa-target-missing": [a_scaler(target="gone")],
    "pdb-blocks": [a_budget(), a_pod()],
    "pdb-idle": [a_budget(app="gone"), a_pod()],
    "pdb-doubled": [a_budget(allowed=1), a_budget("other", allowed=1), a_pod()],
    "quota-exceeded": [
        QUOTA,
        REPLICAS,
        an_event(
            REPLICAS,
            "FailedCreate",
            "exceeded quota: team, requested: pods=1, used: pods=10, limited",
        ),
    ],
    "webhook-down": [
        REPLICAS,
        an_event(
            REPLICAS, "FailedCreate", 'Internal error: failed calling webhook "a.b.io": refused'
        ),
    ],
    "pod-security": [
        REPLICAS,
        an_event(REPLICAS, "FailedCreate", "pods x is forbidden: violates PodSecurity restricted"),
    ],
    "service-missing": [an_ingress("gone", {"number": 80})],
    "backend-port-absent": [an_ingress("web", {"number": 81}), a_service({"app": "web"}), a_pod()],
    "secret-missing": [
        an_ingress("web", {"number": 80}, "cert"),
        a_service({"app": "web"}),
        a_pod(),
    ],
}
HEALTHY = {
    "a ready node": [a_node()],
    "a service with a ready pod": [a_service({"app": "web"}), a_pod()],
    "a numbered target port": [a_service({"app": "web"}, 8080), a_pod()],
    "a pod that declares no port": [a_service({"app": "web"}, 9999), a_pod(ports=[])],
    "a service without selector": [a_service({})],
    "an external service": [a_service({"app": "no"}, type="ExternalName")],
    "a bound claim": [CLASS, a_claim("Bound", storageClassName="fast")],
    "a claim that waits for its first pod": [CLASS, a_claim(storageClassName="fast")],
    "a complete job": [a_job("import", "Complete")],
    "a cron job that recovered": [
        CRON,
        *(a_job(f"n{d}", "Failed", f"2026-02-0{d}T03:00:00Z", meta=owned_by(CRON)) for d in (1, 2)),
        a_job("n3", "Complete", "2026-02-03T03:00:00Z", meta=owned_by(CRON)),
    ],
    "an autoscaler at its minimum": [
        a_scaler(("ScalingLimited", "True", "TooFewReplicas", "")),
        a_deployment({"app": "web"}),
    ],
    "a budget with room": [a_budget(allowed=1), a_pod()],
    "a budget in use": [a_budget(healthy=0), a_pod()],
    "an old refusal with all pods there": [
        full := an("ReplicaSet", "web-1", "apps/v1", spec={"replicas": 1}, status={"replicas": 1}),
        an_event(full, "FailedCreate", "exceeded quota: team, requested: pods=1, used: pods=10"),
    ],
    "an ingress to a port": [
        an_ingress("web", {"name": "web"}),
        a_service({"app": "web"}),
        a_pod(),
    ],
}


@pytest.mark.parametrize("word", SICK)
def test_each_trouble_is_found_with_its_cause_and_evidence(word: str) -> None:
    hits = [s for s in found(*SICK[word]) if isinstance(s, Symptom) and s.cause.word == word]
    assert len(hits) == 1
    assert hits[0].evidence


@pytest.mark.parametrize("name", HEALTHY)
def test_what_is_healthy_stays_silent(name: str) -> None:
    quiet = [word for word in words(*HEALTHY[name]) if word != "job-failed"]
    assert [word for word in quiet if word != "backoff-limit"] == []


def test_a_failed_job_is_history_once_a_later_run_succeeded() -> None:
    cron = copy.deepcopy(CRON)
    cron["status"] = {"lastSuccessfulTime": "2026-03-01T11:00:00Z"}
    assert words(cron, a_job("n1", "Failed", meta=owned_by(cron))) == []


def test_the_label_that_differs_is_named() -> None:
    symptoms = found(a_service({"app": "web", "tier": "front"}), a_deployment({"app": "web"}))
    assert "Deployment web carries no tier" in symptoms[0].title  # type: ignore[union-attr]


def test_in_a_folder_of_manifests_absence_is_unknown() -> None:
    items = found(an_ingress("gone", {"number": 80}), a_service({"app": "x"}), read=None)
    assert [type(item) for item in items] == [Unknown, Unknown]


def test_a_used_up_quota_shows_its_own_numbers() -> None:
    symptom = next(s for s in found(*SICK["quota-exceeded"]) if isinstance(s, Symptom))
    assert symptom.cause.object.name == "team"
    assert "pods: 10 of 10 used" in [item.value for item in symptom.evidence]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(child, (*path, key))


JUNK = st.sampled_from(
    [None, 0, -1, True, "", "x" * 300, "\u202e\x00", [], {}, [None], {"a": 1}, 1.5]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(SICK)), st.data())
def test_no_wrong_type_anywhere_makes_a_check_raise(word: str, data: st.DataObject) -> None:
    objects = copy.deepcopy(SICK[word])
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(_places(objects))))
        target: Any = objects
        try:
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = copy.deepcopy(data.draw(JUNK))
        except (KeyError, IndexError, TypeError):
            continue
    found(*objects)
