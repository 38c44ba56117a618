"""What is known of one resource: lists and watch events in, changes out. Pure."""

import zlib
from dataclasses import dataclass

import msgspec

from engine.model.snapshot import Object
from engine.model.watch import Change, ChangeType

_LEVEL = 1
_GONE = 1000
"""How many deletions are remembered, for events that come out of order."""


class OlderList(Exception):  # noqa: N818 - a fact to act on, not a fault of ours
    """The server answered a list that is older than what was seen before."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The last state of an object: its resourceVersion, and its JSON, compressed."""

    version: str
    packed: bytes


class Known:
    """The objects of one resource by uid, and the resourceVersion up to which they hold.

    A list is fed page by page between `begin` and `end`; it may be given up at any page and
    begun again. Every object that vanished is told of exactly once, whether its deletion
    was watched or fell into a gap.
    """

    def __init__(self) -> None:
        self.version = ""
        self._newest = ""
        self._listed_at = ""
        self._gone: dict[str, None] = {}
        self._kept: dict[str, _Kept] = {}
        self._listed: set[str] = set()
        self._synced = False

    def __len__(self) -> int:
        return len(self._kept)

    def begin(self) -> None:
        """Begin a list; a list that was not ended is forgotten."""
        self._listed = set()

    def page(self, objects: list[Object], version: str) -> list[Change]:
        """Take one page of the list and return what it changes.

        Args:
            objects: raw objects with metadata.uid and metadata.resourceVersion.
            version: resourceVersion of the whole list.

        Raises:
            OlderList: the list is older than what is known, be it of a list that was given
                up; nothing was taken.
        """
        if older(version, self._newest):
            raise OlderList(f"list of {version}, known is {self._newest}")
        self._newest = version
        first = ChangeType.ADDED if self._synced else ChangeType.SYNCED
        changes = []
        for obj in objects:
            self._listed.add(_uid(obj))
            change = self._put(obj, first)
            if change is not None:
                changes.append(change)
        return changes

    def end(self, version: str) -> list[Change]:
        """End the list: what it did not hold is gone."""
        gone = [uid for uid in self._kept if uid not in self._listed]
        changes = [
            Change(ChangeType.DELETED, _unpack(self._kept.pop(uid)), unseen=True) for uid in gone
        ]
        self._listed = set()
        self._synced = True
        self.version = self._listed_at = version
        return changes

    def event(self, kind: str, obj: Object) -> Change | None:
        """Take one watch event (ADDED, MODIFIED, DELETED, BOOKMARK); None if nothing changed.

        One that comes late, behind events of a newer version, counts where it is news of its
        object: what stands between may have changed the order.
        """
        version, uid = _version(obj), _uid(obj)
        late = older(version, self.version)
        if late and not self._news(uid, version):
            return None
        if not late:
            self.version = self._newest = version or self.version
        if kind == "DELETED":
            self._gone[uid] = None
            if len(self._gone) > _GONE:
                del self._gone[next(iter(self._gone))]
            kept = self._kept.pop(uid, None)
            return None if kept is None else Change(ChangeType.DELETED, obj)
        if kind in {"ADDED", "MODIFIED"}:
            return self._put(obj, ChangeType.ADDED)
        return None

    def _news(self, uid: str, version: str) -> bool:
        """Whether a late event of an object says something that is not known."""
        kept = self._kept.get(uid)
        if kept is not None:
            return older(kept.version, version)
        return older(self._listed_at, version) and uid not in self._gone

    def _put(self, obj: Object, first: ChangeType) -> Change | None:
        uid, version = _uid(obj), _version(obj)
        kept = self._kept.get(uid)
        if kept is not None and kept.version == version:
            return None
        self._kept[uid] = _Kept(version, zlib.compress(msgspec.json.encode(obj), _LEVEL))
        if kept is None:
            return Change(first, obj)
        return Change(ChangeType.MODIFIED, obj, old=_unpack(kept))


def older(version: str, than: str) -> bool:
    """Say whether a resourceVersion is older; versions that are no numbers are never older."""
    if version.isdigit() and than.isdigit():
        return int(version) < int(than)
    return False


def _uid(obj: Object) -> str:
    metadata = obj["metadata"]
    return str(metadata.get("uid") or f"{metadata.get('namespace', '')}/{metadata.get('name')}")


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _unpack(kept: _Kept) -> Object:
    found: Object = msgspec.json.decode(zlib.decompress(kept.packed))
    return found
