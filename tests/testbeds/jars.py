"""Kafka's jars: fetched by Maven from its central repository, once, into the cache."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.testbeds import cache
from tests.testbeds.build import BuildError, MissingToolError
from tests.testbeds.recipes import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable

RECIPE = FOLDER / "kafka" / "pom.xml"
_VERSION = re.compile(r"<artifactId>kafka</artifactId>\s*<version>([^<]+)</version>")
_FETCHED = re.compile(r"Downloaded from \S+: \S*/(\S+\.jar) ")


def version() -> str:
    """Return the release of Kafka that the recipe names."""
    found = _VERSION.search(RECIPE.read_text())
    if found is None:
        raise BuildError(f"{RECIPE.name} of kafka names no version")
    return found[1]


def key() -> str:
    """Return `kafka-<version>-<hash of the recipe>`; jars are the same for every Java."""
    return f"kafka-{version()}-{hashlib.sha256(RECIPE.read_bytes()).hexdigest()[:12]}"


def java() -> Path:
    """Return the Java that runs the broker.

    Raises:
        MissingToolError: there is none.
    """
    found = shutil.which("java")
    if found is None:
        raise MissingToolError(
            "Java is not installed; install the Debian package default-jre-headless"
        )
    return Path(found)


def find() -> Path | None:
    """Return the folder of jars that an earlier fetch left, or None."""
    folder = cache.root() / key() / "libs"
    return folder if folder.exists() else None


def fetch(progress: Callable[[str], None]) -> Path:
    """Return the folder of jars, fetching them when no earlier fetch is found.

    Args:
        progress: told the name of each jar that has come.

    Raises:
        MissingToolError: there is no Maven.
        BuildError: it failed; the text ends with its errors.
    """
    name = key()
    with cache.locked(name):
        if (there := find()) is not None:
            return there
        maven = shutil.which("mvn")
        if maven is None:
            raise MissingToolError(
                "Maven is not installed; install the Debian package maven, then run: make testbeds"
            )
        with tempfile.TemporaryDirectory(prefix=".building-", dir=cache.root()) as folder:
            made = Path(folder) / name
            _copy(maven, made / "libs", progress)
            made.rename(cache.root() / name)
    return cache.root() / name / "libs"


def _copy(maven: str, libs: Path, progress: Callable[[str], None]) -> None:
    command = [maven, "--batch-mode", "--strict-checksums", "--file", str(RECIPE)]
    command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
    command += [f"-DoutputDirectory={libs}"]
    lines: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        for line in running.stdout or ():
            lines.append(line.rstrip())
            if jar := _FETCHED.search(line):
                progress(jar[1])
    if running.returncode:
        errors = [line for line in lines if "ERROR" in line] or lines
        raise BuildError("Maven could not fetch Kafka:\n" + "\n".join(errors[:10]))
