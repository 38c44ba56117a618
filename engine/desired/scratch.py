"""Folders for programs that render: plain files only, gone afterwards."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from engine.desired.git import is_inside
from engine.model.errors import DesiredError

_NOBODY: Final = "http://127.0.0.1:9"
"""Nothing answers there: what would fetch something fails at once."""
ENVIRONMENT: Final[Mapping[str, str]] = {
    "GOMAXPROCS": "2",
    "GOMEMLIMIT": "2GiB",
    "HELM_NO_PLUGINS": "1",
    "HOME": ".",
    "HTTPS_PROXY": _NOBODY,
    "HTTP_PROXY": _NOBODY,
    "KUBECONFIG": os.devnull,
    "LC_ALL": "C",
    # No other program is found: neither git nor a plugin.
    "PATH": "/nonexistent",
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".data",
}


@contextlib.contextmanager
def scratch(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a folder of its own that holds `files` by path, and nothing else.

    Raises:
        DesiredError: `refused`, for a path that leads out of it.
    """
    with tempfile.TemporaryDirectory(prefix="dogwatch-") as name:
        root = Path(name)
        for path, content in files.items():
            if not is_inside(path):
                raise DesiredError("refused", f"'{path[:100]}' leads out of the repository")
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        yield root
