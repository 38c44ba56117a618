"""Watchers run only until each has seen everything once: for people who want to see what comes."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field, replace

from engine.model.config import Config
from engine.model.signal import HEARTBEAT, Signal
from engine.model.watch import ResourceStatus
from watchers.registry import Scene, Source, WatcherKind, kinds, ordered

_LOOK_S = 0.05


@dataclass
class Once:
    """What one watcher gave.

    Attributes:
        signals: all, in order, heartbeats and `watcher` signals too.
        ended: there was nothing for it to do.
        whole: it saw everything that it can read.
    """

    signals: list[Signal] = field(default_factory=list)
    ended: bool = False
    whole: bool = False

    @property
    def found(self) -> list[Signal]:
        """What it found, without what it told of itself."""
        return [one for one in self.signals if one.type not in {HEARTBEAT, "watcher"}]


async def once(configs: Mapping[str, Config], scene: Scene, limit_s: float) -> dict[str, Once]:
    """Run the watchers of `configs` beside one another until each is done, `limit_s` at most.

    One is done too that told of what it cannot read.
    """
    names = ordered(configs)
    found = {name: Once() for name in names}
    tasks = {
        name: asyncio.create_task(_fill(found[name], kinds()[name], configs[name], scene))
        for name in names
    }
    try:
        async with asyncio.timeout(limit_s):
            for name in names:
                await _done(found[name], tasks[name], scene)
    except TimeoutError:
        pass
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return found


def active(kind: WatcherKind, scene: Scene) -> Iterator[tuple[Source, ResourceStatus | None]]:
    """Yield the sources of a watcher that ran, and how each fares, None: it was not asked.

    Where one stands for several, such as `git` for `git/shop`, each of those is yielded.
    """
    for source in kind.sources:
        parts = {
            one: status
            for (watcher, one), status in scene.sources.items()
            if watcher == kind.name and one.startswith(f"{source.name}/")
        }
        for one, status in parts.items():
            yield replace(source, name=one), status
        if not parts:
            polled = scene.sources.get((kind.name, source.name))
            yield source, polled or scene.status.get(source.name)


async def _fill(into: Once, kind: WatcherKind, config: Config, scene: Scene) -> None:
    batches: AsyncGenerator[list[Signal]] = kind.run(config, scene)
    async with contextlib.aclosing(batches):
        async for batch in batches:
            for tap in scene.taps:
                tap(batch)
            into.signals += batch
            into.whole = into.whole or any(one.type == HEARTBEAT for one in batch)
    into.ended = True


async def _done(found: Once, task: asyncio.Task[None], scene: Scene) -> None:
    """Wait until a watcher saw everything, ended, or told why it does not see everything.

    Polled watchers tell of all their sources at once; objects are all listed, or told not to be.
    """
    while not (found.whole or task.done()):
        if any(one.type == "watcher" for one in found.signals) and not scene.kept.pending:
            return
        await asyncio.wait({task}, timeout=_LOOK_S)
    if task.done():
        task.result()
