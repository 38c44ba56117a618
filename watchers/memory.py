"""The memory of a watcher without a store: it lasts as long as the process."""

from collections.abc import Collection, Mapping


class Forgetful:
    """Fulfils `engine.model.ports.Memory` within one process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    async def recall(self, keys: Collection[str] = ()) -> dict[str, bytes]:
        """Return what is remembered of `keys`; of all where none are named."""
        return {key: value for key, value in self._kept.items() if not keys or key in keys}

    async def keep(self, changes: Mapping[str, bytes | None]) -> None:
        """Remember `changes`, None: forget that key."""
        for key, value in changes.items():
            if value is None:
                self._kept.pop(key, None)
            else:
                self._kept[key] = value
