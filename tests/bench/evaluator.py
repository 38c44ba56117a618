"""How fast records are decoded and folded: decode alone beside decode and 1,000 rules.

Run `python -m tests.bench.evaluator [SIGNALS]`. Prints signals per second of CPU time of both,
taken in turns in one process on the same records, and the ratio of their times; then the same
for other numbers of rules. The signals are objects as the watchers send them (2 to 3 KB), Events,
metrics and heartbeats; of the rules a few general ones match, each with a window or a hold.
"""

import gc
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random
from statistics import median
from time import process_time
from typing import Any

from engine.bus.codec import decode, encode
from engine.model.instant import from_us
from engine.model.signal import HEARTBEAT, Signal
from engine.rules.rule import Rule, Selector
from engine.stream.evaluator import Evaluator
from tests.stream.building import T0, a_measure, a_rule, a_set

RECORD = 500
ROUNDS = 5
PODS, NAMESPACES, NODES = 3_000, 40, 60
REASONS = ["Pulled", "Created", "Started", "Scheduled", "Killing", "BackOff", "Unhealthy"]


def records(count: int) -> list[bytes]:
    """Return `count` signals as records of the bus, 1,000 a second of event time."""
    made = list(_signals(count, Random(7)))
    return [encode(made[start : start + RECORD]) for start in range(0, count, RECORD)]


def rules(count: int) -> list[Rule]:
    """Return `count` rules: six general ones, the rest for one namespace, reason or app."""
    general = [
        _rule("restart-storm", "Pod", over="10m", measure="increase", of="signal.data.restarts"),
        _rule("not-ready", "Pod", when="!signal.data.ready", **{"for": "5m"}),
        _rule(
            "crash-loop", "Pod", when='signal.data.reason == "CrashLoopBackOff"', **{"for": "2m"}
        ),
        _rule("back-off", "Event", when='signal.data.reason == "BackOff"', over="10m"),
        _rule("node-busy", "metric", when="signal.value > 90.0", **{"for": "5m"}),
        _rule("rollout", "Deployment", when="signal.data.available < signal.data.desired"),
    ]
    return (general + [_narrow(number) for number in range(max(0, count - len(general)))])[:count]


def main(count: int) -> None:
    """Print the figures."""
    log = records(count)
    size = sum(map(len, log)) / count
    print(f"{count} signals, {size:.0f} bytes each, records of {RECORD}")
    for number in (100, 1_000, 10_000):
        alone, both = _measured(log, rules(number))
        print(
            f"{number:>6} rules: decode {count / alone:>9,.0f}/s   decode + fold "
            f"{count / both:>9,.0f}/s   ratio {both / alone:.2f}   "
            f"fold {(both - alone) / count * 1e6:.1f} us a signal"
        )


def _measured(log: Sequence[bytes], chosen: Sequence[Rule]) -> tuple[float, float]:
    """Return the median seconds of decode alone, and of decode and fold, in turns."""
    rule_set = a_set(*chosen)
    alone, both = [], []
    for _ in range(ROUNDS):
        gc.collect()
        start = process_time()
        for record in log:
            decode(record)
        alone.append(process_time() - start)
        evaluator = Evaluator(rule_set)
        gc.collect()
        start = process_time()
        for record in log:
            evaluator.step(decode(record).signals)
        both.append(process_time() - start)
    return median(alone), median(both)


def _rule(name: str, kind: str, **fields: Any) -> Rule:
    stream = {"Event": "k8s.event", "metric": "metric"}.get(kind, "k8s.object")
    kinds = (kind,) if stream == "k8s.object" else ()
    if "over" in fields:
        fields["measure"] = a_measure(fields.pop("measure", "count"), fields.pop("of", ""))
        fields["having"] = "m.n > 100000"
    selectors = (Selector(stream, kinds=kinds),)
    return a_rule(name, selectors=selectors, hash=name, **fields)


def _narrow(number: int) -> Rule:
    name = f"narrow-{number}"
    match number % 5:
        case 0:
            selectors = (Selector("k8s.object", kinds=("Pod",), namespaces=(f"team-{number}",)),)
            window: dict[str, Any] = {
                "over": "10m",
                "measure": a_measure("increase", "signal.data.restarts"),
            }
            return a_rule(name, selectors=selectors, hash=name, having="m.n > 5", **window)
        case 1:
            when = f'signal.data.reason == "Reason{number}"'
            window = {"over": "5m", "measure": a_measure("count"), "having": "m.n > 5"}
            return a_rule(name, on="k8s.event", when=when, hash=name, **window)
        case 2:
            when = f'signal.workload == "app-{number}-x" && !signal.data.ready'
            selectors = (Selector("k8s.object", kinds=("Pod",)),)
            return a_rule(name, selectors=selectors, hash=name, when=when, **{"for": "5m"})
        case 3:
            selectors = (Selector("metric", metrics=(f"metric_{number}",)),)
            window = {"over": "5m", "measure": a_measure("avg", "signal.value")}
            return a_rule(name, selectors=selectors, hash=name, having="m.n > 90.0", **window)
        case _:
            selectors = (Selector("k8s.object", kinds=("Deployment",), clusters=(f"c-{number}",)),)
            when = "signal.data.available < signal.data.desired"
            return a_rule(name, selectors=selectors, hash=name, when=when, **{"for": "15m"})


def _signals(count: int, random: Random) -> Iterator[Signal]:
    for number in range(count):
        draw = random.random()
        if draw < 0.55:
            yield _signal(number, "objects", "k8s.object", _pod(number, random))
        elif draw < 0.65:
            yield _signal(number, "objects", "k8s.object", _deployment(number, random))
        elif draw < 0.9:
            yield _signal(number, "events", "k8s.event", _event(number, random))
        elif draw < 0.998:
            yield _signal(number, "metrics", "metric", _metric(random))
        else:
            yield _signal(number, random.choice(["objects", "events"]), HEARTBEAT, {})


def _signal(number: int, watcher: str, kind: str, data: dict[str, Any]) -> Signal:
    jitter = timedelta(milliseconds=number % 7)
    return Signal(
        id=f"7f3c-{number}/pods/{data.get('uid', '')}@{number}",
        source=f"watchers/{watcher}/prod-eu",
        type=kind,
        time=from_us(T0 + number * 1_000) - jitter,
        cluster="prod-eu",
        data=data,
    )


def _pod(number: int, random: Random) -> dict[str, Any]:
    pod = random.randrange(PODS)
    namespace, app = f"team-{pod % NAMESPACES}", f"app-{pod // 10}"
    ready = random.random() > 0.02
    container = {
        "name": "main",
        "image": f"registry.example.com/{app}@sha256:{'ab12' * 16}",
        "env": [{"name": f"SETTING_{i}", "value": f"value-{i}"} for i in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 10},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}, {"name": "c", "mountPath": "/c"}],
    }
    status = {
        "phase": "Running",
        "conditions": [
            {"type": one, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            for one in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "containerStatuses": [{"name": "main", "ready": ready, "restartCount": number // 5_000}],
    }
    labels = {"app": app, "pod-template-hash": "5d4f8c7b9d", "team": namespace}
    metadata = {"name": f"{app}-{pod}", "namespace": namespace, "labels": labels}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": namespace,
        "name": f"{app}-{pod}",
        "uid": f"0c1d2e3f-0000-4000-8000-{pod:012d}",
        "resourceVersion": str(number),
        "labels": labels,
        "node": f"node-{pod % NODES}",
        "workload": app,
        "workloadKind": "Deployment",
        "owner": f"{app}-5d4f8c7b9d",
        "change": "modified",
        "phase": "Running",
        "ready": ready,
        "restarts": number // 5_000,
        "reason": "" if ready else "CrashLoopBackOff",
        "waiting": [] if ready else ["CrashLoopBackOff"],
        "terminated": [],
        "scheduled": True,
        "terminating": False,
        "object": {"metadata": metadata, "spec": {"containers": [container]}, "status": status},
    }


def _deployment(number: int, random: Random) -> dict[str, Any]:
    app = random.randrange(PODS // 10)
    namespace = f"team-{app % NAMESPACES}"
    spec = {"replicas": 10, "selector": {"matchLabels": {"app": f"app-{app}"}}}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "namespace": namespace,
        "name": f"app-{app}",
        "uid": f"0c1d2e3f-1111-4000-8000-{app:012d}",
        "resourceVersion": str(number),
        "labels": {"app": f"app-{app}"},
        "workload": f"app-{app}",
        "workloadKind": "Deployment",
        "change": "modified",
        "desired": 10,
        "updated": 10,
        "available": 9 if random.random() < 0.05 else 10,
        "readyReplicas": 10,
        "ready": True,
        "stalled": False,
        "object": {"metadata": {"name": f"app-{app}", "generation": 4}, "spec": spec},
    }


def _event(number: int, random: Random) -> dict[str, Any]:
    pod = random.randrange(PODS)
    return {
        "kind": "Pod",
        "namespace": f"team-{pod % NAMESPACES}",
        "name": f"app-{pod // 10}-{pod}",
        "workload": f"app-{pod // 10}",
        "node": f"node-{pod % NODES}",
        "reason": random.choice(REASONS),
        "eventType": "Warning",
        "message": "Back-off restarting failed container main in pod " + "x" * 60,
        "count": 1 + number % 9,
        "uid": f"0c1d2e3f-2222-4000-8000-{number:012d}",
    }


def _metric(random: Random) -> dict[str, Any]:
    node = f"node-{random.randrange(NODES)}"
    labels = {"node": node, "job": "node-exporter", "instance": f"{node}:9100"}
    value = random.random() * 100
    return {
        "metric": "node_cpu_percent",
        "labels": labels,
        "node": node,
        "namespace": "monitoring",
        "workload": "node-exporter",
        "value": value,
    }


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
