"""Applications whose desired state is in git: fetched and rendered, and what they want."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, Self

import msgspec
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from engine.desired import helm
from engine.desired.applied import sealed
from engine.desired.compare import BUILT_IN, Ignored
from engine.desired.git import Checkout, Limits
from engine.desired.render import Folder, Programs, render
from engine.desired.repository import Repository
from engine.model.config import Config
from engine.model.errors import ClusterError, DesiredError
from engine.model.ports import Watch
from engine.model.watch import Object, Offered
from watchers.live import Key, Place, Want

_TOLD: Final = 10
_MIB: Final = 1 << 20


class IgnoreConfig(Config):
    """Fields that may differ, such as {kind: Deployment, paths: [spec.replicas]}.

    `*` stands for anything in `kind`, `name`, `namespace` and `paths`; a path is for all below it.
    """

    paths: tuple[str, ...] = Field(min_length=1)
    kind: str = "*"
    name: str = "*"
    namespace: str = "*"

    @property
    def ignored(self) -> Ignored:
        """The same as the comparison takes it."""
        return Ignored(self.paths, self.kind, self.name, self.namespace)


class AppConfig(Config):
    """One application whose desired state is in git.

    `repository` is https://..., ssh://USER@... or file:///..., at `revision` (branch, tag or
    commit), the folder `path` of it rendered by `tool`: `auto` takes kustomize where there is a
    kustomization and helm where there is a chart. `exclude` are files of a plain folder that are
    no manifests, as globs. `values` (files of the repository) and `release` are for helm;
    `namespace` is that of objects that name none.

    https authenticates by `token_file` (with `username`) and trusts `ca_file`; ssh by `key_file`,
    with the servers' keys in `known_hosts_file`.

    `owned` is a label selector of all that belongs to the application: objects of the desired
    kinds that have it and are not desired are told as extra. `ignore` holds for this application.
    """

    name: str = Field(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$")
    repository: str
    revision: str = "HEAD"
    path: str = ""
    tool: Literal["auto", "plain", "kustomize", "helm"] = "auto"
    exclude: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    release: str = "release"
    namespace: str = "default"
    username: str = "git"
    token_file: str | None = None
    ca_file: str | None = None
    key_file: str | None = None
    known_hosts_file: str | None = None
    owned: str | None = Field(default=None, min_length=1)
    ignore: tuple[IgnoreConfig, ...] = ()
    timeout_s: PositiveFloat = 30.0
    max_mib: PositiveInt = 256

    @property
    def source(self) -> str:
        """Name of its source."""
        return f"git/{self.name}"

    @property
    def at(self) -> Repository:
        """Where it is."""
        return Repository(
            self.repository,
            self.revision,
            self.username,
            self.token_file,
            self.ca_file,
            self.key_file,
            self.known_hosts_file,
        )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        self.at  # noqa: B018 - refuses what is no repository
        return self


class DriftConfig(Config):
    """How drift is looked for.

    Every `every_s` seconds each of `apps` is fetched and compared with what is there; `ignore`
    holds for all of them. Where objects of Argo CD or Flux are, what they say is told too, unless
    `argocd` or `flux` is false; with `inventory` each object that Flux applied is looked for, too,
    which lists all kinds of them. After a commit that changes an object a sync of it is taken to
    be under way for `sync_s`. `kustomize_path` and `helm_path` name programs that are not on the
    path of commands.
    """

    every_s: PositiveFloat = 300.0
    apps: tuple[AppConfig, ...] = ()
    ignore: tuple[IgnoreConfig, ...] = ()
    argocd: bool = True
    flux: bool = True
    inventory: bool = False
    sync_s: NonNegativeFloat = 300.0
    kustomize_path: str | None = None
    helm_path: str | None = None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [app.name for app in self.apps]
        if len(set(names)) < len(names):
            raise ValueError("two apps have one name")
        return self


@dataclass(frozen=True)
class Wanted:
    """One object that an application wants, values of Secrets as digests.

    `changed` is when a commit changed it while this process ran, None where none did. Nothing is
    `offered` where the server does not know its kind: then it can not be there.
    """

    obj: Object
    key: Key
    offered: Offered | None
    changed: datetime | None


@dataclass
class Desired:
    """The desired state of one application; `faults` tell what of it could not be read."""

    commit: str = ""
    wanted: list[Wanted] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def fault(self) -> str:
        """All faults as one, empty where there is none."""
        more = len(self.faults) - _TOLD
        told = self.faults[:_TOLD] + ([f"and {more} more"] if more > 0 else [])
        return "; ".join(told)

    @property
    def wants(self) -> list[Want]:
        """What is to be listed for it."""
        return [Want(one.key, one.offered) for one in self.wanted if one.offered]


class App:
    """One application: what was rendered last, kept until its commit changes."""

    def __init__(self, config: AppConfig, drift: DriftConfig, folder: Path, salt: bytes) -> None:
        self.config = config
        self.ignored: Sequence[Ignored] = (
            *BUILT_IN,
            *(one.ignored for one in (*drift.ignore, *config.ignore)),
        )
        limits = Limits(wall_s=config.timeout_s, pack=config.max_mib * _MIB)
        release = helm.Release(config.release, config.namespace, config.values)
        self._checkout = Checkout(config.at, folder / config.name, limits)
        self._folder = Folder(config.path, config.tool, config.exclude, release)
        self._programs = Programs(drift.kustomize_path, drift.helm_path)
        self._salt = salt
        self.compared: dict[Key, tuple[tuple[str, ...], list[str]]] = {}
        """What a comparison found, by what it was of: it is not made twice."""
        self._commit = ""
        self._objects: list[Object] = []
        self._faults: list[str] = []
        self._digests: dict[Key, tuple[bytes, datetime | None]] = {}

    async def desired(self, source: Watch, now: datetime) -> Desired:
        """Return what is desired now. Raises DesiredError, ClusterError."""
        commit = await self._checkout.fetch()
        if commit != self._commit:
            made = await render(self._checkout, commit, self._folder, self._programs)
            self._objects = [sealed(obj, self._salt) for obj in made.objects]
            self._faults = [f"malformed: {fault}" for fault in made.faults]
            first, self._commit = not self._commit, commit
            self.compared = {}
            self._digests = self._changes({} if first else self._digests, None if first else now)
        desired = Desired(commit, faults=list(self._faults))
        wanted: dict[Key, Wanted] = {}
        offers: dict[Place, Offered | None] = {}
        for obj in self._objects:
            place = (obj["apiVersion"], obj["kind"])
            if place not in offers:
                offers[place] = await offered(source, place)
            one = self._wanted(obj, offers[place])
            wanted[one.key] = one  # of two with one name the later one is what gets applied
        desired.wanted = list(wanted.values())
        return desired

    def _wanted(self, obj: Object, offered: Offered | None) -> Wanted:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace") or self.config.namespace
        if offered and not offered.namespaced:
            namespace = ""
        key = (obj["apiVersion"], obj["kind"], namespace, metadata["name"])
        return Wanted(obj, key, offered, self._digests[_called(obj)][1])

    def _changes(
        self, before: Mapping[Key, tuple[bytes, datetime | None]], now: datetime | None
    ) -> dict[Key, tuple[bytes, datetime | None]]:
        """Return by object a digest of what is desired, and since when it is."""
        found: dict[Key, tuple[bytes, datetime | None]] = {}
        for obj in self._objects:
            digest = msgspec.json.encode(obj, order="sorted")
            known = before.get(_called(obj))
            found[_called(obj)] = known if known and known[0] == digest else (digest, now)
        return found

    def syncing(self, wanted: Wanted, now: datetime, sync_s: float) -> bool:
        """Whether a commit changed the object so lately that it may be under way yet."""
        return wanted.changed is not None and now - wanted.changed < timedelta(seconds=sync_s)


def _called(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return obj["apiVersion"], obj["kind"], metadata.get("namespace") or "", metadata["name"]


async def offered(source: Watch, place: Place) -> Offered | None:
    """Return how the server offers a kind, None where it does not. Raises ClusterError."""
    try:
        return await source.offered(*place)
    except ClusterError as error:
        if error.reason != "not-found":
            raise
        return None


def fault_of(error: DesiredError | ClusterError) -> str:
    """Return a fault as a poll tells it.

    What is not found where an application should be is refused: somebody has to look at it.
    """
    reason = "refused" if error.reason == "not-found" else error.reason
    return f"{reason}: {error}"


def tidy(folder: Path, apps: Sequence[AppConfig]) -> None:
    """Take away what is kept of repositories that no application is in any more."""
    wanted = {Path(app.name, app.at.folder) for app in apps}
    wanted |= {path.parent for path in wanted}
    for kept in (*folder.glob("*/*"), *folder.glob("*")):
        if kept.relative_to(folder) not in wanted:
            shutil.rmtree(kept, ignore_errors=True)
