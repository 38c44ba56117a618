"""Small views of the objects that the watcher of objects sees, kept for the other watchers.

So that a second watcher of nodes or pods asks nothing more of the API server.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

from engine.model.watch import Change, ChangeType, Object

T = TypeVar("T")


class Kept:
    """By resource and view the views of all objects, by uid."""

    def __init__(self) -> None:
        self._views: dict[str, dict[Callable[[Object], Any], dict[str, Any]]] = {}
        self._whole: set[str] = set()
        self._awaited: set[str] = set()
        self._news = asyncio.Event()

    def of(self, resource: str, view: Callable[[Object], T | None]) -> Mapping[str, T]:
        """Return `view` of each object of `resource` by uid, kept up to date from now on.

        To be asked for when a watcher begins: what was seen before that is not in it. An object
        of which the view is None is left out.
        """
        views = self._views.setdefault(resource, {})
        return cast("Mapping[str, T]", views.setdefault(view, {}))

    def whole(self, resource: str) -> bool:
        """Whether `resource` was listed completely, so that an object not kept is not there."""
        return resource in self._whole

    @property
    def pending(self) -> bool:
        """Whether some of what is going to be listed was not listed yet."""
        return bool(self._awaited)

    async def ready(self, *resources: str) -> None:
        """Wait until each of `resources` was listed completely, or is known not to be for now."""
        while self._awaited.intersection(resources):
            self._news.clear()
            await self._news.wait()

    def expect(self, resources: Collection[str]) -> None:
        """Take note that `resources` are going to be listed; what was seen before is over."""
        self._awaited.update(resources)
        self._whole.difference_update(resources)
        for views in (self._views.get(one, {}) for one in resources):
            for kept in views.values():
                kept.clear()

    def settle(self, resource: str, *, whole: bool) -> None:
        """Take note that `resource` was listed completely, or cannot be for now."""
        if whole:
            self._whole.add(resource)
        if resource in self._awaited:
            self._awaited.discard(resource)
            self._news.set()

    def take(self, resource: str, change: Change) -> None:
        """Take note of one change."""
        views = self._views.get(resource)
        if not views:
            return
        uid = str(change.object["metadata"].get("uid", ""))
        gone = change.type is ChangeType.DELETED
        for view, kept in views.items():
            seen = None if gone else view(change.object)
            if seen is None:
                kept.pop(uid, None)
            else:
                kept[uid] = seen
