"""A recording of a healthy cluster: one day with all that is normal on such a day."""

from collections.abc import Iterator
from typing import Any

from engine.model.signal import HEARTBEAT, Signal
from engine.stream.notation import signals

CLUSTER = "eu"
DAY = "8d..9d/{}"
"""From midnight to midnight of a Friday that is no first of a month."""
NODES = ("n1", "n2")
CREATED = "2025-11-01T00:00:00Z"


def a_quiet_day() -> list[Signal]:
    """Return the log: heartbeats, readings, a rollout, some restarts, all of it as it should be."""
    entries = [*_beats(), *_nodes(), *_rollout(), *_restarts(), *_objects(), *_readings()]
    entries += [*_devices(), *_certificates(), *_delivery(), *_engine(), *_posted()]
    return signals([{"cluster": CLUSTER, **entry} for entry in entries])


def an_empty_cluster() -> list[Signal]:
    """Return the log of a cluster in which there is nothing."""
    return signals([{"cluster": CLUSTER, **entry} for entry in _beats()])


def _beats() -> Iterator[dict[str, Any]]:
    for watcher in ("objects", "events"):
        source = f"watchers/{watcher}/{CLUSTER}"
        yield {"at": DAY.format("30s"), "type": HEARTBEAT, "source": source}


def _object(at: str, kind: str, **data: Any) -> dict[str, Any]:
    return {
        "at": at,
        "type": "k8s.object",
        "source": f"watchers/objects/{CLUSTER}",
        "data": {
            "kind": kind,
            "uid": f"{kind}/{data['name']}",
            "object": {"metadata": {"creationTimestamp": CREATED}},
            **data,
        },
    }


def _event(at: str, kind: str, name: str, reason: str) -> dict[str, Any]:
    data = {"kind": kind, "name": name, "namespace": "shop", "reason": reason}
    return {"at": at, "type": "k8s.event", "source": f"watchers/events/{CLUSTER}", "data": data}


def _nodes() -> Iterator[dict[str, Any]]:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    for node in NODES:
        state = {"ready": True, "readyStatus": "True", "pressure": [], "old": ready}
        yield _object(DAY.format("5m"), "Node", name=node, node=node, **state)
    # One is restarted for its updates and is back within five minutes.
    lost = {"ready": False, "readyStatus": "False", "old": ready}
    yield _object("8d3h1m", "Node", name="n2", node="n2", **lost)
    back = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    yield _object("8d3h4m", "Node", name="n2", node="n2", ready=True, readyStatus="True", old=back)


def _rollout() -> Iterator[dict[str, Any]]:
    """Four replicas of `web` are replaced one by one at noon."""
    before = {"name": "web", "namespace": "shop", "desired": 4, "readyReplicas": 4}
    yield _object("8d", "Deployment", **before, available=4, updated=4, change="synced")
    given = {"metadata": {"creationTimestamp": CREATED}, "spec": {"template": {"image": "v2"}}}
    change = {"object": given, "old": {"spec": {"template": {"image": "v1"}}}}
    yield _object("8d12h", "Deployment", **before, available=4, **change, change="modified")
    steps = {"available": [3, 4, 3, 4, 3, 4, 3, 4], "updated": [1, 1, 2, 2, 3, 3, 4, 4]}
    yield _object("8d12h..8d12h7m/1m", "Deployment", **before, **steps, change="modified")
    for place in range(4):
        name = f"web-b{place}"
        pod = {"name": name, "namespace": "shop", "workload": "web", "node": NODES[place % 2]}
        states = {
            "ready": [False, False, True],
            "restarts": 0,
            "waiting": [["ContainerCreating"], [], []],
            "terminated": [],
            "phase": ["Pending", "Running", "Running"],
        }
        start = f"8d12h{2 * place}m"
        yield _object(f"{start}..8d12h{2 * place}m40s/20s", "Pod", **pod, **states)
        yield _event(f"{start}5s", "Pod", name, "Scheduled")
        yield _event(f"{start}25s", "Pod", name, "Unhealthy")
    slice_ = {"name": "web-x1", "namespace": "shop", "labels": {"app": "web"}, "service": "web"}
    ready = {"endpoints": 4, "readyEndpoints": [4, 3, 4, 3, 4]}
    yield _object("8d12h..8d12h8m/2m", "EndpointSlice", **slice_, **ready)


def _restarts() -> Iterator[dict[str, Any]]:
    """A container of `api` restarts five times in the day; one of `web` is killed once."""
    api = {"name": "api-1", "namespace": "shop", "workload": "api", "node": "n1", "ready": True}
    counts = {"waiting": [], "terminated": ["Error"], "phase": "Running", "restarts": "7+1"}
    yield _object("8d2h..8d22h/5h", "Pod", **api, **counts)
    killed = {"restarts": [0, 1], "waiting": [], "terminated": [[], ["OOMKilled"]]}
    web = {"name": "web-a0", "namespace": "shop", "workload": "web", "node": "n1"}
    yield _object("8d5h..8d5h1m/1m", "Pod", **web, **killed, ready=True, phase="Running")


def _objects() -> Iterator[dict[str, Any]]:
    namespace = {"pods": 12, "running": 8, "exposed": True, "policies": 2}
    activity = {"lastActivity": "2026-01-08T16:00:00Z"}
    yield _object("8d", "Namespace", name="shop", phase="Active", **namespace, **activity)
    scaler = {"name": "web", "namespace": "shop", "minReplicas": 2, "maxReplicas": 8}
    sizes = {"current": 4, "desired": [4, 8, 8, 6, 4], "atMax": [False, True, True, False, False]}
    yield _object("8d18h..8d18h20m/5m", "HorizontalPodAutoscaler", **scaler, **sizes)
    claim = {"name": "data-0", "namespace": "shop", "bound": True, "used": True, "phase": "Bound"}
    yield _object("8d", "PersistentVolumeClaim", **claim)
    yield _event("8d1h", "PersistentVolumeClaim", "data-1", "WaitForFirstConsumer")
    yield _event("8d1h..8d1h2m/1m", "Pod", "job-1", "FailedScheduling")
    job = {"name": "report-1", "namespace": "shop", "active": [1, 0], "complete": [False, True]}
    yield _object("8d1h..8d1h10m/10m", "Job", **job)
    critical = {"name": "pay", "namespace": "shop", "labels": {"dogwatch.dev/critical": "true"}}
    yield _object("8d", "Deployment", **critical, desired=2, available=2, change="synced")
    binding = {"name": "devs", "namespace": "shop", "role": "edit", "subjects": ["Group/devs"]}
    yield _object("8d10h", "RoleBinding", **binding, wildcard=False, change="added")
    secret = {"name": "db", "namespace": "shop", "secretType": "Opaque", "managed": False}
    yield _object("8d", "Secret", **secret, rotatedAt="2025-12-20T00:00:00Z")


def _readings() -> Iterator[dict[str, Any]]:
    model = {"namespace": "ml", "workload": "vllm", "model": "llama"}
    for name, value, labels in (
        ("node_cpu_used_ratio", 0.55, {"node": "n1"}),
        ("node_memory_used_ratio", 0.7, {"node": "n1"}),
        ("filesystem_free_ratio", "0.6-0.0001", {"node": "n1", "mountpoint": "/var"}),
        ("volume_free_ratio", 0.12, {"namespace": "shop", "persistentvolumeclaim": "data-0"}),
        ("pod_cpu_used_ratio", 0.5, {"namespace": "shop", "workload": "web", "pod": "web-b0"}),
        ("pod_request_to_use_ratio", 2.0, {"namespace": "shop", "pod": "web-b0"}),
        ("namespace_containers_without_limits_ratio", 0.1, {"namespace": "shop"}),
        ("security_findings_open", 2.0, {"severity": "critical"}),
        ("security_findings_opened_total", 9.0, {"severity": "critical"}),
        ("llm_time_to_first_token_p99_seconds", 1.5, model),
        ("llm_kv_cache_used_ratio", 0.6, model),
        ("dogwatch_consumer_lag_records", 3.0, {}),
        ("dogwatch_outbox_oldest_seconds", 20.0, {"sink": "oncall"}),
    ):
        yield _reading(DAY.format("5m"), name, value, labels)
    # Somebody builds something: ten minutes of a busy node.
    yield _reading("8d9h1m..8d9h11m/1m", "node_cpu_used_ratio", 0.97, {"node": "n2"})
    yield _reading("8d9h12m..8d10h/1m", "node_cpu_used_ratio", 0.3, {"node": "n2"})


def _reading(at: str, name: str, value: Any, labels: dict[str, str]) -> dict[str, Any]:
    return {"at": at, "type": "metric", "data": {"metric": name, "labels": labels, "value": value}}


def _devices() -> Iterator[dict[str, Any]]:
    def device(kind: str, name: str, **data: Any) -> dict[str, Any]:
        body = {"kind": kind, "name": name, "uid": f"n1/{name}", "node": "n1", **data}
        return {"at": DAY.format("5m"), "type": "hardware", "data": body}

    holder = {"namespace": "ml", "pod": "train-0", "workload": "train"}
    health = {"xid": 0, "eccUncorrectable": 0, "rowRemapFailed": False, "temperature": 71.0}
    yield device("gpu", "gpu-0", **holder, **health, utilization=88.0)
    yield device("inventory", "n1/gpu", device="gpu", count=1, baseline=1)
    yield device("nic", "ens3", state="up", errors="5+1", packets="0+90000")
    yield device("infiniband", "mlx5_0/1", state="active", symbolErrors=12)
    yield device("nvme", "nvme0", spare=100.0, spareThreshold=10.0, used=12.0)


def _certificates() -> Iterator[dict[str, Any]]:
    at = DAY.format("6h")
    yield _certificate(at, "web-tls", "2026-01-30T00:00:00Z", renewal="2026-01-15T00:00:00Z")
    yield _certificate(at, "legacy-tls", "2027-01-01T00:00:00Z")


def _certificate(at: str, name: str, until: str, renewal: str = "") -> dict[str, Any]:
    managed = {"managed": True, "renewalTime": renewal} if renewal else {"managed": False}
    where = {"kind": "Secret", "namespace": "shop", "name": name, "uid": name}
    return {"at": at, "type": "certificate", "data": {**where, **managed, "notAfter": until}}


def _delivery() -> Iterator[dict[str, Any]]:
    """A commit is synced within three minutes; versions are those that belong together."""
    drift = {"kind": "Deployment", "namespace": "shop", "name": "web", "uid": "web", "app": "shop"}
    states = {"drifted": [False, True, True, False], "syncing": [False, False, True, False]}
    yield {"at": "8d11h57m..8d12h/1m", "type": "drift", "data": {**drift, **states}}
    versions = {"minor": 30, "serverMinor": 31}
    for node in NODES:
        data = {"kind": "kubelet", "name": node, "node": node, **versions}
        yield {"at": DAY.format("6h"), "type": "version", "data": data}
    api = {"kind": "api", "name": "autoscaling/v2beta2/horizontalpodautoscalers"}
    data = {**api, "removedMinor": 40, "serverMinor": 31}
    yield {"at": DAY.format("6h"), "type": "version", "data": data}
    for prediction in ("pod-crash", "node-pressure", "gpu-exhaustion", "anomaly"):
        place = {"namespace": "shop", "workload": "web", "node": "n1", "metric": "requests"}
        sure = {"horizon": 900_000.0, "confidence": 0.4, "score": 1.2}
        data = {"prediction": prediction, **place, **sure}
        yield {"at": DAY.format("10m"), "type": "prediction", "data": data}


def _engine() -> Iterator[dict[str, Any]]:
    read = {"watcher": "objects", "resource": "pods", "state": "ok", "reason": "", "message": ""}
    yield {"at": "8d", "type": "watcher", "subject": "pods", "data": read}
    yield {"at": DAY.format("1m"), "type": "clock", "cluster": ""}
    done = {"mission": "m1", "kind": "capacity-plan", "outcome": "ok", "verified": False}
    yield {"at": "8d6h", "type": "mission", "cluster": "", "data": {**done, "cluster": CLUSTER}}


def _posted() -> Iterator[dict[str, Any]]:
    """What others post: a deployment by a person, a controller's reads, alerts that mean little."""
    by = {"user": "ann", "allowed": True, "code": 200, "namespace": "shop", "name": "web"}
    yield {
        "at": "8d10h",
        "type": "audit",
        "data": {**by, "verb": "patch", "resource": "deployments"},
    }
    own = {
        **by,
        "user": "system:serviceaccount:shop:operator",
        "verb": "get",
        "resource": "secrets",
    }
    yield {"at": DAY.format("10m"), "type": "audit", "data": own}
    missing = {**own, "allowed": False, "code": 403}
    yield {"at": DAY.format("5m"), "type": "audit", "data": missing}
    alert = {"alert": "CPUThrottlingHigh", "severity": "info", "namespace": "shop"}
    yield {"at": "8d11h", "type": "alert", "data": {**alert, "status": "firing"}}
    yield {"at": "8d11h30m", "type": "alert", "data": {**alert, "status": "resolved"}}
