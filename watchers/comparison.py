"""One application of git beside what is there: the state of each of its objects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from engine.desired.compare import PATHS_TOLD, Ignored, differing
from engine.model.watch import Object
from watchers.desired import App, Desired, Wanted
from watchers.gitops import State
from watchers.live import Key, Live, Place
from watchers.owners import controller
from watchers.registry import Scene

Target = tuple[str, str, str]
"""Kind, namespace and name of what an autoscaler scales."""
_REPLICAS: Final = Ignored(("spec.replicas",))


class Comparison:
    """One application beside what is there."""

    def __init__(
        self, scene: Scene, app: App, live: Live, scaled: frozenset[Target] | None
    ) -> None:
        self._scene = scene
        self._app = app
        self._live = live
        self._scaled = scaled

    def states(self, desired: Desired, now: datetime, sync_s: float) -> list[State]:
        """Return the state of each object that is desired, and of those that are too many."""
        states = []
        for wanted in desired.wanted:
            if wanted.key[:2] not in self._live.unread:
                syncing = self._app.syncing(wanted, now, sync_s)
                states.append(self._state(wanted, {"syncing": syncing, "revision": desired.commit}))
        for key in sorted(self._extra(desired)):
            obj = self._live.objects[key]
            more = {"syncing": False, "revision": desired.commit, "drifted": True}
            states.append(
                {**self._about(key, obj, obj), **more, "difference": "extra", "paths": []}
            )
        return states

    def _state(self, wanted: Wanted, common: Mapping[str, Any]) -> State:
        live = self._live.objects.get(wanted.key)
        about = {**self._about(wanted.key, live, wanted.obj), **common}
        if live is None:
            return {**about, "drifted": True, "difference": "missing", "paths": []}
        if not (paths := self._paths(wanted, live)):
            return {**about, "drifted": False}
        told = paths[:PATHS_TOLD]
        return {**about, "drifted": True, "difference": "modified", "paths": told}

    def _paths(self, wanted: Wanted, live: Object) -> list[str]:
        """Return what differs, by an earlier comparison where nothing has changed since."""
        metadata = live.get("metadata") or {}
        scaled = self._scaled is None or wanted.key[1:] in self._scaled
        seen = (str(metadata.get("uid")), str(metadata.get("resourceVersion", "")), str(scaled))
        before, paths = self._app.compared.get(wanted.key, ((), []))
        if before == seen and seen[1]:
            return paths
        applied = [tuple(path) for path in live.get("applied") or ()]
        ignored = (*self._app.ignored, _REPLICAS) if scaled else self._app.ignored
        paths = differing(wanted.obj, live, applied, ignored)
        self._app.compared[wanted.key] = seen, paths
        return paths

    def _about(self, key: Key, live: Object | None, obj: Object) -> State:
        api_version, kind, namespace, name = key
        metadata = (live or obj).get("metadata") or {}
        return {
            "kind": kind,
            "apiVersion": api_version,
            "namespace": namespace,
            "name": name,
            "uid": str(metadata.get("uid", "")) if live else "",
            "workload": self._scene.owners.workload(live).name if live else name,
            "labels": metadata.get("labels") or {},
            "app": self._app.config.name,
            "source": "git",
        }

    def _extra(self, desired: Desired) -> set[Key]:
        """Return what is labelled as the application's and not desired; parts of others are not."""
        labelled = self._live.labelled.get(self._app.config.owned or "", set())
        kinds: set[Place] = {one.key[:2] for one in desired.wanted}
        wanted = {one.key for one in desired.wanted}
        return {
            key
            for key in labelled
            if key[:2] in kinds
            and key not in wanted
            and controller(self._live.objects[key]) is None
            and not desired.faults
        }
