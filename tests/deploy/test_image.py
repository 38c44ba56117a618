"""deploy/Containerfile: it builds from what is there, pinned, and runs as nobody special."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from typing import TYPE_CHECKING

import pytest

from tests.deploy.scene import DEPLOY, OURS, copied, instructions
from tests.readme import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TEXT = (DEPLOY / "Containerfile").read_text()
PINS = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
PACKAGES = ("engine", "sinks", "watchers")


def pins(name: str) -> dict[str, str]:
    return dict(PINS.findall((ROOT / "requirements" / name).read_text()))


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_reaches_the_build(source: str) -> None:
    assert (ROOT / source).exists()
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert "*" in rules
    assert source.partition("/")[0] in let_in


def test_the_image_holds_no_more_than_it_needs() -> None:
    stages = [rest for word, rest in instructions() if word == "FROM"]
    assert len(stages) == 2
    assert all(re.match(r"docker\.io/library/python:3\.(11|12)-slim-\w+", one) for one in stages)
    last = TEXT[TEXT.rindex("\nFROM") :]
    assert "gcc" not in last
    assert "pip" not in last


def test_everything_that_is_installed_is_pinned_by_hash() -> None:
    installs = re.findall(r"pip install ([^&\\\n]+)", TEXT)
    assert len(installs) == 3
    for options in installs:
        assert "--require-hashes" in options or "--no-index" in options
    assert installs[0].endswith("--only-binary :all: -r /src/requirements/runtime.txt ")
    assert "--no-build-isolation" in installs[1], "else pip fetches what builds, unpinned"


def test_the_extra_adds_nothing_but_what_must_be_compiled() -> None:
    runtime, full = pins("runtime.txt"), pins("full.txt")
    assert full == {**runtime, "durable-rules": full["durable-rules"]}
    assert pins("dev.txt")["durable-rules"] == full["durable-rules"]


def test_it_runs_as_the_user_that_compose_names() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users == [service["user"] for service in OURS.values()][:1]
    assert len({service["user"] for service in OURS.values()}) == 1


def test_it_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {service["image"] for service in OURS.values()} == {f"dogwatch:{version}"}
    assert f"-t dogwatch:{version} ." in TEXT


def test_what_is_installed_has_every_file_of_ours(tmp_path: Path) -> None:
    """The image has no checkout: a file that is not in the package is not there."""
    source = tmp_path / "source"
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        copied_to = source / name
        copied_to.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / name), str(copied_to)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "wheel", *alone, "-w", tmp_path, source], check=True, timeout=120)
    (wheel,) = tmp_path.glob("dogwatch-*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not fnmatch(str(path), "*/__pycache__/*")
    }
    assert ours - inside == set()
