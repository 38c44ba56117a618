"""Kustomize: what a kustomization refers to, read before the program does, and the program.

The program sees only files that were referred to and are in the repository. What would have it
fetch or run something is refused by name.

Source: sigs.k8s.io/kustomize/api/types, Kustomization.
"""

import asyncio
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.desired.git import Checkout, Tree
from engine.desired.manifests import Manifests, read_manifests, read_mapping
from engine.desired.program import Bounds, Program, found
from engine.desired.scratch import ENVIRONMENT, scratch
from engine.model.errors import DesiredError

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
INSTALL: Final = "install kustomize 5 (or kubectl), or render in CI and point at what it wrote"
_REFUSED: Final[Mapping[str, str]] = {
    "generators": "plugins are not run",
    "transformers": "plugins are not run",
    "validators": "plugins are not run",
    "helmCharts": "charts are not fetched",
    "helmChartInflationGenerator": "charts are not fetched",
}
_LISTS: Final = (
    "resources",
    "bases",
    "components",
    "crds",
    "configurations",
    "patchesStrategicMerge",
)
_WITH_PATH: Final = ("patches", "patchesJson6902", "replacements")
_MAKERS: Final = ("configMapGenerator", "secretGenerator")
_ELSEWHERE = re.compile(r"(?i)[:?]|//|^[^/]*@|^github\.com")
"""What the program takes for a place to fetch from, though a folder may be called so."""
_MOST: Final = 2_000
"""Kustomizations that are read for one application."""


@dataclass
class _Read:
    """What was found so far: contents by path, and folders with a kustomization."""

    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)


async def render(checkout: Checkout, commit: str, path: str, program: str | None) -> Manifests:
    """Return the objects that the kustomization in the folder `path` of `commit` makes.

    Raises:
        DesiredError: `refused` for what would be fetched or run, or is not in the repository;
            `unavailable` where no program is there; `malformed`, `timeout`, `too-large`.
    """
    command, verb = _command(program)
    files = await gather(checkout, await checkout.tree(commit), path)
    with scratch(files) as folder:
        kustomize = Program(command, ENVIRONMENT, folder)
        arguments = [*verb, "--load-restrictor", "LoadRestrictionsRootOnly", path or "."]
        written = await kustomize.run(arguments, Bounds())
    return await asyncio.to_thread(read_manifests, written, is_json=False)


def _command(program: str | None) -> tuple[str, list[str]]:
    try:
        return found("kustomize", program, INSTALL), ["build"]
    except DesiredError:
        if program:
            raise
        # kubectl holds the same code.
        try:
            return found("kubectl", None, INSTALL), ["kustomize"]
        except DesiredError:
            raise DesiredError("unavailable", f"kustomize is not installed; {INSTALL}") from None


async def gather(checkout: Checkout, tree: Tree, path: str) -> dict[str, bytes]:
    """Return all files that the kustomization in `path` refers to, directly or by another.

    Raises:
        DesiredError: as `render`.
    """
    read = _Read()
    folders = [path]
    while folders:
        read.folders.update(folders)
        if len(read.folders) > _MOST:
            raise DesiredError("too-large", f"{path}: more than {_MOST} kustomizations")
        named = {_kustomization(tree, folder): folder for folder in folders}
        contents = await checkout.read(tree, named)
        read.files.update(contents)
        files: set[str] = set()
        found_folders: set[str] = set()
        for file, folder in named.items():
            for reference in references(_mapping(file, contents[file]), file):
                place = _place(tree, folder, reference, file)
                (files if place in tree.entries else found_folders).add(place)
        read.files.update(await checkout.read(tree, files - set(read.files)))
        folders = sorted(found_folders - read.folders)
    return read.files


def references(kustomization: Mapping[str, Any], file: str) -> list[str]:
    """Return the files and folders that one kustomization refers to.

    Raises:
        DesiredError: `refused`, for what would run or fetch something; `malformed`.
    """
    for name, why in _REFUSED.items():
        if kustomization.get(name):
            raise DesiredError("refused", f"{file}: {name}: {why}")
    try:
        return list(_references(kustomization))
    except (AttributeError, TypeError) as error:
        raise DesiredError("malformed", f"{file}: not the shape of a kustomization") from error


def _references(kustomization: Mapping[str, Any]) -> Iterator[str]:
    for name in _LISTS:
        yield from _texts(kustomization.get(name))
    for name in _WITH_PATH:
        yield from _texts(entry.get("path") for entry in kustomization.get(name) or ())
    yield from _texts([(kustomization.get("openapi") or {}).get("path")])
    for name in _MAKERS:
        for entry in kustomization.get(name) or ():
            yield from (text.rpartition("=")[2] for text in _texts(entry.get("files")))
            yield from _texts([*(entry.get("envs") or ()), entry.get("env")])


def _texts(values: Iterable[Any] | None) -> Iterator[str]:
    """Yield what names a file; a patch may stand in the list itself."""
    yield from (str(value) for value in values or () if value and "\n" not in str(value))


def _place(tree: Tree, folder: str, reference: str, file: str) -> str:
    place = posixpath.normpath(posixpath.join(folder, reference))
    place = "" if place == "." else place
    inside = not _ELSEWHERE.search(reference) and not place.startswith(("/", ".."))
    if inside and (place in tree.entries or _holds(tree, place)):
        return place
    odd = tree.odd.get(place)
    why = f"it is {odd}" if odd else "it is not in the repository, and nothing else is fetched"
    raise DesiredError("refused", f"{file}: '{reference[:100]}': {why}")


def _holds(tree: Tree, folder: str) -> bool:
    return any(posixpath.join(folder, name) in tree.entries for name in NAMES)


def _kustomization(tree: Tree, folder: str) -> str:
    named = [posixpath.join(folder, name) for name in NAMES]
    there = [file for file in named if file in tree.entries]
    if len(there) != 1:
        told = "no kustomization" if not there else "more than one kustomization"
        raise DesiredError("malformed", f"{folder or '.'}: {told}")
    return there[0]


def _mapping(file: str, content: bytes) -> Mapping[str, Any]:
    try:
        return read_mapping(content)
    except (ValueError, RecursionError) as error:
        raise DesiredError("malformed", f"{file}: {error}") from error
