"""The project's own files agree with one another and name no machine."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# The text of Apache-2.0 as its steward publishes it.
APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"

FORBIDDEN = {
    "a home or work folder": re.compile(r"(?<![\w.])/(?:home|root|Users|work)/\w"),
    "an index option": re.compile(r"--(?:extra-)?index-url|--find-links|index-url *="),
    "an index host": re.compile(r"\b(?:pypi|files\.pythonhosted|proxy\.golang|sum\.golang)\.org\b"),
    # A whole key, not the short stand-in of a test that redacts them.
    "a private key": re.compile(r"-----BEGIN (?:\w+ )?PRIVATE KEY-----\s+[\w+/=]{60}"),
}


def _committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of committed files")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _offences(text: str) -> list[str]:
    return [what for what, pattern in FORBIDDEN.items() if pattern.search(text)]


def test_no_committed_file_names_a_machine_an_index_or_a_key() -> None:
    found = {
        str(path.relative_to(ROOT)): offences
        for path in _committed()
        if path != Path(__file__) and (offences := _offences(path.read_text(errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("text", "offence"),
    [
        ("cd /home/someone/dogwatch", "a home or work folder"),
        ("--index-url https://mirror.test/simple", "an index option"),
        ("see https://pypi.org/project/x", "an index host"),
        ("-----BEGIN EC PRIVATE KEY-----\n" + "MHcC" * 16, "a private key"),
        ("docs/home/page and https://x.test/home/page", None),
    ],
)
def test_the_scan_sees_what_it_looks_for(text: str, offence: str | None) -> None:
    assert _offences(text) == ([offence] if offence else [])


def test_the_version_is_the_changelogs_newest() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == PROJECT["project"]["version"]


def test_every_line_of_the_changelog_has_a_kind() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    bullets = [line for line in lines if line.startswith("-")]
    kinds = re.compile(r"- (Added|Changed|Fixed|Security): \S")
    assert [line for line in bullets if not kinds.match(line)] == []


def test_the_licence_is_whole_and_unchanged() -> None:
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == APACHE
    assert PROJECT["project"]["license"] == "Apache-2.0"


@pytest.mark.parametrize("name", ["runtime.txt", "dev.txt"])
def test_every_pin_of_a_lock_file_has_hashes(name: str) -> None:
    lock = (ROOT / "requirements" / name).read_text()
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert len(entries) > 20
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_the_lock_files_agree_and_hold_what_pyproject_asks_for() -> None:
    pins = {
        name: dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))
        for name in ("runtime", "dev")
        for text in [(ROOT / "requirements" / f"{name}.txt").read_text()]
    }
    assert pins["runtime"].items() <= pins["dev"].items()
    asked = PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]
    assert {_name(each) for each in asked} <= pins["runtime"].keys()
    assert {_name(each) for each in PROJECT["dependency-groups"]["dev"]} <= pins["dev"].keys()


def _name(requirement: str) -> str:
    matched = re.match(r"[\w.-]+", requirement)
    assert matched is not None
    return re.sub(r"[-_.]+", "-", matched[0]).lower()


def test_make_alone_lists_every_target_with_what_it_does() -> None:
    told = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"^  make (\w+) +(\S.*)$", told.stdout, re.MULTILINE))
    assert listed.keys() == {
        "help",
        "demo",
        "test",
        "nightly",
        "chaos",
        "testbeds",
        "check",
        "bench",
        "lock",
    }
    assert "needs only Python" in listed["demo"]
