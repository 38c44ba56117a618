"""Kubeconfigs in a folder: each file is a cluster, or each context of each file."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from engine.app.discovery.found import Seen, Sighting
from engine.app.discovery.settings import FolderConfig
from engine.cluster.login import MAX_BYTES, parsed, server_of
from engine.model.errors import ClusterError

_FILES: Final = 20_000
"""More files than that are no folder of kubeconfigs."""
_Stamp = tuple[int, int, int]


class Folder:
    """Looks at the files of a folder; one that is as it was is not read again."""

    def __init__(self, config: FolderConfig) -> None:
        self._config = config
        self._read: dict[str, tuple[_Stamp, list[Seen]]] = {}

    async def look(self) -> Sighting:
        """Return what the folder holds; a file that can not be read hinders no other."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Sighting:
        folder, sighting = Path(self._config.folder_path), Sighting()
        try:
            files = sorted(one for one in folder.iterdir() if _counts(one))
        except OSError as error:
            return Sighting(faults={"": f"{folder}: {error.strerror}"})
        if len(files) > _FILES:
            return Sighting(faults={"": f"{folder}: more than {_FILES} files"})
        read = self._read
        self._read = {}
        for file in files:
            try:
                self._read[file.name] = self._of(file, read.get(file.name))
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or str(error)
                sighting.faults[file.name] = f"{file.name}: {why}"
            else:
                sighting.seen += self._read[file.name][1]
        return sighting

    def _of(
        self, file: Path, before: tuple[_Stamp, list[Seen]] | None
    ) -> tuple[_Stamp, list[Seen]]:
        status = file.stat()
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
        if before is not None and before[0] == stamp:
            return before
        if status.st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES >> 20} MiB")
        return stamp, list(self._seen(file, _kubeconfig(file.read_bytes())))

    def _seen(self, file: Path, config: Mapping[str, Any]) -> Iterator[Seen]:
        names = [one["name"] for one in config.get("contexts") or []]
        current = config.get("current-context")
        if self._config.contexts == "current":
            if current not in names:
                raise ValueError("it has no current-context that is one of its contexts")
            names = [current]
        every = self._config.contexts == "all"
        for name in dict.fromkeys(names):
            parts = {
                "name": f"{file.stem}-{name}" if every else file.stem,
                "file": file.stem,
                "context": name,
            }
            server = server_of({**config, "current-context": name})
            yield Seen(parts, file.name, kubeconfig=str(file), context=name, server=server)


def _counts(file: Path) -> bool:
    """Whether a file counts: hidden ones are those of mounts and editors."""
    return not file.name.startswith(".") and not file.name.endswith("~") and file.is_file()


def _kubeconfig(raw: bytes) -> Mapping[str, Any]:
    """Return what a file holds; its sentences never show it. Raises ValueError."""
    try:
        return parsed(raw)
    except ClusterError as error:
        raise ValueError(str(error)) from error
