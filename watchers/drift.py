"""The watcher of drift: objects beside their desired state, by git, Argo CD and Flux."""

import asyncio
import contextlib
import secrets
import tempfile
import traceback
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from engine.model.errors import ClusterError, DesiredError
from engine.model.signal import Signal
from engine.model.watch import Object
from watchers import gitops
from watchers.comparison import Comparison, Target
from watchers.desired import App, Desired, DriftConfig, fault_of, offered, tidy
from watchers.live import Live, Want, listed
from watchers.polling import Fact, Looked, poll
from watchers.registry import Scene, Source, watcher
from watchers.since import Since

NAME: Final = "drift"
SCALERS: Final = "horizontalpodautoscalers.autoscaling"
LOG = structlog.get_logger()
_BESIDE: Final = 4
SOURCES = (
    Source(
        "git",
        "objects that differ from what a repository desires",
        setting="clusters[].watchers.drift.apps",
        verbs=(),
        optional=True,
    ),
    Source(gitops.APPLICATIONS, "drift as Argo CD sees it", verbs=("get", "list"), optional=True),
    Source(
        gitops.KUSTOMIZATIONS, "what Flux could not apply", verbs=("get", "list"), optional=True
    ),
    Source(
        gitops.HELM_RELEASES, "what Flux could not install", verbs=("get", "list"), optional=True
    ),
)


@watcher(NAME, config=DriftConfig, sources=SOURCES)
async def watch_drift(config: DriftConfig, scene: Scene) -> AsyncGenerator[list[Signal]]:
    """Yield `drift` per object of an application: whether it is as desired, and what differs.

    Levels, by app and object. data: kind, apiVersion, namespace, name, uid (empty while it is
    missing), workload, labels, app, source (git, argocd, flux), drifted, syncing, revision;
    while drifted also since, difference (modified, missing, extra) and paths; by Argo CD and Flux
    health, by Flux message. What could not be compared is not told, nor what Argo CD calls synced
    unless it was drifted just before.

    Source: repositories of git, rendered, and the objects of the cluster; applications of
    Argo CD; kustomizations and helmreleases of Flux.
    """
    sources = [app.source for app in config.apps]
    sources += [gitops.APPLICATIONS] if config.argocd else []
    sources += [gitops.KUSTOMIZATIONS, gitops.HELM_RELEASES] if config.flux else []
    with _folder(scene) as folder:
        tidy(folder, config.apps)
        look = _Look(config, scene, folder)
        async with contextlib.aclosing(
            poll(NAME, scene, sources, config.every_s, look.at)
        ) as batches:
            async for batch in batches:
                yield batch


@contextlib.contextmanager
def _folder(scene: Scene) -> Iterator[Path]:
    """Give the folder for repositories; one for a while where nothing is kept."""
    if scene.folder is not None:
        yield scene.folder / NAME
        return
    with tempfile.TemporaryDirectory(prefix="dogwatch-") as name:
        yield Path(name)


def target(scaler: Object) -> Target | None:
    """Return what an autoscaler scales."""
    spec = scaler.get("spec")
    to = spec.get("scaleTargetRef") if isinstance(spec, Mapping) else None
    if not isinstance(to, Mapping):
        return None
    namespace = (scaler.get("metadata") or {}).get("namespace")
    return str(to.get("kind", "")), str(namespace or ""), str(to.get("name", ""))


class _Look:
    """Looks at all applications; knows what it saw before."""

    def __init__(self, config: DriftConfig, scene: Scene, folder: Path) -> None:
        salt = secrets.token_bytes(32)
        self._config = config
        self._scene = scene
        self._salt = salt
        self._apps = [App(app, config, folder, salt) for app in config.apps]
        self._targets = scene.kept.of(SCALERS, target)
        self._since = Since(scene.memory(f"{NAME}/since"))

    async def at(self, now: datetime) -> Looked:
        """Look at everything once."""
        looked = Looked()
        await self._since.recall()
        states = await self._by_git(looked, now)
        states += [one async for one in self._by_argo(looked)]
        states += [one async for one in self._by_flux(looked)]
        for source, state in states:
            subject = _subject(state)
            if "drifted" not in state:
                looked.unsure.add(f"{subject}/")
                continue
            if state["source"] == "argocd" and not (state["drifted"] or subject in self._since):
                continue  # tens of thousands of resources may be in sync
            data = self._since.told(subject, state, now)
            uid = state["uid"] or ("missing" if state.get("difference") == "missing" else "")
            looked.facts.append(Fact(NAME, f"{subject}/{uid}", data, source))
        seen = {_subject(state) for _, state in states}
        await self._since.keep(seen, looked.unsure, whole=not looked.faults)
        return looked

    async def _by_git(self, looked: Looked, now: datetime) -> list[tuple[str, gitops.State]]:
        desired = await self._desired(looked, now)
        live = await self._listed(desired)
        scaled = await self._scaled() if desired else None
        states: list[tuple[str, gitops.State]] = []
        for app in self._apps:
            if (wants := desired.get(app.config.name)) is not None:
                with _guarded(looked, app.config.source, app.config.name):
                    made = Comparison(self._scene, app, live, scaled)
                    found = await asyncio.to_thread(made.states, wants, now, self._config.sync_s)
                    states += [(app.config.source, state) for state in found]
                    if fault := _faults(wants, live):
                        looked.faults[app.config.source] = fault
        return states

    async def _desired(self, looked: Looked, now: datetime) -> dict[str, Desired]:
        """Return what applications want, by name; a few are fetched beside one another."""
        desired: dict[str, Desired] = {}
        turn = asyncio.Semaphore(_BESIDE)

        async def one(app: App) -> None:
            async with turn:
                with _guarded(looked, app.config.source, app.config.name):
                    desired[app.config.name] = await app.desired(self._scene.source, now)

        async with asyncio.TaskGroup() as group:
            for app in self._apps:
                group.create_task(one(app))
        return desired

    async def _listed(self, desired: Mapping[str, Desired]) -> Live:
        wants = [want for one in desired.values() for want in one.wants]
        owned = {
            (app.config.owned, want.offered, (want.key[0], want.key[1]))
            for app in self._apps
            if app.config.owned and app.config.name in desired
            for want in desired[app.config.name].wants
        }
        return await listed(self._scene.source, wants, owned, self._salt)

    async def _scaled(self) -> frozenset[Target] | None:
        """Return what autoscalers scale, None where that can not be known."""
        await self._scene.kept.ready(SCALERS)
        if self._scene.kept.whole(SCALERS):
            return frozenset(self._targets.values())
        try:
            scalers = await self._scene.source.list(SCALERS)
        except ClusterError as error:
            return frozenset() if error.reason == "not-found" else None
        return frozenset(one for one in map(target, scalers) if one)

    async def _by_argo(self, looked: Looked) -> AsyncGenerator[tuple[str, gitops.State]]:
        for one in await self._objects(gitops.APPLICATIONS, looked, on=self._config.argocd):
            app = gitops.app_of(one)
            states: list[gitops.State] | None = []
            with _guarded(looked, gitops.APPLICATIONS, app):
                states = gitops.argo_states(one)
            if states is None:  # what Argo CD can not compare for now is as it was
                looked.unsure.add(f"argocd/{app}/")
            for state in states or ():
                yield gitops.APPLICATIONS, state

    async def _by_flux(self, looked: Looked) -> AsyncGenerator[tuple[str, gitops.State]]:
        for resource in (gitops.KUSTOMIZATIONS, gitops.HELM_RELEASES):
            objects = await self._objects(resource, looked, on=self._config.flux)
            for one in objects:
                app, state = gitops.app_of(one), None
                with _guarded(looked, resource, app):
                    state = gitops.flux_state(one)
                if state:
                    yield resource, state
                elif not gitops.suspended(one):
                    looked.unsure.add(f"flux/{app}/")
            if self._config.inventory and resource == gitops.KUSTOMIZATIONS:
                for state in await self._inventory(objects):
                    yield resource, state

    async def _inventory(self, kustomizations: Iterable[Object]) -> list[gitops.State]:
        """Return which of the objects that Flux applied are there, as far as they can be read."""
        states = {
            (state["apiVersion"], state["kind"], state["namespace"], state["name"]): state
            for kustomization in kustomizations
            for state in gitops.inventory(kustomization)
        }
        source = self._scene.source
        offers = {place: await offered(source, place) for place in {key[:2] for key in states}}
        wants = [Want(key, there) for key in states if (there := offers[key[:2]])]
        live = await listed(source, wants, (), self._salt)
        return [
            state if key[:2] in live.unread else gitops.beside(state, live.objects.get(key))
            for key, state in states.items()
        ]

    async def _objects(self, resource: str, looked: Looked, *, on: bool) -> list[Object]:
        """Return the objects of `resource`; a cluster that has none of that kind is no fault."""
        if not on:
            return []
        try:
            return await self._scene.source.list(resource)
        except ClusterError as error:
            if error.reason != "not-found":
                looked.faults[resource] = f"{error.reason}: {error}"
            return []


@contextlib.contextmanager
def _guarded(looked: Looked, source: str, app: str) -> Iterator[None]:
    """Tell what breaks for one application as a fault of its source; the others go on."""
    try:
        yield
    except (DesiredError, ClusterError) as error:
        looked.faults[source] = fault_of(error)
    except OSError as error:  # a disk that is full, a name that is too long
        looked.faults[source] = f"unavailable: {error.strerror or type(error).__name__}: {app}"
    except Exception as error:  # noqa: BLE001 - objects are hostile: one must not end all
        # No text of the error: it may hold a value of a Secret.
        at = traceback.extract_tb(error.__traceback__)[-1]
        place, name = f"{Path(at.filename).name}:{at.lineno}", type(error).__name__
        LOG.error("an application broke", app=app, source=source, error=name, at=place)  # noqa: TRY400 - no traceback
        looked.faults[source] = f"broken: {name}"


def _subject(state: gitops.State) -> str:
    group = state["apiVersion"].rpartition("/")[0]
    kind = f"{state['kind']}.{group}" if group else state["kind"]
    parts = (state["source"], state["app"], kind, state["namespace"], state["name"])
    return "/".join(parts)


def _faults(desired: Desired, live: Live) -> str:
    """Return why something of an application could not be compared, empty where all was."""
    kinds = {want.key[:2] for want in desired.wants}
    unread = [fault_of(live.unread[kind]) for kind in sorted(kinds & live.unread.keys())]
    return "; ".join([*([desired.fault] if desired.fault else []), *unread])
