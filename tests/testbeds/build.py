"""Build servers from their recipes, once, into the cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testbeds import cache
from tests.testbeds.recipes import Recipe, key

if TYPE_CHECKING:
    from collections.abc import Callable

_ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}


class BuildError(Exception):
    """A server cannot be built here; the text says why and what to do."""


class MissingToolError(BuildError):
    """What builds or runs a server is not installed."""


def toolchain(recipe: Recipe) -> str:
    """Return release and target of the compiler that would build the recipe.

    Raises:
        MissingToolError: there is no Go.
        BuildError: it is older than the recipe's go.mod asks for.
    """
    go = shutil.which("go")
    if go is None:
        raise MissingToolError(
            "Go is not installed; install Go 1.26 or newer, then run: make testbeds"
        )
    asked = subprocess.run(
        [go, "env", "GOVERSION", "GOOS", "GOARCH"],
        cwd=recipe.folder,
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if asked.returncode:
        raise BuildError(f"go cannot read {recipe.module}/go.mod: {asked.stderr.strip()}")
    return " ".join(asked.stdout.split())


def find(recipe: Recipe) -> Path | None:
    """Return the executable of an earlier build with the same recipe and compiler, or None.

    Raises:
        BuildError: as `toolchain` does; without a compiler no build can be told from another.
    """
    path = cache.binary(key(recipe, toolchain(recipe)), recipe.server)
    return path if path.exists() else None


def build(recipe: Recipe, progress: Callable[[str], None]) -> Path:
    """Return the executable, compiling it when no earlier build is found.

    Args:
        recipe: what to build.
        progress: told the name of each package as the compiler gets to it.

    Raises:
        BuildError: no compiler, or it failed; the text ends with the compiler's last lines.
    """
    name = key(recipe, toolchain(recipe))
    path = cache.binary(name, recipe.server)
    with cache.locked(name):
        if path.exists():
            return path
        with tempfile.TemporaryDirectory(prefix=".building-", dir=cache.root()) as folder:
            made = Path(folder) / name
            made.mkdir()
            _compile(recipe, made / recipe.server, progress)
            made.rename(path.parent)
    return path


def _compile(recipe: Recipe, output: Path, progress: Callable[[str], None]) -> None:
    command = ["go", "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-v"]
    command += ["-ldflags", recipe.ldflags, "-o", str(output), recipe.package]
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=recipe.folder, env=_environment(), stderr=subprocess.PIPE, text=True
    ) as compiler:
        for line in compiler.stderr or ():
            lines.append(line.rstrip())
            progress(lines[-1])
    if compiler.returncode:
        raise BuildError(f"go build of {recipe.server} failed:\n" + "\n".join(lines[-15:]))


def _environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}
