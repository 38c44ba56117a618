"""A folder to write into that holds nothing yet."""

from pathlib import Path

from engine.model.errors import DogwatchError


def expect_new(path: Path) -> None:
    """Refuse a path at which there is something already; an empty folder is welcome.

    Raises:
        DogwatchError: there is a file, a folder that is not empty, or no right to look.
    """
    try:
        used = path.exists() and not (path.is_dir() and not any(path.iterdir()))
    except OSError as error:
        raise DogwatchError(f"{path}: {error.strerror}") from error
    if used:
        raise DogwatchError(f"{path}: there is something already; give a new folder")
