"""Kustomize: what a kustomization refers to, read before the program does, and the program.

The program sees only files that were referred to and are in the repository, and kustomizations as
they were read here. What would have it fetch or run something is refused.
"""

import asyncio
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from engine.desired.git import Checkout, Tree
from engine.desired.kustomization import Reference, references, written
from engine.desired.manifests import Manifests, read_manifests, read_mapping
from engine.desired.program import Bounds, Meaning, Program, Words, found
from engine.desired.scratch import ENVIRONMENT, scratch
from engine.model.errors import DesiredError

NAMES: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
INSTALL: Final = "install kustomize 5 (or kubectl), or render in CI and point at what it wrote"
_MEANINGS: Final = tuple(
    Meaning(re.compile(pattern), reason, sentence)
    for pattern, reason, sentence in (
        (r"out of memory|cannot allocate", "too-large", "it needs more memory than it may have"),
        (r"cycle detected", "malformed", "kustomizations refer to each other in a circle"),
        (r"is not in or below", "refused",
         "a file is not in or below the folder of the kustomization that names it"),
        (r"already registered id", "malformed", "two objects have one kind and name"),
        (r"unknown field", "malformed", "a kustomization has a field that is not known"),
        (r"invalid Kustomization", "malformed", "a kustomization is not of its shape"),
        (r"kustomization\.yaml is empty", "malformed", "a kustomization is empty"),
        (r"expected kind", "malformed", "a component is no Component, or a base is one"),
        (r"no matches for|no resource matches|nothing selected|not found in", "malformed",
         "a patch or a replacement finds nothing that it is for"),
        (r"does not apply", "malformed", "a patch does not fit what it is for"),
        (r"KV pairs|literal source|env source", "malformed",
         "a generator has a literal, a file or a variable that is none"),
        (r"MalformedYAML|yaml: |missing Resource metadata|missing metadata", "malformed",
         "a file is no YAML, or no object of Kubernetes"),
    )
)  # fmt: skip
_ELSEWHERE = re.compile(r"(?i)[:?]|//|^[^/]*@|^github\.com")
"""What the program takes for a place to fetch from, though a folder may be called so."""
_MOST: Final = 2_000
"""Kustomizations that are read for one application."""


@dataclass
class _Read:
    """What was found so far: contents and kustomizations by path, and folders with one."""

    files: dict[str, bytes] = field(default_factory=dict)
    kustomizations: dict[str, bytes] = field(default_factory=dict)
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
        kustomize = Program(command, ENVIRONMENT, folder, Words(_MEANINGS, tuple(files)))
        arguments = [*verb, "--load-restrictor", "LoadRestrictionsRootOnly", f"./{path}"]
        made = await kustomize.run(arguments, Bounds())
    return await asyncio.to_thread(read_manifests, made, is_json=False)


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
        files: set[str] = set()
        found_folders: set[str] = set()
        for file, folder in named.items():
            kustomization = _mapping(file, contents[file])
            read.kustomizations[file] = written(kustomization)
            for reference in references(kustomization, file):
                place = _place(tree, folder, reference, file)
                (files if place in tree.entries else found_folders).add(place)
        read.files.update(await checkout.read(tree, files - set(read.files)))
        folders = sorted(found_folders - read.folders)
    if both := sorted(read.files.keys() & read.kustomizations.keys()):
        raise DesiredError("refused", f"{both[0]}: it is a kustomization and a file of another")
    return {**read.files, **read.kustomizations}


def _place(tree: Tree, folder: str, reference: Reference, file: str) -> str:
    path = reference.path
    place = posixpath.normpath(posixpath.join(folder, path))
    place = "" if place == "." else place
    inside = not _ELSEWHERE.search(path) and not place.startswith(("/", ".."))
    if inside and (place in tree.entries or _holds(tree, place)):
        return place
    odd = tree.odd.get(place)
    why = f"it is {odd}" if odd else "it is not in the repository, and nothing else is fetched"
    raise DesiredError("refused", f"{file}: {reference.place}: {why}")


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
    except ValueError as error:
        raise DesiredError("malformed", f"{file}: {error}") from error
