"""The wear of drives: asked of nvme-cli where that may be asked, seldom, and never for long."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from engine.node.drives import WEAR_S, SmartLog

if TYPE_CHECKING:
    from pathlib import Path

LOG = {"avail_spare": 97, "spare_thresh": 10, "percent_used": 3, "media_errors": 0}
WEAR = {"spare": 97.0, "spareThreshold": 10.0, "used": 3.0, "mediaErrors": 0}


class Clock:
    at = 0.0

    def now(self) -> float:
        return self.at


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "nvme0").write_text("")
    return tmp_path


def installed(root: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Install a command that stands for nvme-cli; return the file of what it was asked."""
    folder = root / "bin"
    folder.mkdir()
    asked = root / "asked"
    tool = folder / "nvme"
    tool.write_text(f'#!/bin/sh\necho "$*" >> {asked}\n{script}\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return asked


def test_a_drive_is_asked_for_its_log_once_in_ten_minutes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = installed(root, monkeypatch, f"echo '{json.dumps(LOG)}'")
    clock = Clock()
    wear = SmartLog(root, clock.now)
    assert [wear("nvme0") for _ in range(3)] == [WEAR] * 3
    clock.at = WEAR_S - 1
    wear("nvme0")
    assert asked.read_text() == f"smart-log -o json {root}/dev/nvme0\n"
    clock.at = WEAR_S
    wear("nvme0")
    assert len(asked.read_text().splitlines()) == 2


@pytest.mark.parametrize("script", ["exit 1", "echo broken", "echo '{\"avail_spare\": 1'", "true"])
def test_a_tool_that_fails_gives_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    installed(root, monkeypatch, script)
    assert SmartLog(root, Clock().now)("nvme0") == {}


def test_a_drive_that_may_not_be_opened_is_not_asked(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = installed(root, monkeypatch, "true")
    assert SmartLog(root, Clock().now)("nvme7") == {}
    assert not asked.exists()


def test_without_the_tool_there_is_no_wear(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert SmartLog(root, Clock().now)("nvme0") == {}
