"""Activity: when anything last happened in each namespace, over restarts too."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable
from datetime import datetime, timedelta
from typing import Final

from engine.analysis.field import instant
from engine.model.errors import StoreError
from engine.model.ports import Memory
from engine.model.signal import Signal
from engine.model.watch import Change, ChangeType
from watchers.written import WRITTEN

STEP: Final = timedelta(hours=1)
"""How much later than what was told, or is remembered, it must be to be worth it again."""
_SAVE_S: Final = 60.0


class Activity:
    """The newest instant of each namespace, by name."""

    def __init__(self) -> None:
        self._newest: dict[str, datetime] = {}
        self._saved: dict[str, datetime] = {}
        self._changes: dict[str, bytes | None] = {}
        self._there: set[str] = set()
        self._recalled = self._whole = False

    def of(self, namespace: str) -> datetime | None:
        """Return when something last happened in `namespace`, None while that is not known."""
        return self._newest.get(namespace) if self._recalled else None

    def settle(self) -> None:
        """Take note that all namespaces are known: what is remembered of others is over."""
        self._whole = True

    def saw(self, change: Change, at: datetime) -> None:
        """Take note of a change that was seen at `at`, or of what was there when watching began.

        Of that the times that the object itself has are taken: its creation, its last write.
        """
        obj = change.object
        metadata = obj["metadata"]
        whole = obj.get("kind") == "Namespace"
        name = str(metadata.get("name" if whole else "namespace", ""))
        if not name:
            return
        if whole:
            self._there.add(name)
        if whole and change.type is ChangeType.DELETED:
            self._forget(name)
            self._there.discard(name)
        elif change.type is ChangeType.SYNCED:
            self._mark(name, (instant(metadata, "creationTimestamp"), instant(obj, WRITTEN)))
        else:
            self._mark(name, (at,))

    def heard(self, signals: Iterable[Signal]) -> None:
        """Take note of the Events among `signals`; of old ones by the time that they name."""
        for signal in signals:
            if signal.type == "k8s.event" and (name := signal.data.get("namespace")):
                old = signal.data.get("change") == "synced"
                self._mark(name, (instant(signal.data, "lastTime") if old else signal.time,))

    def recall(self, kept: dict[str, bytes]) -> None:
        """Take in what is remembered; what is no instant is forgotten."""
        self._recalled = True
        for name, value in kept.items():
            then = instant({"at": value.decode("ascii", "replace")}, "at")
            if then is None:
                self._changes[name] = None
            else:
                self._saved[name] = then
                self._mark(name, (then,))

    def changes(self) -> dict[str, bytes | None]:
        """Return what is to be remembered anew, or forgotten."""
        for name in self._saved.keys() - self._there if self._whole else ():
            self._forget(name)
        changes, self._changes = self._changes, {}
        return changes

    def unsaved(self, changes: dict[str, bytes | None]) -> None:
        """Take back `changes` that could not be kept; newer ones win."""
        self._changes = changes | self._changes

    def _mark(self, name: str, times: Iterable[datetime | None]) -> None:
        known = [time for time in (self._newest.get(name), *times) if time is not None]
        if not known:
            return
        newest = self._newest[name] = max(known)
        saved = self._saved.get(name)
        if saved is None or newest - saved >= STEP:
            self._saved[name] = newest
            self._changes[name] = newest.isoformat().encode()

    def _forget(self, name: str) -> None:
        self._newest.pop(name, None)
        if self._saved.pop(name, None) is not None:
            self._changes[name] = None


@contextlib.asynccontextmanager
async def remembered(activity: Activity, memory: Memory) -> AsyncGenerator[None]:
    """Recall `activity`, and keep it each minute within the context; the store may be away."""
    task = asyncio.create_task(_keep(activity, memory))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _keep(activity: Activity, memory: Memory) -> None:
    recalled = False
    while True:
        try:
            if not recalled:
                activity.recall(await memory.recall())
                recalled = True
            elif changes := activity.changes():
                await _save(activity, memory, changes)
        except StoreError:
            pass
        await asyncio.sleep(_SAVE_S)


async def _save(activity: Activity, memory: Memory, changes: dict[str, bytes | None]) -> None:
    try:
        await memory.keep(changes)
    except StoreError:
        activity.unsaved(changes)
