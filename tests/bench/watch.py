"""What it costs to watch the metrics of a large cluster: CPU per second of watching, and memory.

`python -m tests.bench.watch [--pods N] [--nodes N] [--looks N] [--http]`: objects are watched at
our port, the Prometheus is one that answers from memory, or with --http a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from time import process_time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from engine.bus.codec import batches
from engine.metrics.prometheus import prometheus
from engine.metrics.settings import PrometheusConfig
from engine.model.ports import SystemClock
from engine.model.series import Point, Series
from tests.watchers.a_cluster_with_use import a_cluster, a_node, a_pod
from watchers.cluster import Means, watch
from watchers.metrics import MetricsConfig
from watchers.objects import ObjectsConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

EVERY_S = 15.0
STEP_S = 1.0
"""Looks are made this often, so that a run is short; what they cost is of a look, not of time."""


class InMemory:
    """Fulfils the port `Metrics`: the series of a cluster, by what an expression asks for."""

    def __init__(self, pods: int, nodes: int) -> None:
        self._answers = {key: list(found) for key, found in _answers(pods, nodes).items()}

    async def query(self, expression: str, at: datetime) -> list[Series]:
        found = next((a for key, a in self._answers.items() if key in expression), [])
        return [Series("", labels, (Point(at, value),)) for labels, value in found]

    async def range(
        self, expression: str, start: datetime, end: datetime, step_s: float
    ) -> list[Series]:
        return []


def _answers(pods: int, nodes: int) -> dict[str, Iterator[tuple[dict[str, str], float]]]:
    names = [{"namespace": f"ns-{n % 100}", "pod": f"web-{n}"} for n in range(pods)]
    hosts = [{"instance": f"10.{n >> 8}.{n & 255}.1:9100", "job": "node"} for n in range(nodes)]
    return {
        "node_filesystem": (
            ({**one, "mountpoint": m}, 0.5) for one in hosts for m in ("/", "/var")
        ),
        "node_cpu": ((one, 0.5) for one in hosts),
        "node_memory": ((one, 0.5) for one in hosts),
        "kubelet_volume": (
            ({"namespace": f"ns-{n}", "persistentvolumeclaim": f"d-{n}"}, 0.5)
            for n in range(pods // 10)
        ),
        "container_cpu": ((one, 0.1 + n % 7 / 10) for n, one in enumerate(names)),
        "container_memory": (
            ({**one, "container": "app"}, 2.0**28 + n) for n, one in enumerate(names)
        ),
    }


def serve(pods: int, nodes: int) -> None:
    """Answer as a Prometheus does, until the parent closes standard input."""
    bodies = {
        key: json.dumps(
            {
                "status": "success",
                "data": {
                    "resultType": "vector",
                    "result": [{"metric": m, "value": [1767225600, str(v)]} for m, v in found],
                },
            }
        ).encode()
        for key, found in _answers(pods, nodes).items()
    }
    empty = b'{"status":"success","data":{"resultType":"vector","result":[]}}'

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query).get("query", [""])[0]
            ranged = "query_range" in self.path
            body = next((b for key, b in bodies.items() if key in asked and not ranged), empty)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_address[1], flush=True)
    server.serve_forever()


async def measure(options: argparse.Namespace, metrics: Any) -> None:
    pods = []
    for number in range(options.pods):
        pod = a_pod(f"web-{number}", f"ns-{number % 100}", cpu="500m", memory="512Mi")
        pod["spec"]["nodeName"] = f"n{number % options.nodes}"
        pods.append(pod)
    nodes = [a_node(f"n{n}", f"10.{n >> 8}.{n & 255}.1") for n in range(options.nodes)]
    source = a_cluster(*pods, *nodes)
    configs = {
        "objects": ObjectsConfig(resources=("pods", "nodes", "replicasets.apps")),
        "metrics": MetricsConfig(every_s=STEP_S, usage="prometheus"),
    }
    looks: list[tuple[float, int, int]] = []
    count = size = 0
    started = process_time()
    stream = watch(source, SystemClock(), configs, means=Means(metrics))
    latest = None
    async with contextlib.aclosing(stream):
        async for batch in stream:
            told = [one for one in batch if one.type == "metric"]
            if told and latest != told[0].time:
                looks.append((process_time(), count, size))
                latest, count, size = told[0].time, 0, 0
                if len(looks) > options.looks + 1:
                    break
            count += len(told)
            size += sum(len(record) for _, record in batches(batch))
    _report(looks, started)


def _report(looks: list[tuple[float, int, int]], started: float) -> None:
    costs = sorted(after[0] - before[0] for before, after in pairwise(looks[1:]))
    middle = costs[len(costs) // 2]
    _, signals, size = looks[-1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"first look, objects and all: {looks[1][0] - started:.2f} s of CPU")
    print(f"a look: {signals} signals, {size / 2**20:.1f} MiB on the bus, {middle:.2f} s of CPU")
    print(f"every {EVERY_S:.0f} s: {middle / EVERY_S:.3f} cores; worst {costs[-1] / EVERY_S:.3f}")
    print(f"peak memory: {peak:.0f} MiB")


async def ask(options: argparse.Namespace, port: int) -> None:
    async with prometheus(PrometheusConfig(url=f"http://127.0.0.1:{port}")) as metrics:
        await measure(options, metrics)


def run(options: argparse.Namespace) -> None:
    if not options.http:
        asyncio.run(measure(options, InMemory(options.pods, options.nodes)))
        return
    arguments = ["--serve", f"--pods={options.pods}", f"--nodes={options.nodes}"]
    command = [sys.executable, "-m", "tests.bench.watch", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        try:
            asyncio.run(ask(options, port))
        finally:
            server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--looks", type=int, default=8)
    parser.add_argument("--http", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.pods, options.nodes)
    else:
        run(options)


if __name__ == "__main__":
    main()
