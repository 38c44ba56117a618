"""Kubeconfigs: the certificates that clients of clusters hold, in files of their own."""

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from engine.model import safe_yaml
from watchers.certified import authorities, shown
from watchers.issuance import items, mapping

MAX_BYTES: Final = 1 << 20
MAX_ENTRIES: Final = 500
_SECTIONS: Final = (
    ("users", "user", "client-certificate"),
    ("clusters", "cluster", "certificate-authority"),
)


class NoKubeconfig(Exception):  # noqa: N818 - a fact to act on, not a fault of ours
    """A kubeconfig can not be read; the text is `reason: sentence`, `missing`: nor opened."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        self.missing = missing
        super().__init__(message)


def kubeconfig(path: str) -> list[tuple[str, dict[str, Any]]]:
    """Return (entry, what is told of its certificate): `user/NAME` and `cluster/NAME`.

    Certificates in files of their own are read too. What has none is left out.

    Raises:
        NoKubeconfig: `not-found` or `malformed`.
    """
    file = Path(path)
    try:
        whole = safe_yaml.load(_content(file))
    except ValueError as error:
        raise NoKubeconfig(f"malformed: {file.name} is {error}") from error
    if not isinstance(whole, dict):
        raise NoKubeconfig(f"malformed: {file.name} is no kubeconfig")
    return list(_entries(whole, file))[:MAX_ENTRIES]


def _entries(whole: dict[str, Any], file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for section, word, field in _SECTIONS:
        for entry in map(mapping, items(whole.get(section))):
            told, name = _told(mapping(entry.get(word)), field, file), entry.get("name")
            if told:
                yield f"{word}/{name if isinstance(name, str) else ''}"[:256], told


def _told(holder: Any, field: str, file: Path) -> dict[str, Any]:
    inline, named = holder.get(f"{field}-data"), holder.get(field)
    try:
        if isinstance(inline, str) and inline:
            raw = base64.b64decode(inline)
        elif isinstance(named, str) and named:
            raw = _content(file.parent / named)
        else:
            return {}
    except (binascii.Error, ValueError):
        return {"error": f"malformed: {field}-data is no base64"}
    except NoKubeconfig as error:
        return {"error": str(error)}
    return authorities(raw) if field == "certificate-authority" else shown(raw)


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except ValueError as error:  # of the name, before anything is opened
        raise NoKubeconfig("malformed: that is no name of a file") from error
    except OSError as error:
        message = f"not-found: {file.name}: {error.strerror}"
        raise NoKubeconfig(message, missing=True) from error
    if len(raw) > MAX_BYTES:
        raise NoKubeconfig(f"malformed: {file.name} is larger than 1 MiB")
    return raw
