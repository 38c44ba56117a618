"""A reflector over many pods: peak of memory while listing, steady memory, stalls of the loop.

Run `python -m tests.bench.reflect [PODS]`. A process of its own serves the list in pages of 500
and a watch that sends a change a second; memory is the resident set, a stall is by how much a
task that wants to run every 10 ms came late.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import random
import resource
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, process_time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from engine.cluster.reader import Reader
from engine.model.ports import SystemClock
from engine.model.watch import ResourceStatus
from tests.cluster.answers import DISCOVERY, plain

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PODS = 200_000
PAGE = 500
STEADY_S = 20.0


def main(pods: int) -> None:
    """Print the figures."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=_serve, args=(there, pods), daemon=True)
    server.start()
    try:
        asyncio.run(_measure(here.recv(), pods))
    finally:
        server.terminate()


async def _measure(port: int, pods: int) -> None:
    with TemporaryDirectory() as folder:
        reader = Reader("west", plain(port, Path(folder)), SystemClock(), chance=random.Random(1))
        start, cpu, began = _resident(), process_time(), monotonic()
        late: list[float] = []
        ticking = asyncio.create_task(_tick(late))
        seen = 0
        async with contextlib.aclosing(reader.watch("pods", ResourceStatus())) as observations:
            async for observation in observations:
                seen += len(observation.changes)
                if not observation.partial:
                    break
            listed_s, peak = monotonic() - began, _peak()
            cpu = process_time() - cpu
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STEADY_S):
                    async for observation in observations:
                        seen += len(observation.changes)
        ticking.cancel()
        steady = _resident()
        await reader.aclose()
    print(f"{pods} pods of {len(json.dumps(a_pod(0)))} bytes, {seen} changes seen")
    print(f"  listed in {listed_s:.1f} s, {cpu:.1f} s of CPU")
    print(
        f"  memory: {start >> 20} MiB at the start, peak {peak >> 20} MiB, steady "
        f"{steady >> 20} MiB: {peak / steady:.2f} x (target < 2)"
    )
    print(f"  longest stall of the loop: {max(late) * 1000:.0f} ms (target < 250)")


def a_pod(place: int, version: int = 1) -> dict[str, Any]:
    """Return a pod of about 3 KiB, half of which are managedFields."""
    name, namespace = f"app-{place // 5}-5d4f8c7b9d-{place:06d}", f"team-{place % 200}"
    owner = {"kind": "ReplicaSet", "name": f"app-{place // 5}-5d4f8c7b9d", "controller": True}
    fields: dict[str, Any] = {f"f:field-{n}": {".": {}, "f:part": {}} for n in range(40)}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"0c1d2e3f-0000-4000-8000-{place:012d}",
            "resourceVersion": str(version),
            "labels": {"app": f"app-{place // 5}", "team": namespace},
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {
            "nodeName": f"node-{place % 5000}",
            "containers": [
                {
                    "name": "main",
                    "image": f"registry.example.com/app-{place // 5}@sha256:{place:064x}",
                    "env": [{"name": f"SETTING_{n}", "value": f"value-{n}"} for n in range(6)],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                }
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [{"type": one, "status": "True"} for one in ("Initialized", "Ready")],
            "containerStatuses": [{"name": "main", "ready": True, "restartCount": place % 3}],
        },
    }


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


async def _tick(late: list[float]) -> None:
    while True:
        before = monotonic()
        await asyncio.sleep(0.01)
        late.append(monotonic() - before - 0.01)


def _serve(there: Connection, pods: int) -> None:
    asyncio.run(_serving(there, pods))


async def _serving(there: Connection, pods: int) -> None:
    async def listed(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await _stream(request)
        first = int(request.query.get("continue", "0"))
        last = min(first + PAGE, pods)
        metadata = {"resourceVersion": str(pods), "continue": str(last) if last < pods else ""}
        return web.json_response(
            {"metadata": metadata, "items": [a_pod(place) for place in range(first, last)]}
        )

    async def offered(_: web.Request) -> web.Response:
        return web.json_response(DISCOVERY)

    app = web.Application()
    app.router.add_get("/api/v1", offered)
    app.router.add_get("/api/v1/pods", listed)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there.send(runner.addresses[0][1])
    await asyncio.Event().wait()


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    version = int(request.query["resourceVersion"])
    with contextlib.suppress(ConnectionError):
        while True:
            version += 1
            line = {"type": "MODIFIED", "object": a_pod(version % 1000, version)}
            await response.write(json.dumps(line).encode() + b"\n")
            await asyncio.sleep(1)
    return response


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PODS)
