"""Rendering: from a folder of a repository to the objects that are desired."""

import asyncio
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final, Literal

from engine.desired import helm, kustomize
from engine.desired.git import Checkout, Tree
from engine.desired.manifests import Manifests, read_manifests
from engine.model.errors import DesiredError

MAX_OBJECTS: Final = 10_000
_SUFFIXES: Final[Mapping[str, bool]] = {".yaml": False, ".yml": False, ".json": True}
_FAULTS_TOLD: Final = 20


@dataclass(frozen=True)
class Folder:
    """What is rendered, and how.

    Attributes:
        path: the folder, from the root of the repository; empty: the root.
        tool: `auto` takes kustomize where there is a kustomization, helm where there is a chart.
        exclude: files of a plain folder that are no manifests, as globs of paths below it.
        release: for helm.
    """

    path: str = ""
    tool: Literal["auto", "plain", "kustomize", "helm"] = "auto"
    exclude: tuple[str, ...] = ()
    release: helm.Release = field(default_factory=lambda: helm.Release("release", ""))


@dataclass(frozen=True)
class Programs:
    """Paths of the programs that render; None: found on the path of commands."""

    kustomize: str | None = None
    helm: str | None = None


async def render(
    checkout: Checkout, commit: str, folder: Folder, programs: Programs | None = None
) -> Manifests:
    """Return the objects that `folder` of `commit` desires; one broken file hinders no other.

    Raises:
        DesiredError: nothing can be said of the folder; see kustomize.render and helm.render.
    """
    programs = programs or Programs()
    path = folder.path.strip("/")
    tree = await checkout.tree(commit, path)
    tool = _tool(tree, path) if folder.tool == "auto" else folder.tool
    if tool == "kustomize":
        made = await kustomize.render(checkout, commit, path, programs.kustomize)
    elif tool == "helm":
        made = await helm.render(checkout, commit, path, folder.release, programs.helm)
    else:
        made = await _plain(checkout, tree, path, folder.exclude)
    if len(made.objects) > MAX_OBJECTS:
        raise DesiredError("too-large", f"{path or '.'}: more than {MAX_OBJECTS} objects")
    return made


def _tool(tree: Tree, path: str) -> str:
    if any(posixpath.join(path, name) in tree.entries for name in kustomize.NAMES):
        return "kustomize"
    return "helm" if posixpath.join(path, helm.CHART) in tree.entries else "plain"


async def _plain(checkout: Checkout, tree: Tree, path: str, exclude: tuple[str, ...]) -> Manifests:
    wanted = [
        file
        for file in sorted(tree.entries)
        if posixpath.splitext(file)[1] in _SUFFIXES
        and not _left_out(posixpath.relpath(file, path or "."), exclude)
    ]
    fitting = [file for file in wanted if checkout.fits(tree.entries[file])]
    made = await asyncio.to_thread(_read, await checkout.read(tree, fitting))
    large = sorted(set(wanted) - set(fitting))
    made.faults += [f"{file}: it is too large to be read" for file in large]
    made.faults += [
        f"{file}: it is {odd}"
        for file, odd in sorted(tree.odd.items())
        if posixpath.splitext(file)[1] in _SUFFIXES
    ]
    return made


def _left_out(file: str, exclude: tuple[str, ...]) -> bool:
    """Whether a file is none of the manifests: excluded, or hidden as .github/ is."""
    hidden = any(part.startswith(".") for part in file.split("/"))
    return hidden or any(fnmatchcase(file, glob) for glob in exclude)


def _read(contents: Mapping[str, bytes]) -> Manifests:
    made = Manifests()
    for file, content in contents.items():
        found = read_manifests(content, is_json=_SUFFIXES[posixpath.splitext(file)[1]])
        made.objects += found.objects
        made.faults += [f"{file}: {fault}" for fault in found.faults[:_FAULTS_TOLD]]
        if len(made.objects) > MAX_OBJECTS:
            break
    return made
