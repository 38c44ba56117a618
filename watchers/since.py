"""Since when something is as it is, over restarts."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from engine.model.errors import StoreError
from engine.model.instant import rfc3339, to_us
from engine.model.ports import Memory
from watchers.memory import Pending


class Since:
    """Remembers when each drift was first seen."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._known: dict[str, str] = {}
        self._recalled = False
        self._pending = Pending(memory)

    async def recall(self) -> None:
        """Recall what was known before this process began; without the store: at the next look."""
        if self._recalled:
            return
        try:
            kept = await self._memory.recall()
        except StoreError:
            return
        self._known = {**self._known, **{key: text.decode() for key, text in kept.items()}}
        self._recalled = True

    def __contains__(self, subject: str) -> bool:
        """Whether it was drifted when it was last seen."""
        return subject in self._known

    def told(self, subject: str, state: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Return `state` with since when it is drifted, if it is."""
        if not state["drifted"]:
            self._forget(subject)
            return dict(state)
        if subject not in self._known:
            self._known[subject] = rfc3339(to_us(now))
            self._pending.changes[subject] = self._known[subject].encode()
        return {**state, "since": self._known[subject]}

    async def keep(self, seen: Collection[str], unsure: Collection[str], *, whole: bool) -> None:
        """Remember it; where all was seen, what was not seen is forgotten.

        Subjects that begin with one of `unsure` stay: nobody knows of them.
        """
        missed = [one for one in self._known if whole and one not in seen]
        for subject in missed:
            if not f"{subject}/".startswith(tuple(unsure)):
                self._forget(subject)
        await self._pending.keep()

    def _forget(self, subject: str) -> None:
        if self._known.pop(subject, None) is not None:
            self._pending.changes[subject] = None
