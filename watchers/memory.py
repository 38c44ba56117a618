"""The memory of a watcher without a store: it lasts as long as the process."""

from collections.abc import Mapping


class Forgetful:
    """Fulfils `engine.model.ports.Memory` within one process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def recall(self) -> dict[str, bytes]:
        """Return all of it."""
        return dict(self._kept)

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        """Remember `changes`, None: forget that key."""
        for key, value in changes.items():
            if value is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = value
