"""`make` sets the environment up once, and again when it is not what the lock files say."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

pytestmark = pytest.mark.xdist_group("environment")
"""One worker makes the environment, which takes a while."""
ROOT = Path(__file__).parent.parent


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "requirements" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


environment: Any = _load("environment")


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an environment, its path with a space in it."""
    root = tmp_path_factory.mktemp("made") / "a project"
    (root / "requirements").mkdir(parents=True)
    (root / "pyproject.toml").write_text("[project]\n")
    (root / "requirements" / "runtime.txt").write_text("a==1\n")
    (root / "requirements" / "dev.txt").write_text("a==1\nb==2\n")
    subprocess.run([sys.executable, "-m", "venv", str(root / ".venv")], check=True)
    return root


@pytest.fixture
def project(_made: Path) -> Path:
    (_made / "requirements" / "runtime.txt").write_text("a==1\n")
    _stamp(_made, "runtime")
    return _made


def _stamp(root: Path, name: str) -> None:
    environment.stamp_path(root).write_text(json.dumps(environment.describe(root, name)))


def test_an_environment_with_the_same_lock_is_left_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert environment.main(["runtime"], project) == 0
    assert capsys.readouterr().out == ""


def test_the_larger_set_is_enough_for_the_smaller_and_not_the_other_way_round(
    project: Path,
) -> None:
    assert not environment.satisfied(project, "dev")
    _stamp(project, "dev")
    assert environment.satisfied(project, "runtime")


def test_a_changed_lock_asks_for_a_new_set_up(project: Path) -> None:
    (project / "requirements" / "runtime.txt").write_text("a==2\n")
    assert not environment.satisfied(project, "runtime")


@pytest.mark.parametrize("stamp", ["", "not json", "{}", "[]"])
def test_an_unreadable_stamp_asks_for_a_new_set_up(project: Path, stamp: str) -> None:
    environment.stamp_path(project).write_text(stamp)
    assert not environment.satisfied(project, "runtime")


def test_an_environment_that_was_moved_here_is_not_usable(project: Path, tmp_path: Path) -> None:
    assert environment.usable(project)
    moved = tmp_path / "elsewhere"
    subprocess.run(["cp", "-a", str(project), str(moved)], check=True)
    assert not environment.usable(moved)
    assert not environment.satisfied(moved, "runtime")


def test_no_environment_and_a_broken_one_are_not_usable(tmp_path: Path) -> None:
    assert not environment.usable(tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").write_text("")
    assert not environment.usable(tmp_path)


def test_a_failing_pip_is_reported_with_its_last_words(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "requirements" / "runtime.txt").write_text("not a requirement\n")
    assert environment.main(["runtime"], project) == 1
    error = capsys.readouterr().err
    assert error.startswith("dogwatch set-up: pip failed; it said last:")
    assert "not a requirement" in error
    assert not environment.satisfied(project, "runtime")


def test_a_python_that_is_too_new_is_refused_by_its_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], project: Path
) -> None:
    monkeypatch.setattr("sys.version_info", (3, 14, 1))
    assert environment.main(["runtime"], project) == 1
    assert "this is Python 3.14.1, dogwatch needs 3.11 or 3.12" in capsys.readouterr().err


def test_a_wrong_call_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert environment.main(["everything"]) == 1
    assert "usage: environment.py runtime|dev" in capsys.readouterr().err
