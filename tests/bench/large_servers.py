"""Stand-ins for the API server and the Prometheus of a large cluster, each for its own process.

Both count what they are asked, and show it at /counts.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import web

from tests.bench import large_series
from tests.bench.large_objects import NODES, PODS, WORKLOADS, event, kinds, place, uses

if TYPE_CHECKING:
    from collections.abc import Iterable
    from multiprocessing.connection import Connection

    from tests.bench.large_objects import Kind, Object

PODS_CHANGE_S: Final = 60 / (PODS / 100)
"""One of a hundred pods changes each minute, its ReplicaSet, Deployment and EndpointSlice too."""
NODES_CHANGE_S: Final = 300 / NODES
EVENTS_S: Final = 0.2
_BOOKMARK_S: Final = 60.0
_USE: Final = "metrics.k8s.io"
_METRICS: Final = "".join(
    f'apiserver_request_duration_seconds_bucket{{verb="{verb}",resource="r{n}",le="{le}"}} {n}\n'
    for verb in ("GET", "LIST", "WATCH", "PUT", "PATCH")
    for n in range(300)
    for le in range(30)
)
"""A page of the size that an API server of such a cluster has: 45,000 lines."""


def serve_cluster(there: Connection) -> None:
    """Stand in for the API server; tell the port."""
    asyncio.run(_serve(there, _Cluster(kinds()).app()))


def serve_measured_cluster(there: Connection) -> None:
    """Stand in for an API server with metrics-server; tell the port."""
    asyncio.run(_serve(there, _Cluster((*kinds(), *uses())).app()))


def serve_metrics(there: Connection) -> None:
    """Stand in for the Prometheus; tell the port."""
    asyncio.run(_serve(there, _prometheus()))


async def _serve(there: Connection, app: web.Application) -> None:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there.send(runner.addresses[0][1])
    await asyncio.Event().wait()


def _counting(counts: Counter[str], key: Any) -> Any:
    @web.middleware
    async def count(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path != "/counts":
            counts[key(request)] += 1
        answer: web.StreamResponse = await handler(request)
        return answer

    return count


def _json(body: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


class _Cluster:
    """The objects, their churn, and who watches."""

    def __init__(self, there: Iterable[Kind]) -> None:
        self._kinds = {kind.path: kind for kind in there}
        self._version = 1_000_000
        self._queues: dict[str, set[asyncio.Queue[bytes]]] = {path: set() for path in self._kinds}
        self._counts: Counter[str] = Counter()
        self._chance = random.Random(1)

    def app(self) -> web.Application:
        def key(request: web.Request) -> str:
            return f"{'watch' if 'watch' in request.query else 'get'} {request.path}"

        app = web.Application(middlewares=[_counting(self._counts, key)])
        app.router.add_get("/counts", self._counted)
        app.router.add_get("/version", self._told)
        app.router.add_get("/metrics", self._page)
        app.router.add_get("/api/v1/namespaces/kube-system", self._identity)
        app.router.add_get("/{path:.*}", self._asked)
        app.on_startup.append(self._begin)
        return app

    async def _begin(self, app: web.Application) -> None:
        app["churn"] = [
            asyncio.create_task(self._every(PODS_CHANGE_S, self._pod_changes)),
            asyncio.create_task(self._every(NODES_CHANGE_S, self._node_changes)),
            asyncio.create_task(self._every(EVENTS_S, self._event_comes)),
            asyncio.create_task(self._every(_BOOKMARK_S, self._bookmark)),
        ]

    async def _every(self, seconds: float, act: Any) -> None:
        for number in itertools.count():
            await asyncio.sleep(seconds)
            act(number)

    async def _counted(self, _: web.Request) -> web.Response:
        return _json(self._counts)

    async def _told(self, _: web.Request) -> web.Response:
        return _json({"gitVersion": "v1.36.1"})

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text=_METRICS)

    async def _identity(self, _: web.Request) -> web.Response:
        return _json({"metadata": {"name": "kube-system", "uid": "a-large-cluster"}})

    async def _asked(self, request: web.Request) -> web.StreamResponse:
        path = request.path
        if path in self._kinds:
            watched = "watch" in request.query
            return await self._watch(request) if watched else self._list(request)
        body = self._discovery(path)
        return _json(body or {"kind": "Status", "code": 404}, 200 if body else 404)

    def _discovery(self, path: str) -> Object:
        there = list(self._kinds.values())
        offered = [kind for kind in there if place(kind.group, kind.version) == path]
        if offered:
            verbs = ["get", "list", "watch"]
            return {
                "resources": [
                    {"name": k.plural, "kind": k.kind, "namespaced": k.namespaced, "verbs": verbs}
                    for k in offered
                ]
            }
        versions = [
            {"version": version}
            for version in {k.version for k in there if k.group and f"/apis/{k.group}" == path}
        ]
        return {"preferredVersion": versions[0], "versions": versions} if versions else {}

    def _list(self, request: web.Request) -> web.Response:
        kind = self._kinds[request.path]
        first = int(request.query.get("continue", "0"))
        limit = kind.count if kind.group == _USE else int(request.query.get("limit", "500"))
        last = min(first + limit, kind.count)
        more = str(last) if last < kind.count else ""
        metadata = {"resourceVersion": str(self._version), "continue": more}
        return _json({"metadata": metadata, "items": [kind.make(n) for n in range(first, last)]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues = self._queues[request.path]
        queues.add(queue)
        try:
            async with asyncio.timeout(int(request.query["timeoutSeconds"])):
                while True:
                    await response.write(await queue.get())
        except (TimeoutError, ConnectionError):
            return response
        finally:
            queues.discard(queue)

    def _say(self, path: str, change: str, obj: Object) -> None:
        self._version += 1
        kind = self._kinds[path]
        obj["metadata"]["resourceVersion"] = str(self._version)
        told = {"apiVersion": f"{kind.group}/{kind.version}".lstrip("/"), "kind": kind.kind, **obj}
        line = msgspec.json.encode({"type": change, "object": told}) + b"\n"
        for queue in self._queues[path]:
            queue.put_nowait(line)

    def _pod_changes(self, turn: int) -> None:
        """A container fails, or is ready again: what a kubelet and controllers then write."""
        number = (turn // 2 * 4999) % PODS
        ready = turn % 2 == 1
        pod = self._kinds["/api/v1/pods"].make(number)
        pod["status"]["containerStatuses"][0] |= {"restartCount": 1 + turn // 7, "ready": ready}
        pod["status"]["conditions"][2]["status"] = str(ready)
        self._say("/api/v1/pods", "MODIFIED", pod)
        work = number * WORKLOADS // PODS
        for path in ("/apis/apps/v1/replicasets", "/apis/apps/v1/deployments"):
            obj = self._kinds[path].make(work)
            obj["status"]["readyReplicas"] -= not ready
            self._say(path, "MODIFIED", obj)
        path = "/apis/discovery.k8s.io/v1/endpointslices"
        obj = self._kinds[path].make(work)
        obj["endpoints"][0]["conditions"]["ready"] = ready
        self._say(path, "MODIFIED", obj)

    def _node_changes(self, turn: int) -> None:
        node = self._kinds["/api/v1/nodes"].make(turn % NODES)
        for condition in node["status"]["conditions"]:
            condition["lastHeartbeatTime"] = f"2026-01-01T{turn // 3600 % 24:02}:00:{turn % 60:02}Z"
        self._say("/api/v1/nodes", "MODIFIED", node)

    def _event_comes(self, turn: int) -> None:
        obj = event(10_000 + turn if turn % 3 else turn % 2_000)
        obj["count"] = 2 + turn
        self._say("/api/v1/events", "ADDED" if turn % 3 else "MODIFIED", obj)

    def _bookmark(self, _: int) -> None:
        for path in self._kinds:
            self._say(path, "BOOKMARK", {"metadata": {}})


def _prometheus() -> web.Application:
    counts: Counter[str] = Counter()
    series = large_series.Served()

    async def asked(request: web.Request) -> web.Response:
        query = await request.post() if request.method == "POST" else request.query
        body = series.answer(str(query["query"]), ranged=request.path.endswith("_range"))
        return web.Response(body=body, content_type="application/json")

    async def counted(_: web.Request) -> web.Response:
        return _json(counts)

    app = web.Application(middlewares=[_counting(counts, lambda request: request.path)])
    app.router.add_get("/counts", counted)
    for path in ("/api/v1/query", "/api/v1/query_range"):
        app.router.add_route("*", path, asked)
    return app
