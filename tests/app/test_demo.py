"""The demo ends with commands that can be typed as they are shown."""

from pathlib import Path

import pytest

from engine.app.demo import command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two environments, and the working directory."""
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dogwatch").touch()
    (tmp_path / "linked").symlink_to("own/dogwatch")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (None, "own/dogwatch"),
        ("other/dogwatch", "own/dogwatch"),
        ("own/dogwatch", "dogwatch"),
        ("linked", "dogwatch"),
    ],
)
def test_the_name_alone_is_shown_where_a_shell_would_find_this_one(
    here: Path, found: str | None, shown: str
) -> None:
    assert command("own/dogwatch", found and str(here / found)) == shown


@pytest.mark.parametrize(
    ("invoked", "shown"),
    [("-c", "dogwatch"), ("my tools/dogwatch", "'my tools/dogwatch'")],
)
def test_it_can_be_typed_however_the_demo_was_called(invoked: str, shown: str) -> None:
    assert command(invoked, None) == shown
