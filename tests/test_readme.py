"""The README is true: its commands run, its outputs and tables are those of today."""

from __future__ import annotations

import re
import shlex
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.readme import README, ROOT, fresh, rule_of, run

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = (
    *(["run"], ["doctor"], ["watch"], ["snapshot"], ["demo"]),
    *(["mission", "approve"], ["freeze"], ["audit"]),
)
"""Verbs that need a cluster, a store or a person, or go on for ever; other tests drive them."""


def documented() -> list[list[str]]:
    """Return the arguments of every dogwatch command in the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("dogwatch ")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder as the README supposes it: the shipped files, and a recording of one's own."""
    for name in ("rules", "deploy"):
        shutil.copytree(ROOT / name, tmp_path / name)
    recording = ROOT / "engine" / "app" / "recording"
    shutil.copy(recording / "signals.jsonl", tmp_path)
    for name in ("incident-42", "manifests"):
        shutil.copytree(recording, tmp_path / name)
    (tmp_path / "rules" / "mine.yaml").write_text(rule_of(README.read_text()))
    return tmp_path


@pytest.mark.timeout(120)
def test_blocks_of_the_readme_are_those_of_today() -> None:
    assert README.read_text() == fresh(), "write it anew by: python -m tests.readme"


@pytest.mark.parametrize("arguments", documented(), ids=" ".join)
def test_each_command_of_the_readme_runs(arguments: list[str], checkout: Path) -> None:
    for verb in ELSEWHERE:
        if arguments[: len(verb)] == verb:
            assert run(*verb, "--help", cwd=checkout).returncode == 0
            return
    done = run(*arguments, cwd=checkout)
    expected = 3 if "--fail-on" in arguments else 0
    assert done.returncode == expected, done.stdout + done.stderr


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_make_targets_of_the_readme_exist() -> None:
    named = set(re.findall(r"make ([a-z]+)", README.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
