"""Signals of 50 clusters as the bus holds them: records of one cluster each, in turns.

100,000 metric series, each sampled every 15 s of event time; objects and Events of as many
pods. One in fifty signals comes half a second out of order, one in a thousand twice, and each
record ends with a heartbeat.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from engine.bus.codec import encode
from engine.model.instant import from_us
from engine.model.signal import HEARTBEAT, Signal
from tests.stream.building import T0

CLUSTERS: Final = 50
RECORD: Final = 500
SERIES: Final = 2_000
"""Series, and pods, of one cluster."""
NODES: Final = 50
PERIOD_US: Final = 15_000_000
"""In which each series of each cluster is sampled once."""
_REASONS: Final = ("Pulled", "Created", "Started", "Scheduled", "Killing", "BackOff", "Unhealthy")

Kind = Callable[[int, int, Random], tuple[str, dict[str, Any]]]


def records(kind: Kind, count: int) -> Iterator[bytes]:
    """Yield `count` signals of `kind` (metric, watched or mixed), RECORD of them at a time."""
    random = Random(7)
    step = PERIOD_US // SERIES
    for number in range(count // RECORD):
        cluster, start = number % CLUSTERS, number // CLUSTERS * (RECORD - 1)
        made = [
            _signal(cluster, start + place, T0 + (start + place) * step, kind, random)
            for place in range(RECORD - 1)
        ]
        made = [random.choice(made) if random.random() < 0.001 else one for one in made]
        made.append(_beat(made[-1].source, cluster, T0 + (start + RECORD - 1) * step))
        yield encode(made)


def metric(cluster: int, place: int, random: Random) -> tuple[str, dict[str, Any]]:
    """Return type and data of a sample of the series at `place`."""
    del cluster
    node = f"node-{place % NODES:02d}"
    labels = {"node": node, "job": "node-exporter", "instance": f"{node}:9100"}
    name = f"m_{place % SERIES // NODES:02d}"
    return "metric", {"metric": name, "labels": labels, "value": random.random() * 100}


def watched(cluster: int, place: int, random: Random) -> tuple[str, dict[str, Any]]:
    """Return type and data of a pod, a deployment, or an Event of one."""
    draw = random.random()
    if draw < 0.7:
        return "k8s.object", _pod(cluster, place, random)
    return ("k8s.event", _event(place, random)) if draw < 0.9 else ("k8s.object", _rollout(place))


def mixed(cluster: int, place: int, random: Random) -> tuple[str, dict[str, Any]]:
    """Return type and data of a sample, and every fifth time of what a watcher saw."""
    return (watched if random.random() < 0.2 else metric)(cluster, place, random)


def _signal(cluster: int, place: int, at: int, kind: Kind, random: Random) -> Signal:
    what, data = kind(cluster, place % SERIES, random)
    watcher = "metrics" if what == "metric" else "objects"
    data["resourceVersion"] = str(place) if what == "k8s.object" else None
    return Signal(
        id=f"c-{cluster}/{watcher}/{place:08x}",
        source=f"watchers/{watcher}/c-{cluster}",
        type=what,
        time=from_us(at - 500_000 * (random.random() < 0.02)),
        cluster=f"c-{cluster}",
        data={name: value for name, value in data.items() if value is not None},
    )


def _beat(source: str, cluster: int, at: int) -> Signal:
    return Signal(
        id=f"c-{cluster}/beat/{at}",
        source=source,
        type=HEARTBEAT,
        time=from_us(at),
        cluster=f"c-{cluster}",
    )


def _pod(cluster: int, place: int, random: Random) -> dict[str, Any]:
    namespace, app, ready = f"team-{place % 40}", f"app-{place // 5}", random.random() > 0.02
    labels = {"app": app, "pod-template-hash": "5d4f8c7b9d", "team": namespace}
    container = {
        "name": "main",
        "image": f"registry.example.com/{app}@sha256:{'ab12' * 16}",
        "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(3)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    status = {
        "phase": "Running",
        "conditions": [{"type": one, "status": "True"} for one in ("Initialized", "Ready")],
        "containerStatuses": [{"name": "main", "ready": ready, "restartCount": place % 3}],
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": namespace,
        "name": f"{app}-{place}",
        "uid": f"0c1d2e3f-{cluster:04d}-4000-8000-{place:012d}",
        "labels": labels,
        "node": f"node-{place % NODES:02d}",
        "workload": app,
        "workloadKind": "Deployment",
        "owner": f"{app}-5d4f8c7b9d",
        "change": "modified",
        "phase": "Running",
        "ready": ready,
        "restarts": place % 3,
        "reason": "" if ready else "CrashLoopBackOff",
        "waiting": [] if ready else ["CrashLoopBackOff"],
        "scheduled": True,
        "object": {
            "metadata": {"name": f"{app}-{place}", "namespace": namespace, "labels": labels},
            "spec": {"containers": [container]},
            "status": status,
        },
    }


def _rollout(place: int) -> dict[str, Any]:
    app = f"app-{place // 5}"
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "namespace": f"team-{place % 40}",
        "name": app,
        "uid": f"0c1d2e3f-1111-4000-8000-{place // 5:012d}",
        "labels": {"app": app},
        "workload": app,
        "workloadKind": "Deployment",
        "change": "modified",
        "desired": 10,
        "available": 9 if place % 50 == 0 else 10,
        "object": {"metadata": {"name": app, "generation": 4}, "spec": {"replicas": 10}},
    }


def _event(place: int, random: Random) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "namespace": f"team-{place % 40}",
        "name": f"app-{place // 5}-{place}",
        "workload": f"app-{place // 5}",
        "node": f"node-{place % NODES:02d}",
        "reason": random.choice(_REASONS),
        "message": "Back-off restarting failed container main in pod " + "x" * 60,
        "count": 1 + random.randrange(9),
        "uid": f"0c1d2e3f-2222-4000-8000-{place:012d}",
    }
