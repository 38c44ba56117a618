"""`python -m tests.testbeds build|list`: build the servers of the test beds, or show them."""

from __future__ import annotations

import sys
from time import monotonic

from rich.console import Console

from tests.testbeds import cache
from tests.testbeds.build import BuildError, build, find
from tests.testbeds.recipes import RECIPES, Recipe

_USAGE = "usage: python -m tests.testbeds build|list"


def main(arguments: list[str]) -> int:
    """Run one verb; return 0, 1 when something cannot be built, or 2 for a wrong call."""
    verbs = {"build": build_all, "list": list_all}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print(_USAGE, file=sys.stderr)
        return 2
    try:
        verbs[arguments[0]](Console(highlight=False))
    except BuildError as error:
        print(f"test beds: {error}", file=sys.stderr)
        return 1
    return 0


def build_all(console: Console) -> None:
    """Build what is not yet in the cache, showing which package the compiler is at."""
    console.print(f"Test beds in {cache.root()}", soft_wrap=True)
    for number, recipe in enumerate(RECIPES.values(), start=1):
        _build_one(console, recipe, f"[{number}/{len(RECIPES)}] {recipe.server} {recipe.version}")


def _build_one(console: Console, recipe: Recipe, title: str) -> None:
    if (path := find(recipe)) is not None:
        console.print(f"{title}: there ({_megabytes(path.stat().st_size)})", markup=False)
        return
    began = monotonic()
    console.print(f"{title}: building, the first time takes minutes", markup=False)
    with console.status("") as status:
        seen = 0

        def progress(package: str) -> None:
            nonlocal seen
            seen += 1
            status.update(f"{seen} packages, {monotonic() - began:.0f} s: {package}")

        path = build(recipe, progress)
    took = f"built in {monotonic() - began:.0f} s"
    console.print(f"{title}: {took} ({_megabytes(path.stat().st_size)})", markup=False)


def list_all(console: Console) -> None:
    """Print one line per server: name, version, and where it is or that it is not built."""
    for recipe in RECIPES.values():
        path = find(recipe)
        where = str(path) if path else "not built; run: make testbeds"
        console.print(f"{recipe.server} {recipe.version}: {where}", markup=False, soft_wrap=True)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
