"""Nothing is written into what somebody already has."""

from pathlib import Path

import pytest

from engine.app.new_folder import expect_new
from engine.model.errors import DogwatchError


def test_an_empty_folder_and_one_that_is_not_there_are_new(tmp_path: Path) -> None:
    expect_new(tmp_path)
    expect_new(tmp_path / "later")


@pytest.mark.parametrize("used", [".", "kept.yaml"])
def test_a_file_or_a_folder_with_one_is_not_new(tmp_path: Path, used: str) -> None:
    (tmp_path / "kept.yaml").touch()
    with pytest.raises(DogwatchError, match="there is something already"):
        expect_new(tmp_path / used)
