"""`python -m tests.testbeds build|list`: build the servers of the test beds, or show them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from rich.console import Console

from tests.testbeds import cache, jars
from tests.testbeds.build import BuildError, MissingToolError, build, find
from tests.testbeds.recipes import RECIPES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class _Maker:
    """How one server is found and built; `parts` is what its progress counts."""

    title: str
    parts: str
    find: Callable[[], Path | None]
    build: Callable[[Callable[[str], None]], Path]


_MAKERS = (
    *(
        _Maker(
            f"{recipe.server} {recipe.version}",
            "packages",
            partial(find, recipe),
            partial(build, recipe),
        )
        for recipe in RECIPES.values()
    ),
    _Maker(f"kafka {jars.version()}", "jars", jars.find, jars.fetch),
)
_USAGE = "usage: python -m tests.testbeds build|list"


def main(arguments: list[str]) -> int:
    """Run one verb; return 0, 1 when something cannot be built, or 2 for a wrong call."""
    verbs = {"build": build_all, "list": list_all}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(_USAGE, file=sys.stderr)
        return 2
    return verbs[arguments[0]](Console(highlight=False))


def build_all(console: Console) -> int:
    """Build what is not yet in the cache and has its tools here; return 1 when one fails.

    A tool that is not there is no failure: the tests that miss its server say so.
    """
    console.print(f"Test beds in {cache.root()}", soft_wrap=True)
    failed = 0
    for number, make in enumerate(_MAKERS, start=1):
        title = f"[{number}/{len(_MAKERS)}] {make.title}"
        try:
            _build_one(console, make, title)
        except MissingToolError as error:
            console.print(f"{title}: not built; {error}", markup=False, soft_wrap=True)
        except BuildError as error:
            failed = 1
            print(f"{title}: {error}", file=sys.stderr)
    return failed


def _build_one(console: Console, make: _Maker, title: str) -> None:
    if (path := make.find()) is not None:
        console.print(f"{title}: there ({_megabytes(path)})", markup=False)
        return
    began = monotonic()
    console.print(f"{title}: building, the first time takes minutes", markup=False)
    with console.status("") as status:
        seen = 0

        def progress(part: str) -> None:
            nonlocal seen
            seen += 1
            status.update(f"{seen} {make.parts}, {monotonic() - began:.0f} s: {part}")

        path = make.build(progress)
    took = f"built in {monotonic() - began:.0f} s"
    console.print(f"{title}: {took} ({_megabytes(path)})", markup=False)


def list_all(console: Console) -> int:
    """Print one line per server: name, version, and where it is or that it is not built."""
    for make in _MAKERS:
        try:
            where = str(make.find() or "not built; run: make testbeds")
        except MissingToolError as error:
            where = f"not built; {error}"
        console.print(f"{make.title}: {where}", markup=False, soft_wrap=True)
    return 0


def _megabytes(path: Path) -> str:
    files = path.iterdir() if path.is_dir() else [path]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
