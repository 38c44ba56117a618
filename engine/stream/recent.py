"""What a cluster's signals were in the last moments: ids against duplicates, levels for order.

Ids are remembered for twice the lateness, those of what may come again (Events, alerts) for two
hours, as long as they are no more than MOST_EVENTS: then the oldest go. For levels the times of
each object's signals are kept while they are not final, so that a signal that arrives out of order
knows what came after it. Both are kept in chunks of event time. What comes after a chunk was stored
goes into a further part of it, so that a checkpoint writes only what is new.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgspec

EVENT_MEMORY_US: Final = 7_200_000_000
MOST_EVENTS: Final = 100_000
"""Ids of a cluster's signals that may come again; where there are more, the oldest quarter goes."""
_WIDTH_US: Final = {"ids": 1_000_000, "events": 300_000_000}


class Chunk(NamedTuple):
    """The name of a chunk: what it keeps, which piece of event time, and which part of it."""

    kind: str
    piece: int
    part: int


class ChunkState(msgspec.Struct, array_like=True):
    """One chunk as it is stored: ids, and (series, time) of level signals."""

    ids: list[str]
    levels: list[tuple[str, int]]


class Recent:
    """Ids and levels of one cluster.

    `ids` are those that it knows; once stream time is `due`, there may be some to forget.
    """

    __slots__ = (
        "_chunks",
        "_events",
        "_gone",
        "_indexes",
        "_keep_us",
        "_open",
        "_parts",
        "due",
        "ids",
    )

    def __init__(self, lateness_us: int) -> None:
        self.ids: set[str] = set()
        self.due = 0
        self._keep_us = {"ids": 2 * lateness_us, "events": max(2 * lateness_us, EVENT_MEMORY_US)}
        self._chunks: dict[Chunk, ChunkState] = {}
        self._open: dict[str, dict[int, ChunkState]] = {kind: {} for kind in _WIDTH_US}
        self._parts: dict[tuple[str, int], int] = {}
        self._gone: list[Chunk] = []
        self._events = 0
        self._indexes: dict[Chunk, _Times] = {}

    def remember(self, identity: str, at: int, kind: str, series: str = "") -> None:
        """Remember a signal: as one of `kind` (ids, events); `series` for a level."""
        piece = at // _WIDTH_US[kind]
        chunk = self._open[kind].get(piece)
        if chunk is None:
            chunk = self._begin(kind, piece)
        self.ids.add(identity)
        chunk.ids.append(identity)
        if series:
            chunk.levels.append((series, at))
        if kind == "events":
            self._events += 1
            if self._events > MOST_EVENTS:
                self._shorten()

    def after(self, series: str, at: int) -> list[int]:
        """Return the times after `at` of signals of `series` that came already, oldest first."""
        found: set[int] = set()
        for place, chunk in self._chunks.items():
            if _end(place) > at and chunk.levels:
                times = self._indexes.get(place)
                if times is None:
                    times = self._indexes[place] = _Times()
                found.update(one for one in times.of(series, chunk.levels) if one > at)
        return sorted(found)

    def forget(self, mark: int) -> None:
        """Let go of what stream time `mark` has outlived."""
        for place in [one for one in self._chunks if _end(one) + self._keep_us[one.kind] < mark]:
            self._drop(place)
        width = _WIDTH_US["ids"]
        self.due = (mark // width + 1) * width

    def dump(self) -> Iterator[tuple[Chunk, ChunkState | None]]:
        """Yield each chunk that is new since the last call, None for one that is gone."""
        for place in self._gone:
            yield place, None
        self._gone.clear()
        for kind, chunks in self._open.items():
            for piece in sorted(chunks):
                yield Chunk(kind, piece, self._parts[kind, piece]), chunks[piece]
            chunks.clear()

    def load(self, chunks: Mapping[Chunk, ChunkState]) -> None:
        """Take over what `dump` gave."""
        for place, chunk in sorted(chunks.items(), key=lambda one: one[0]):
            self._chunks[place] = chunk
            self._parts[place[:2]] = place.part
            self.ids.update(chunk.ids)
            self._events += len(chunk.ids) if place.kind == "events" else 0

    def _shorten(self) -> None:
        """Forget the oldest ids of what may come again, by event time and then as they came.

        That is the same however they were stored: it does not depend on where a chunk was cut.
        """
        over = self._events - MOST_EVENTS * 3 // 4
        for piece in sorted({one.piece for one in self._chunks if one.kind == "events"}):
            over -= self._cut(piece, over)
            if over <= 0:
                return

    def _cut(self, piece: int, most: int) -> int:
        """Forget the first ids of a piece, at most that many; return how many these were."""
        places = sorted(one for one in self._chunks if one[:2] == ("events", piece))
        dropped = [self._drop(one) for one in places]
        ids = [identity for chunk in dropped for identity in chunk.ids]
        if kept := ids[most:]:
            chunk = self._begin("events", piece)
            chunk.ids += kept
            chunk.levels += [one for chunk in dropped for one in chunk.levels][-MOST_EVENTS:]
            self.ids.update(kept)
            self._events += len(kept)
        return len(ids) - len(kept)

    def _drop(self, place: Chunk) -> ChunkState:
        chunk = self._chunks.pop(place)
        self.ids.difference_update(chunk.ids)
        self._events -= len(chunk.ids) if place.kind == "events" else 0
        self._indexes.pop(place, None)
        self._open[place.kind].pop(place.piece, None)
        self._parts.pop(place[:2], None)
        self._gone.append(place)
        return chunk

    def _begin(self, kind: str, piece: int) -> ChunkState:
        part = self._parts[kind, piece] = self._parts.get((kind, piece), -1) + 1
        chunk = self._chunks[Chunk(kind, piece, part)] = ChunkState([], [])
        self._open[kind][piece] = chunk
        return chunk


class _Times:
    """The times of each series of one chunk, looked up so seldom that it is made when asked."""

    __slots__ = ("_count", "_times")

    def __init__(self) -> None:
        self._count = 0
        self._times: dict[str, list[int]] = {}

    def of(self, series: str, levels: list[tuple[str, int]]) -> list[int]:
        """Return the times of `series` among `levels`, which only grow."""
        for one, at in islice(levels, self._count, None):
            self._times.setdefault(one, []).append(at)
        self._count = len(levels)
        return self._times.get(series, [])


def _end(place: Chunk) -> int:
    return (place.piece + 1) * _WIDTH_US[place.kind]
