"""Mirrors: parts of resources that a polled watcher keeps at hand, followed in the background.

So that its looks ask nothing of the API server, and still see what changed a moment ago.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence

from engine.model.watch import ChangeType, Object, Observation, Part
from watchers.registry import ABSENT, Scene


class Mirror:
    """The objects of one resource as its last observation left them, by uid.

    `fault` says why they can not be seen for now, empty while they are; `listed`: they were
    listed completely once.
    """

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.fault = f"unavailable: {resource} are being listed"
        self.listed = False
        self.objects: dict[str, Object] = {}
        self._answered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def unknown(self) -> bool:
        """Whether nothing is known of it yet: not even that it can not be read."""
        return not (self.listed or self.fault.startswith(ABSENT))

    async def ready(self) -> None:
        """Wait until the resource was listed completely, or is known not to be for now.

        Raises:
            Whatever broke the watch, if anything did.
        """
        if self._task is None:
            raise RuntimeError(f"nobody follows {self.resource}")
        await come(self._answered, self._task)

    def follow(self, scene: Scene, part: Part) -> asyncio.Task[None]:
        """Begin to follow; the caller ends the task."""
        self._task = asyncio.create_task(self._follow(scene, part))
        return self._task

    async def _follow(self, scene: Scene, part: Part) -> None:
        async with contextlib.aclosing(scene.watch(self.resource, part)) as observations:
            async for observation in observations:
                self._take(observation)

    def _take(self, observation: Observation) -> None:
        for change in observation.changes:
            uid = str(change.object["metadata"].get("uid", ""))
            if change.type is ChangeType.DELETED:
                self.objects.pop(uid, None)
            else:
                self.objects[uid] = change.object
        if observation.partial:
            return
        self.fault = observation.fault
        self.listed = self.listed or not observation.fault
        self._answered.set()


@contextlib.asynccontextmanager
async def mirrored(scene: Scene, parts: Mapping[str, Part]) -> AsyncGenerator[dict[str, Mirror]]:
    """Give a mirror of each resource of `parts`, followed within the context."""
    mirrors = {resource: Mirror(resource) for resource in parts}
    tasks = [mirror.follow(scene, parts[name]) for name, mirror in mirrors.items()]
    try:
        yield mirrors
    finally:
        await ended(tasks)


async def come(event: asyncio.Event, task: asyncio.Task[None]) -> None:
    """Wait for `event`, which `task` sets.

    Raises:
        Whatever broke the task, if anything did: it must not be silent for ever.
    """
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if task.done():
        task.result()


async def ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """End the tasks and wait until they have."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
