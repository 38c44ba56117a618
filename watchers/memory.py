"""What watchers remember by: changes on their way to the store, and a memory without one."""

from collections.abc import Collection, Mapping

from engine.model.errors import StoreError
from engine.model.ports import Memory


class Pending:
    """`changes` to what is remembered that the store has not taken yet; None forgets a key."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.changes: dict[str, bytes | None] = {}

    async def keep(self) -> None:
        """Remember the changes; what the store refuses is kept for the next time."""
        if not self.changes:
            return
        try:
            await self._memory.keep(self.changes)
        except StoreError:
            return
        self.changes = {}


class Forgetful:
    """Fulfils `engine.model.ports.Memory` without a store: it lasts as long as the process."""

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
