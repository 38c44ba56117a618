"""The shelf: the snapshot of each mission, kept as its evidence."""

import errno
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.cluster import recorded
from engine.model.errors import SnapshotError, StoreError
from engine.model.snapshot import Snapshot

FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class SnapshotShelf:
    """One folder a mission below `folder`, in the form that `mission run --snapshot` reads.

    The oldest go when there are more than `keep_most`.
    """

    folder: Path
    keep_most: int

    def path(self, mission: str) -> Path:
        """Return the folder of `mission`."""
        return self.folder / mission

    def keep(self, mission: str, snapshot: Snapshot) -> None:
        """Write `snapshot`; a half-written one is never seen.

        Raises:
            StoreError: the disk is full; it may succeed later.
            SnapshotError: it cannot be written at all.
        """
        draft = self.folder / f".{mission}"
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            recorded.save(snapshot, draft)
            shutil.rmtree(self.path(mission), ignore_errors=True)
            draft.rename(self.path(mission))
            self._prune()
        except (OSError, SnapshotError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            why = f"snapshot of {mission} not kept: {error}"
            if isinstance(cause, OSError) and cause.errno in FULL:
                raise StoreError(why) from error
            raise SnapshotError(why) from error

    def take(self, mission: str) -> Snapshot:
        """Return the snapshot of `mission`. Raises SnapshotError when it cannot be read."""
        return recorded.load(self.path(mission))

    def _prune(self) -> None:
        kept = []
        for entry in self.folder.iterdir():
            if not entry.name.startswith("."):
                with suppress(FileNotFoundError):  # another worker let go of it meanwhile
                    kept.append((entry.stat().st_mtime, entry))
        for _, old in sorted(kept)[: max(0, len(kept) - self.keep_most)]:
            shutil.rmtree(old, ignore_errors=True)
