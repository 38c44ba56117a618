"""Readers of the test clusters, and what they saw."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from engine.cluster.contexts import Context
from engine.cluster.reader import Reader
from engine.cluster.reflector import Timing
from engine.model.ports import SystemClock
from engine.model.watch import Change, ChangeType, Observation, ResourceStatus
from tests.testbeds.kube import Kube

QUICK = Timing(watch_s=(300, 300), tick_s=0.1, denied_s=0.4)


@contextlib.asynccontextmanager
async def a_reader(context: Context, timing: Timing = QUICK) -> AsyncGenerator[Reader]:
    reader = Reader("west", context, SystemClock(), chance=random.Random(7), timing=timing)
    try:
        yield reader
    finally:
        await reader.aclose()


def as_persona(kube: Kube, persona: str = "") -> Context:
    name = f"{kube.name}-{persona}" if persona else kube.name
    return Context(str(kube.kubeconfig), name)


def through(port: int, kube: Kube, folder: Path, **user: Any) -> Context:
    """Return a context of the admin by another port; `user` replaces the credentials."""
    file = folder / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(kube.ca)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "west",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {"token": kube.tokens["admin"]}}],
        "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u"}}],
    }
    file.write_text(json.dumps(config))
    return Context(str(file))


class Seen:
    """Everything that a watch said of one namespace so far."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.observations: list[Observation] = []
        self.status = ResourceStatus()
        self._news = asyncio.Event()

    def add(self, observation: Observation) -> None:
        self.observations.append(observation)
        self._news.set()

    @property
    def changes(self) -> list[Change]:
        return [
            c
            for o in self.observations
            for c in o.changes
            if c.object["metadata"].get("namespace", "") == self.namespace
        ]

    def told(self, name: str = "") -> list[tuple[ChangeType, str]]:
        pairs = [(c.type, c.object["metadata"]["name"]) for c in self.changes]
        return [pair for pair in pairs if not name or pair[1] == name]

    @property
    def faults(self) -> list[str]:
        return [o.fault.partition(":")[0] for o in self.observations if o.fault]

    async def until(self, true: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{what}: not within {timeout_s} s; saw {self.told()}") from None

    async def live(self) -> None:
        """Wait for the next observation that promises that all was seen."""
        start = len(self.observations)
        await self.until(
            lambda: any(not o.fault and not o.partial for o in self.observations[start:]), "live"
        )


@contextlib.asynccontextmanager
async def following(reader: Reader, resource: str, namespace: str = "") -> AsyncGenerator[Seen]:
    """Watch in the background for the length of a block."""
    seen = Seen(namespace)

    async def follow() -> None:
        async with contextlib.aclosing(reader.watch(resource, seen.status)) as observations:
            async for observation in observations:
                seen.add(observation)

    task = asyncio.create_task(follow())
    try:
        yield seen
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
