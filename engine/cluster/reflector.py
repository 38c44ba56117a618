"""Reflector: list, then watch, for ever; after client-go, over raw JSON.

The pure half is engine.cluster.known. Source of the method: client-go's reflector and
the Kubernetes API concepts (resource versions, bookmarks, 410 Gone).
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import msgspec

from engine.cluster.backoff import Backoff
from engine.cluster.known import Known, OlderList
from engine.cluster.lines import lines
from engine.cluster.listing import kept, pages, selectors
from engine.cluster.resources import Resource
from engine.cluster.server import Server
from engine.model.errors import ClusterError
from engine.model.ports import Clock
from engine.model.snapshot import Object
from engine.model.watch import WHOLE, Change, Observation, Part, ResourceStatus


@dataclass(frozen=True)
class Timing:
    """Seconds. A watch is asked to end after a random time of `watch_s`.

    After one of `unmarked_s` where the server is not known to send bookmarks: it sends none for
    Events, and only a stream that begins anew shows then that it is not frozen. `silence_s`: a
    stream that gave nothing for so long promises nothing more. `beyond_s`: how long after its
    agreed end a stream is taken for frozen. `denied_s`: how often to ask again for what is
    forbidden or missing. `again_s`: how often a fault that lasts is said again, so that it is
    known to be watched. `short_s`: a watch that ends sooner counts as a failure.
    """

    watch_s: tuple[int, int] = (300, 600)
    unmarked_s: tuple[int, int] = (60, 80)
    tick_s: float = 1.0
    silence_s: float = 90.0
    beyond_s: float = 30.0
    denied_s: float = 60.0
    again_s: float = 5.0
    short_s: float = 1.0


TIMING = Timing()
SLICE = 100
"""Objects of a list that are looked at in one go: others on the loop want their turn."""
DENIED = frozenset({"forbidden", "not-found", "unauthorized", "config"})


class _Event(msgspec.Struct):
    type: str
    object: Object


_DECODER = msgspec.json.Decoder(_Event)


class Reflector:
    """The life of one watch; `watch` may be called once for each instance."""

    def __init__(self, server: Server, clock: Clock, chance: random.Random, timing: Timing) -> None:
        self._server = server
        self._clock = clock
        self._chance = chance
        self._timing = timing
        self._known = Known()
        self._relist = "start"
        self._at_once = True
        self._marked = False
        self._status = ResourceStatus()
        self._part = WHOLE
        self._backoff = Backoff(chance)

    async def watch(
        self, resource: str, status: ResourceStatus, part: Part = WHOLE
    ) -> AsyncGenerator[Observation]:
        """Yield what happens to `resource`; see engine.model.ports.Watch."""
        self._status, self._part = status, part
        while True:
            wait_s = 0.0
            try:
                async with contextlib.aclosing(self._round(resource)) as observations:
                    async for observation in observations:
                        status.fault = ""
                        yield observation
            except ClusterError as error:
                wait_s = self._after(error)
                if wait_s or error.reason != "expired":  # else the list that follows says all
                    status.fault = f"{error.reason}: {error}"
                    yield Observation(self._clock.now(), fault=status.fault)
            while wait_s > self._timing.again_s:
                await asyncio.sleep(self._timing.again_s)
                wait_s -= self._timing.again_s
                yield Observation(self._clock.now(), fault=status.fault)
            await asyncio.sleep(wait_s)

    async def _round(self, resource: str) -> AsyncGenerator[Observation]:
        """Catch up with a list where one is due, then watch until the stream ends."""
        found = await self._server.discovery.resource(resource)
        if self._relist:
            self._status.relists[self._relist] += 1
            async for changes in self._list(found):
                yield Observation(self._clock.now(), tuple(changes), partial=True)
            self._relist = ""
            yield self._said([])
        began = asyncio.get_running_loop().time()
        try:
            async with contextlib.aclosing(self._stream(found)) as observations:
                async for observation in observations:
                    yield observation
        finally:
            lived = asyncio.get_running_loop().time() - began
            self._backoff.healthy_for(lived)
            self._at_once = self._at_once or lived >= self._timing.short_s
        if lived < self._timing.short_s:
            raise ClusterError("unreachable", f"{resource}: the watch ended at once")

    async def _list(self, found: Resource) -> AsyncGenerator[list[Change]]:
        self._known.begin()
        version = ""
        async with contextlib.aclosing(pages(self._server, found, self._part)) as listed:
            async for page in listed:
                version = page.version
                for start in range(0, max(1, len(page.objects)), SLICE):
                    try:
                        changes = self._known.page(page.objects[start : start + SLICE], version)
                    except OlderList as error:
                        raise ClusterError("stale", f"{found.name}: {error}") from error
                    if changes:
                        yield changes
                    await asyncio.sleep(0)
        gone = self._known.end(version)
        if gone:
            yield gone

    async def _stream(self, found: Resource) -> AsyncGenerator[Observation]:
        """Watch once. Ends when the server ends the stream as agreed."""
        loop = asyncio.get_running_loop()
        timeout_s = self._chance.randint(*self._timing.watch_s)
        if not self._marked:
            timeout_s = min(timeout_s, self._chance.randint(*self._timing.unmarked_s))
        params: dict[str, str | int] = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._known.version,
            "timeoutSeconds": timeout_s,
            **selectors(self._part),
        }
        frozen_s = timeout_s + self._timing.beyond_s
        self._status.restarts += 1
        async with self._server.client.stream(found.path, params, read_s=frozen_s) as chunks:
            end = loop.time() + frozen_s
            heard = loop.time()
            async with contextlib.aclosing(lines(chunks, self._timing.tick_s)) as batches:
                async for batch in batches:
                    now = loop.time()
                    if now > end:
                        raise ClusterError("timeout", f"{found.name}: the watch is frozen")
                    heard = now if batch else heard
                    if self._part.view is None:
                        changes, error = self._changes(found, batch)
                    else:  # it may parse: in a thread, as lists are
                        changes, error = await asyncio.to_thread(self._changes, found, batch)
                    if batch or now - heard < self._timing.silence_s:
                        yield self._said(changes)
                    if error is not None:
                        raise error

    def _changes(
        self, found: Resource, batch: list[bytes]
    ) -> tuple[list[Change], ClusterError | None]:
        """Return what `batch` changes, up to the line that ends the stream, if one does."""
        changes: list[Change] = []
        for line in batch:
            try:
                event = _decoded(line, found)
            except ClusterError as error:
                return changes, error
            self._marked = self._marked or event.type == "BOOKMARK"
            obj = kept(event.object, found, self._server.salt, self._part)
            change = self._known.event(event.type, obj)
            if change is not None:
                changes.append(change)
        return changes, None

    def _said(self, changes: list[Change]) -> Observation:
        at = self._clock.now()
        self._status.seen = at
        self._status.objects = len(self._known)
        return Observation(at, tuple(changes))

    def _after(self, error: ClusterError) -> float:
        """Return the seconds to wait after `error`.

        None before the list that a 410 asks for, unless the watch before it never lived.
        """
        if error.reason == "expired":
            self._relist = "expired"
            if self._at_once:
                self._at_once = False
                return 0.0
        if error.reason in DENIED:
            return self._chance.uniform(self._timing.denied_s / 2, self._timing.denied_s)
        return self._backoff.next_s(error.retry_after_s or 0.0)


def _decoded(line: bytes, found: Resource) -> _Event:
    try:
        event = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        raise ClusterError("malformed", f"{found.name}: a watch event is no JSON") from error
    if event.type == "ERROR":
        raise _refused(event.object, found)
    if not isinstance(event.object.get("metadata"), dict):
        raise ClusterError("malformed", f"{found.name}: a watch event without metadata")
    return event


def _refused(status: Object, found: Resource) -> ClusterError:
    gone = status.get("code") == 410 or status.get("reason") in {"Expired", "Gone"}  # noqa: PLR2004 - Gone
    message = " ".join(str(status.get("message", "")).split())[:300]
    return ClusterError("expired" if gone else "unavailable", f"{found.name}: {message}")
